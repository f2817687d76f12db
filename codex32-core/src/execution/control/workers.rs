//! The executors that share a database: what each tells of itself, and who can drive what.

use super::{Executor, Inner};
use crate::clock::Millis;
use crate::error::Result;
use crate::execution::labels;
use crate::execution::types::{Execution, Status, Worker};
use crate::storage::entity::workers;
use std::sync::PoisonError;
use tokio_util::sync::CancellationToken;

/// How often it is looked for executions that nobody can drive, in milliseconds.
const TEND: Millis = 10_000;

impl Inner {
    /// Tells the others that this executor is there.
    pub(super) async fn beat(&self) {
        let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
        let active = self.active.lock().unwrap_or_else(PoisonError::into_inner).len();
        let worker = workers::Model {
            id: self.owner,
            host: self.config.host.clone(),
            labels: labels::stored(&self.store.labels.all()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            concurrency: count(self.config.concurrency.max(1)),
            active: count(active),
            draining: self.shutdown().is_cancelled(),
            since: self.since,
            seen_at: self.clock.now(),
            lease_ms: self.config.lease_ms,
        };
        if let Err(error) = self.store.beat(worker).await {
            tracing::warn!(%error, "the others cannot be told that this node is there");
        }
    }
}

impl Executor {
    /// The processes that drive executions on this database, oldest first; also those that
    /// went away without a word, for an hour.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn workers(&self) -> Result<Vec<Worker>> {
        self.inner.store.workers().await
    }

    /// The labels for want of which nobody drives an execution: those that the worker that
    /// comes nearest does not have. None where somebody can, or it is not ready.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn missing_labels(&self, execution: &Execution) -> Result<Vec<String>> {
        if execution.status != Status::Queued || execution.runs_on.is_empty() {
            return Ok(Vec::new());
        }
        Ok(missing(&execution.runs_on, &self.workers().await?))
    }

    /// Until `stop`: counts what nobody can drive, and forgets workers that are lost. One
    /// of all processes on a database does this.
    pub async fn tend(&self, stop: CancellationToken) {
        let inner = &self.inner;
        while !stop.is_cancelled() {
            if let Err(error) = self.tend_once().await {
                tracing::debug!(%error, "the workers cannot be looked at now");
            }
            tokio::select! {
                () = inner.clock.sleep_until(inner.clock.now() + TEND) => {}
                () = stop.cancelled() => {}
            }
        }
        metrics::gauge!("codex32_executions_unplaced").set(0.0);
    }

    async fn tend_once(&self) -> Result<()> {
        let store = &self.inner.store;
        store.forget_lost().await?;
        store.forget_flow().await?;
        let ready = store.ready_by_labels().await?;
        let mut unplaced = 0;
        if !ready.is_empty() {
            let workers = store.workers().await?;
            for (asked, count) in ready {
                let missing = missing(&asked, &workers);
                if !missing.is_empty() {
                    unplaced += count;
                    tracing::warn!(executions = count, runs_on = ?asked, ?missing, "no worker has the labels");
                }
            }
        }
        metrics::gauge!("codex32_executions_unplaced").set(unplaced as f64);
        Ok(())
    }
}

/// What of `asked` the nearest of the workers that take work does not have.
fn missing(asked: &[String], workers: &[Worker]) -> Vec<String> {
    let taking = workers.iter().filter(|worker| worker.alive && !worker.draining);
    let each = taking.map(|worker| labels::missing(asked, &worker.labels));
    each.min_by_key(Vec::len).unwrap_or_else(|| asked.to_vec())
}
