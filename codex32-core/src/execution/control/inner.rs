//! What the executor's operations, loops and drivers share.

use super::admission::Admission;
use super::versions::Versions;
use super::watch::{End, Watchers};
use super::{Config, Parts};
use crate::clock::{Clock, Millis};
use crate::connector::Services;
use crate::error::{Code, Result};
use crate::event::Bus;
use crate::execution::labels::Labels;
use crate::execution::native::Functions;
use crate::execution::ports::{Actions, BotSource, Scripts};
use crate::execution::store::{Commit, Store};
use crate::id::ExecutionId;
use crate::secret::Secrets;
use crate::storage::Word;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// How long to wait before something is tried again that the database refused, in milliseconds.
const PAUSE: Millis = 500;

pub(crate) struct Inner {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) store: Store,
    pub(crate) bus: Bus,
    pub(crate) secrets: Secrets,
    pub(crate) actions: Arc<dyn Actions>,
    pub(crate) scripts: Arc<dyn Scripts>,
    pub(crate) bots: Arc<dyn BotSource>,
    pub(crate) services: Arc<dyn Services>,
    pub(crate) config: Config,
    pub(crate) versions: Versions,
    pub(crate) functions: Functions,
    pub(super) watchers: Watchers,
    /// Names this executor as the holder of leases.
    pub(super) owner: Uuid,
    /// When it was made, UTC milliseconds.
    pub(super) since: Millis,
    pub(super) permits: Arc<Semaphore>,
    /// The executions that are driven here: fencing token, and what rings when something was sent.
    pub(super) active: Mutex<HashMap<ExecutionId, (i64, Arc<Notify>)>>,
    pub(super) drivers: TaskTracker,
    /// Whether the loops run, so that executions may be driven from their start.
    pub(super) running: AtomicBool,
    shutdown: CancellationToken,
    drained: CancellationToken,
    /// Whether there may be something to claim that there was no room for.
    pub(super) full: AtomicBool,
    /// Rings when there may be something to claim.
    pub(super) ready: Notify,
    /// The workspace that was served last, where there are several to be served.
    pub(super) served: Mutex<Option<Uuid>>,
    /// Whether several workspaces have something that waits: then nothing passes by it.
    pub(super) contended: AtomicBool,
    pub(super) admission: Admission,
    /// Rings when a timer was set that may be earlier than the one that is waited for.
    pub(super) timer: Notify,
    /// Until when it is slept for timers, UTC milliseconds.
    pub(super) next_timer: AtomicI64,
    /// Whether rules of flow control were asked within the transaction of another.
    pub(super) ruled_in: AtomicBool,
}

impl Inner {
    pub(super) fn new(parts: Parts) -> Inner {
        let mut store = Store::new(parts.db, parts.clock.clone());
        store.labels = Labels::new(parts.config.labels.clone());
        let since = parts.clock.now();
        let owner = ExecutionId::at(since).0;
        Inner {
            versions: Versions::new(parts.bots.clone()),
            functions: Functions::default(),
            clock: parts.clock,
            store,
            bus: parts.bus,
            secrets: parts.secrets,
            actions: parts.actions,
            scripts: parts.scripts,
            bots: parts.bots,
            services: parts.services,
            watchers: Watchers::default(),
            owner,
            since,
            permits: Arc::new(Semaphore::new(parts.config.concurrency.max(1))),
            config: parts.config,
            active: Mutex::default(),
            drivers: TaskTracker::new(),
            running: AtomicBool::new(false),
            shutdown: CancellationToken::new(),
            drained: CancellationToken::new(),
            full: AtomicBool::new(false),
            ready: Notify::new(),
            served: Mutex::default(),
            contended: AtomicBool::new(false),
            admission: Admission::default(),
            timer: Notify::new(),
            next_timer: AtomicI64::new(Millis::MAX),
            ruled_in: AtomicBool::new(false),
        }
    }

    /// Ends when the executor is shut down.
    pub(crate) fn shutdown(&self) -> CancellationToken {
        self.shutdown.clone()
    }

    /// Returns when running steps have had their time to end at shutdown.
    pub(crate) async fn drained(&self) {
        self.drained.cancelled().await;
    }

    /// Counts the time that running steps have to end at shutdown, once for all drivers.
    pub(crate) fn start_drain(&self) {
        let (drained, wait) = (self.drained.clone(), Duration::from_millis(self.config.drain_ms));
        // Shutting down takes real time, also where a test's clock stands still.
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            drained.cancel();
        });
    }

    pub(crate) async fn pause_before_retry(&self) {
        let shutdown = self.shutdown();
        tokio::select! {
            () = self.clock.sleep_until(self.clock.now() + PAUSE) => {}
            () = shutdown.cancelled() => {}
        }
    }

    /// What `look` gives, as soon as the database answers: that it does not is no failure of
    /// a step. At shutdown this does not return; whoever waits is dropped.
    pub(crate) async fn answered<T, F>(&self, look: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        loop {
            match look().await {
                Err(error) if matches!(error.code(), Code::Unavailable | Code::Busy) => {
                    tracing::warn!(%error, "a step waits for the database");
                }
                result => return result,
            }
            if self.shutdown.is_cancelled() {
                return std::future::pending().await;
            }
            self.pause_before_retry().await;
        }
    }

    /// Tells of an execution that was parked.
    pub(crate) fn parked(&self, due: Option<Millis>) {
        if let Some(due) = due {
            self.timer.notify_one();
            // The others know of this timer, too, where it is the next one: this process may be lost.
            if due < self.next_timer.load(Ordering::Acquire) {
                self.store.db.wakes().tell(Word { timer: Some(due), ..Word::default() });
            }
        }
        self.bus.wake();
    }

    /// Tells everybody whom a written round concerns.
    pub(crate) fn tell(&self, commit: &Commit, end: Option<End>) {
        self.watchers.changed(commit.id, commit.ended.is_some(), end);
        if !commit.children.is_empty() || commit.successor.is_some() {
            self.ready_anywhere();
        }
        let left = commit.ended.as_ref().is_some_and(|ended| ended.flow.is_some());
        if left || commit.children.iter().any(|child| child.ticket.is_some()) {
            // Others may go now, or at a time; a child that was refused is over already.
            self.ready_anywhere();
            self.timer.notify_one();
            self.ring(commit.id);
        }
        for child in &commit.cancel {
            self.wake(*child);
        }
        if let Some(ended) = &commit.ended {
            metrics::counter!("codex32_executions_total", "status" => ended.status.as_str()).increment(1);
            if let Some(parent) = ended.parent {
                self.wake(parent);
            }
            self.store.db.wakes().tell(Word { over: vec![commit.id.0], ..Word::default() });
        }
        if !commit.children.is_empty() || commit.ended.is_some() {
            self.bus.wake();
        }
    }

    /// Tells an execution that something was sent to it.
    pub(super) fn wake(&self, id: ExecutionId) {
        if !self.ring(id) {
            self.store.db.wakes().tell(Word { ready: true, sent: vec![id.0], ..Word::default() });
        }
        self.ready.notify_one();
    }

    /// Rings the driver of an execution. False where it is not driven here.
    pub(super) fn ring(&self, id: ExecutionId) -> bool {
        let active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        active.get(&id).map(|(_, bell)| bell.notify_one()).is_some()
    }

    /// Tells this process and the others that there may be something to claim.
    pub(crate) fn ready_anywhere(&self) {
        self.ready.notify_one();
        self.store.db.wakes().tell(Word::ready());
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire) && !self.shutdown.is_cancelled()
    }
}
