//! Claiming executions that are ready, and driving them.

use super::Inner;
use crate::execution::drive::load;
use crate::execution::entry::Entry;
use crate::id::ExecutionId;
use crate::storage::entity::executions;
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
        // A driver that ends rings.
        let Ok(permits) = u32::try_from(room) else { return false };
        if permits == 0 {
            return false;
        }
        let Ok(mut held) = self.permits.clone().try_acquire_many_owned(permits) else { return true };
        let until = self.clock.now() + self.config.lease_ms;
        let claimed = match self.store.claim_if_any(self.owner, until, u64::from(permits)).await {
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
                self.drive(one.row, permit, None);
            }
        }
        full
    }

    /// Drives an execution that this executor holds the lease of; `journal` is its whole
    /// journal where that is known.
    pub(super) fn drive(
        self: &Arc<Self>,
        row: executions::Model,
        permit: OwnedSemaphorePermit,
        journal: Option<Vec<Entry>>,
    ) {
        let id = ExecutionId(row.id);
        let bell = Arc::new(Notify::new());
        let driven = Driven { inner: self.clone(), id, token: row.lease_token };
        self.active.lock().unwrap_or_else(PoisonError::into_inner).insert(id, (row.lease_token, bell.clone()));
        metrics::gauge!("codex32_executions_active").increment(1);
        self.drivers.spawn(async move {
            let exit = match load(driven.inner.clone(), row, bell, journal).await {
                Ok(driver) => driver.run().await,
                Err(exit) => exit,
            };
            tracing::debug!(execution = %id, ?exit, "the driver ends");
            // Free before it is looked for others.
            drop(permit);
            drop(driven);
        });
    }
}

/// An execution that is driven here, until this is dropped: also where the driver panics.
struct Driven {
    inner: Arc<Inner>,
    id: ExecutionId,
    token: i64,
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
        self.inner.ready.notify_one();
    }
}
