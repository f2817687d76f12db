//! Executions that go on by themselves.

use super::super::types::Status;
use super::Store;
use crate::clock::Millis;
use crate::error::Result;
use crate::storage::entity::{executions, timers};
use sea_orm::sea_query::{Expr, LockBehavior, LockType};
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

/// Timers that are handled in one transaction.
const BATCH: u64 = 500;

impl Store {
    /// Makes the executions ready whose time has come. Returns how many, at most a batch.
    pub(crate) async fn fire(&self) -> Result<u64> {
        let now = self.clock.now();
        self.write("fire", move |tx| {
            Box::pin(async move {
                let mut due = timers::Entity::find()
                    .select_only()
                    .column(timers::Column::ExecutionId)
                    .filter(timers::Column::Due.lte(now))
                    .order_by_asc(timers::Column::Due)
                    .limit(BATCH);
                if tx.get_database_backend() == DbBackend::Postgres {
                    // Several nodes wake at the same moment: each takes what no other has taken.
                    due = due.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
                }
                let ids: Vec<Uuid> = due.into_tuple().all(tx).await?;
                if ids.is_empty() {
                    return Ok(0);
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
                Ok(u64::try_from(ids.len()).unwrap_or(BATCH))
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
