//! Claiming executions that are ready, and driving them.

use super::Inner;
use crate::clock::Millis;
use crate::error::Result;
use crate::execution::drive::{Driver, Exit, load};
use crate::execution::store::Claimed;
use crate::id::ExecutionId;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use tokio::sync::{Notify, OwnedSemaphorePermit};

/// Executions that are claimed in one transaction.
const BATCH: usize = 32;

impl Inner {
    /// Claims as many executions as there is room for, whenever there may be some. The
    /// backlog stays in the database.
    pub(super) async fn dispatch_loop(self: Arc<Self>) {
        let shutdown = self.shutdown();
        loop {
            while !shutdown.is_cancelled() && self.claim_some().await {}
            tokio::select! {
                () = self.ready.notified() => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// True where there may be more.
    async fn claim_some(self: &Arc<Self>) -> bool {
        let room = self.permits.available_permits().min(BATCH);
        let Ok(permits) = u32::try_from(room) else { return false };
        if permits == 0 {
            // A driver that ends from now on rings; one may have ended before.
            self.full.store(true, Ordering::SeqCst);
            return self.permits.available_permits() > 0;
        }
        let Ok(mut held) = self.permits.clone().try_acquire_many_owned(permits) else { return true };
        let until = self.clock.now() + self.config.lease_ms;
        let claimed = match self.claim_in_turn(until, u64::from(permits)).await {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::warn!(%error, "executions cannot be claimed now");
                drop(held);
                self.pause_before_retry().await;
                return true;
            }
        };
        let full = claimed.len() == room;
        for one in claimed {
            if let Some(permit) = held.split(1) {
                let driven = self.driven(ExecutionId(one.row.id), one.row.lease_token);
                let driver = load(self.clone(), one.row, driven.bell());
                self.drive(driven, Some(permit), driver);
            }
        }
        full
    }

    /// Claims for one workspace after the other, behind the one that was served last.
    async fn claim_in_turn(&self, until: Millis, limit: u64) -> Result<Vec<Claimed>> {
        let last = *self.served.lock().unwrap_or_else(PoisonError::into_inner);
        let turns = self.store.turns(last, limit).await?;
        let several = turns.len() > 1;
        self.contended.store(several, Ordering::Release);
        if turns.is_empty() {
            return Ok(Vec::new());
        }
        let claimed = self.store.claim(self.owner, until, limit, turns).await?;
        // Where there is one only, the next look need not begin in the middle.
        let served = claimed.last().map(|one| one.row.workspace_id).filter(|_| several);
        *self.served.lock().unwrap_or_else(PoisonError::into_inner) = served;
        Ok(claimed)
    }

    /// Ends executions that had to begin and did not. They do nothing: there need not be
    /// room for them, and what they ask of a worker does not matter.
    pub(super) async fn end_overdue(self: &Arc<Self>, ids: Vec<ExecutionId>) -> Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let until = self.clock.now() + self.config.lease_ms;
        for one in self.store.claim_to_end(self.owner, until, ids).await? {
            let driven = self.driven(ExecutionId(one.row.id), one.row.lease_token);
            let driver = load(self.clone(), one.row, driven.bell());
            self.drive(driven, None, driver);
        }
        Ok(())
    }

    /// There is room for another driver.
    pub(crate) fn has_room(&self) {
        // Only where there was none is there something that waits for it.
        if self.full.swap(false, Ordering::SeqCst) {
            self.ready.notify_one();
        }
    }

    /// Notes that an execution is driven here, until what this gives is dropped.
    pub(super) fn driven(self: &Arc<Self>, id: ExecutionId, token: i64) -> Driven {
        let bell = Arc::new(Notify::new());
        self.active.lock().unwrap_or_else(PoisonError::into_inner).insert(id, (token, bell.clone()));
        metrics::gauge!("codex32_executions_active").increment(1);
        Driven { inner: self.clone(), id, token, bell }
    }

    /// Drives an execution that this executor holds the lease of.
    pub(super) fn drive(
        self: &Arc<Self>,
        driven: Driven,
        permit: Option<OwnedSemaphorePermit>,
        driver: impl Future<Output = std::result::Result<Driver, Exit>> + Send + 'static,
    ) {
        self.drivers.spawn(async move {
            let exit = match driver.await {
                Ok(driver) => driver.run(permit).await,
                Err(exit) => {
                    drop(permit);
                    exit
                }
            };
            tracing::debug!(execution = %driven.id, ?exit, "the driver ends");
            if exit == Exit::Requeued {
                driven.inner.ready.notify_one();
            }
            drop(driven);
        });
    }
}

/// An execution that is driven here, until this is dropped: also where the driver panics.
pub(super) struct Driven {
    inner: Arc<Inner>,
    id: ExecutionId,
    token: i64,
    bell: Arc<Notify>,
}

impl Driven {
    /// Rings when something was sent to the execution.
    pub(super) fn bell(&self) -> Arc<Notify> {
        self.bell.clone()
    }
}

impl Drop for Driven {
    fn drop(&mut self) {
        metrics::gauge!("codex32_executions_active").decrement(1);
        let mut active = self.inner.active.lock().unwrap_or_else(PoisonError::into_inner);
        // It may have been claimed again here already, with a newer token.
        if active.get(&self.id).is_some_and(|(held, _)| *held == self.token) {
            active.remove(&self.id);
        }
        drop(active);
        self.inner.has_room();
    }
}
