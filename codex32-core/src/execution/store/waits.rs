//! Executions that wait for an event on the bus.

use super::super::decide::Fact;
use super::commit::Commit;
use super::{Store, row, signals};
use crate::error::Result;
use crate::event::{self, Bus, Event};
use crate::id::{ExecutionId, WorkspaceId};
use crate::storage::Tx;
use crate::storage::entity::event_waits::{self, Column};
use sea_orm::sea_query::{Expr, OnConflict, Query};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};
use serde_json::Value;

/// Under this name the room's reading of the bus is kept.
pub(crate) const CONSUMER: &str = "execution.waits";

/// A step that waits for an event.
#[derive(Debug, Clone)]
pub(crate) struct EventWait {
    pub(crate) execution: ExecutionId,
    pub(crate) path: String,
    pub(crate) event: String,
    /// CEL over `event` and `scope`.
    pub(crate) filter: Option<String>,
    /// The values that the filter refers to, as an object.
    pub(crate) scope: Value,
    /// Events up to this one do not count.
    pub(crate) after: i64,
}

/// Writes what a round says about waits. Last but for the end, since on PostgreSQL it
/// holds the bus: no event may come between the number that is noted and the commit.
pub(super) async fn write(tx: &Tx, commit: &Commit) -> Result<()> {
    if !commit.forget.is_empty() {
        event_waits::Entity::delete_many()
            .filter(Column::ExecutionId.eq(commit.id.0))
            .filter(Column::Path.is_in(commit.forget.iter().cloned()))
            .exec(tx)
            .await?;
    }
    if commit.waits.is_empty() {
        return Ok(());
    }
    let last = event::hold_in(tx).await?;
    for wait in &commit.waits {
        let row = event_waits::ActiveModel {
            execution_id: Set(commit.id.0),
            path: Set(wait.path.clone()),
            workspace_id: Set(commit.workspace.0),
            event: Set(wait.event.clone()),
            filter: Set(wait.filter.clone()),
            scope: Set(row::write("scope", &wait.scope)?),
            after_seq: Set(last),
        };
        let replace = OnConflict::columns([Column::ExecutionId, Column::Path])
            .update_columns([Column::Filter, Column::Scope, Column::AfterSeq, Column::Event])
            .to_owned();
        event_waits::Entity::insert(row).on_conflict(replace).exec_without_returning(tx).await?;
    }
    Ok(())
}

impl Store {
    /// Who waits for an event of this name in its workspace, and since before it.
    pub(crate) async fn waiting_for(&self, event: &Event) -> Result<Vec<EventWait>> {
        let rows = event_waits::Entity::find()
            .filter(Column::WorkspaceId.eq(event.workspace.0))
            .filter(Column::Event.eq(event.name.clone()))
            .filter(Column::AfterSeq.lt(event.seq))
            .order_by_asc(Column::ExecutionId)
            .all(self.db.read())
            .await?;
        rows.into_iter()
            .map(|row| {
                Ok(EventWait {
                    execution: ExecutionId(row.execution_id),
                    path: row.path,
                    event: row.event,
                    filter: row.filter,
                    scope: row::read("scope", &row.scope)?,
                    after: row.after_seq,
                })
            })
            .collect()
    }

    /// Whether anyone waits for any event.
    pub(crate) async fn anyone_waits(&self) -> Result<bool> {
        // Exact, and the same statement each time.
        let exists = Query::select()
            .expr(Expr::exists(Query::select().expr(Expr::value(1)).from(event_waits::Entity).to_owned()))
            .to_owned();
        let row = self.db.read().query_one(&exists).await?;
        Ok(row.is_some_and(|row| row.try_get_by_index(0).unwrap_or(true)))
    }

    /// Hands events to those who wait for them and notes how far the bus was read.
    /// Returns to whom. A wait is over with the first event that it gets.
    pub(crate) async fn deliver(
        &self,
        mut hits: Vec<(WorkspaceId, EventWait, Fact)>,
        read: i64,
    ) -> Result<Vec<ExecutionId>> {
        // In one order, so that two who write several rows do not wait for each other; the
        // events of one execution stay in theirs.
        hits.sort_by_key(|(_, wait, _)| wait.execution);
        let clock = self.clock.clone();
        self.write("deliver", move |tx| {
            Box::pin(async move {
                let mut woken = Vec::new();
                for (workspace, wait, fact) in hits {
                    let gone = event_waits::Entity::delete_many()
                        .filter(Column::ExecutionId.eq(wait.execution.0))
                        .filter(Column::Path.eq(wait.path))
                        .filter(Column::AfterSeq.eq(wait.after))
                        .exec(tx)
                        .await?;
                    if gone.rows_affected == 1
                        && signals::post(tx, clock.now(), workspace, wait.execution, &fact).await?
                    {
                        woken.push(wait.execution);
                    }
                }
                Bus::advance_in(tx, &*clock, CONSUMER, read).await?;
                Ok(woken)
            })
        })
        .await
    }
}
