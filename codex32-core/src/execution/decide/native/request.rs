//! What a native function asks for.

use crate::blueprint::Retry;
use crate::clock::Millis;
use crate::execution::entry::Call;
use serde_json::Value;

/// What a native function asks for.
#[derive(Debug, Clone)]
pub(crate) enum Request {
    /// Something to be done, by a body that the function gives.
    Step { retry: Option<Retry>, timeout: Option<Millis> },
    /// A time to pass.
    Sleep(Until),
    /// A signal of the name that it is asked for by.
    Signal { timeout: Option<Millis> },
    /// An event on the bus for which `filter` holds.
    Event { name: String, filter: Option<String>, timeout: Option<Millis> },
    /// Another bot to be run to its end.
    Child { bot: String, input: Value, timeout: Option<Millis> },
}

/// A time.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// So many milliseconds from when it is asked for.
    For(Millis),
    /// UTC milliseconds.
    At(Millis),
}

impl Request {
    pub(crate) fn call(&self) -> Call {
        match self {
            Request::Step { .. } => Call::Step,
            Request::Sleep(_) => Call::Sleep,
            Request::Signal { .. } => Call::Signal,
            Request::Event { .. } => Call::Event,
            Request::Child { .. } => Call::Child,
        }
    }

    /// When what is begun at `now` goes on by itself.
    pub(super) fn due(&self, now: Millis) -> Option<Millis> {
        match self {
            // An attempt is held to its time by whoever performs it.
            Request::Step { .. } => None,
            Request::Sleep(Until::For(span)) => Some(now.saturating_add(*span)),
            Request::Sleep(Until::At(due)) => Some(*due),
            Request::Signal { timeout } | Request::Event { timeout, .. } | Request::Child { timeout, .. } => {
                timeout.map(|span| now.saturating_add(span))
            }
        }
    }
}

/// What a native function asked for, about to begin.
#[derive(Debug, Clone)]
pub(crate) struct NativeWork {
    pub(crate) path: String,
    pub(crate) attempt: u32,
    pub(crate) idempotency_key: String,
    pub(crate) due: Option<Millis>,
    pub(crate) request: Request,
}
