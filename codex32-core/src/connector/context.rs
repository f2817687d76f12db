//! What a connector is given besides its input.

use crate::blueprint::Permissions;
use crate::clock::{Clock, Millis};
use crate::error::{Code, Error, Result};
use crate::id::{BotId, ExecutionId, WorkspaceId};
use crate::observe::LogSink;
use crate::queue::SendOptions;
use serde_json::Value;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The surroundings of one attempt of one step (or of one poll, or of a test call).
#[derive(Clone)]
pub struct ActionContext {
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The bot, where there is one.
    pub bot: Option<BotId>,
    /// Its name, or empty.
    pub bot_name: String,
    /// The execution, where there is one.
    pub execution: Option<ExecutionId>,
    /// Path of the step in the execution.
    pub step: String,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// The same for every attempt of the same step of the same execution, also after a crash.
    pub idempotency_key: String,
    /// When this attempt must be done, UTC milliseconds.
    pub deadline: Option<Millis>,
    /// What the bot may reach.
    pub network: Network,
    /// Credentials and addresses of the connection, already decrypted; never to be logged.
    pub connection: Option<Value>,
    /// Ends when the execution is cancelled or the attempt has timed out.
    pub cancel: CancellationToken,
    /// Log of the execution.
    pub log: Arc<dyn LogSink>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// What else the engine does for connectors.
    pub services: Arc<dyn Services>,
}

/// What a bot may reach over the network and in the file system.
#[derive(Debug, Clone, Default)]
pub struct Network {
    /// The blueprint's declaration.
    pub permissions: Arc<Permissions>,
    /// Whether an admin stands behind this version: then private addresses that are
    /// declared literally are reachable. Link-local and metadata addresses never are.
    pub private_allowed: bool,
}

/// What the engine does for connectors; implemented above, handed down.
#[async_trait::async_trait]
pub trait Services: Send + Sync {
    /// Publishes an event on the workspace's bus; durable when it returns.
    async fn publish(&self, cx: &ActionContext, event: &str, data: Value) -> Result<()>;
    /// Gives the answer of the webhook request that started this execution.
    async fn reply(&self, cx: &ActionContext, status: u16, headers: Value, body: Value) -> Result<()>;
    /// Tells the workspace's people.
    async fn notify(&self, cx: &ActionContext, title: &str, text: &str, severity: &str) -> Result<()>;
    /// Reads a durable value of the bot.
    async fn kv_get(&self, cx: &ActionContext, key: &str) -> Result<Option<Value>>;
    /// Changes a durable value of the bot exactly once for this idempotency key and
    /// returns the value after it; the stored result is returned on a repetition.
    async fn kv_update(&self, cx: &ActionContext, key: &str, change: KvChange) -> Result<Value>;
    /// Keys that start with `prefix`, at most 1,000, in order.
    async fn kv_list(&self, cx: &ActionContext, prefix: &str) -> Result<Vec<String>>;
    /// Puts a message into a queue of the workspace; durable when it returns its id.
    async fn queue_send(&self, cx: &ActionContext, queue: &str, body: Value, options: SendOptions) -> Result<Uuid> {
        let _ = (cx, queue, body, options);
        Err(Error::new(Code::Unsupported, "there are no queues here"))
    }
}

/// A change of a durable value.
#[derive(Debug, Clone, PartialEq)]
pub enum KvChange {
    /// Set to this.
    Set(Value),
    /// Remove; the result is the value before.
    Delete,
    /// Add to a number (missing counts as 0).
    Add(f64),
    /// Append to a list (missing counts as empty), keep the last `keep`.
    Append {
        /// The item.
        item: Value,
        /// How many are kept.
        keep: usize,
    },
    /// Set, and tell whether the value differs from before: `{changed, before}`.
    Swap(Value),
}
