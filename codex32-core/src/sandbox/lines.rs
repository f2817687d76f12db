//! A script's output as lines of the log: cut, counted, kept for the error message.

use super::policy::human_bytes;
use crate::clock::{Clock, Millis};
use crate::observe::{LogSink, Stream};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes of one line of the log; the rest of a longer line is left out.
const LINE: usize = 16 * 1024;
/// Lines kept for an error message.
const TAIL: usize = 8;
/// A budget of output is for this time, so that a bot that runs for months is still heard.
const BUDGET_MS: Millis = 3_600_000;

/// How many bytes of output the log still takes. Shared by stdout and stderr.
pub(crate) struct Budget {
    limit: u64,
    clock: Arc<dyn Clock>,
    state: Mutex<BudgetState>,
}

struct BudgetState {
    since: Millis,
    left: u64,
    dropped: u64,
}

impl Budget {
    pub(crate) fn new(limit: u64, clock: Arc<dyn Clock>) -> Self {
        let since = clock.now();
        Budget { limit, clock, state: Mutex::new(BudgetState { since, left: limit, dropped: 0 }) }
    }

    /// Takes `bytes`; false when the line is to be left out. Says so once in the log.
    fn take(&self, bytes: u64, log: &dyn LogSink) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        if now - state.since >= BUDGET_MS {
            if state.dropped > 0 {
                log.line(Stream::System, &format!("{} of output were left out", human_bytes(state.dropped)));
            }
            *state = BudgetState { since: now, left: self.limit, dropped: 0 };
        }
        if state.left >= bytes {
            state.left -= bytes;
            return true;
        }
        if state.dropped == 0 {
            let limit = human_bytes(self.limit);
            log.line(Stream::System, &format!("output limit of {limit} reached: what follows is left out of the log"));
        }
        state.left = 0;
        state.dropped += bytes;
        false
    }
}

/// What is kept of one stream after its end.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// The last bytes, at most the cap.
    pub(crate) bytes: Vec<u8>,
    /// How many bytes before them were let go.
    pub(crate) dropped: u64,
    /// The last lines that were not empty.
    pub(crate) tail: VecDeque<String>,
}

impl Kept {
    /// The text, with a marker in place of what was let go.
    pub(crate) fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        if self.dropped == 0 {
            return text.into_owned();
        }
        format!("[the first {} are left out]\n{text}", human_bytes(self.dropped))
    }

    /// The last line that is not empty.
    pub(crate) fn last_line(&self) -> Option<String> {
        let text = String::from_utf8_lossy(&self.bytes);
        text.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
    }
}

