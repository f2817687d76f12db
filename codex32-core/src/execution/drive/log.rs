//! The log of an execution: lines are taken as they come and written with the next round.

use crate::clock::Clock;
use crate::execution::types::Line;
use crate::observe::{LogSink, Stream};
use crate::secret::Redactor;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Lines that an execution's log keeps.
pub(super) const MAX_LINES: u64 = 10_000;
/// Bytes that are kept of a line.
const MAX_LINE: usize = 8 * 1024;

/// Lines of an execution that are not written yet.
pub(super) struct LogBuffer {
    clock: Arc<dyn Clock>,
    held: Mutex<Held>,
    /// Rings when there are lines.
    pub(super) bell: Notify,
}

struct Held {
    lines: Vec<Line>,
    /// Lines of the execution, written and not.
    count: u64,
}

impl LogBuffer {
    /// For an execution whose log has `count` lines already.
    pub(super) fn new(clock: Arc<dyn Clock>, count: u64) -> LogBuffer {
        LogBuffer { clock, held: Mutex::new(Held { lines: Vec::new(), count }), bell: Notify::new() }
    }

    /// Takes one line. Beyond the limit lines are dropped, which the last one says.
    pub(super) fn push(&self, step: &str, stream: Stream, text: &str) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.count += 1;
        let (stream, text) = match held.count {
            n if n < MAX_LINES => (stream, cut(text)),
            MAX_LINES => (Stream::System, format!("the log has {MAX_LINES} lines; what follows is not kept")),
            _ => return,
        };
        held.lines.push(Line { seq: 0, at: self.clock.now(), step: step.to_owned(), stream, text });
        drop(held);
        self.bell.notify_one();
    }

    /// The lines since the last call, numbered behind `seq`.
    pub(super) fn take(&self, seq: i64) -> Vec<Line> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lines = std::mem::take(&mut held.lines);
        for (line, number) in lines.iter_mut().zip(seq + 1..) {
            line.seq = number;
        }
        lines
    }
}

fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(MAX_LINE);
    match text.get(..end) {
        Some(kept) if end < text.len() => format!("{kept} … ({} bytes more)", text.len() - end),
        _ => text.to_owned(),
    }
}

/// The log of one step.
pub(super) struct StepLog {
    pub(super) buffer: Arc<LogBuffer>,
    pub(super) step: String,
    pub(super) mask: Mask,
}

impl LogSink for StepLog {
    fn line(&self, stream: Stream, text: &str) {
        self.buffer.push(&self.step, stream, &self.mask.text(text));
    }
}

/// Takes secrets out of what is written.
#[derive(Clone)]
pub(super) struct Mask {
    pub(super) redactor: Arc<Redactor>,
    /// A token that only this attempt knows.
    pub(super) token: Option<String>,
}

impl Mask {
    pub(super) fn text(&self, text: &str) -> String {
        let text = self.redactor.text(text);
        match &self.token {
            Some(token) if text.contains(token.as_str()) => text.replace(token.as_str(), crate::secret::MASK),
            _ => text.into_owned(),
        }
    }

    pub(super) fn value(&self, value: serde_json::Value) -> serde_json::Value {
        let value = self.redactor.value(value);
        match &self.token {
            Some(token) => Redactor::new([token.as_str()]).value(value),
            None => value,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimulatedClock;

    fn buffer(count: u64) -> LogBuffer {
        LogBuffer::new(Arc::new(SimulatedClock::at(5)), count)
    }

    #[test]
    fn lines_are_numbered_and_taken_once() {
        let buffer = buffer(0);
        buffer.push("a", Stream::Stdout, "one");
        buffer.push("a", Stream::Stderr, "two");
        let lines = buffer.take(7);
        assert_eq!(lines.iter().map(|l| (l.seq, l.text.as_str())).collect::<Vec<_>>(), [(8, "one"), (9, "two")]);
        assert!(buffer.take(9).is_empty());
    }

    #[test]
    fn a_log_without_end_is_cut_and_says_so() {
        let buffer = buffer(MAX_LINES - 2);
        for _ in 0..5 {
            buffer.push("a", Stream::Stdout, "x");
        }
        let lines = buffer.take(0);
        assert_eq!(lines.len(), 2);
        assert!(lines[1].text.contains("not kept"));
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let buffer = buffer(0);
        buffer.push("a", Stream::Stdout, &"ä".repeat(MAX_LINE));
        let line = buffer.take(0).remove(0);
        assert!(line.text.len() < MAX_LINE + 50);
        assert!(line.text.ends_with(&format!("({MAX_LINE} bytes more)")));
    }
}
