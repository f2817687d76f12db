//! Observability: log lines of executions, tracing, metrics.
//!
//! - [`LogLine`] and [`LogSink`]: what a bot says. [`MemorySink`] keeps it, [`NoSink`] drops it.
//! - [`init_tracing`]: what the engine says, for people or as JSON lines.
//! - [`Metrics`]: what can be counted, in Prometheus' text format.
//!
//! Names of metrics: `codex32_`, what is counted, the unit or `_total`; labels have
//! few values and never name a workspace, a bot or an execution. [`METRICS`] lists
//! them all, with their labels and meaning.

mod logs;
mod meters;
mod tracer;

pub use logs::{MemorySink, NoSink};
pub use meters::{METRICS, Meter, MeterKind, Metrics};
pub use tracer::{LogFormat, init_tracing};

use crate::clock::Millis;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a line of an execution's log came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output of a script, or a `log` step.
    Stdout,
    /// Standard error of a script.
    Stderr,
    /// The engine: retries, restarts, progress of installing dependencies.
    System,
}

/// One line of an execution's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogLine {
    /// UTC milliseconds.
    pub at: Millis,
    /// Path of the step, or empty for the execution itself.
    pub step: String,
    /// Where it came from.
    pub stream: Stream,
    /// The text, without its line end, secrets redacted.
    pub text: String,
}

/// Takes log lines as they appear. Never blocks the caller for long; redacts and caps.
pub trait LogSink: Send + Sync {
    /// Takes one line.
    fn line(&self, stream: Stream, text: &str);
}
