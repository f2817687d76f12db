//! What a native function can ask for, and with which options.

use crate::blueprint::Retry;
use crate::clock::Millis;
use crate::error::Result;
use crate::observe::{LogSink, Stream};
use futures::future::BoxFuture;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What a step does, once for each attempt.
pub type Body = Box<dyn FnMut(Attempt) -> BoxFuture<'static, Result<Value>> + Send>;

/// How a step is performed. By default: one attempt, without a limit of time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepOptions {
    /// What to do when it fails.
    pub retry: Option<Retry>,
    /// Longest time for one attempt; it is dropped then and fails with `timeout`.
    pub timeout: Option<Duration>,
}

/// How something is waited for. By default: whatever comes, for ever.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WaitOptions {
    /// CEL condition over `event`; only for events.
    pub filter: Option<String>,
    /// After this it fails with `timeout`.
    pub timeout: Option<Duration>,
}

/// What a native function asks for; what [`Ctx`](super::Ctx) has methods for.
pub enum Wish {
    /// Something is to be done, and its result to be recorded.
    Step(StepOptions, Body),
    /// A time is to pass.
    Sleep(Duration),
    /// A time is to come, UTC milliseconds.
    SleepUntil(Millis),
    /// Someone is to send a signal of the name that is asked by.
    Signal(WaitOptions),
    /// An event of the name that is asked by is to happen on the bus.
    Event(WaitOptions),
    /// The bot of the name that is asked by is to be run to its end with this input.
    Child(Value, WaitOptions),
}

/// One attempt of a step, as its body sees it.
#[derive(Clone)]
pub struct Attempt {
    /// The step: its name, with a number where it is repeated.
    pub step: String,
    /// 1 for the first.
    pub number: u32,
    /// The same for every attempt, also after a crash. Pass it on to whoever is called.
    pub idempotency_key: String,
    /// Ends when the attempt is not wanted any more; its future is dropped then.
    pub cancel: CancellationToken,
    pub(crate) log: Arc<dyn LogSink>,
}

impl Attempt {
    /// Writes a line to the log of the execution.
    pub fn log(&self, text: &str) {
        self.log.line(Stream::Stdout, text);
    }
}

impl std::fmt::Debug for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attempt").field("step", &self.step).field("number", &self.number).finish_non_exhaustive()
    }
}
