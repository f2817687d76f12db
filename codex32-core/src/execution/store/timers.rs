//! Executions that go on by themselves.

use super::super::types::Status;
use super::{Store, flow};
use crate::clock::Millis;
use crate::error::Result;
use crate::storage::entity::{executions, timers};
use sea_orm::sea_query::{Expr, LockBehavior, LockType};
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

/// Timers that are handled in one transaction.
const BATCH: u64 = 500;

impl Store {
    /// Makes the executions ready whose time has come, at most a batch. Returns how many, and
    /// those among them that flow control has to look at.
    pub(crate) async fn fire(&self) -> Result<(u64, Vec<Uuid>)> {
        let now = self.clock.now();
        self.write("fire", move |tx| {
            Box::pin(async move {
                let mut due = timers::Entity::find()
                    .select_only()
                    .columns([timers::Column::ExecutionId, timers::Column::Path])
                    .filter(timers::Column::Due.lte(now))
                    .order_by_asc(timers::Column::Due)
                    .limit(BATCH);
                if tx.get_database_backend() == DbBackend::Postgres {
                    // Several nodes wake at the same moment: each takes what no other has taken.
                    due = due.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
                }
                let due: Vec<(Uuid, String)> = due.into_tuple().all(tx).await?;
                let count = u64::try_from(due.len()).unwrap_or(BATCH);
                let (flow, due): (Vec<_>, Vec<_>) = due.into_iter().partition(|(_, path)| path == flow::TIMER);
                let flow = flow.into_iter().map(|(id, _)| id).collect();
                let ids: Vec<Uuid> = due.into_iter().map(|(id, _)| id).collect();
                if ids.is_empty() {
                    return Ok((count, flow));
                }
                timers::Entity::delete_many()
                    .filter(timers::Column::ExecutionId.is_in(ids.clone()))
                    .filter(timers::Column::Due.lte(now))
                    .exec(tx)
                    .await?;
                // One that is driven at this moment knows its timers itself.
                executions::Entity::update_many()
                    .col_expr(executions::Column::Status, Expr::value(Status::Queued.as_str()))
                    .filter(executions::Column::Id.is_in(ids.clone()))
                    .filter(executions::Column::Status.eq(Status::Waiting.as_str()))
                    .exec(tx)
                    .await?;
                Ok((count, flow))
            })
        })
        .await
    }

    /// When the next timer is due.
    pub(crate) async fn next_timer(&self) -> Result<Option<Millis>> {
        Ok(timers::Entity::find()
            .select_only()
            .column(timers::Column::Due)
            .order_by_asc(timers::Column::Due)
            .limit(1)
            .into_tuple()
            .one(self.db.read())
            .await?)
    }
}
