//! JavaScript functions as durable workflows: messages to `workflow.js`.

use codex32_core::engine::{Engine, Workflow};
use codex32_core::error::{Code, Error, Result};
use codex32_core::execution::{Bridge, Done, Host};
use napi::Status;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A function that takes one JSON text. It does not keep the process alive: Node ends
/// when nothing else is left to do.
pub type Receive = ThreadsafeFunction<String, (), String, Status, false, true>;

/// The workflows of an engine.
pub(super) struct Workflows {
    pub(super) bridge: Arc<Bridge>,
    side: Arc<Side>,
}

/// The JavaScript side.
struct Side {
    receive: Receive,
    next: AtomicU64,
    /// Who is told what comes of a message, by its id.
    pending: Mutex<HashMap<u64, Done>>,
}

impl Workflows {
    pub(super) fn new(receive: Receive) -> Workflows {
        let side = Arc::new(Side { receive, next: AtomicU64::new(1), pending: Mutex::default() });
        Workflows { bridge: Bridge::new(side.clone()), side }
    }

    /// Registers the function that the other side has as `key`. Gives the number of its version.
    pub(super) async fn register(&self, engine: &Engine, spec: &str, key: &str) -> Result<Value> {
        engine.workflow_with(Workflow::read(spec)?, self.bridge.function(key)).await.map(Value::from)
    }

    /// What came of the message `id`.
    pub(super) fn done(&self, id: u64, ok: bool, json: &str) {
        let done = self.side.pending.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        let Some(done) = done else { return };
        let failed = |message: String| Error::new(Code::Failed, message);
        done(match ok {
            true => serde_json::from_str(json).map_err(|e| failed(format!("the result: {e}"))),
            false => Err(serde_json::from_str(json).unwrap_or_else(|_| failed(json.to_owned()))),
        });
    }
}

impl Host for Side {
    fn send(&self, mut message: Value, done: Done) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        message["id"] = id.into();
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).insert(id, done);
        // Nothing is thrown there: what a function throws is handed over as its result.
        let status = self.receive.call(message.to_string(), ThreadsafeFunctionCallMode::NonBlocking);
        if status != Status::Ok {
            self.pending.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        }
    }
}
