//! `log`: lines in the execution's log.

use crate::connector::input::no_action;
use crate::connector::{ActionContext, Connector};
use crate::error::Result;
use crate::observe::Stream;
use serde_json::{Value, json};

pub(super) struct Log;

#[async_trait::async_trait]
impl Connector for Log {
    fn name(&self) -> &str {
        "log"
    }

    async fn call(&self, action: &str, cx: &ActionContext, input: Value) -> Result<Value> {
        if action != "write" {
            return Err(no_action("log", action));
        }
        let message = match &input["message"] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let level = input["level"].as_str().unwrap_or("info");
        let stream = if matches!(level, "warn" | "error") { Stream::Stderr } else { Stream::Stdout };
        for line in message.lines() {
            match level {
                "info" => cx.log.line(stream, line),
                _ => cx.log.line(stream, &format!("{level}: {line}")),
            }
        }
        Ok(json!({"message": message}))
    }
}
