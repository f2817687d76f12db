//! Starting an execution.

use super::Executor;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::execution::store::{Lease, New, insert};
use crate::execution::types::{Start, Started};
use crate::id::ExecutionId;
use crate::storage::Tx;
use std::sync::Arc;

impl Executor {
    /// Starts an execution. It is durable when this returns. With an idempotency key that
    /// was used before for the same bot, the first execution is given and nothing is stored.
    ///
    /// # Errors
    /// Those of [`Executor::check`], and those of the database. Nothing is stored then.
    pub async fn start(&self, start: Start) -> Result<Started> {
        self.check(&start).await?;
        let executor = self.clone();
        // In a task of its own: a caller who goes away must not leave it stored and undriven.
        let stored = tokio::spawn(async move { executor.store_and_drive(start).await });
        stored.await.map_err(|_| Error::internal("the start of the execution panicked"))?
    }

    async fn store_and_drive(&self, start: Start) -> Result<Started> {
        let inner = &self.inner;
        let permit = if inner.is_running() { inner.permits.clone().try_acquire_owned().ok() } else { None };
        let now = inner.clock.now();
        let mut new = new(now, start);
        // Where there is room it is driven from the start, which saves a write.
        new.lease = permit.as_ref().map(|_| Lease { owner: inner.owner, until: now + inner.config.lease_ms });
        let new = Arc::new(new);
        let started = inner.store.start(new.clone()).await?;
        inner.bus.wake();
        let Some(permit) = permit.filter(|_| !started.existing) else {
            inner.ready.notify_one();
            return Ok(started);
        };
        // What was just written need not be read back.
        inner.drive(new.row()?, permit, Some(new.entries().collect()));
        Ok(started)
    }

    /// Starts an execution as part of the caller's transaction; it counts if `tx` is
    /// committed. Call [`Executor::check`] before the transaction and [`Executor::wake`]
    /// after it. It publishes on the bus, so do it late in the transaction.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn start_in(&self, tx: &Tx, start: Start) -> Result<Started> {
        start_in(tx, &*self.inner.clock, start).await
    }

    /// Tells the executor that there is something to drive, after the commit of
    /// [`Executor::start_in`].
    pub fn wake(&self) {
        self.inner.ready.notify_one();
        self.inner.bus.wake();
    }
}

pub(super) async fn start_in(tx: &Tx, clock: &dyn Clock, start: Start) -> Result<Started> {
    insert(tx, clock, &new(clock.now(), start)).await
}

pub(super) fn new(now: crate::clock::Millis, start: Start) -> New {
    New {
        id: ExecutionId::at(now),
        at: now,
        start,
        depth: 0,
        parent_waits: false,
        retry_of: None,
        copied: Vec::new(),
        lease: None,
    }
}
