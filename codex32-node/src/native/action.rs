//! JavaScript functions as actions of the engine.

use codex32_core::engine::Engine;
use codex32_core::error::{Code, Error, Result};
use codex32_core::sandbox::NativeAction;
use napi::Status;
use napi::bindgen_prelude::Promise;
use napi::threadsafe_function::ThreadsafeFunction;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// A function that takes one JSON text and promises another. It does not keep the
/// process alive: Node ends when nothing else is left to do.
pub type Function = ThreadsafeFunction<String, Promise<String>, String, Status, false, true>;

/// What the registration tells of a function.
#[derive(Deserialize)]
struct Spec {
    name: String,
    summary: Option<String>,
    input: Option<Value>,
    output: Option<Value>,
    #[serde(default)]
    idempotent: bool,
}

/// What the function gives.
#[derive(Deserialize)]
struct Given {
    ok: bool,
    #[serde(default)]
    value: Value,
}

/// Registers `function`.
pub(super) fn register(engine: &Engine, spec: &str, function: Function) -> Result<()> {
    let spec: Spec = serde_json::from_str(spec).map_err(|e| Error::invalid(format!("the action: {e}")))?;
    let mut action = NativeAction::new(spec.name).idempotent(spec.idempotent);
    if let Some(summary) = spec.summary {
        action = action.summary(summary);
    }
    if let Some(input) = spec.input {
        action = action.input(input);
    }
    if let Some(output) = spec.output {
        action = action.output(output);
    }
    let function = Arc::new(function);
    engine.register_action(
        action,
        Arc::new(move |input, cx| {
            let function = function.clone();
            let message = json!({
                "input": input,
                "context": {
                    "bot": cx.bot_name,
                    "execution": cx.execution,
                    "step": cx.step,
                    "attempt": cx.attempt,
                    "idempotency_key": cx.idempotency_key,
                },
            });
            Box::pin(async move { call(&function, message.to_string()).await })
        }),
    )
}

async fn call(function: &Function, message: String) -> Result<Value> {
    let failed = |e: napi::Error| Error::new(Code::Failed, e.reason.to_string());
    let promise = function.call_async(message).await.map_err(failed)?;
    let text = promise.await.map_err(failed)?;
    let given: Given =
        serde_json::from_str(&text).map_err(|e| Error::new(Code::Failed, format!("the action's result: {e}")))?;
    match given.ok {
        true => Ok(given.value),
        false => Err(serde_json::from_value(given.value).unwrap_or_else(|_| Error::new(Code::Failed, "it failed"))),
    }
}
