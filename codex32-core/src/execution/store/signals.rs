//! What is sent to an execution: a row that its driver takes, and the word that it is there.

use super::super::decide::Fact;
use super::super::types::Status;
use super::{Store, row};
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::id::{ExecutionId, WorkspaceId};
use crate::storage::Tx;
use crate::storage::entity::{executions, signals};
use sea_orm::sea_query::{CaseStatement, Expr, ExprTrait};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

/// A signal that was not taken yet.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) id: i64,
    pub(crate) fact: Fact,
}

impl Store {
    /// Sends `fact` to an execution, or to the one that goes on from it. Gives which.
    ///
    /// # Errors
    /// `not_found`; `precondition` where it is finished.
    pub(crate) async fn send(&self, workspace: WorkspaceId, id: ExecutionId, fact: Fact) -> Result<ExecutionId> {
        let now = self.clock.now();
        self.write("send", move |tx| {
            Box::pin(async move {
                if let Some(reached) = post_along(tx, now, workspace, id, &fact).await? {
                    return Ok(reached);
                }
                let found = executions::Entity::find_by_id(id.0)
                    .filter(executions::Column::WorkspaceId.eq(workspace.0))
                    .one(tx)
                    .await?;
                match found {
                    Some(row) => Err(Error::precondition(format!("the execution {id} has {} already", row.status))),
                    None => Err(Error::not_found("execution", id)),
                }
            })
        })
        .await
    }

    /// Executions that `owner` drives and something was sent to.
    pub(crate) async fn sent(&self, owner: Uuid) -> Result<Vec<ExecutionId>> {
        let ids: Vec<Uuid> = executions::Entity::find()
            .select_only()
            .column(executions::Column::Id)
            .filter(executions::Column::Status.is_in([Status::Running.as_str(), Status::Paused.as_str()]))
            .filter(executions::Column::LeaseOwner.eq(owner))
            .filter(executions::Column::SignalsPending.gt(0))
            .into_tuple()
            .all(self.db.read())
            .await?;
        Ok(ids.into_iter().map(ExecutionId).collect())
    }

    /// What was sent to an execution and not taken, in order.
    pub(crate) async fn inbox(&self, id: ExecutionId, after: i64, limit: u64) -> Result<Vec<Sent>> {
        let rows = signals::Entity::find()
            .filter(signals::Column::ExecutionId.eq(id.0))
            .filter(signals::Column::Id.gt(after))
            .order_by_asc(signals::Column::Id)
            .limit(limit)
            .all(self.db.read())
            .await?;
        rows.into_iter().map(|row| Ok(Sent { id: row.id, fact: row::read("signal", &row.data)? })).collect()
    }
}

/// Most executions of a chain that are followed to the one that goes on.
const MAX_CHAIN: usize = 10_000;

/// Like [`post`], but to the execution that goes on from it where it has continued as
/// another. Gives which one has got it.
pub(super) async fn post_along(
    tx: &Tx,
    now: Millis,
    workspace: WorkspaceId,
    mut id: ExecutionId,
    fact: &Fact,
) -> Result<Option<ExecutionId>> {
    for _ in 0..MAX_CHAIN {
        if post(tx, now, workspace, id, fact).await? {
            return Ok(Some(id));
        }
        let next = executions::Entity::find_by_id(id.0)
            .select_only()
            .column(executions::Column::ContinuedAs)
            .filter(executions::Column::WorkspaceId.eq(workspace.0))
            .into_tuple::<Option<Uuid>>()
            .one(tx)
            .await?;
        match next.flatten() {
            Some(next) => id = ExecutionId(next),
            None => return Ok(None),
        }
    }
    Ok(None)
}

/// Puts a fact into the inbox of an execution and makes it ready where it waits. False
/// where it is not there or finished. The row of the execution is written too, so that
/// who parks it at the same time sees one or the other.
pub(super) async fn post(tx: &Tx, now: Millis, workspace: WorkspaceId, id: ExecutionId, fact: &Fact) -> Result<bool> {
    let status = executions::Column::Status;
    let mut sleeping = Condition::any().add(status.eq(Status::Waiting.as_str()));
    if matches!(fact, Fact::Cancel { .. } | Fact::Resume { .. } | Fact::Migrate { .. }) {
        let paused =
            Condition::all().add(status.eq(Status::Paused.as_str())).add(executions::Column::LeaseOwner.is_null());
        sleeping = sleeping.add(paused);
    }
    if matches!(fact, Fact::Cancel { .. }) {
        // It ends without a place; the rest of what is sent to it waits until it begins.
        sleeping = sleeping.add(status.eq(Status::Held.as_str()));
    }
    let woken = CaseStatement::new().case(sleeping, Status::Queued.as_str()).finally(Expr::col(status));
    let finished = [Status::Succeeded, Status::Failed, Status::Cancelled].map(Status::as_str);
    let done = executions::Entity::update_many()
        .col_expr(executions::Column::SignalsPending, Expr::col(executions::Column::SignalsPending).add(1))
        .col_expr(status, woken.into())
        .filter(executions::Column::Id.eq(id.0))
        .filter(executions::Column::WorkspaceId.eq(workspace.0))
        .filter(status.is_not_in(finished))
        .exec(tx)
        .await?;
    if done.rows_affected != 1 {
        return Ok(false);
    }
    let row = signals::ActiveModel {
        id: NotSet,
        workspace_id: Set(workspace.0),
        execution_id: Set(id.0),
        at: Set(now),
        data: Set(row::write("signal", fact)?),
    };
    signals::Entity::insert(row).exec_without_returning(tx).await?;
    Ok(true)
}
