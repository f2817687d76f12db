//! Watches deployments and keeps long-running bots up.
//!
//! - [`Supervisor::run`] does the work; [`Supervisor::list`], [`Supervisor::get`],
//!   [`Supervisor::acknowledge`] and [`Supervisor::close`] are for incidents,
//!   [`Supervisor::watched`] shows what it knows of the deployments.
//! - [`Parts`] is what it works with: a [`Starter`], a [`Stopper`] and a
//!   [`Notifier`].
//!
//! What it does: a deployment with `restart` has one execution running at any time. It is
//! started again with a delay that doubles up to five minutes and begins anew after a
//! minute of running well. Failures in a row, or no success within the time that the
//! blueprint states, open an incident with a timeline; the next success closes it.
//!
//! Invariants: everything that it knows is in tables (`supervised`, `incidents`,
//! `incident_entries`), so that it goes on after a crash where it was; what an event
//! changes and how far the bus was read are committed together; `state` decides and
//! does nothing, the rest does and decides nothing; people are told by a consumer of
//! the bus, so that they are told at least once.

mod act;
mod incident;
mod state;
mod store;
mod tell;
mod view;
mod watch;

#[cfg(test)]
mod tests;

pub use incident::{Incident, IncidentDetail, IncidentEntry, IncidentKind, IncidentStatus};
pub use view::Watched;

use crate::clock::{Clock, Millis};
use crate::error::Result;
use crate::event::{Bus, Consumer};
use crate::id::{ExecutionId, WorkspaceId};
use crate::notify::Notifier;
use crate::storage::Db;
use crate::trigger::Starter;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

const RETRY_MS: Millis = 1_000;

/// Cancels executions. Implemented by the executor.
#[async_trait::async_trait]
pub trait Stopper: Send + Sync {
    /// Asks an execution to end; nothing happens where it has ended or never was.
    ///
    /// # Errors
    /// Those of the database.
    async fn stop(&self, workspace: WorkspaceId, execution: ExecutionId) -> Result<()>;
}

/// What a supervisor works with.
#[derive(Clone)]
pub struct Parts {
    /// The database.
    pub db: Db,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The bus.
    pub bus: Bus,
    /// Starts executions.
    pub starter: Arc<dyn Starter>,
    /// Cancels executions.
    pub stopper: Arc<dyn Stopper>,
    /// Tells people; without it incidents are only in the list and on the bus.
    pub notifier: Option<Arc<dyn Notifier>>,
}

/// Watches deployments. Cheap to clone.
#[derive(Clone)]
pub struct Supervisor {
    parts: Parts,
}

impl Supervisor {
    /// A supervisor; nothing happens until [`Supervisor::run`].
    #[must_use]
    pub fn new(parts: Parts) -> Supervisor {
        Supervisor { parts }
    }

    /// Works until `token` is cancelled and what was begun is done.
    pub async fn run(&self, token: CancellationToken) {
        tokio::join!(self.run_watch(&token), self.run_telling(&token));
    }

    async fn run_watch(&self, token: &CancellationToken) {
        let mut consumer = Consumer::new(&self.parts.bus, watch::CONSUMER);
        while !token.is_cancelled() {
            let next = match self.round(&mut consumer).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::warn!(%error, "the supervisor could not work; it tries again");
                    let again = self.parts.clock.now() + RETRY_MS;
                    tokio::select! { () = self.parts.clock.sleep_until(again) => {}, () = token.cancelled() => {} }
                    continue;
                }
            };
            let next = next.unwrap_or(Millis::MAX);
            tokio::select! {
                () = consumer.gathered_news() => {}
                () = self.parts.clock.sleep_until(next) => {}
                () = token.cancelled() => {}
            }
        }
        if let Err(error) = consumer.save(true).await {
            tracing::warn!(%error, "the supervisor's place on the bus was not stored; events are read again");
        }
    }

    /// Reads all news, then does all that is due; returns when something is due next.
    async fn round(&self, consumer: &mut Consumer) -> Result<Option<Millis>> {
        while self.read_on(consumer).await? {}
        self.act_on_due().await
    }
}
