//! Queues in the table `queue_messages`.

use super::{
    Depth, HOLDER_LOST, Lease, Limits, MAX_BATCH, Message, Proof, Queue, SendOptions, check_body, check_name, lost,
    shorten,
};
use crate::clock::{Clock, Millis};
use crate::error::{Error, Result};
use crate::id::WorkspaceId;
use crate::storage::entity::queue_messages::{ActiveModel, Column, Entity, Model};
use crate::storage::{Db, Tx};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{LockBehavior, LockType, OnConflict};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect,
};
use serde_json::Value;
use std::sync::Arc;
use uuid::Uuid;

const READY: &str = "ready";
const DEAD: &str = "dead";

/// Queues in the engine's database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DbQueue {
    db: Db,
    clock: Arc<dyn Clock>,
    limits: Limits,
}

impl DbQueue {
    /// Queues over `db`.
    #[must_use]
    pub fn new(db: Db, clock: Arc<dyn Clock>, limits: Limits) -> DbQueue {
        DbQueue { db, clock, limits }
    }

    /// Messages in the table, of all workspaces.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn count(db: &Db) -> Result<u64> {
        Ok(Entity::find().count(db.read()).await?)
    }

    fn id(&self) -> Uuid {
        crate::id::TriggerId::at(self.clock.now()).0
    }

    fn after(&self, ms: u64) -> Millis {
        self.clock.now().saturating_add(i64::try_from(ms).unwrap_or(i64::MAX))
    }

    /// Changes a message that is held under this lease.
    async fn change(&self, workspace: WorkspaceId, message: &Message, change: ActiveModel) -> Result<()> {
        let (id, lease) = (message.id, lease_of(message)?);
        let changed = self
            .db
            .write(move |tx| {
                Box::pin(async move {
                    let query = Entity::update_many().set(change).filter(held(workspace, id, lease));
                    Ok(query.exec(tx).await?.rows_affected)
                })
            })
            .await?;
        if changed == 0 { Err(lost(id)) } else { Ok(()) }
    }
}

#[async_trait::async_trait]
impl Queue for DbQueue {
    async fn send(&self, workspace: WorkspaceId, queue: &str, body: Value, options: SendOptions) -> Result<Uuid> {
        check_name(queue)?;
        let body = check_body(&body, self.limits)?;
        let id = self.id();
        let row = ActiveModel {
            id: Set(id),
            workspace_id: Set(workspace.0),
            queue: Set(queue.to_owned()),
            body: Set(body),
            dedup: Set(options.dedup.clone()),
            status: Set(READY.to_owned()),
            attempts: Set(0),
            visible_at: Set(self.after(options.delay_ms)),
            lease: Set(None),
            last_error: Set(None),
            created_at: Set(self.clock.now()),
        };
        let queue = queue.to_owned();
        self.db.write(move |tx| Box::pin(insert(tx, workspace, queue, options.dedup, row, id))).await
    }

    async fn receive(&self, workspace: WorkspaceId, queue: &str, limit: u64, lease_ms: u64) -> Result<Vec<Message>> {
        let (now, until) = (self.clock.now(), self.after(lease_ms));
        let (lease, attempts) = (self.id(), i32::try_from(self.limits.attempts).unwrap_or(i32::MAX));
        let (queue, limit) = (queue.to_owned(), limit.clamp(1, MAX_BATCH));
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    bury(tx, workspace, &queue, attempts, now).await?;
                    take(tx, workspace, &queue, limit, now, lease, until).await
                })
            })
            .await
    }

    async fn ack(&self, workspace: WorkspaceId, message: &Message) -> Result<()> {
        let (id, lease) = (message.id, lease_of(message)?);
        let gone = self
            .db
            .write(move |tx| {
                Box::pin(async move {
                    Ok(Entity::delete_many().filter(held(workspace, id, lease)).exec(tx).await?.rows_affected)
                })
            })
            .await?;
        if gone == 0 { Err(lost(id)) } else { Ok(()) }
    }

    async fn nack(&self, workspace: WorkspaceId, message: &Message, delay_ms: u64, error: &str) -> Result<()> {
        let status = if message.attempt >= self.limits.attempts { DEAD } else { READY };
        let change = ActiveModel {
            status: Set(status.to_owned()),
            visible_at: Set(self.after(delay_ms)),
            lease: Set(None),
            last_error: Set(Some(shorten(error))),
            ..Default::default()
        };
        self.change(workspace, message, change).await
    }

    async fn extend(&self, workspace: WorkspaceId, message: &Message, lease_ms: u64) -> Result<()> {
        let change = ActiveModel { visible_at: Set(self.after(lease_ms)), ..Default::default() };
        self.change(workspace, message, change).await
    }

    async fn release(&self, workspace: WorkspaceId, message: &Message, delay_ms: u64) -> Result<()> {
        let change = ActiveModel {
            attempts: Set(i32::try_from(message.attempt.saturating_sub(1)).unwrap_or(i32::MAX)),
            visible_at: Set(self.after(delay_ms)),
            lease: Set(None),
            ..Default::default()
        };
        self.change(workspace, message, change).await
    }

    async fn depth(&self, workspace: WorkspaceId, queue: &str) -> Result<Depth> {
        let count = |status: &str| {
            Entity::find()
                .filter(Column::WorkspaceId.eq(workspace.0))
                .filter(Column::Queue.eq(queue))
                .filter(Column::Status.eq(status))
                .count(self.db.read())
        };
        Ok(Depth { open: count(READY).await?, dead: count(DEAD).await? })
    }

    async fn revive(&self, workspace: WorkspaceId, queue: &str) -> Result<u64> {
        let (queue, now) = (queue.to_owned(), self.clock.now());
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let change = ActiveModel {
                        status: Set(READY.to_owned()),
                        attempts: Set(0),
                        visible_at: Set(now),
                        ..Default::default()
                    };
                    let query = Entity::update_many()
                        .set(change)
                        .filter(Column::WorkspaceId.eq(workspace.0))
                        .filter(Column::Queue.eq(queue))
                        .filter(Column::Status.eq(DEAD));
                    Ok(query.exec(tx).await?.rows_affected)
                })
            })
            .await
    }
}

