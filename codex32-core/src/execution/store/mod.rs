//! The only place of the room that reads and writes the database.
//!
//! Everything that changes an execution goes through [`Store::write`], one
//! transaction for each decision, so that writes of several executions can later
//! be brought together into one.

mod approvals;
mod commit;
mod journal;
mod lease;
mod query;
mod row;
mod signals;
mod start;
mod timers;
mod waits;

pub(crate) use commit::{Asked, Commit, Ended};
pub(crate) use lease::Parked;
pub(crate) use start::{Lease, MAX_CALLS, New, insert};
pub(crate) use waits::{CONSUMER, EventWait};

use crate::clock::Clock;
use crate::error::Result;
use crate::storage::{Db, Tx};
use futures::future::BoxFuture;
use std::sync::Arc;

/// Rows of one insert statement: below the limit on bound values of either database.
const ROWS: usize = 1_000;

/// The tables of the room.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) db: Db,
    pub(crate) clock: Arc<dyn Clock>,
    /// Where tests stop the world.
    #[cfg(test)]
    pub(crate) gate: Option<Arc<dyn Gate>>,
}

/// Passed before and after every write.
#[cfg(test)]
#[async_trait::async_trait]
pub(crate) trait Gate: Send + Sync {
    /// Returns where the world goes on, and never where it ends here.
    async fn pass(&self, what: &'static str, committed: bool);
}

impl Store {
    pub(crate) fn new(db: Db, clock: Arc<dyn Clock>) -> Store {
        Store {
            db,
            clock,
            #[cfg(test)]
            gate: None,
        }
    }

    /// Runs `work` in a transaction.
    async fn write<T, F>(&self, what: &'static str, work: F) -> Result<T>
    where
        T: Send,
        F: for<'t> FnOnce(&'t Tx) -> BoxFuture<'t, Result<T>> + Send,
    {
        #[cfg(test)]
        if let Some(gate) = &self.gate {
            gate.pass(what, false).await;
        }
        let started = std::time::Instant::now();
        let result = self.db.write(work).await;
        metrics::histogram!("codex32_execution_write_seconds", "what" => what).record(started.elapsed().as_secs_f64());
        #[cfg(test)]
        if let Some(gate) = &self.gate {
            gate.pass(what, true).await;
        }
        result
    }
}
