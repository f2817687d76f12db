//! The executors on this database, and what they may claim.

use super::super::labels;
use super::super::types::Worker;
use super::Store;
use super::lease::queued;
use crate::clock::Millis;
use crate::error::Result;
use crate::storage::entity::executions;
use crate::storage::entity::workers::{self, Column};
use sea_orm::sea_query::{Expr, ExprTrait, Func, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

/// Workers that are shown at most.
const MOST: u64 = 1_000;
/// A worker that was not seen for so long is forgotten, in milliseconds.
const FORGET: Millis = 60 * 60 * 1_000;

/// Holds for executions that a worker with `labels` may drive: nothing is left of what
/// they ask for once its labels are taken out.
pub(super) fn fits(labels: &[String]) -> Expr {
    let asked: Expr = Expr::col((executions::Entity, executions::Column::RunsOn));
    let take = |left: Expr, label: &String| -> Expr {
        Func::cust("replace").args([left, Expr::value(labels::wrapped(label)), Expr::value("")]).into()
    };
    labels.iter().fold(asked, take).eq("")
}

impl Store {
    /// Notes that a worker is there.
    pub(crate) async fn beat(&self, worker: workers::Model) -> Result<()> {
        self.write("beat", move |tx| {
            Box::pin(async move {
                let row = workers::ActiveModel {
                    id: Set(worker.id),
                    host: Set(worker.host),
                    labels: Set(worker.labels),
                    version: Set(worker.version),
                    concurrency: Set(worker.concurrency),
                    active: Set(worker.active),
                    draining: Set(worker.draining),
                    since: Set(worker.since),
                    seen_at: Set(worker.seen_at),
                    lease_ms: Set(worker.lease_ms),
                };
                let again = OnConflict::column(Column::Id)
                    .update_columns([Column::Labels, Column::Active, Column::Draining, Column::SeenAt])
                    .to_owned();
                workers::Entity::insert(row).on_conflict(again).exec_without_returning(tx).await?;
                Ok(())
            })
        })
        .await
    }

    /// Notes that a worker is gone.
    pub(crate) async fn leave(&self, id: Uuid) -> Result<()> {
        self.write("leave", move |tx| {
            Box::pin(async move {
                workers::Entity::delete_by_id(id).exec(tx).await?;
                Ok(())
            })
        })
        .await
    }

    /// Forgets workers that went away without a word long ago.
    pub(crate) async fn forget_lost(&self) -> Result<()> {
        let before = self.clock.now() - FORGET;
        let lost = workers::Entity::find().filter(Column::SeenAt.lt(before));
        if lost.count(self.db.read()).await? == 0 {
            return Ok(());
        }
        self.write("forget_lost", move |tx| {
            Box::pin(async move {
                workers::Entity::delete_many().filter(Column::SeenAt.lt(before)).exec(tx).await?;
                Ok(())
            })
        })
        .await
    }

    /// The workers, in the order of their beginning.
    pub(crate) async fn workers(&self) -> Result<Vec<Worker>> {
        let now = self.clock.now();
        let rows = workers::Entity::find().order_by_asc(Column::Since).limit(MOST).all(self.db.read()).await?;
        Ok(rows.into_iter().map(|row| worker(row, now)).collect())
    }

    /// What is ready, by the labels that it asks for: how many, of those that ask for any.
    pub(crate) async fn ready_by_labels(&self) -> Result<Vec<(Vec<String>, u64)>> {
        let rows: Vec<(String, i64)> = executions::Entity::find()
            .select_only()
            .column(executions::Column::RunsOn)
            .column_as(executions::Column::Id.count(), "ready")
            .filter(queued())
            .filter(executions::Column::RunsOn.ne(""))
            .group_by(executions::Column::RunsOn)
            .into_tuple()
            .all(self.db.read())
            .await?;
        Ok(rows.into_iter().map(|(asked, ready)| (labels::read(&asked), u64::try_from(ready).unwrap_or(0))).collect())
    }
}

fn worker(row: workers::Model, now: Millis) -> Worker {
    Worker {
        host: row.host,
        alive: now - row.seen_at <= row.lease_ms,
        draining: row.draining,
        active: u32::try_from(row.active).unwrap_or(0),
        concurrency: u32::try_from(row.concurrency).unwrap_or(0),
        labels: labels::read(&row.labels),
        version: row.version,
        since: row.since,
        seen_at: row.seen_at,
        id: row.id,
    }
}
