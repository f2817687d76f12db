//! Connectors: named families of actions and triggers, each with a JSON Schema in
//! the [`catalogue`](crate::catalogue).
//!
//! Invariants: input is validated against the catalogue before a connector sees
//! it; every network access goes through the one guarded HTTP client or the
//! guarded resolver, which check the *connected* address against the bot's
//! permissions on every hop; no connector reads a secret by itself, it gets its
//! connection already resolved.
//!
//! An embedding program adds its own like this:
//!
//! ```
//! use codex32_core::catalogue::ConnectorSpec;
//! use codex32_core::connector::{ActionContext, Connector, Connectors};
//! use serde_json::{Value, json};
//! use std::sync::Arc;
//!
//! struct Stock;
//!
//! #[async_trait::async_trait]
//! impl Connector for Stock {
//!     fn name(&self) -> &str {
//!         "stock"
//!     }
//!     async fn call(&self, _action: &str, _cx: &ActionContext, input: Value) -> codex32_core::Result<Value> {
//!         Ok(json!({"left": if input["item"] == "bolt" { 12 } else { 0 }}))
//!     }
//! }
//!
//! let spec: ConnectorSpec = serde_json::from_value(json!({
//!     "name": "stock", "title": "Stock", "summary": "What is left in the store.",
//!     "actions": [{
//!         "name": "count", "title": "Count", "summary": "How many are left.", "phrase": "count {item}",
//!         "input": {"type": "object", "required": ["item"], "additionalProperties": false,
//!                   "properties": {"item": {"type": "string"}}},
//!         "output": {"type": "object"}, "example": {"item": "bolt"}
//!     }]
//! }))
//! .unwrap();
//! let connectors = Connectors::default();
//! connectors.register(Arc::new(Stock), spec).unwrap();
//! assert!(connectors.catalogue().action("stock.count").is_some());
//! ```

mod beneath;
mod builtin;
mod context;
mod input;
pub mod kv;
mod native;
pub mod net;
mod registry;
#[cfg(test)]
pub(crate) mod testing;
mod validate;

pub(crate) use builtin::{Mail, Mailer, post_signed};
pub use context::{ActionContext, KvChange, Network, Services};
pub(crate) use input::OneOrMany;
pub use kv::KvStore;
pub use native::ActionFn;
pub use net::{Lookup, Net};
pub use registry::Connectors;

use crate::error::{Error, Result};
use serde_json::Value;

/// A family of actions and triggers.
///
/// The embedding program registers its own in the same way as the built-in ones.
#[async_trait::async_trait]
pub trait Connector: Send + Sync {
    /// Its name in a blueprint, the part before the dot.
    fn name(&self) -> &str;

    /// Performs `action` (the part after the dot). `input` satisfies the catalogue's
    /// schema and has its defaults filled in.
    ///
    /// # Errors
    /// [`Code::is_retriable`](crate::error::Code::is_retriable) tells whether another attempt is worth it.
    async fn call(&self, action: &str, cx: &ActionContext, input: Value) -> Result<Value>;

    /// Whether `action` touches nothing outside and is done at once. Then its steps are not
    /// performed but computed, by [`Connector::compute`], and written with what follows.
    fn computes(&self, action: &str) -> bool {
        let _ = action;
        false
    }

    /// Performs an action that [`Connector::computes`]; the input is as for [`Connector::call`].
    ///
    /// # Errors
    /// As [`Connector::call`].
    fn compute(&self, action: &str, input: Value) -> Result<Value> {
        let _ = input;
        Err(Error::not_found("action", format!("{}.{action}", self.name())))
    }

    /// Looks for news since `cursor` (`None` at the first look, which by itself reports
    /// nothing old: it only sets the cursor, unless the trigger's settings say otherwise).
    async fn poll(&self, trigger: &str, cx: &ActionContext, input: Value, cursor: Option<Value>) -> Result<Polled> {
        let _ = (cx, input, cursor);
        Err(Error::not_found("trigger", format!("{}.{trigger}", self.name())))
    }
}

/// What a look found.
#[derive(Debug, Clone, PartialEq)]
pub struct Polled {
    /// News, oldest first; each starts one execution.
    pub events: Vec<Value>,
    /// Where to go on; stored in the transaction that starts the executions.
    pub cursor: Value,
}
