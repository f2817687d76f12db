//! What the executor's operations, loops and drivers share.

use super::versions::Versions;
use super::watch::{End, Watchers};
use super::{Config, Parts};
use crate::clock::{Clock, Millis};
use crate::connector::Services;
use crate::event::Bus;
use crate::execution::ports::{Actions, BotSource, Scripts};
use crate::execution::store::{Commit, Store};
use crate::id::ExecutionId;
use crate::secret::Secrets;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
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
    pub(super) watchers: Watchers,
    /// Names this executor as the holder of leases.
    pub(super) owner: Uuid,
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
    /// Rings when a timer was set that may be earlier than the one that is waited for.
    pub(super) timer: Notify,
}

impl Inner {
    pub(super) fn new(parts: Parts) -> Inner {
        let store = Store::new(parts.db, parts.clock.clone());
        let owner = ExecutionId::at(parts.clock.now()).0;
        Inner {
            versions: Versions::new(parts.bots.clone()),
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
            permits: Arc::new(Semaphore::new(parts.config.concurrency.max(1))),
            config: parts.config,
            active: Mutex::default(),
            drivers: TaskTracker::new(),
            running: AtomicBool::new(false),
            shutdown: CancellationToken::new(),
            drained: CancellationToken::new(),
            full: AtomicBool::new(false),
            ready: Notify::new(),
            timer: Notify::new(),
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

    /// Tells of an execution that was parked.
    pub(crate) fn parked(&self, due: Option<Millis>) {
        if due.is_some() {
            self.timer.notify_one();
        }
        self.bus.wake();
    }

    /// Tells everybody whom a written round concerns.
    pub(crate) fn tell(&self, commit: &Commit, end: Option<End>) {
        self.watchers.changed(commit.id, commit.ended.is_some(), end);
        if !commit.children.is_empty() || !commit.cancel.is_empty() || commit.successor.is_some() {
            self.ready.notify_one();
        }
        for child in &commit.cancel {
            self.ring(*child);
        }
        if let Some(ended) = &commit.ended {
            metrics::counter!("codex32_executions_total", "status" => ended.status.as_str()).increment(1);
            if let Some(parent) = ended.parent {
                self.wake(parent);
            }
        }
        if !commit.children.is_empty() || commit.ended.is_some() {
            self.bus.wake();
        }
    }

    /// Tells an execution that something was sent to it.
    pub(super) fn wake(&self, id: ExecutionId) {
        self.ring(id);
        self.ready.notify_one();
    }

    fn ring(&self, id: ExecutionId) {
        let active = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, bell)) = active.get(&id) {
            bell.notify_one();
        }
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire) && !self.shutdown.is_cancelled()
    }
}
