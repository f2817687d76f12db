//! Running and shutting down.

use super::Executor;
use std::sync::atomic::Ordering;
use tokio_util::sync::CancellationToken;

impl Executor {
    /// Takes up what was left unfinished and drives executions until `stop`. Then running
    /// steps are given a moment to end and be recorded; what is not done by then goes on,
    /// with the same keys, when an executor runs again. A database that does not answer is
    /// waited for.
    pub async fn run(&self, stop: CancellationToken) {
        tokio::join!(self.drive(stop.clone()), self.deliver(stop));
    }

    /// [`Executor::run`] without [`Executor::deliver`]: what each of several processes on
    /// one database does.
    pub async fn drive(&self, stop: CancellationToken) {
        let inner = &self.inner;
        self.take_up(&stop).await;
        inner.running.store(true, Ordering::Release);
        let shutdown = inner.shutdown();
        let ending = async {
            stop.cancelled().await;
            inner.running.store(false, Ordering::Release);
            shutdown.cancel();
        };
        let over = CancellationToken::new();
        let driving = async {
            tokio::join!(ending, inner.clone().dispatch_loop(), inner.clone().timer_loop());
            inner.drivers.close();
            inner.drivers.wait().await;
            over.cancel();
        };
        tokio::join!(driving, inner.clone().keep_loop(over.clone()), inner.clone().hear_loop(over.clone()));
        // Others go on with it now and not only when the leases end.
        if let Err(error) = inner.store.give_back(inner.owner).await {
            tracing::warn!(%error, "what is not done is taken up when its lease ends");
        }
        if let Err(error) = inner.store.leave(inner.owner).await {
            tracing::debug!(%error, "this node is taken for lost soon");
        }
        inner.ready_anywhere();
    }

    /// Takes up what others have left, before anything else is driven. A database that does
    /// not answer is waited for.
    async fn take_up(&self, stop: &CancellationToken) {
        let inner = &self.inner;
        while !stop.is_cancelled() {
            match inner.store.adopt(inner.owner, inner.config.alone).await {
                Ok(0) => return,
                Ok(found) => return tracing::info!(executions = found, "unfinished executions go on"),
                Err(error) => tracing::warn!(%error, "what others have left cannot be looked for now"),
            }
            tokio::select! {
                () = inner.pause_before_retry() => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// Hands the events of the bus to the steps that wait for them, until `stop`. One of
    /// all processes on a database does this; where two do for a moment, a wait still gets
    /// one event, once.
    pub async fn deliver(&self, stop: CancellationToken) {
        self.inner.clone().event_loop(stop).await;
    }

    /// How many executions are driven at this moment. Those that wait are not.
    #[must_use]
    pub fn active(&self) -> usize {
        self.inner.drivers.len()
    }
}
