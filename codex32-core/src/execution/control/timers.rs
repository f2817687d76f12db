//! Waking executions whose time has come.

use super::Inner;
use crate::clock::Millis;
use crate::error::Result;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Longest sleep, in milliseconds: another process may have set a timer, and its word be lost.
const LOOK_AGAIN: Millis = 10_000;
/// How long to wait where another process fires what is due, in milliseconds.
const ASIDE: Millis = 50;

impl Inner {
    /// Sleeps until the next timer is due, then makes the executions ready that wait for it.
    pub(super) async fn timer_loop(self: Arc<Self>) {
        let shutdown = self.shutdown();
        loop {
            let now = self.clock.now();
            let next = match self.store.next_timer().await {
                Ok(Some(due)) if due <= now => match self.fire().await {
                    Ok(0) => now + ASIDE,
                    Ok(_) => {
                        self.ready_anywhere();
                        continue;
                    }
                    Err(error) => self.later(&error, now),
                },
                Ok(next) => next.unwrap_or(Millis::MAX).min(now + LOOK_AGAIN),
                Err(error) => self.later(&error, now),
            };
            self.next_timer.store(next, Ordering::Release);
            tokio::select! {
                () = self.clock.sleep_until(next) => {}
                () = self.timer.notified() => {}
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// Does what is due. Returns how much it was.
    async fn fire(self: &Arc<Self>) -> Result<u64> {
        let (count, flow) = self.store.fire().await?;
        if !flow.is_empty() {
            let overdue = self.store.flow_due(flow).await?;
            self.end_overdue(overdue).await?;
        }
        Ok(count)
    }

    fn later(&self, error: &crate::Error, now: Millis) -> Millis {
        tracing::warn!(%error, "timers cannot be read now");
        now + 1_000
    }
}
