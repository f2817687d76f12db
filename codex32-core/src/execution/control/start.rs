//! Starting an execution.

use super::{Executor, Inner, Ready};
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::execution::drive::First;
use crate::execution::flow::Ticket;
use crate::execution::store::{FIRST_TOKEN, Lease, New, Whose, hold, insert};
use crate::execution::types::{Start, Started};
use crate::id::ExecutionId;
use crate::storage::Tx;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
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
        let (ready, ticket) = self.checked(&start).await?;
        let new = New { id, ..new(self.inner.clock.now(), start, ready.runs_on(), ticket) };
        self.store_and_drive(ready, new).await
    }

    /// Stores `new` and drives it, here where it fits and there is room.
    pub(super) async fn store_and_drive(&self, ready: Ready, new: New) -> Result<Started> {
        let inner = self.inner.clone();
        // In a task of its own: a caller who goes away must not leave it stored and undriven.
        let stored = tokio::spawn(async move {
            let here = inner.is_running()
                && new.ticket.is_none()
                && !inner.contended.load(Ordering::Acquire)
                && inner.store.labels.fit(&new.runs_on);
            let permit = if here { inner.permits.clone().try_acquire_owned().ok() } else { None };
            match permit {
                Some(permit) => inner.start_driven(&ready, new, permit).await,
                None => {
                    let new = Arc::new(new);
                    let started = inner.store.start(new.clone()).await?;
                    if !started.existing {
                        inner.waits(&new.start);
                    }
                    inner.ready_anywhere();
                    inner.bus.wake();
                    if new.ticket.is_some() {
                        inner.ruled(&started);
                    }
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
        let compiled = self.inner.versions.compiled(start.workspace, start.version).await?;
        let clock = &*self.inner.clock;
        let ticket = compiled.ticket(&start.input, &start.trigger)?;
        let ruled = ticket.is_some();
        let new = new(clock.now(), start, compiled.runs_on(), ticket);
        if let Some(whose) = Whose::of_new(&new) {
            hold(&self.inner.store.db, tx, &BTreeSet::from([whose])).await?;
        }
        let started = insert(tx, clock, &new).await?;
        if ruled {
            self.inner.ruled_in.store(true, Ordering::Release);
        }
        Ok(started)
    }

    /// Has these starts be the only ones that the rules of their bots are asked for, until
    /// `tx` ends. Before the first of several [`Executor::start_in`] of different bots: in
    /// one order nobody waits in a circle.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn hold_in(&self, tx: &Tx, starts: &[Start]) -> Result<()> {
        let mut whose = BTreeSet::new();
        for start in starts {
            if self.inner.versions.compiled(start.workspace, start.version).await?.has_rules() {
                let Start { workspace, bot, environment, .. } = start;
                whose.insert(Whose { workspace: workspace.0, bot: bot.0, environment: environment.clone() });
            }
        }
        hold(&self.inner.store.db, tx, &whose).await
    }

    /// Tells the executor that there is something to drive, after the commit of
    /// [`Executor::start_in`].
    pub fn wake(&self) {
        self.inner.ready_anywhere();
        self.inner.bus.wake();
        if self.inner.ruled_in.swap(false, Ordering::AcqRel) {
            self.inner.timer.notify_one();
        }
    }
}

impl Inner {
    /// A start was brought before the rules of its bot: there may be a time to wait for, and
    /// an older execution that is to end.
    fn ruled(&self, started: &Started) {
        self.timer.notify_one();
        if let Some(older) = started.replaced {
            self.wake(older);
        }
    }

    /// Stores `new` with what it does first, and drives it from there: what was just
    /// written need not be read back.
    async fn start_driven(
        self: &Arc<Self>,
        ready: &Ready,
        mut new: New,
        permit: OwnedSemaphorePermit,
    ) -> Result<Started> {
        new.lease = Some(Lease { owner: self.owner, until: new.at + self.config.lease_ms });
        let first = First::decide(self, ready, &mut new).await?;
        let new = Arc::new(new);
        // Before it is stored: nothing can be sent to it that would not ring.
        let driven = self.driven(new.id, FIRST_TOKEN);
        let started = self.store.start(new.clone()).await?;
        self.bus.wake();
        if !started.existing {
            let driver = first.driver(self.clone(), &new, driven.bell(), self.watchers.any(new.id));
            self.drive(driven, Some(permit), async move { Ok(driver) });
        }
        Ok(started)
    }
}

/// `start` at `now`; `runs_on` are the labels that its version asks for.
pub(super) fn new(now: Millis, start: Start, runs_on: &str, ticket: Option<Arc<Ticket>>) -> New {
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
        runs_on: runs_on.to_owned(),
        priority: ticket.as_ref().map_or(0, |ticket| ticket.priority),
        ticket,
    }
}
