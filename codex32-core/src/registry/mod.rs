//! The registry: bots, their immutable versions, and which of them is at work where.
//!
//! - [`Registry`] makes, changes, deploys, stops, rolls back, deletes and restores.
//! - [`Plan`] compares a folder of blueprints with what is stored and makes it so.
//! - A bot goes out and comes in as one file ([`Registry::export`], [`Registry::import`]).
//!
//! Invariants: a version never changes, and the same text twice in a row is one
//! version; an environment has at most one present deployment of a bot; a
//! deployment, its triggers and its event are committed together, so a trigger
//! fires for an active deployment and for no other; only what the blueprint room
//! finds without fault is stored; everything is read and written within a workspace.

mod bot;
mod deployment;
mod diff;
mod package;
mod plan;
mod purge;
mod retain;
mod source;
mod store;
#[cfg(test)]
mod tests;
mod text;
mod version;

pub use bot::{Bot, BotFilter, Saved};
pub use deployment::{Deployment, DeploymentStatus};
pub use plan::{Action, Document, Plan, PlanItem, PlanOptions};
pub use purge::Purger;
pub use retain::Kept;
pub use text::{Files, MAX_FILES, MAX_TEXT};
pub use version::{Content, Version};

use crate::catalogue::Catalogue;
use crate::clock::{Clock, Millis};
use crate::error::{Error, Result};
use crate::event::Bus;
use crate::execution::{LoadedVersion, Target};
use crate::id::{VersionId, WorkspaceId};
use crate::storage::{Db, Recent, Tx};
use moka::future::Cache;
use serde_json::Value;
use std::sync::Arc;

/// Versions whose parsed form is kept in memory.
const CACHED: u64 = 1_000;

/// What the registry is made of.
pub struct Parts {
    /// The database.
    pub db: Db,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The bus that tells of changes.
    pub bus: Bus,
    /// What connectors can do, the embedding program's included; asked at each check.
    pub catalogue: Arc<dyn Fn() -> Catalogue + Send + Sync>,
    /// Who else keeps rows of a bot, and removes them when it is purged.
    pub purgers: Vec<Arc<dyn Purger>>,
}

/// The room's door. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    parts: Arc<Parts>,
    loaded: Cache<(WorkspaceId, VersionId), Arc<LoadedVersion>>,
    found: Recent<(WorkspaceId, String), Bot>,
    /// By name of the bot and environment.
    targets: Recent<(WorkspaceId, String, String), Target>,
    allowed: Recent<(WorkspaceId, VersionId), bool>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl Registry {
    /// A registry of these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Registry {
        let db = || parts.db.clone();
        let (found, targets, allowed) = (Recent::new(db()), Recent::new(db()), Recent::new(db()));
        Registry { parts: Arc::new(parts), loaded: Cache::new(CACHED), found, targets, allowed }
    }

    fn now(&self) -> Millis {
        self.parts.clock.now()
    }

    fn db(&self) -> &Db {
        &self.parts.db
    }

    /// Runs `work` in one transaction, publishes the events that it left, and wakes who waits for them.
    async fn change<T, F>(&self, workspace: WorkspaceId, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t Tx, &'t mut Events) -> futures::future::BoxFuture<'t, Result<T>> + Send + 'static,
    {
        let clock = self.parts.clock.clone();
        let done = self
            .db()
            .write(move |tx| {
                Box::pin(async move {
                    let mut events = Events::default();
                    let done = work(tx, &mut events).await?;
                    // Last: on PostgreSQL the bus is held from the first event to the end.
                    for (name, data) in events.0 {
                        Bus::publish_in(tx, &*clock, workspace, name, data).await?;
                    }
                    Ok(done)
                })
            })
            .await?;
        self.parts.bus.wake();
        Ok(done)
    }
}

/// Events that a change leaves for its end.
#[derive(Default)]
struct Events(Vec<(&'static str, Value)>);

impl Events {
    fn push(&mut self, name: &'static str, data: Value) {
        self.0.push((name, data));
    }
}

/// An id or number that does not fit its column is one that nothing has.
fn number(version: u32) -> Result<i32> {
    i32::try_from(version).map_err(|_| Error::not_found("version", version))
}
