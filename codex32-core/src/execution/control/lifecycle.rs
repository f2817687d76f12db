//! Running and shutting down.

use super::Executor;
use crate::error::Result;
use std::sync::atomic::Ordering;
use tokio_util::sync::CancellationToken;

impl Executor {
    /// Takes up what was left unfinished and drives executions until `stop`. Then running
    /// steps are given a moment to end and be recorded; what is not done by then goes on,
    /// with the same keys, when an executor runs again.
    ///
    /// # Errors
    /// Those of the database at the start. Later ones are waited out.
    pub async fn run(&self, stop: CancellationToken) -> Result<()> {
        let inner = &self.inner;
        let found = inner.store.adopt(inner.owner, inner.config.alone).await?;
        if found > 0 {
            tracing::info!(executions = found, "unfinished executions go on");
        }
        inner.running.store(true, Ordering::Release);
        let shutdown = inner.shutdown();
        let ending = async {
            stop.cancelled().await;
            inner.running.store(false, Ordering::Release);
            shutdown.cancel();
        };
        tokio::join!(
            ending,
            inner.clone().dispatch_loop(),
            inner.clone().timer_loop(),
            inner.clone().keep_loop(),
            inner.clone().event_loop(),
        );
        inner.drivers.close();
        inner.drivers.wait().await;
        Ok(())
    }

    /// How many executions are driven at this moment. Those that wait are not.
    #[must_use]
    pub fn active(&self) -> usize {
        self.inner.drivers.len()
    }
}
