//! Python functions as durable workflows: messages to `python/codex32/_workflow.py`.

use crate::runtime::handle;
use codex32_core::engine::{Engine, Workflow};
use codex32_core::error::{Error, Result};
use codex32_core::execution::{Bridge, Done, Host};
use pyo3::prelude::*;
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Registers the function that the Python side has as `key`. Gives the number of its version.
pub(crate) async fn register(engine: &Engine, bridge: &Arc<Bridge>, spec: &str, key: &str) -> Result<Value> {
    engine.workflow_with(Workflow::read(spec)?, bridge.function(key)).await.map(Value::from)
}

/// The Python side of the workflows of an engine.
struct Side {
    messages: UnboundedSender<(Value, Done)>,
}

impl Host for Side {
    fn send(&self, message: Value, done: Done) {
        // Where the interpreter shuts down nobody listens any more.
        let _ = self.messages.send((message, done));
    }
}

/// A bridge to `receive`, which is called with a JSON text and a function for what comes of it.
pub(crate) fn bridge(receive: Py<PyAny>) -> PyResult<Arc<Bridge>> {
    let (messages, queue) = unbounded_channel();
    handle()?.spawn(deliver(receive, queue));
    Ok(Bridge::new(Arc::new(Side { messages })))
}

async fn deliver(receive: Py<PyAny>, mut queue: UnboundedReceiver<(Value, Done)>) {
    let receive = Arc::new(receive);
    while let Some((message, done)) = queue.recv().await {
        let receive = receive.clone();
        // Python code blocks its thread; one after the other, so that their order stays.
        let handed = tokio::task::spawn_blocking(move || {
            Python::try_attach(|py| {
                let result = Finish { done: Mutex::new(Some(done)) };
                if let Err(error) = receive.call1(py, (message.to_string(), result)) {
                    error.write_unraisable(py, None);
                }
            })
        });
        if !matches!(handed.await, Ok(Some(()))) {
            return;
        }
    }
}

/// Is called once with `(ok, json)`.
#[pyclass(frozen)]
struct Finish {
    done: Mutex<Option<Done>>,
}

#[pymethods]
impl Finish {
    fn __call__(&self, ok: bool, text: &str) {
        let Some(done) = self.done.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let failed = |message: String| Error::new(codex32_core::error::Code::Failed, message);
        done(match ok {
            true => serde_json::from_str(text).map_err(|e| failed(format!("the result: {e}"))),
            false => Err(serde_json::from_str(text).unwrap_or_else(|_| failed(text.to_owned()))),
        });
    }
}
