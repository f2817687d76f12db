//! Calls and streams.

use super::action;
use codex32_core::api::ValueStream;
use codex32_core::api::door::{Door as Inner, Remote};
use codex32_core::engine::{Config, Engine};
use codex32_core::error::{Error, Result};
use futures::StreamExt;
use napi_derive::napi;
use serde_json::Value;
use std::sync::Arc;
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

/// An error for JavaScript: its message is our error's JSON.
fn thrown(error: &Error) -> napi::Error {
    napi::Error::from_reason(serde_json::to_string(error).unwrap_or_default())
}

/// A way to ask an engine.
#[napi]
pub struct Door {
    inner: Inner,
}

/// Opens an engine over a file, a folder or a database URL.
#[napi]
pub async fn open(target: String) -> napi::Result<Door> {
    let opened = async {
        let engine = Engine::open(Config::for_target(&target)).await?;
        let caller = Box::new(engine.local_owner().await?);
        Ok::<_, Error>(Door { inner: Inner::Embedded { engine, caller } })
    };
    opened.await.map_err(|error| thrown(&error))
}

/// A door to the server at `url`.
#[napi]
pub fn connect(url: String, token: Option<String>) -> napi::Result<Door> {
    Remote::new(&url, token).map(|remote| Door { inner: Inner::Remote(remote) }).map_err(|error| thrown(&error))
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
