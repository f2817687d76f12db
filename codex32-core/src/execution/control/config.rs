//! Limits and addresses of an executor.

use crate::clock::Millis;
use std::sync::{Arc, RwLock};

/// Limits and addresses of an executor.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where people reach the server, for the addresses in approvals.
    /// Shared, since a server knows it only once it listens.
    pub public_url: Arc<RwLock<String>>,
    /// Executions that are driven at the same time. Those that wait do not count.
    pub concurrency: usize,
    /// Longest time for an attempt of a `use` step that states none, in milliseconds.
    pub action_timeout_ms: Millis,
    /// How long running steps may take to end at shutdown, in milliseconds.
    pub drain_ms: u64,
    /// How long a lease lasts without being kept, in milliseconds.
    pub lease_ms: Millis,
    /// What this executor can do beyond others: it drives executions that ask for these
    /// labels, and those that ask for none.
    pub labels: Vec<String>,
    /// Name of the machine, for people.
    pub host: String,
    /// Executions of a bot that may wait to be driven, queued or held: where there are so
    /// many, starts from outside are refused.
    pub waiting_bot: u64,
    /// The same for a workspace.
    pub waiting_workspace: u64,
    /// The same for all together.
    pub waiting_all: u64,
    /// Whether this is the only executor on its database. Then what was being driven when
    /// it starts is taken over at once; else only when its lease has ended.
    pub alone: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            public_url: Arc::new(RwLock::new("http://127.0.0.1:7832".to_owned())),
            concurrency: 64,
            action_timeout_ms: 15 * 60 * 1_000,
            drain_ms: 5_000,
            lease_ms: 30_000,
            labels: Vec::new(),
            host: "localhost".to_owned(),
            waiting_bot: 100_000,
            waiting_workspace: 500_000,
            waiting_all: 2_000_000,
            alone: true,
        }
    }
}

impl Config {
    /// Where people reach the server at present.
    pub(crate) fn address(&self) -> String {
        self.public_url.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}
