//! Beginning and ending of the background work.

use super::Engine;
use super::retention::Retention;
use crate::access::{Caller, TokenSpec};
use crate::error::{Code, Result};
use crate::execution::{Filter, Status};
use crate::storage::Backend;
use crate::storage::page::MAX_LIMIT;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a shutdown waits for what runs, beyond the time that steps have to end.
const DRAIN: Duration = Duration::from_secs(30);
/// How long the last word to other nodes may take.
const LAST_WORD: Duration = Duration::from_secs(2);
/// A token for commands on this machine is made anew at each start; it ends with this.
const LOCAL_TOKEN_MS: i64 = 30 * 24 * 3_600_000;

/// The engine's tasks.
#[derive(Default)]
pub(super) struct Tasks {
    stop: CancellationToken,
    tracker: TaskTracker,
    /// Ends when the others of `tracker` are done.
    over: CancellationToken,
    last: TaskTracker,
    driving: AtomicBool,
    started: AtomicBool,
    speaking: AtomicBool,
    // Beginning and ending take turns.
    turn: Mutex<()>,
}

impl Engine {
    /// Begins the background work: executions that were interrupted go on, triggers
    /// fire, long-running bots are kept up. A second call does nothing.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn start(&self) -> Result<()> {
        self.drive();
        let tasks = &self.inner.tasks;
        let _turn = tasks.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if tasks.started.swap(true, Ordering::SeqCst) || tasks.stop.is_cancelled() {
            return Ok(());
        }
        let (dispatcher, supervisor) = (self.inner.dispatcher.clone(), self.inner.supervisor.clone());
        self.duty(move |token| {
            let dispatcher = dispatcher.clone();
            async move { dispatcher.run(token).await }
        });
        self.duty(move |token| {
            let supervisor = supervisor.clone();
            async move { supervisor.run(token).await }
        });
        let retention = self.retention();
        self.duty(move |token| {
            let retention = retention.clone();
            async move { retention.run(token).await }
        });
        let (webhooks, stop) = (self.inner.webhooks.clone(), tasks.stop.clone());
        tasks.tracker.spawn(async move { webhooks.hear(stop).await });
        if let Some(nats) = &self.inner.nats {
            let (bus, nats) = (self.inner.bus.clone(), nats.clone());
            self.duty(move |token| {
                let (bus, nats) = (bus.clone(), nats.clone());
                async move { bus.relay(&nats, token).await }
            });
        }
        Ok(())
    }

    fn retention(&self) -> Retention {
        let inner = &self.inner;
        Retention {
            config: inner.config.clone(),
            clock: inner.clock.clone(),
            registry: inner.registry.clone(),
            executor: inner.executor.clone(),
            bus: inner.bus.clone(),
        }
    }

    /// Begins to drive executions where nobody else does: a caller of an embedded engine
    /// asks for something that needs it. Where others work on the database they are told
    /// instead, so that a command takes none of their work with it when it ends.
    pub(crate) async fn drive_for_caller(&self) {
        if self.inner.tasks.driving.load(Ordering::SeqCst) {
            return;
        }
        let others = match self.inner.db.backend() {
            Backend::Sqlite => false,
            Backend::Postgres => {
                let workers = self.executor().workers().await.unwrap_or_default();
                workers.iter().any(|worker| worker.alive && !worker.draining)
            }
        };
        if others { self.speak() } else { self.drive() }
    }

    /// Begins to wake other processes on the database, and to be woken by them.
    fn speak(&self) {
        let tasks = &self.inner.tasks;
        if tasks.speaking.swap(true, Ordering::SeqCst) {
            return;
        }
        let (db, over) = (self.inner.db.clone(), tasks.over.clone());
        // Not one of the others, which it outlives: they have words to say at the end.
        tasks.last.spawn(async move { db.wakes().run(over).await });
    }

    /// Has `work` done by one of all processes on the database, whenever this one leads.
    /// The token ends with that, or at the shutdown.
    fn duty<F>(&self, work: impl Fn(CancellationToken) -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send,
    {
        let (leadership, stop) = (self.inner.leadership.clone(), self.inner.tasks.stop.clone());
        self.inner.tasks.tracker.spawn(async move { leadership.during(&stop, work).await });
    }

    /// Begins to drive executions and nothing else.
    pub(crate) fn drive(&self) {
        let tasks = &self.inner.tasks;
        let _turn = tasks.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if tasks.driving.swap(true, Ordering::SeqCst) || tasks.stop.is_cancelled() {
            return;
        }
        let (executor, stop) = (self.inner.executor.clone(), tasks.stop.clone());
        tasks.tracker.spawn(async move { executor.drive(stop).await });
        let (leadership, stop) = (self.inner.leadership.clone(), tasks.stop.clone());
        tasks.tracker.spawn(async move { leadership.run(stop).await });
        self.speak();
        let (deliverer, tender) = (self.inner.executor.clone(), self.inner.executor.clone());
        self.duty(move |token| {
            let executor = deliverer.clone();
            async move { executor.deliver(token).await }
        });
        self.duty(move |token| {
            let executor = tender.clone();
            async move { executor.tend(token).await }
        });
    }

    /// Whether the background work was begun.
    #[must_use]
    pub fn is_started(&self) -> bool {
        self.inner.tasks.started.load(Ordering::SeqCst)
    }

    /// Ends the background work: nothing new begins, steps that run are given time; what
    /// is not done goes on at the next start.
    pub async fn shutdown(&self) {
        let tasks = &self.inner.tasks;
        tasks.stop.cancel();
        tasks.tracker.close();
        let longest = DRAIN + Duration::from_millis(self.inner.config.drain_ms);
        if tokio::time::timeout(longest, tasks.tracker.wait()).await.is_err() {
            tracing::warn!("some work was still running at the end of the drain; it goes on at the next start");
        }
        tasks.over.cancel();
        tasks.last.close();
        if tokio::time::timeout(LAST_WORD, tasks.last.wait()).await.is_err() {
            tracing::debug!("the last word to the other nodes was not sent");
        }
        // Clones of the engine may outlive this; they are not to hold connections.
        if tokio::time::timeout(LAST_WORD, self.inner.db.clone().close()).await.is_err() {
            tracing::debug!("a connection to the database was still in use");
        }
        // Another process, or this one, may open the folder now.
        drop(self.inner.lock.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take());
    }

    /// Cancels what runs of a bot, in one environment or all.
    pub(crate) async fn cancel_running(&self, caller: &Caller, bot: &str, environment: Option<&str>) -> Result<()> {
        let (ws, by) = (caller.workspace, caller.label());
        for status in [Status::Held, Status::Queued, Status::Running, Status::Waiting, Status::Paused] {
            loop {
                let filter = Filter {
                    bot: Some(bot.to_owned()),
                    status: Some(status),
                    environment: environment.map(str::to_owned),
                    ..Filter::default()
                };
                let page = self.executor().list(ws, &filter, None, MAX_LIMIT).await?;
                for execution in &page.items {
                    match self.executor().cancel(ws, execution.id, by, Some("the bot was stopped")).await {
                        // It ended by itself meanwhile.
                        Err(e) if matches!(e.code(), Code::Precondition | Code::NotFound | Code::Conflict) => {}
                        other => other?,
                    }
                }
                if page.next.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// A token of the folder's owner for commands on this machine, `None` where there is
    /// no user yet.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn local_token(&self) -> Result<String> {
        if let Some(token) = self.inner.local_token.get() {
            return Ok(token.clone());
        }
        let owner = self.local_owner().await?;
        let spec = TokenSpec {
            name: "commands on this machine".to_owned(),
            scopes: None,
            expires_at: Some(self.clock().now() + LOCAL_TOKEN_MS),
        };
        let token = self.access().create_token(&owner, spec).await?.token;
        Ok(self.inner.local_token.get_or_init(|| token).clone())
    }
}
