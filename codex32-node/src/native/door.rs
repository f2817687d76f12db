//! Calls and streams.

use super::action;
use super::workflow::{Receive, Workflows};
use codex32_core::api::ValueStream;
use codex32_core::api::door::{Door as Inner, Remote};
use codex32_core::engine::{Config, Engine};
use codex32_core::error::{Error, Result};
use futures::StreamExt;
use napi_derive::napi;
use serde_json::Value;
use std::sync::{Arc, OnceLock};
use tokio::sync::Mutex;

/// What a call gives: whether it went well, and its JSON.
#[napi(object)]
pub struct Answer {
    /// Whether `json` is the output, and not the error.
    pub ok: bool,
    /// The output or the error.
    pub json: String,
}

fn answer(result: Result<Value>) -> Answer {
    match result {
        Ok(value) => Answer { ok: true, json: value.to_string() },
        Err(error) => failure(&error),
    }
}

fn failure(error: &Error) -> Answer {
    Answer { ok: false, json: serde_json::to_string(error).unwrap_or_default() }
}

/// A number that JavaScript was given.
fn place(number: i64) -> Result<u64> {
    u64::try_from(number).map_err(|_| Error::invalid("the number is none that was given"))
}

/// An error for JavaScript: its message is our error's JSON.
fn thrown(error: &Error) -> napi::Error {
    napi::Error::from_reason(serde_json::to_string(error).unwrap_or_default())
}

/// A way to ask an engine.
#[napi]
pub struct Door {
    inner: Inner,
    /// The workflows of the program, once there is one.
    workflows: OnceLock<Workflows>,
}

impl Door {
    fn new(inner: Inner) -> Door {
        Door { inner, workflows: OnceLock::new() }
    }

    fn workflows(&self) -> Result<&Workflows> {
        self.workflows.get().ok_or_else(|| Error::precondition("the program has no workflow"))
    }
}

/// Opens an engine over a file, a folder or a database URL.
#[napi]
pub async fn open(target: String) -> napi::Result<Door> {
    let opened = async {
        let engine = Engine::open(Config::for_target(&target)).await?;
        let caller = Box::new(engine.local_owner().await?);
        Ok::<_, Error>(Door::new(Inner::Embedded { engine, caller }))
    };
    opened.await.map_err(|error| thrown(&error))
}

/// A door to the server at `url`.
#[napi]
pub fn connect(url: String, token: Option<String>) -> napi::Result<Door> {
    Remote::new(&url, token).map(|remote| Door::new(Inner::Remote(remote))).map_err(|error| thrown(&error))
}

#[napi]
impl Door {
    /// Performs an operation.
    #[napi]
    pub async fn call(&self, name: String, input: String) -> Answer {
        match serde_json::from_str(&input) {
            Ok(input) => answer(self.inner.call(&name, input).await),
            Err(e) => failure(&Error::invalid(format!("the input is no JSON: {e}"))),
        }
    }

    /// Begins a stream.
    #[napi]
    pub async fn open_stream(&self, name: String, input: String) -> napi::Result<Items> {
        let input =
            serde_json::from_str(&input).map_err(|e| thrown(&Error::invalid(format!("the input is no JSON: {e}"))))?;
        let stream = self.inner.open_stream(&name, input).await.map_err(|error| thrown(&error))?;
        Ok(Items { stream: Arc::new(Mutex::new(Some(stream))) })
    }

    /// Registers a JavaScript function as an action. It is given the input and the
    /// context as one JSON text and gives `{ok, json}` as JSON text.
    #[napi]
    pub fn register(&self, spec: String, function: action::Function) -> napi::Result<()> {
        match self.inner.engine() {
            Some(engine) => action::register(engine, &spec, function).map_err(|error| thrown(&error)),
            None => Err(thrown(&Error::precondition("a function is registered where the engine is, not from afar"))),
        }
    }

    /// Registers a workflow that `receive` has as `key`; gives the number of its version.
    /// `receive` is called with each message, and answers with `workflow_done`.
    #[napi]
    pub async fn workflow(&self, spec: String, key: String, receive: Receive) -> Answer {
        let Some(engine) = self.inner.engine() else {
            return failure(&Error::precondition("a function is registered where the engine is, not from afar"));
        };
        let workflows = self.workflows.get_or_init(|| Workflows::new(receive));
        answer(workflows.register(engine, &spec, &key).await)
    }

    /// What came of a message to the workflows.
    #[napi]
    pub fn workflow_done(&self, id: i64, ok: bool, json: String) {
        if let (Ok(workflows), Ok(id)) = (self.workflows(), u64::try_from(id)) {
            workflows.done(id, ok, &json);
        }
    }

    /// A workflow asks for something.
    #[napi]
    pub fn workflow_ask(&self, run: i64, call: i64, text: String) -> Answer {
        let asked = self.workflows().and_then(|workflows| workflows.bridge.ask(place(run)?, place(call)?, &text));
        answer(asked.map(|()| Value::Null))
    }

    /// A random id and number for a workflow.
    #[napi]
    pub fn workflow_draw(&self, run: i64) -> Answer {
        answer(self.workflows().and_then(|workflows| workflows.bridge.draw(place(run)?)))
    }

    /// A workflow, or the attempt of one of its calls, writes to the log.
    #[napi]
    pub fn workflow_log(&self, run: i64, call: Option<i64>, text: String) {
        if let (Ok(workflows), Ok(run)) = (self.workflows(), place(run)) {
            workflows.bridge.log(run, call.and_then(|call| place(call).ok()), &text);
        }
    }

    /// Starts the background work of an embedded engine.
    #[napi]
    pub async fn start(&self) -> Answer {
        match self.inner.engine() {
            Some(engine) => answer(engine.start().await.map(|()| Value::Null)),
            None => answer(Ok(Value::Null)),
        }
    }

    /// Lets an embedded engine come to a safe end.
    #[napi]
    pub async fn close(&self) {
        if let Some(engine) = self.inner.engine() {
            engine.shutdown().await;
        }
    }
}

/// The items of a stream.
#[napi]
pub struct Items {
    stream: Arc<Mutex<Option<ValueStream>>>,
}

#[napi]
impl Items {
    /// The next item; nothing at the end.
    #[napi]
    pub async fn next(&self) -> Option<Answer> {
        match self.stream.lock().await.as_mut() {
            Some(stream) => stream.next().await.map(answer),
            None => None,
        }
    }

    /// Ends the stream.
    #[napi]
    pub async fn close(&self) {
        *self.stream.lock().await = None;
    }
}
