//! HTTP requests that start bots.
//!
//! - [`Webhooks::receive`] takes a request that came in at `/hooks/{workspace}/{path}`.
//! - [`Webhooks::reply`] is what the `webhook.reply` step calls.
//! - [`Signer`] and [`Ends`] are what it needs from others: the signing secrets, and
//!   how an execution ended.
//!
//! Invariants: nothing is read from a body before its size and, where the trigger has
//! a secret, its signature are checked, over the raw bytes and in constant time. The
//! content type alone decides how a body is read; nothing is guessed. A start is
//! durable before the request is answered. Headers with credentials never reach an
//! execution. An answer is stored before it is given, so that a repeated request with
//! the same idempotency key gets the same one.

mod body;
mod receive;
mod reply;
mod signature;

#[cfg(test)]
mod tests;

pub use signature::{SIGNATURE_HEADER, TIMESTAMP_HEADER, TIMESTAMP_WINDOW_S, sign};

use crate::clock::{Clock, Millis};
use crate::error::Result;
use crate::id::{ExecutionId, WorkspaceId};
use crate::storage::entity::triggers;
use crate::storage::{Db, Recent};
use crate::trigger::Starter;
use bytes::Bytes;
use secrecy::SecretString;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;
use uuid::Uuid;

/// A request, as the server received it.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Upper-case method.
    pub method: String,
    /// Headers in order; names in any case.
    pub headers: Vec<(String, String)>,
    /// The query without its question mark.
    pub query: String,
    /// The body, whole.
    pub body: Bytes,
    /// Address of the sender, where known.
    pub remote: Option<String>,
}

impl Request {
    /// The only header of this name; `None` where there is none or more than one.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        let first = found.next()?;
        if found.next().is_some() { None } else { Some(first.1.as_str()) }
    }
}

/// What is to be answered. Refusals are errors: `not_found`, `unauthenticated` for a bad
/// signature, `invalid` for the body, `too_large`.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// 202: the execution is stored and will run.
    Accepted {
        /// The execution.
        execution: ExecutionId,
        /// Whether an earlier request with the same idempotency key started it.
        existing: bool,
    },
    /// What the bot answered, or its output (200), or that it failed (502).
    Answer {
        /// The execution.
        execution: ExecutionId,
        /// HTTP status.
        status: u16,
        /// Headers that the bot set.
        headers: Vec<(String, String)>,
        /// Body; a string is sent as text, anything else as JSON.
        body: Value,
    },
    /// 405: the trigger wants another method.
    MethodNotAllowed {
        /// The method that is allowed.
        allow: String,
    },
}

/// Finds the secrets that sign requests.
#[async_trait::async_trait]
pub trait Signer: Send + Sync {
    /// The secret of this name in the workspace.
    ///
    /// # Errors
    /// Where it cannot be read; `None` where there is none.
    async fn key(&self, workspace: WorkspaceId, name: &str) -> Result<Option<SecretString>>;
}

#[async_trait::async_trait]
impl Signer for crate::secret::Secrets {
    async fn key(&self, workspace: WorkspaceId, name: &str) -> Result<Option<SecretString>> {
        Ok(self.get(workspace, name).await?.map(|value| SecretString::from(value.as_str())))
    }
}

/// How an execution ended.
#[derive(Debug, Clone, PartialEq)]
pub struct End {
    /// Whether it succeeded.
    pub succeeded: bool,
    /// Its output, null where it failed.
    pub output: Value,
}

/// Waits for the ends of executions. Implemented by the executor.
#[async_trait::async_trait]
pub trait Ends: Send + Sync {
    /// Returns when the execution has ended, however long that takes.
    ///
    /// # Errors
    /// `not_found`, and those of the database.
    async fn ended(&self, workspace: WorkspaceId, execution: ExecutionId) -> Result<End>;
}

/// What webhooks work with.
#[derive(Clone)]
pub struct Parts {
    /// The database.
    pub db: Db,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Starts executions.
    pub starter: Arc<dyn Starter>,
    /// Signing secrets.
    pub signer: Arc<dyn Signer>,
    /// Ends of executions.
    pub ends: Arc<dyn Ends>,
    /// Limits.
    pub config: Config,
}

/// Limits of webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Largest body in bytes; 1 MiB by default.
    pub max_body: usize,
    /// Longest wait for a bot's answer in milliseconds; 30 s by default. Then the
    /// request is answered as accepted, and the bot goes on.
    pub reply_ms: Millis,
}

impl Default for Config {
    fn default() -> Self {
        Config { max_body: 1024 * 1024, reply_ms: 30_000 }
    }
}

/// Receives requests and hands out the bots' answers. Cheap to clone.
#[derive(Clone)]
pub struct Webhooks {
    parts: Parts,
    waiting: Arc<Mutex<HashMap<ExecutionId, Arc<Notify>>>>,
    fired: Arc<Mutex<HashMap<Uuid, Millis>>>,
    replies: reply::Replies,
    triggers: Recent<(WorkspaceId, String), Option<triggers::Model>>,
}

impl Webhooks {
    /// Webhooks over these parts. One for each engine: it hands answers to those who wait in it.
    #[must_use]
    pub fn new(parts: Parts) -> Webhooks {
        let replies = reply::replies(parts.db.clone());
        let triggers = Recent::new(parts.db.clone());
        Webhooks { parts, waiting: Arc::default(), fired: Arc::default(), replies, triggers }
    }
}
