//! `delay`: short pauses.

use crate::connector::input::{millis, no_action};
use crate::connector::{ActionContext, Connector};
use crate::error::{Code, Error, Result};
use serde_json::{Value, json};

/// Longest pause; a `wait:` step is durable and has no limit.
const MAX_MS: u64 = 5 * 60 * 1_000;

pub(super) struct Delay;

#[async_trait::async_trait]
impl Connector for Delay {
    fn name(&self) -> &str {
        "delay"
    }

    async fn call(&self, action: &str, cx: &ActionContext, input: Value) -> Result<Value> {
        if action != "for" {
            return Err(no_action("delay", action));
        }
        let ms = millis(input["duration"].as_str().unwrap_or_default())?;
        if ms > MAX_MS {
            return Err(Error::invalid("a delay is at most 5m")
                .at("/duration", "is longer than 5m")
                .hint("use a `wait:` step, which survives a restart and costs nothing"));
        }
        let until = cx.clock.now().saturating_add(i64::try_from(ms).unwrap_or(i64::MAX));
        if cx.deadline.is_some_and(|deadline| deadline < until) {
            return Err(Error::new(Code::Timeout, "the delay is longer than the step's timeout"));
        }
        tokio::select! {
            () = cx.cancel.cancelled() => Err(Error::new(Code::Cancelled, "the delay was cancelled")),
            () = cx.clock.sleep_until(until) => Ok(json!({"waited_ms": ms})),
        }
    }
}
