//! Calls and streams of JSON texts. A call gives `(true, output)` or `(false, error)`;
//! the Python side raises.

use crate::action;
use crate::runtime::{handle, wait};
use crate::workflow;
use codex32_core::api::ValueStream;
use codex32_core::api::door::{Door as Inner, Remote};
use codex32_core::engine::{Config, Engine};
use codex32_core::error::{Error, Result};
use codex32_core::execution::Bridge;
use futures::StreamExt;
use pyo3::prelude::*;
use serde_json::Value;
use std::sync::{Arc, OnceLock};
use tokio::sync::Mutex;

/// What a call gives: whether it went well, and its JSON.
type Answer = (bool, String);

fn answer(result: Result<Value>) -> Answer {
    match result {
        Ok(value) => (true, value.to_string()),
        Err(error) => (false, serde_json::to_string(&error).unwrap_or_default()),
    }
}

fn parse(input: &str) -> Result<Value> {
    serde_json::from_str(input).map_err(|e| Error::invalid(format!("the input is no JSON: {e}")))
}

/// A way to ask an engine.
#[pyclass(frozen)]
pub(crate) struct Door {
    inner: Inner,
    /// To the workflows of the program, once there is one.
    bridge: OnceLock<Arc<Bridge>>,
}

impl Door {
    fn new(inner: Inner) -> Door {
        Door { inner, bridge: OnceLock::new() }
    }

    fn bridge(&self) -> Result<&Arc<Bridge>> {
        self.bridge.get().ok_or_else(|| Error::precondition("the program has no workflow"))
    }
}

/// Opens an engine over a file, a folder or a database URL: `(true, door)` or `(false, error)`.
#[pyfunction]
pub(crate) fn open(py: Python<'_>, target: String) -> PyResult<(Option<Door>, String)> {
    let opened = wait(py, async move {
        let engine = Engine::open(Config::for_target(&target)).await?;
        let caller = Box::new(engine.local_owner().await?);
        Ok::<_, Error>(Inner::Embedded { engine, caller })
    })?;
    Ok(given(opened))
}

/// A door to the server at `url`.
#[pyfunction]
#[pyo3(signature = (url, token=None))]
pub(crate) fn connect(url: &str, token: Option<String>) -> (Option<Door>, String) {
    given(Remote::new(url, token).map(Inner::Remote))
}

fn given(opened: Result<Inner>) -> (Option<Door>, String) {
    match opened {
        Ok(inner) => (Some(Door::new(inner)), String::new()),
        Err(error) => (None, serde_json::to_string(&error).unwrap_or_default()),
    }
}

#[pymethods]
impl Door {
    /// Performs an operation and waits for it, the GIL released.
    fn call(&self, py: Python<'_>, name: String, input: String) -> PyResult<Answer> {
        let door = self.inner.clone();
        wait(py, async move { answer(perform(&door, &name, &input).await) })
    }

    /// Performs an operation and hands `(ok, json)` to `callback` on another thread.
    fn submit(&self, name: String, input: String, callback: Py<PyAny>) -> PyResult<()> {
        let door = self.inner.clone();
        handle()?.spawn(async move {
            let answer = answer(perform(&door, &name, &input).await);
            hand_over(callback, answer);
        });
        Ok(())
    }

    /// Begins a stream: `(items, "")` or `(None, error)`.
    fn open_stream(&self, py: Python<'_>, name: String, input: String) -> PyResult<(Option<Items>, String)> {
        let door = self.inner.clone();
        let opened = wait(py, async move {
            let input = parse(&input)?;
            door.open_stream(&name, input).await
        })?;
        Ok(match opened {
            Ok(stream) => (Some(Items { stream: Arc::new(Mutex::new(stream)) }), String::new()),
            Err(error) => (None, serde_json::to_string(&error).unwrap_or_default()),
        })
    }

    /// Registers a Python function as an action; `function` takes and gives JSON text.
    fn register(&self, spec: String, function: Py<PyAny>) -> Answer {
        let registered = match self.inner.engine() {
            Some(engine) => action::register(engine, &spec, function),
            None => Err(Error::precondition("a function is registered where the engine is, not from afar")),
        };
        answer(registered.map(|()| Value::Null))
    }

    /// Registers a workflow that `receive` has as `key`; gives the number of its version.
    /// `receive` is called with each message and a function for what comes of it.
    fn workflow(&self, py: Python<'_>, spec: String, key: String, receive: Py<PyAny>) -> PyResult<Answer> {
        let Some(engine) = self.inner.engine().cloned() else {
            let error = Error::precondition("a function is registered where the engine is, not from afar");
            return Ok(answer(Err(error)));
        };
        let bridge = match self.bridge.get() {
            Some(bridge) => bridge.clone(),
            None => {
                let made = workflow::bridge(receive)?;
                self.bridge.get_or_init(|| made).clone()
            }
        };
        wait(py, async move { answer(workflow::register(&engine, &bridge, &spec, &key).await) })
    }

    /// A workflow asks for something.
    fn ask(&self, run: u64, call: u64, text: &str) -> Answer {
        answer(self.bridge().and_then(|bridge| bridge.ask(run, call, text)).map(|()| Value::Null))
    }

    /// A random id and number for a workflow.
    fn draw(&self, run: u64) -> Answer {
        answer(self.bridge().and_then(|bridge| bridge.draw(run)))
    }

    /// A workflow, or the attempt of one of its calls, writes to the log.
    #[pyo3(signature = (run, call, text))]
    fn log(&self, run: u64, call: Option<u64>, text: &str) {
        if let Ok(bridge) = self.bridge() {
            bridge.log(run, call, text);
        }
    }

    /// Starts the background work of an embedded engine: triggers, executions, the supervisor.
    fn start(&self, py: Python<'_>) -> PyResult<Answer> {
        let engine = self.inner.engine().cloned();
        let started = wait(py, async move {
            match engine {
                Some(engine) => engine.start().await,
                None => Ok(()),
            }
        })?;
        Ok(answer(started.map(|()| Value::Null)))
    }

    /// Lets an embedded engine come to a safe end.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        match self.inner.engine().cloned() {
            Some(engine) => wait(py, async move { engine.shutdown().await }),
            None => Ok(()),
        }
    }
}

async fn perform(door: &Inner, name: &str, input: &str) -> Result<Value> {
    door.call(name, parse(input)?).await
}

fn hand_over(callback: Py<PyAny>, answer: Answer) {
    // At exit the interpreter may be gone; then nobody waits any more.
    let _ = Python::try_attach(|py| {
        if let Err(error) = callback.call1(py, answer) {
            error.write_unraisable(py, None);
        }
    });
}

/// The items of a stream.
#[pyclass(frozen)]
pub(crate) struct Items {
    stream: Arc<Mutex<ValueStream>>,
}

/// The next item: `None` at the end, else `(ok, json)`.
async fn next(stream: Arc<Mutex<ValueStream>>) -> Option<Answer> {
    stream.lock().await.next().await.map(answer)
}

#[pymethods]
impl Items {
    /// Waits for the next item, the GIL released.
    fn next(&self, py: Python<'_>) -> PyResult<Option<Answer>> {
        wait(py, next(self.stream.clone()))
    }

    /// Hands the next item to `callback` on another thread; `(True, "")` is the end.
    fn submit(&self, callback: Py<PyAny>) -> PyResult<()> {
        let stream = self.stream.clone();
        handle()?.spawn(async move {
            let answer = next(stream).await.unwrap_or((true, String::new()));
            hand_over(callback, answer);
        });
        Ok(())
    }
}
