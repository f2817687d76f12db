//! Keeping leases, and looking for what other processes have left or sent.

use super::Inner;
use crate::clock::Millis;
use crate::id::ExecutionId;
use std::collections::HashSet;
use std::sync::{Arc, PoisonError};
use tokio_util::sync::CancellationToken;

/// How often to look, in milliseconds.
const TICK: Millis = 1_000;

impl Inner {
    /// Once a second, and more often where leases are short: rings the drivers that something was sent to by another process and
    /// looks for what is ready. Three times in a lease: keeps it, takes over what nobody
    /// keeps, and gives back what has lost its driver. Until all drivers are `over`, also
    /// while they drain.
    pub(super) async fn keep_loop(self: Arc<Self>, over: CancellationToken) {
        let shutdown = self.shutdown();
        let third = self.config.lease_ms / 3;
        let mut draining = false;
        let mut astray = HashSet::new();
        let mut keep_at = self.clock.now() + third;
        self.beat().await;
        loop {
            let now = self.clock.now();
            tokio::select! {
                () = self.clock.sleep_until(now + TICK.min(third)) => {}
                () = shutdown.cancelled(), if !draining => {
                    draining = true;
                    self.beat().await;
                }
                () = over.cancelled() => return,
            }
            self.ring_sent().await;
            self.count_waiting().await;
            if self.clock.now() >= keep_at {
                keep_at = self.clock.now() + third;
                self.keep().await;
                self.beat().await;
                astray = self.bring_back(astray).await;
            }
            self.ready.notify_one();
        }
    }

    async fn keep(&self) {
        let until = self.clock.now() + self.config.lease_ms;
        let kept = self.store.keep(self.owner, until).await;
        let adopted = self.store.adopt(self.owner, false).await;
        if let Err(error) = kept.and(adopted.map(|_| ())) {
            tracing::warn!(%error, "leases cannot be kept now");
        }
    }

    /// Gives back what this executor holds and has not driven for two looks: its driver
    /// panicked, or could not give it back itself. Returns what was not driven this time.
    async fn bring_back(&self, before: HashSet<(ExecutionId, i64)>) -> HashSet<(ExecutionId, i64)> {
        let held = match self.store.held(self.owner).await {
            Ok(held) => held,
            Err(error) => {
                tracing::warn!(%error, "leases cannot be looked at now");
                return before;
            }
        };
        let driven: HashSet<(ExecutionId, i64)> = {
            let active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
            active.iter().map(|(id, (token, _))| (*id, *token)).collect()
        };
        let astray: HashSet<_> = held.into_iter().filter(|one| !driven.contains(one)).collect();
        for (id, token) in astray.intersection(&before) {
            tracing::error!(execution = %id, "the execution had no driver; it is driven again");
            if let Err(error) = self.store.requeue(*id, *token).await {
                tracing::warn!(execution = %id, %error, "the execution cannot be given back now");
            }
        }
        astray
    }
}
