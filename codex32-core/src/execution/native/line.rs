//! What a function and the driver of its execution share.

use super::options::{Body, WaitOptions, Wish};
use crate::clock::Millis;
use crate::error::{Code, Error, Result};
use crate::execution::decide::native::{Request, Until};
use crate::execution::{MAX_INPUT, size};
use crate::expr::Program;
use crate::id::ExecutionId;
use crate::observe::{LogSink, Stream};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// Longest name of a call, in bytes.
const MAX_NAME: usize = 100;

/// The body of a step, shared by its attempts.
pub(crate) type SharedBody = Arc<Mutex<Body>>;

/// Who is told what came of a call.
pub(crate) type Answer = Box<dyn FnOnce(Result<Value>) + Send + Sync>;

/// Something that the function asks for.
pub(crate) struct Ask {
    pub(crate) path: String,
    pub(crate) request: Request,
    pub(crate) body: Option<SharedBody>,
    pub(crate) answer: Answer,
}

/// What a function and the driver of its execution share.
pub(crate) struct Line {
    pub(crate) execution: ExecutionId,
    pub(crate) bot: String,
    /// The execution's log.
    pub(crate) log: Arc<dyn LogSink>,
    /// Rings when the function has asked for something.
    pub(crate) bell: Notify,
    held: Mutex<Held>,
    /// The time of what the function was told last, UTC milliseconds.
    now: AtomicI64,
    /// Whether the function has yet to come to where it was before.
    behind: AtomicBool,
}

#[derive(Default)]
struct Held {
    asks: Vec<Ask>,
    /// How often each name was asked by.
    counts: HashMap<String, u32>,
    /// Random numbers that were drawn.
    drawn: u64,
    /// Why nothing can be asked for any more.
    closed: Option<Error>,
}

impl Line {
    pub(crate) fn new(execution: ExecutionId, bot: String, log: Arc<dyn LogSink>, now: Millis, behind: bool) -> Line {
        Line {
            execution,
            bot,
            log,
            bell: Notify::new(),
            held: Mutex::default(),
            now: AtomicI64::new(now),
            behind: AtomicBool::new(behind),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Millis {
        self.now.load(Ordering::Acquire)
    }

    pub(crate) fn set_now(&self, now: Millis) {
        self.now.store(now, Ordering::Release);
    }

    pub(crate) fn set_behind(&self, behind: bool) {
        self.behind.store(behind, Ordering::Release);
    }

    pub(crate) fn is_behind(&self) -> bool {
        self.behind.load(Ordering::Acquire)
    }

    /// Counts the random numbers.
    pub(crate) fn draw(&self) -> u64 {
        let mut held = self.held();
        held.drawn += 1;
        held.drawn
    }

    /// Writes to the log, unless it was written before.
    pub(crate) fn say(&self, text: &str) {
        if !self.is_behind() {
            self.log.line(Stream::Stdout, text);
        }
    }

    /// Asks for something, now; the answer comes when it has a result.
    pub(crate) fn ask(&self, name: &str, wish: Wish, answer: Answer) -> Result<()> {
        check_name(name)?;
        let (request, body) = request(name, wish)?;
        let mut held = self.held();
        if let Some(error) = &held.closed {
            return Err(error.clone());
        }
        let count = held.counts.entry(name.to_owned()).or_default();
        *count += 1;
        let path = if *count == 1 { name.to_owned() } else { format!("{name}#{count}") };
        held.asks.push(Ask { path, request, body: body.map(|body| Arc::new(Mutex::new(body))), answer });
        drop(held);
        self.bell.notify_one();
        Ok(())
    }

    /// What was asked for since the last call.
    pub(crate) fn take(&self) -> Vec<Ask> {
        std::mem::take(&mut self.held().asks)
    }

    /// Answers everything from now on with `error`.
    pub(crate) fn close(&self, error: Error) {
        let mut held = self.held();
        let open = std::mem::take(&mut held.asks);
        held.closed.get_or_insert_with(|| error.clone());
        drop(held);
        for ask in open {
            (ask.answer)(Err(error.clone()));
        }
    }
}

fn check_name(name: &str) -> Result<()> {
    let odd = |c: char| c.is_control() || matches!(c, '#' | '/' | '~' | '[' | ']');
    if name.is_empty() || name.len() > MAX_NAME || name.chars().any(odd) {
        return Err(Error::invalid(format!("\"{}\" cannot name a call of a native function", name.escape_debug()))
            .hint(format!("use 1 to {MAX_NAME} bytes without #, /, ~, [ and ]")));
    }
    Ok(())
}

fn millis(span: Duration) -> Millis {
    Millis::try_from(span.as_millis()).unwrap_or(Millis::MAX / 4)
}

fn request(name: &str, wish: Wish) -> Result<(Request, Option<Body>)> {
    let name = name.to_owned();
    let within = |options: &WaitOptions| options.timeout.map(millis);
    Ok(match wish {
        Wish::Step(options, body) => {
            (Request::Step { retry: options.retry, timeout: options.timeout.map(millis) }, Some(body))
        }
        Wish::Sleep(span) => (Request::Sleep(Until::For(millis(span))), None),
        Wish::SleepUntil(at) => (Request::Sleep(Until::At(at)), None),
        Wish::Signal(options) => (Request::Signal { timeout: within(&options) }, None),
        Wish::Event(options) => {
            if let Some(filter) = &options.filter {
                Program::compile(filter).map_err(|e| Error::from(e).context(format!("read the filter of `{name}`")))?;
            }
            (Request::Event { timeout: within(&options), filter: options.filter, name }, None)
        }
        Wish::Child(input, options) => {
            let bytes = size(&input);
            if bytes > MAX_INPUT {
                let message = format!("the input has {bytes} bytes; the limit is {MAX_INPUT}");
                return Err(Error::new(Code::TooLarge, message));
            }
            (Request::Child { bot: name, input, timeout: within(&options) }, None)
        }
    })
}