fn lease_of(message: &Message) -> Result<Uuid> {
    match message.lease.0 {
        Proof::Row(lease) => Ok(lease),
        Proof::Stream { .. } => Err(lost(message.id)),
    }
}

fn held(workspace: WorkspaceId, id: Uuid, lease: Uuid) -> Condition {
    Condition::all()
        .add(Column::Id.eq(id))
        .add(Column::WorkspaceId.eq(workspace.0))
        .add(Column::Status.eq(READY))
        .add(Column::Lease.eq(lease))
}

async fn insert(
    tx: &Tx,
    workspace: WorkspaceId,
    queue: String,
    dedup: Option<String>,
    row: ActiveModel,
    id: Uuid,
) -> Result<Uuid> {
    let keep = OnConflict::columns([Column::WorkspaceId, Column::Queue, Column::Dedup]).do_nothing().to_owned();
    Entity::insert(row).on_conflict(keep).exec_without_returning(tx).await?;
    let Some(dedup) = dedup else { return Ok(id) };
    let first = Entity::find()
        .filter(Column::WorkspaceId.eq(workspace.0))
        .filter(Column::Queue.eq(queue))
        .filter(Column::Dedup.eq(dedup))
        .one(tx)
        .await?;
    Ok(first.map_or(id, |row| row.id))
}

/// Sets aside what was tried often enough and whose last holder was lost.
async fn bury(tx: &Tx, workspace: WorkspaceId, queue: &str, attempts: i32, now: Millis) -> Result<()> {
    let change = ActiveModel {
        status: Set(DEAD.to_owned()),
        lease: Set(None),
        last_error: Set(Some(HOLDER_LOST.to_owned())),
        ..Default::default()
    };
    Entity::update_many()
        .set(change)
        .filter(Column::WorkspaceId.eq(workspace.0))
        .filter(Column::Queue.eq(queue))
        .filter(Column::Status.eq(READY))
        .filter(Column::VisibleAt.lte(now))
        .filter(Column::Attempts.gte(attempts))
        .exec(tx)
        .await?;
    Ok(())
}

async fn take(
    tx: &Tx,
    workspace: WorkspaceId,
    queue: &str,
    limit: u64,
    now: Millis,
    lease: Uuid,
    until: Millis,
) -> Result<Vec<Message>> {
    let mut query = Entity::find()
        .filter(Column::WorkspaceId.eq(workspace.0))
        .filter(Column::Queue.eq(queue))
        .filter(Column::Status.eq(READY))
        .filter(Column::VisibleAt.lte(now))
        .order_by_asc(Column::VisibleAt)
        .order_by_asc(Column::Id)
        .limit(limit);
    if tx.get_database_backend() == DbBackend::Postgres {
        query = query.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    }
    let mut messages = Vec::new();
    for row in query.all(tx).await? {
        let message = message(row, lease)?;
        let change = ActiveModel {
            id: Set(message.id),
            attempts: Set(i32::try_from(message.attempt).unwrap_or(i32::MAX)),
            visible_at: Set(until),
            lease: Set(Some(lease)),
            ..Default::default()
        };
        change.update(tx).await?;
        messages.push(message);
    }
    Ok(messages)
}

fn message(row: Model, lease: Uuid) -> Result<Message> {
    let body = serde_json::from_str(&row.body)
        .map_err(|_| Error::internal(format!("the body of message {} is not JSON", row.id)))?;
    let attempt = u32::try_from(row.attempts).unwrap_or(0).saturating_add(1);
    Ok(Message { id: row.id, lease: Lease(Proof::Row(lease)), attempt, body, sent_at: row.created_at })
}
