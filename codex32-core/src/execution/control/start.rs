//! Starting an execution.

use super::{Executor, Inner, Ready};
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::execution::drive::First;
use crate::execution::labels;
use crate::execution::store::{FIRST_TOKEN, Lease, New, insert};
use crate::execution::types::{Start, Started};
use crate::id::ExecutionId;
use crate::storage::Tx;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

impl Executor {
    /// Starts an execution. It is durable when this returns. With an idempotency key that
    /// was used before for the same bot, the first execution is given and nothing is stored.
    ///
    /// # Errors
    /// Those of [`Executor::check`], and those of the database. Nothing is stored then.
    pub async fn start(&self, start: Start) -> Result<Started> {
        self.start_as(ExecutionId::at(self.inner.clock.now()), start).await
    }

    /// The same, with an id that was made before.
    pub(super) async fn start_as(&self, id: ExecutionId, start: Start) -> Result<Started> {
        let ready = self.checked(&start).await?;
        let new = New { id, ..new(self.inner.clock.now(), start, ready.runs_on().to_owned()) };
        self.store_and_drive(ready, new).await
    }

    /// Stores `new` and drives it, here where it fits and there is room.
    pub(super) async fn store_and_drive(&self, ready: Ready, new: New) -> Result<Started> {
        let inner = self.inner.clone();
        // In a task of its own: a caller who goes away must not leave it stored and undriven.
        let stored = tokio::spawn(async move {
            let here = inner.is_running() && labels::fit(&new.runs_on, &inner.config.labels);
            let permit = if here { inner.permits.clone().try_acquire_owned().ok() } else { None };
            match permit {
                Some(permit) => inner.start_driven(&ready, new, permit).await,
                None => {
                    let started = inner.store.start(new.into()).await?;
                    inner.ready_anywhere();
                    inner.bus.wake();
                    Ok(started)
                }
            }
        });
        stored.await.map_err(|_| Error::internal("the start of the execution panicked"))?
    }

    /// Starts an execution as part of the caller's transaction; it counts if `tx` is
    /// committed. Call [`Executor::check`] before the transaction and [`Executor::wake`]
    /// after it. It publishes on the bus, so do it late in the transaction.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn start_in(&self, tx: &Tx, start: Start) -> Result<Started> {
        let runs_on = self.inner.versions.runs_on(start.workspace, start.version).await?;
        let clock = &*self.inner.clock;
        insert(tx, clock, &new(clock.now(), start, runs_on)).await
    }

    /// Tells the executor that there is something to drive, after the commit of
    /// [`Executor::start_in`].
    pub fn wake(&self) {
        self.inner.ready_anywhere();
        self.inner.bus.wake();
    }
}

impl Inner {
    /// Stores `new` with what it does first, and drives it from there: what was just
    /// written need not be read back.
    async fn start_driven(
        self: &Arc<Self>,
        ready: &Ready,
        mut new: New,
        permit: OwnedSemaphorePermit,
    ) -> Result<Started> {
        new.lease = Some(Lease { owner: self.owner, until: new.at + self.config.lease_ms });
        let first = First::decide(ready, &mut new)?;
        let new = Arc::new(new);
        // Before it is stored: nothing can be sent to it that would not ring.
        let driven = self.driven(new.id, FIRST_TOKEN);
        let started = self.store.start(new.clone()).await?;
        self.bus.wake();
        if !started.existing {
            let driver = first.driver(self.clone(), &new, driven.bell(), self.watchers.any(new.id));
            self.drive(driven, permit, async move { Ok(driver) });
        }
        Ok(started)
    }
}

/// `start` at `now`; `runs_on` are the labels that its version asks for.
pub(super) fn new(now: Millis, start: Start, runs_on: String) -> New {
    New {
        id: ExecutionId::at(now),
        at: now,
        start,
        depth: 0,
        parent_waits: false,
        retry_of: None,
        copied: Vec::new(),
        first: Vec::new(),
        lease: None,
        runs_on,
    }
}
