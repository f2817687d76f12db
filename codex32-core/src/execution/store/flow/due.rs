//! Times that have come: of what is gathered or throttled, and of what must have begun.

use super::holders::Holder;
use super::{Keeper, Whose, hold};
use crate::blueprint::Span;
use crate::error::Result;
use crate::execution::decide::Fact;
use crate::execution::flow::Stage;
use crate::execution::store::{Store, signals};
use crate::execution::types::Status;
use crate::id::{ExecutionId, WorkspaceId};
use crate::storage::Tx;
use crate::storage::entity::{executions, flow_tickets, timers};
use sea_orm::sea_query::{LockBehavior, LockType};
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QuerySelect};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

impl Store {
    /// Goes on with the executions whose time may have come. Gives those that had to begin
    /// and did not; their cancellation is in their inbox.
    pub(crate) async fn flow_due(&self, ids: Vec<Uuid>) -> Result<Vec<ExecutionId>> {
        let (db, now) = (self.db.clone(), self.clock.now());
        self.write("flow_due", move |tx| {
            Box::pin(async move {
                let whose: BTreeSet<Whose> = tickets(tx, &ids).await?.into_iter().map(|(whose, _)| whose).collect();
                hold(&db, tx, &whose).await?;
                let mut by_bot: BTreeMap<Whose, Vec<Holder>> = BTreeMap::new();
                let mut strays: BTreeSet<Uuid> = ids.iter().copied().collect();
                for (whose, holder) in tickets(tx, &ids).await? {
                    strays.remove(&holder.id);
                    by_bot.entry(whose).or_default().push(holder);
                }
                forget(tx, strays).await?;
                let mut overdue = Vec::new();
                for (whose, mut holders) in by_bot {
                    // Where many are late, they go in the order in which they were due.
                    holders.sort_by_key(|holder| (holder.due, holder.id));
                    let mut keeper = Keeper::new(tx, whose, now);
                    for holder in holders {
                        overdue.extend(keeper.look(holder).await?);
                    }
                    keeper.finish().await?;
                }
                Ok(overdue)
            })
        })
        .await
    }
}

/// A timer whose execution has no ticket says nothing, and would be looked at for ever.
async fn forget(tx: &Tx, ids: BTreeSet<Uuid>) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    timers::Entity::delete_many()
        .filter(timers::Column::ExecutionId.is_in(ids))
        .filter(timers::Column::Path.eq(super::TIMER))
        .exec(tx)
        .await?;
    Ok(())
}

async fn tickets(tx: &Tx, ids: &[Uuid]) -> Result<Vec<(Whose, Holder)>> {
    let rows = flow_tickets::Entity::find().filter(flow_tickets::Column::ExecutionId.is_in(ids.iter().copied()));
    let rows = rows.all(tx).await?;
    let read = |row: flow_tickets::Model| {
        let whose = Whose { workspace: row.workspace_id, bot: row.bot_id, environment: row.environment.clone() };
        Ok((whose, Holder::read(row)?))
    };
    rows.into_iter().map(read).collect()
}

impl Keeper<'_> {
    /// Gives the execution where it is too late for it to begin.
    async fn look(&mut self, mut holder: Holder) -> Result<Option<ExecutionId>> {
        if holder.deadline.is_some_and(|at| at <= self.now) {
            return self.overdue(holder).await;
        }
        if holder.due.is_none_or(|at| at > self.now) {
            // It was put off meanwhile, and its timer with it.
            return Ok(None);
        }
        match holder.stage {
            Stage::Gather => self.close(&mut holder).await?,
            _ => self.go_on(&mut holder).await?,
        }
        Ok(None)
    }

    async fn overdue(&mut self, mut holder: Holder) -> Result<Option<ExecutionId>> {
        let late = self.not_begun(holder.id).await?;
        if late {
            let within = holder.ticket.start_within.and_then(|ms| u64::try_from(ms).ok()).map_or(Span(0), Span);
            let reason = Some(format!("it had not begun within {within} (start_within)"));
            let fact = Fact::Cancel { by: "flow".to_owned(), reason };
            let (workspace, id) = (WorkspaceId(self.whose.workspace), ExecutionId(holder.id));
            signals::post(self.tx, self.now, workspace, id, &fact).await?;
        }
        holder.deadline = None;
        if late {
            // It goes nowhere any more; a place that is free is not for it.
            (holder.waits_for, holder.due) = (None, None);
        }
        holder.update(self.tx, &self.whose).await?;
        timers::Entity::delete_many()
            .filter(timers::Column::ExecutionId.eq(holder.id))
            .filter(timers::Column::Path.eq(super::TIMER))
            .filter(timers::Column::Due.lte(self.now))
            .exec(self.tx)
            .await?;
        Ok(late.then_some(ExecutionId(holder.id)))
    }

    /// Whether nobody drives the execution yet, nor takes it at this moment.
    async fn not_begun(&self, id: Uuid) -> Result<bool> {
        use executions::Column;
        let waits: [&str; 2] = [Status::Held.as_str(), Status::Queued.as_str()];
        let mut row = executions::Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::Id.eq(id))
            .filter(Column::Status.is_in(waits))
            .filter(Column::StartedAt.is_null());
        if self.tx.get_database_backend() == DbBackend::Postgres {
            row = row.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        }
        Ok(row.into_tuple::<Uuid>().one(self.tx).await?.is_some())
    }
}
