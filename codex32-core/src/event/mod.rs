//! The bus: events of the engine and of bots, durable in the database's outbox
//! (table `events`), fanned out in the process.
//!
//! - [`Bus`] publishes, lists and subscribes.
//! - [`Event`] is what comes out.
//! - [`check_custom`] says which names people may use.
//!
//! Invariants: an event is on the bus if and only if the transaction that
//! published it was committed; a sequence number becomes visible only after all
//! smaller ones are settled, so whoever resumes after a number misses nothing.
//! SQLite has one writer, which gives that order; on PostgreSQL a publishing
//! transaction holds an advisory lock from its first event to its end, so
//! publish last in a transaction and keep it short. The wake-up in the process
//! carries no data: a slow subscriber reads from the table and loses nothing.
//!
//! Where the deployment has NATS, every event is copied to a JetStream stream for programs
//! beside the engine (`relay`).
//!
//! | event of the engine | data |
//! | --- | --- |
//! | `execution.started`, `.waiting` | `execution`, `bot` (id), `bot_name`, `deployment`, `environment` |
//! | `execution.finished` | the same, `status`, `output`, `error` (`code`, `message`, `step`); its depth is that of the execution's trigger |
//! | `execution.continued` | the same, `continued_as`: it goes on as that execution, and has not ended |
//! | `bot.created`, `.changed`, `.deleted`, `deployment.changed` | `bot`, `bot_name`, and what changed |
//! | `trigger.stopped` | a loop of bots was cut: `trigger`, `bot`, `bot_name`, `deployment`, `environment`, `event`, `depth` |
//! | `incident.opened`, `.closed` | `incident`, `bot`, `bot_name`, `environment`, `kind`, `title`, `text` |

mod consumer;
mod name;
mod relay;
mod store;
mod subscription;
mod tail;

#[cfg(test)]
mod tests;

pub(crate) use consumer::{Consumer, Ear};
pub(crate) use name::is_reserved;
pub use name::{MAX_DATA, MAX_NAME, check_custom};

use crate::clock::{Clock, Millis};
use crate::error::Result;
use crate::id::WorkspaceId;
use crate::storage::{Db, Script, Tx, Word};
use futures::stream::BoxStream;
use schemars::JsonSchema;
use sea_orm::{ConnectionTrait as _, DbBackend};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use tokio::sync::{Mutex, watch};

/// One event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// Position on the bus; grows, with gaps.
    pub seq: i64,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// UTC milliseconds.
    pub at: Millis,
    /// Name, such as `order.created`.
    pub name: String,
    /// What happened.
    pub data: Value,
    /// How many triggers led here, one after the other; 0 where nothing triggered it.
    #[serde(default)]
    pub depth: u32,
}

/// An event that is to be published with others.
#[derive(Debug, Clone)]
pub(crate) struct Announcement {
    pub(crate) workspace: WorkspaceId,
    pub(crate) name: &'static str,
    pub(crate) data: Value,
    pub(crate) depth: u32,
}

/// The bus of one database. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bus {
    db: Db,
    clock: Arc<dyn Clock>,
    changed: Arc<watch::Sender<u64>>,
    tail: Arc<Mutex<tail::Tail>>,
}

impl Bus {
    /// A bus over `db`. All parts of one engine share one (by `clone`), so that they wake each other.
    #[must_use]
    pub fn new(db: Db, clock: Arc<dyn Clock>) -> Bus {
        Bus { db, clock, changed: Arc::new(watch::Sender::new(0)), tail: Arc::default() }
    }