/// Reads one stream to its end: each line to the log, the last `cap` bytes kept.
pub(crate) struct Reader<'a> {
    pub(crate) stream: Stream,
    pub(crate) log: &'a dyn LogSink,
    pub(crate) budget: &'a Budget,
    pub(crate) cap: usize,
    kept: Kept,
    line: Vec<u8>,
    skipped: u64,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(stream: Stream, log: &'a dyn LogSink, budget: &'a Budget, cap: usize) -> Self {
        Reader { stream, log, budget, cap, kept: Kept::default(), line: Vec::new(), skipped: 0 }
    }

    /// Reads until the stream ends or `over` does.
    pub(crate) async fn read(mut self, mut from: impl AsyncRead + Unpin, over: impl Future<Output = ()>) -> Kept {
        let mut chunk = vec![0; 16 * 1024];
        tokio::pin!(over);
        loop {
            let count = tokio::select! {
                biased;
                read = from.read(&mut chunk) => read.unwrap_or(0),
                () = &mut over => 0,
            };
            if count == 0 {
                break;
            }
            self.take(&chunk[..count]);
        }
        self.finish()
    }

    /// What is kept, after the last byte.
    pub(crate) fn finish(mut self) -> Kept {
        if !self.line.is_empty() {
            self.end_line();
        }
        self.trim();
        self.kept
    }

    /// Takes some bytes.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        if self.cap > 0 {
            self.kept.bytes.extend_from_slice(bytes);
            if self.kept.bytes.len() > 2 * self.cap {
                self.trim();
            }
        }
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ended) = part.strip_suffix(b"\n").map_or((part, false), |text| (text, true));
            let room = LINE.saturating_sub(self.line.len()).min(text.len());
            self.line.extend_from_slice(&text[..room]);
            self.skipped += (text.len() - room) as u64;
            if ended {
                self.end_line();
            }
        }
    }

    fn trim(&mut self) {
        let over = self.kept.bytes.len().saturating_sub(self.cap);
        if over > 0 {
            self.kept.bytes.drain(..over);
            self.kept.dropped += over as u64;
        }
    }

    fn end_line(&mut self) {
        let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        // NUL is text to us but not to every database.
        let mut text = String::from_utf8_lossy(line).replace('\0', "\u{fffd}");
        if self.skipped > 0 {
            text.push_str(&format!(" [{} more on this line]", human_bytes(self.skipped)));
        }
        if self.budget.take(text.len() as u64 + 1, self.log) {
            self.log.line(self.stream, &text);
        }
        if !text.trim().is_empty() {
            if self.kept.tail.len() == TAIL {
                self.kept.tail.pop_front();
            }
            self.kept.tail.push_back(text);
        }
        self.line.clear();
        self.skipped = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimulatedClock;

    #[derive(Default)]
    struct Lines(Mutex<Vec<(Stream, String)>>);
    impl LogSink for Lines {
        fn line(&self, stream: Stream, text: &str) {
            self.0.lock().unwrap().push((stream, text.to_owned()));
        }
    }

    async fn read(bytes: &[u8], cap: usize, limit: u64) -> (Kept, Vec<(Stream, String)>) {
        let log = Lines::default();
        let budget = Budget::new(limit, Arc::new(SimulatedClock::at(0)));
        let kept = Reader::new(Stream::Stdout, &log, &budget, cap).read(bytes, std::future::pending()).await;
        (kept, log.0.into_inner().unwrap())
    }

    #[tokio::test]
    async fn splits_lines_and_mends_text() {
        let (kept, lines) = read(b"one\r\ntw\xffo\n\na\0b", 100, 1000).await;
        let texts: Vec<_> = lines.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["one", "tw\u{fffd}o", "", "a\u{fffd}b"]);
        assert_eq!(kept.tail, ["one", "tw\u{fffd}o", "a\u{fffd}b"]);
    }

    #[tokio::test]
    async fn cuts_long_lines() {
        let (_, lines) = read(&[b'x'; LINE + 10], 0, 1 << 20).await;
        assert_eq!(lines.len(), 1);
        assert!(lines[0].1.ends_with("xxx [10 bytes more on this line]"), "{}", &lines[0].1[LINE - 5..]);
    }

    #[tokio::test]
    async fn keeps_the_end_and_says_so() {
        let (kept, _) = read(b"0123456789", 4, 1000).await;
        assert_eq!((kept.bytes.as_slice(), kept.dropped), (b"6789".as_slice(), 6));
        assert_eq!(kept.text(), "[the first 6 bytes are left out]\n6789");
    }

    #[tokio::test]
    async fn budget_marks_once_and_renews() {
        let (_, lines) = read(b"aaaa\nbbbb\ncccc\n", 0, 7).await;
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1].0, Stream::System);
        assert!(lines[1].1.starts_with("output limit of 7 bytes reached"));

        let clock = SimulatedClock::at(0);
        let log = Lines::default();
        let budget = Budget::new(4, Arc::new(clock.clone()));
        assert!(budget.take(4, &log) && !budget.take(3, &log) && !budget.take(3, &log));
        clock.advance(BUDGET_MS);
        assert!(budget.take(4, &log));
        assert_eq!(log.0.lock().unwrap().last().unwrap().1, "6 bytes of output were left out");
    }
}
