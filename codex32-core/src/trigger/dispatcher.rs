//! The dispatcher: waits for what is due and starts it.

use super::poll::Poller;
use super::starter::Starter;
use super::store;
use crate::clock::{Clock, Millis};
use crate::error::{Code, Error, Result};
use crate::event::Bus;
use crate::queue::Queue;
use crate::storage::Db;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A trigger that another process armed is noticed within this time.
const LOOK_AGAIN_MS: Millis = 10_000;
/// First and longest delay after a failure.
const BACKOFF_MS: (Millis, Millis) = (1_000, 300_000);

/// What a dispatcher works with.
#[derive(Clone)]
pub struct Parts {
    /// The database.
    pub db: Db,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The bus.
    pub bus: Bus,
    /// Starts executions.
    pub starter: Arc<dyn Starter>,
    /// Gives the messages of queues.
    pub queues: Arc<dyn Queue>,
    /// Asks connectors for news.
    pub poller: Arc<dyn Poller>,
}

/// Starts executions for schedules, polls, events and the ends of other bots.
/// (Webhooks start theirs in [`webhook`](crate::webhook).) Cheap to clone.
///
/// Several may run on one database: PostgreSQL's row locks, the lease of a poll and
/// the idempotency keys keep each start single.
#[derive(Clone)]
pub struct Dispatcher {
    pub(super) parts: Parts,
    nudge: Arc<watch::Sender<u64>>,
}

impl Dispatcher {
    /// A dispatcher; nothing happens until [`Dispatcher::run`].
    #[must_use]
    pub fn new(parts: Parts) -> Dispatcher {
        Dispatcher { parts, nudge: Arc::new(watch::Sender::new(0)) }
    }

    /// Makes it look for due triggers again, after something was armed or turned on.
    /// The events `deployment.changed` and `trigger.changed` do so too.
    pub fn nudge(&self) {
        self.nudge.send_modify(|n| *n = n.wrapping_add(1));
    }

    /// Works until `token` is cancelled and what was begun is done.
    pub async fn run(&self, token: CancellationToken) {
        tokio::join!(self.run_schedules(&token), self.run_polls(&token), self.run_listener(&token));
    }

    async fn run_schedules(&self, token: &CancellationToken) {
        let mut nudged = self.nudge.subscribe();
        while !token.is_cancelled() {
            nudged.borrow_and_update();
            let next = self.fire_due_schedules().await;
            self.rest(next, &mut nudged, token).await;
        }
    }

    async fn run_polls(&self, token: &CancellationToken) {
        let mut nudged = self.nudge.subscribe();
        let mut looks = tokio::task::JoinSet::new();
        while !token.is_cancelled() {
            nudged.borrow_and_update();
            let next = self.begin_due_polls(&mut looks, token).await;
            tokio::select! {
                () = self.rest(next, &mut nudged, token) => {}
                // A place is free, or what was found is due again.
                Some(_) = looks.join_next() => {}
            }
        }
        while looks.join_next().await.is_some() {}
    }

    /// Waits until `next`, a nudge or the end.
    async fn rest(&self, next: Result<Option<Millis>>, nudged: &mut watch::Receiver<u64>, token: &CancellationToken) {
        let clock = &self.parts.clock;
        let latest = clock.now() + LOOK_AGAIN_MS;
        let until = match next {
            Ok(next) => next.map_or(latest, |next| next.min(latest)),
            Err(error) => {
                tracing::warn!(%error, "the dispatcher could not look for due triggers; it tries again");
                clock.now() + BACKOFF_MS.0
            }
        };
        tokio::select! {
            () = token.cancelled() => {}
            _ = nudged.changed() => {}
            () = clock.sleep_until(until) => {}
        }
    }

    /// Notes a failure on a trigger and when it is tried again: soon where that may
    /// help, else at `otherwise`.
    pub(super) async fn note_failure(&self, id: Uuid, error: &Error, otherwise: Option<store::Due>) -> Result<()> {
        let now = self.parts.clock.now();
        let error = error.clone();
        tracing::warn!(trigger = %id, %error, "a trigger failed");
        metrics::counter!("codex32_trigger_failures_total").increment(1);
        self.parts
            .db
            .write(move |tx| {
                Box::pin(async move {
                    let Some(row) = store::locked(tx, id).await? else { return Ok(()) };
                    let again = Some(now + backoff(row.failures));
                    let due = otherwise.unwrap_or(store::Due { next_due: row.next_due, wake_at: again });
                    store::fail(tx, &row, &error, due, now).await
                })
            })
            .await
    }
}

/// Delay after `failures` failures in a row before this one.
pub(super) fn backoff(failures: i32) -> Millis {
    let doublings = u32::try_from(failures).unwrap_or(0).min(16);
    (BACKOFF_MS.0 << doublings).min(BACKOFF_MS.1)
}

/// Whether the same start may succeed later. A fault of the database (a deadlock, a lost
/// connection) counts too: what was due must not be given up for that.
pub(crate) fn may_pass(error: &Error) -> bool {
    error.code().is_retriable() || error.code() == Code::Internal
}