    /// Publishes an event of the engine; durable and announced when it returns its number.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn publish(&self, workspace: WorkspaceId, name: &str, data: Value) -> Result<i64> {
        self.publish_deep(workspace, name, data, 0).await
    }

    /// Publishes an event of a bot or of a caller. `depth` is the depth of the execution
    /// that publishes it (`trigger.depth`), 0 where a person does.
    ///
    /// # Errors
    /// Those of [`check_custom`] and of the database.
    pub async fn emit(&self, workspace: WorkspaceId, name: &str, data: Value, depth: u32) -> Result<i64> {
        check_custom(name, &data)?;
        self.publish_deep(workspace, name, data, depth).await
    }

    async fn publish_deep(&self, workspace: WorkspaceId, name: &str, data: Value, depth: u32) -> Result<i64> {
        let (clock, name) = (self.clock.clone(), name.to_owned());
        let seq = self
            .db
            .write(move |tx| {
                Box::pin(async move { Bus::publish_deep_in(tx, &*clock, workspace, &name, data, depth).await })
            })
            .await?;
        self.wake();
        Ok(seq)
    }

    /// Publishes within a transaction; call [`Bus::wake`] after its commit. Publish last
    /// in a transaction: on PostgreSQL it holds the bus until it ends.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn publish_in(
        tx: &Tx,
        clock: &dyn Clock,
        workspace: WorkspaceId,
        name: &str,
        data: Value,
    ) -> Result<i64> {
        Self::publish_deep_in(tx, clock, workspace, name, data, 0).await
    }

    /// Like [`Bus::publish_in`], with the depth of the execution that the event is about.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn publish_deep_in(
        tx: &Tx,
        clock: &dyn Clock,
        workspace: WorkspaceId,
        name: &str,
        data: Value,
        depth: u32,
    ) -> Result<i64> {
        store::insert(tx, workspace, clock.now(), name, &data, depth).await
    }

    /// Publishes all of these within a transaction, in their order, as [`Bus::publish_in`] does one.
    pub(crate) async fn announce_in(tx: &Tx, clock: &dyn Clock, told: Vec<Announcement>) -> Result<()> {
        store::insert_many(tx, clock.now(), told).await
    }

    /// The same behind the statements of `script`, which it ends.
    pub(crate) async fn announce_behind(
        mut script: Script<'_>,
        tx: &Tx,
        clock: &dyn Clock,
        told: &[Announcement],
    ) -> Result<()> {
        if !told.is_empty() {
            if tx.get_database_backend() == DbBackend::Postgres {
                // The bus is held for as short as can be.
                std::mem::replace(&mut script, Script::new(tx)).run().await?;
                store::hold(tx).await?;
            }
            store::publish(&mut script, clock.now(), told);
        }
        script.run().await
    }

    /// Wakes subscribers and consumers after a commit, those of other processes, too.
    pub fn wake(&self) {
        self.wake_here();
        self.db.wakes().tell(Word::events());
    }

    /// Wakes those of this process: another one has published.
    pub(crate) fn wake_here(&self) {
        self.changed.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// Events of a workspace after `after`, oldest first, at most `limit` (1 to 1,000).
    ///
    /// # Errors
    /// Those of the database.
    pub async fn list(&self, workspace: WorkspaceId, after: i64, limit: u64) -> Result<Vec<Event>> {
        store::page(self.db.read(), Some(workspace), after, limit.clamp(1, 1_000)).await
    }

    /// The number of the last event, 0 where there is none.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn last(&self) -> Result<i64> {
        store::last(self.db.read()).await
    }

    /// The events of a workspace after `after`, from the table and then live; without
    /// `after` those from now on. Never ends and never loses one; a database that does
    /// not answer delays it.
    ///
    /// # Errors
    /// Those of the database at the first look.
    pub async fn subscribe(&self, workspace: WorkspaceId, after: Option<i64>) -> Result<BoxStream<'static, Event>> {
        let after = match after {
            Some(seq) => seq,
            None => self.last().await?,
        };
        Ok(subscription::stream(self.clone(), workspace, after))
    }

    /// Deletes events from before `cutoff` that every consumer has read, in small
    /// batches, so that writers are never held up for long. Returns how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn prune(&self, cutoff: Millis) -> Result<u64> {
        let mut deleted = 0;
        loop {
            let batch = self.db.write(move |tx| Box::pin(async move { store::prune(tx, cutoff).await })).await?;
            if batch == 0 {
                return Ok(deleted);
            }
            deleted += batch;
        }
    }
}

/// Holds the bus until `tx` ends and gives the number of the last event: whatever is
/// published after it will see what `tx` has written.
pub(crate) async fn hold_in(tx: &Tx) -> Result<i64> {
    store::hold(tx).await?;
    store::last(tx).await
}

/// The number of the last event that `tx` sees.
pub(crate) async fn last_in(tx: &Tx) -> Result<i64> {
    store::last(tx).await
}
