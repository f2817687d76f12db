//! A pod's log, taken apart: what `runner/pod.sh` marks and numbers.
//!
//! Invariant: a log that is read again from its beginning adds nothing twice.

use crate::observe::{LogSink, Stream};
use crate::sandbox::lines::{Budget, Kept, Reader};
use crate::sandbox::policy::Policy;
use futures::{AsyncBufRead, AsyncBufReadExt};

/// Bytes of stderr that are kept, as of a process.
const STDERR: usize = 16 * 1024;
/// Bytes of a line of the log; only a result may be longer.
const LINE: usize = 64 * 1024;

/// What the log has told so far.
pub(super) struct Frames<'a> {
    log: &'a dyn LogSink,
    stdout: Reader<'a>,
    stderr: Reader<'a>,
    /// The number of the last line of each kind.
    seen: [u64; 5],
    /// How many lines were not the script's.
    strange: u64,
    result: Vec<u8>,
    /// The last of stdout.
    last: Vec<u8>,
    /// Bytes that may be in `last`, and that a line of a result may have.
    keep: usize,
    most: usize,
    code: Option<i32>,
}

/// What a finished script has left.
pub(super) struct Told {
    pub(super) stdout: Kept,
    pub(super) stderr: Kept,
    pub(super) result: Vec<u8>,
    /// Its exit code, where the log got so far.
    pub(super) code: Option<i32>,
}

impl<'a> Frames<'a> {
    pub(super) fn new(log: &'a dyn LogSink, budget: &'a Budget, policy: &Policy, keep: usize) -> Self {
        Frames {
            log,
            stdout: Reader::new(Stream::Stdout, log, budget, 0),
            stderr: Reader::new(Stream::Stderr, log, budget, STDERR),
            seen: [0; 5],
            strange: 0,
            result: Vec::new(),
            last: Vec::new(),
            keep,
            most: usize::try_from(policy.output).unwrap_or(usize::MAX).saturating_add(64),
            code: None,
        }
    }

    /// The script's exit code, once the log has told it.
    pub(super) fn code(&self) -> Option<i32> {
        self.code
    }

    /// Reads a log to its end.
    ///
    /// # Errors
    /// Those of the connection.
    pub(super) async fn read(&mut self, log: impl AsyncBufRead) -> std::io::Result<()> {
        let mut log = std::pin::pin!(log);
        let mut line = Vec::new();
        let mut strange = 0;
        loop {
            let bytes = log.fill_buf().await?;
            if bytes.is_empty() {
                // A line without an end is cut off, and comes again with the next connection.
                return Ok(());
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or(bytes);
            let cap = if matches!(line.first().or(part.first()), Some(b'r' | b's')) { self.most } else { LINE };
            line.extend_from_slice(part.get(..cap.saturating_sub(line.len())).unwrap_or(part));
            let used = part.len() + usize::from(end.is_some());
            log.consume_unpin(used);
            if end.is_some() {
                self.line(&line, &mut strange);
                line.clear();
            }
        }
    }

    /// Takes a line; `strange` counts those of this reading that are not the script's.
    fn line(&mut self, line: &[u8], strange: &mut u64) {
        let Some((kind, number, text)) = parts(line) else {
            // The shell or the container itself has something to say.
            *strange += 1;
            if *strange > self.strange {
                self.strange = *strange;
                feed(&mut self.stderr, line);
            }
            return;
        };
        let Some(seen) = self.seen.get_mut(kind) else { return };
        if number <= *seen {
            return;
        }
        let lost = number - *seen - 1;
        *seen = number;
        if lost > 0 && kind < 2 {
            self.log.line(Stream::System, &format!("{lost} lines of output were lost on the way"));
        }
        match kind {
            0 => feed(&mut self.stdout, text),
            1 => feed(&mut self.stderr, text),
            2 => append(&mut self.result, number, text),
            3 => append(&mut self.last, number, text),
            _ => self.code = std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok()),
        }
    }

    /// All of it.
    pub(super) fn finish(self) -> Told {
        let Kept { tail, .. } = self.stdout.finish();
        let dropped = self.last.len().saturating_sub(self.keep);
        let bytes = self.last.get(dropped..).unwrap_or_default().to_vec();
        let stdout = Kept { bytes, dropped: dropped as u64, tail };
        Told { stdout, stderr: self.stderr.finish(), result: self.result, code: self.code }
    }
}

/// Kind, number and text of a line.
fn parts(line: &[u8]) -> Option<(usize, u64, &[u8])> {
    let (mark, rest) = line.split_first()?;
    let kind = b"oersx".iter().position(|known| known == mark)?;
    let space = rest.iter().position(|byte| *byte == b' ')?;
    let number = std::str::from_utf8(rest.get(..space)?).ok()?.parse().ok()?;
    Some((kind, number, rest.get(space + 1..)?))
}

fn feed(reader: &mut Reader<'_>, text: &[u8]) {
    reader.take(text);
    reader.take(b"\n");
}

fn append(to: &mut Vec<u8>, number: u64, text: &[u8]) {
    if number > 1 {
        to.push(b'\n');
    }
    to.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blueprint::Limits;
    use crate::clock::SimulatedClock;
    use std::sync::Arc;
    use std::time::Duration;

    async fn told(logs: &[&str], keep: usize) -> (Told, Vec<(Stream, String)>) {
        let policy = Policy::of(&Limits::default(), &Limits::default(), Duration::ZERO);
        let log = crate::sandbox::tests::Lines::default();
        let budget = Budget::new(1 << 20, Arc::new(SimulatedClock::at(0)));
        let mut frames = Frames::new(&log, &budget, &policy, keep);
        for text in logs {
            frames.read(futures::io::Cursor::new(text.as_bytes())).await.unwrap();
        }
        let told = frames.finish();
        (told, log.all())
    }

    #[tokio::test]
    async fn a_log_that_is_read_again_adds_nothing_twice() {
        let first = "o1 one\ne1 oops\no2 tw";
        let again = "o1 one\ne1 oops\no2 two\nr1 {\"ok\":1}\nx1 0\n";
        let (told, lines) = told(&[first, again, again], 100).await;
        let expected = [(Stream::Stdout, "one"), (Stream::Stderr, "oops"), (Stream::Stdout, "two")];
        assert_eq!(lines, expected.map(|(stream, text)| (stream, text.to_owned())));
        assert_eq!((told.result.as_slice(), told.code), (b"{\"ok\":1}".as_slice(), Some(0)));
        assert_eq!(told.stdout.tail, ["one", "two"]);
    }

    #[tokio::test]
    async fn what_is_lost_or_strange_is_said() {
        let log = "sh: no such thing\no1 a\no5 b\ns1 xx\ns2 yy\nx1 3\n";
        let (told, lines) = told(&[log, log], 4).await;
        assert_eq!(lines.len(), 4);
        assert_eq!(lines[0], (Stream::Stderr, "sh: no such thing".to_owned()));
        assert_eq!(lines[2], (Stream::System, "3 lines of output were lost on the way".to_owned()));
        assert_eq!((told.stdout.bytes.as_slice(), told.stdout.dropped, told.code), (b"x\nyy".as_slice(), 1, Some(3)));
    }
}
