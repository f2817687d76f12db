//! An execution that goes on as a new one: the end of the one and the start of the other
//! are one transaction.

use super::super::decide::Fact;
use super::commit::{Commit, Ended};
use super::start::{New, insert_untold};
use super::{flow, signals};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::event::Announcement;
use crate::storage::Tx;
use crate::storage::entity::{executions, signals as rows};
use crate::trigger::depth_of;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::json;

/// Stores `next` as what goes on where `commit` ends. What was sent to the one and not taken
/// is the other's, and a parent that waits does so for the other. Gives what the workspace
/// is told: that it goes on, and not that it ended.
pub(super) async fn go_on(
    tx: &Tx,
    clock: &dyn Clock,
    commit: &Commit,
    ended: &Ended,
    next: &New,
) -> Result<Vec<Announcement>> {
    use executions::Column;
    let (started, told) = insert_untold(tx, next).await?;
    if started.existing {
        return Err(Error::conflict("the execution that goes on exists already"));
    }
    let sent = rows::Entity::update_many()
        .col_expr(rows::Column::ExecutionId, Expr::value(next.id.0))
        .filter(rows::Column::ExecutionId.eq(commit.id.0))
        .exec(tx)
        .await?
        .rows_affected;
    executions::Entity::update_many()
        .col_expr(Column::Continues, Expr::value(commit.id.0))
        .col_expr(Column::SignalsPending, Expr::col(Column::SignalsPending).add(i64::try_from(sent).unwrap_or(0)))
        .filter(Column::Id.eq(next.id.0))
        .exec(tx)
        .await?;
    executions::Entity::update_many()
        .col_expr(Column::ContinuedAs, Expr::value(next.id.0))
        .filter(Column::Id.eq(commit.id.0))
        .exec(tx)
        .await?;
    if let Some(whose) = &ended.flow {
        flow::pass_on(tx, clock.now(), whose, commit.id.0, next.id.0).await?;
        executions::Entity::update_many()
            .col_expr(Column::Flow, Expr::value(true))
            .filter(Column::Id.eq(next.id.0))
            .exec(tx)
            .await?;
    }
    if let Some(parent) = ended.parent {
        let fact = Fact::ChildContinued { id: commit.id, next: next.id };
        signals::post_along(tx, clock.now(), commit.workspace, parent, &fact).await?;
    }
    let mut data = ended.about.clone();
    data["continued_as"] = json!(next.id);
    let depth = depth_of(&ended.about["trigger"]);
    let goes_on = Announcement { workspace: commit.workspace, name: "execution.continued", data, depth };
    Ok(told.into_iter().chain([goes_on]).collect())
}
