//! The queue seam: work that is handed to one of many, and kept until it is done.
//!
//! - [`Queue`] is the seam. [`DbQueue`] keeps messages in the engine's database,
//!   [`NatsQueue`] in a stream of NATS JetStream where the deployment has one.
//!
//! Invariants: a message is stored when [`Queue::send`] returns and stays until it
//! is acknowledged; it is handed to one holder at a time, again after the holder's
//! lease has ended (at least once); after [`Limits::attempts`] tries it is set aside
//! as dead and never dropped. A workspace sees its own queues only.

mod database;
mod nats;

#[cfg(test)]
mod tests;

pub use database::DbQueue;
pub use nats::NatsQueue;

use crate::clock::Millis;
use crate::error::{Code, Error, Result};
use crate::id::WorkspaceId;
use serde_json::Value;
use uuid::Uuid;

/// Messages handed out at once.
const MAX_BATCH: u64 = 100;
/// Characters that are kept of what went wrong.
const LONGEST_ERROR: usize = 1_000;
/// What is noted of a message whose holder did not come back.
const HOLDER_LOST: &str = "its last holder did not finish";

/// How a message is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SendOptions {
    /// It is not handed out before this many milliseconds.
    pub delay_ms: u64,
    /// A queue holds at most one message with this key; a second send gives the first.
    pub dedup: Option<String>,
}

/// Proof that a message is held. Only the queue that gave it can read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease(Proof);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Proof {
    /// What stands in the message's row.
    Row(Uuid),
    /// Where the message stands in a stream, and what its delivery is answered by.
    Stream { seq: u64, subject: String, answer: String },
}

/// A message that was handed out.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Identity.
    pub id: Uuid,
    /// Proof that it is held; acknowledging with an older one changes nothing.
    pub lease: Lease,
    /// How often it was handed out, this time included.
    pub attempt: u32,
    /// What was sent.
    pub body: Value,
    /// When it was sent, UTC milliseconds.
    pub sent_at: Millis,
}

/// How long and how often messages are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Tries before a message is dead.
    pub attempts: u32,
    /// Longest body in bytes of JSON.
    pub body: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { attempts: 10, body: 256 * 1024 }
    }
}

/// How much stands in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depth {
    /// Waiting to be handed out, now or later, or handed out and not yet done.
    pub open: u64,
    /// Set aside after too many tries.
    pub dead: u64,
}

/// A queue of messages for each name in each workspace.
#[async_trait::async_trait]
pub trait Queue: Send + Sync {
    /// Puts a message in; durable when it returns the message's id.
    ///
    /// # Errors
    /// `invalid` for a malformed name, `too_large` for the body, `unavailable` where the
    /// store does not answer: then it may have been stored, and a key ([`SendOptions::dedup`])
    /// makes it safe to send again.
    async fn send(&self, workspace: WorkspaceId, queue: &str, body: Value, options: SendOptions) -> Result<Uuid>;

    /// Hands out up to `limit` messages that are due, oldest first, for `lease_ms`.
    async fn receive(&self, workspace: WorkspaceId, queue: &str, limit: u64, lease_ms: u64) -> Result<Vec<Message>>;

    /// The work is done: the message goes.
    ///
    /// # Errors
    /// `conflict` where it is held by another by now, or gone.
    async fn ack(&self, workspace: WorkspaceId, message: &Message) -> Result<()>;

    /// The work failed: the message is handed out again after `delay_ms`, or set aside
    /// where it was tried often enough. `error` is stored and must be free of secrets.
    ///
    /// # Errors
    /// `conflict` where it is held by another by now, or gone.
    async fn nack(&self, workspace: WorkspaceId, message: &Message, delay_ms: u64, error: &str) -> Result<()>;

    /// The message was not tried: it is handed out again after `delay_ms`, and this time
    /// does not count.
    ///
    /// # Errors
    /// `conflict` where it is held by another by now, or gone.
    async fn release(&self, workspace: WorkspaceId, message: &Message, delay_ms: u64) -> Result<()>;

    /// Holds a message for `lease_ms` from now, which may be sooner than before.
    ///
    /// # Errors
    /// `conflict` where it is held by another by now, or gone.
    async fn extend(&self, workspace: WorkspaceId, message: &Message, lease_ms: u64) -> Result<()>;

    /// How much stands in a queue.
    async fn depth(&self, workspace: WorkspaceId, queue: &str) -> Result<Depth>;

    /// Gives the dead messages of a queue another round of tries; returns how many.
    async fn revive(&self, workspace: WorkspaceId, queue: &str) -> Result<u64>;
}

fn check_name(queue: &str) -> Result<()> {
    let formed = (1..=100).contains(&queue.len())
        && queue.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
    if formed {
        return Ok(());
    }
    Err(Error::invalid("the queue's name is malformed").hint("use 1 to 100 letters, digits, dots, - and _"))
}

/// The body as JSON, where it is not too large.
fn check_body(body: &Value, limits: Limits) -> Result<String> {
    let text = body.to_string();
    if text.len() > limits.body {
        let (size, limit) = (text.len(), limits.body);
        return Err(Error::new(Code::TooLarge, format!("the message has {size} bytes, more than {limit}"))
            .hint("store the data elsewhere and send a reference to it"));
    }
    Ok(text)
}

fn lost(id: Uuid) -> Error {
    Error::conflict(format!("the message \"{id}\" is not held under this lease any more"))
        .hint("hold messages for as long as the work takes, or extend the lease")
}

fn shorten(error: &str) -> String {
    error.chars().take(LONGEST_ERROR).collect()
}
