//! The only place of the room that reads and writes the database.
//!
//! Starts and rounds go through [`Store::group`]: those of several executions share a
//! transaction. Everything else that changes an execution goes through [`Store::write`],
//! one transaction for each decision.

mod approvals;
mod batch;
mod chain;
mod commit;
mod fence;
mod flow;
mod journal;
mod lease;
mod prune;
mod query;
mod row;
mod signals;
mod start;
mod timers;
mod turns;
mod waits;
mod workers;

pub(crate) use commit::{Asked, Commit, Ended};
pub(crate) use flow::{Whose, hold};
pub(crate) use lease::{Claimed, Parked};
pub(crate) use prune::{Of, Old, purge};
pub(crate) use row::ended_row;
pub(crate) use start::{FIRST_TOKEN, Lease, MAX_CALLS, New, insert};
pub(crate) use waits::{CONSUMER, EventWait};

use super::labels::Labels;
use crate::clock::Clock;
use crate::error::Result;
use crate::storage::{Db, Group, Tx};
use batch::{Write, Written};
use futures::future::BoxFuture;
use std::future::Future;
use std::sync::Arc;

/// Rows of one insert statement: below the limit on bound values of either database.
const ROWS: usize = 1_024;

/// The tables of the room.
#[derive(Clone)]
pub(crate) struct Store {
    pub(crate) db: Db,
    pub(crate) clock: Arc<dyn Clock>,
    writes: Group<Write, Written>,
    /// Of the executor: it claims what asks for these, and what asks for none.
    pub(crate) labels: Labels,
    /// Where tests stop the world.
    #[cfg(test)]
    pub(crate) gate: Option<Arc<dyn Gate>>,
}

/// Passed before and after every write.
#[cfg(test)]
#[async_trait::async_trait]
pub(crate) trait Gate: Send + Sync {
    /// Returns where the world goes on, and never where it ends here. An error is what the
    /// writer gets, whether or not it is `committed`.
    async fn pass(&self, what: &'static str, committed: bool) -> Result<()>;
}

impl Store {
    pub(crate) fn new(db: Db, clock: Arc<dyn Clock>) -> Store {
        let (to, time) = (db.clone(), clock.clone());
        let writes = db.group(move |writes| Box::pin(batch::write(to.clone(), time.clone(), writes)));
        // The most requests are these: what the other groups have comes along.
        let writes = writes.gathering();
        Store {
            db,
            clock,
            writes,
            labels: Labels::default(),
            #[cfg(test)]
            gate: None,
        }
    }

    /// Writes together with what comes at the same time. Durable when it returns.
    async fn group(&self, what: &'static str, write: Write) -> Result<Written> {
        self.passed(what, self.writes.submit(write)).await
    }

    /// Runs `work` in a transaction.
    async fn write<T, F>(&self, what: &'static str, work: F) -> Result<T>
    where
        T: Send,
        F: for<'t> FnOnce(&'t Tx) -> BoxFuture<'t, Result<T>> + Send,
    {
        // The tables of this room are never kept by `Recent`.
        self.passed(what, self.db.append(work)).await
    }

    /// A write, measured.
    async fn passed<T>(&self, what: &'static str, write: impl Future<Output = Result<T>>) -> Result<T> {
        #[cfg(test)]
        if let Some(gate) = &self.gate {
            gate.pass(what, false).await?;
        }
        let started = std::time::Instant::now();
        let result = write.await;
        metrics::histogram!("codex32_execution_write_seconds", "what" => what).record(started.elapsed().as_secs_f64());
        #[cfg(test)]
        if let Some(gate) = &self.gate
            && result.is_ok()
        {
            gate.pass(what, true).await?;
        }
        result
    }
}
