//! Python functions as actions of the engine.

use codex32_core::engine::Engine;
use codex32_core::error::{Code, Error, Result};
use codex32_core::sandbox::NativeAction;
use pyo3::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// What the decorator tells of a function.
#[derive(Deserialize)]
struct Spec {
    name: String,
    summary: Option<String>,
    input: Option<Value>,
    output: Option<Value>,
    idempotent: bool,
}

/// Registers `function`, which takes the input and the context as JSON texts and
/// gives `(ok, json)`.
pub(crate) fn register(engine: &Engine, spec: &str, function: Py<PyAny>) -> Result<()> {
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
            let context = serde_json::json!({
                "bot": cx.bot_name,
                "execution": cx.execution,
                "step": cx.step,
                "attempt": cx.attempt,
                "idempotency_key": cx.idempotency_key,
            });
            Box::pin(async move {
                // Python code blocks its thread; the engine's own threads go on.
                tokio::task::spawn_blocking(move || call(&function, &input, &context))
                    .await
                    .map_err(|e| Error::internal(format!("the thread of a Python action: {e}")))?
            })
        }),
    )
}

fn call(function: &Py<PyAny>, input: &Value, context: &Value) -> Result<Value> {
    let called = Python::try_attach(|py| -> PyResult<(bool, String)> {
        function.call1(py, (input.to_string(), context.to_string()))?.extract(py)
    });
    match called {
        None => Err(Error::new(Code::Cancelled, "the interpreter is shutting down")),
        Some(Err(error)) => Err(Error::new(Code::Failed, error.to_string())),
        Some(Ok((true, text))) => {
            serde_json::from_str(&text).map_err(|e| Error::new(Code::Failed, format!("the action's result: {e}")))
        }
        Some(Ok((false, text))) => Err(serde_json::from_str(&text).unwrap_or_else(|_| Error::new(Code::Failed, text))),
    }
}
