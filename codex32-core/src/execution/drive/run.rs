//! The loop of a driver.

use super::native::SETTLE;
use super::{Driver, Exit, Outcome};
use crate::error::{Code, Error};
use crate::execution::decide::Fact;
use crate::execution::entry::Failure;
use crate::execution::native::Fiber;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinError;
use tracing::Instrument;

/// Signals that are taken in one round.
pub(super) const INBOX: u64 = 100;
/// How long what was told to stop may take before it is dropped.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// What has come since the last round.
#[derive(Default)]
pub(super) struct News {
    pub(super) facts: Vec<Fact>,
    /// Signals that are taken with this round.
    pub(super) taken: Vec<i64>,
    pub(super) children: Vec<crate::execution::store::New>,
}

impl Driver {
    /// Drives the execution until it is over, waits, or is someone else's. `permit` is its
    /// place among the drivers.
    pub(crate) async fn run(mut self, permit: Option<OwnedSemaphorePermit>) -> Exit {
        self.permit = permit;
        let span = tracing::info_span!(
            "execution",
            execution = %self.row.id,
            // 16 bytes in hexadecimal: a trace id as W3C trace context has them.
            trace = %self.row.id.simple(),
            bot = %self.row.bot_name,
        );
        async {
            let exit = self.drive().await;
            if matches!(exit, Exit::Requeued | Exit::Lost) {
                self.left.cancel();
            }
            self.stop().await;
            exit
        }
        .instrument(span)
        .await
    }

    async fn drive(&mut self) -> Exit {
        let mut look = self.look;
        loop {
            let mut news = self.finished_attempts();
            if std::mem::take(&mut look) {
                let (taken, facts) = self.inbox().await;
                look = u64::try_from(taken.len()).is_ok_and(|n| n >= INBOX);
                news.taken = taken;
                news.facts.extend(facts);
            }
            if let Some(exit) = self.round(news).await {
                return exit;
            }
            if self.more {
                // What is sent to it, and the end of the engine, are not to wait for a long loop.
                look = true;
                self.drain_at_shutdown();
                continue;
            }
            if self.advance(SETTLE).await || look {
                continue;
            }
            if self.running.is_empty() && self.rests() {
                match self.rest().await {
                    Some(exit) => return exit,
                    // Something came in the meantime.
                    None => look = true,
                }
                continue;
            }
            look = self.wait().await;
        }
    }

    /// Waits for something to happen. True where the inbox is to be looked at.
    async fn wait(&mut self) -> bool {
        let due = self.state.next_due().map(|(due, _)| due).filter(|_| !self.state.is_paused() && !self.draining);
        let clock = self.inner.clock.clone();
        let timer = async {
            match due {
                Some(due) => clock.sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        let shutdown = self.inner.shutdown();
        tokio::select! {
            joined = self.tasks.join_next_with_id() => {
                if let Some(joined) = joined {
                    self.keep(joined);
                }
                false
            }
            () = self.bell.notified() => true,
            () = self.log.bell.notified() => false,
            () = stirs(&mut self.fiber) => false,
            () = timer => false,
            () = shutdown.cancelled(), if !self.draining => {
                self.drain_at_shutdown();
                false
            }
            () = self.inner.drained(), if self.draining => {
                self.left.cancel();
                self.abort_all();
                false
            }
        }
    }

    /// Begins nothing new where the engine is shutting down.
    fn drain_at_shutdown(&mut self) {
        if !self.draining && self.inner.shutdown().is_cancelled() {
            self.draining = true;
            self.inner.start_drain();
        }
    }

    /// Keeps the outcome of a task for the next round.
    fn keep(&mut self, joined: Result<(tokio::task::Id, Outcome), JoinError>) {
        let (id, outcome) = match joined {
            Ok((id, outcome)) => (id, Some(outcome)),
            Err(error) => (error.id(), None),
        };
        // Without an entry it was told to stop: nobody wants its outcome.
        let Some(running) = self.running.remove(&id) else { return };
        self.outcomes.push(outcome.unwrap_or_else(|| {
            let error = Error::new(Code::Internal, "the step panicked; the engine's log has the details");
            let error = Failure::at(&running.path, &error);
            Outcome::Fact(Fact::Failed { path: running.path, attempt: running.attempt, error, ms: 0 })
        }));
    }

    /// What attempts came to since the last round.
    fn finished_attempts(&mut self) -> News {
        while let Some(joined) = self.tasks.try_join_next_with_id() {
            self.keep(joined);
        }
        let mut news = News::default();
        for outcome in std::mem::take(&mut self.outcomes) {
            match outcome {
                Outcome::Fact(fact) => news.facts.push(fact),
                Outcome::Child(new, fact) => {
                    news.children.push(*new);
                    news.facts.push(fact);
                }
            }
        }
        news
    }

    /// Tells the attempt at `path` to stop; its outcome is not wanted.
    pub(super) fn abort(&mut self, path: &str) {
        self.running.retain(|_, running| {
            let keep = running.path != path;
            if !keep {
                running.cancel.cancel();
            }
            keep
        });
    }

    fn abort_all(&mut self) {
        for (_, running) in self.running.drain() {
            running.cancel.cancel();
        }
    }

    /// Gives what was told to stop a moment to do so, then drops it.
    async fn stop(&mut self) {
        self.abort_all();
        self.end_fiber().await;
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, all).await.is_err() {
            self.tasks.shutdown().await;
        }
    }
}

/// Returns when the function that runs in place of steps has something to say.
async fn stirs(fiber: &mut Option<Fiber>) {
    match fiber {
        Some(fiber) => fiber.stirs().await,
        None => std::future::pending().await,
    }
}
