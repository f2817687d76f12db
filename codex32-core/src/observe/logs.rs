//! Sinks for log lines that need no database.

use super::{LogSink, Stream};
use std::sync::{Mutex, PoisonError};

/// Drops every line.
///
/// ```
/// use codex32_core::observe::{LogSink, NoSink, Stream};
/// NoSink.line(Stream::Stdout, "gone");
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSink;

impl LogSink for NoSink {
    fn line(&self, _: Stream, _: &str) {}
}

/// Keeps every line in memory, for tests and for calls that show their log at once.
///
/// ```
/// use codex32_core::observe::{LogSink, MemorySink, Stream};
/// let sink = MemorySink::default();
/// sink.line(Stream::Stderr, "oh");
/// assert_eq!(sink.lines(), [(Stream::Stderr, "oh".to_owned())]);
/// ```
#[derive(Debug, Default)]
pub struct MemorySink {
    lines: Mutex<Vec<(Stream, String)>>,
}

impl MemorySink {
    /// The lines so far, in order.
    #[must_use]
    pub fn lines(&self) -> Vec<(Stream, String)> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The texts of one stream so far, in order.
    #[must_use]
    pub fn texts(&self, stream: Stream) -> Vec<String> {
        self.lines().into_iter().filter(|(from, _)| *from == stream).map(|(_, text)| text).collect()
    }
}

impl LogSink for MemorySink {
    fn line(&self, stream: Stream, text: &str) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push((stream, text.to_owned()));
    }
}
