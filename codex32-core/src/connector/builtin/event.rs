//! `event`: events on the workspace's bus.

use crate::connector::input::{no_action, read};
use crate::connector::{ActionContext, Connector};
use crate::error::{Error, Result};
use serde::Deserialize;
use serde_json::{Value, json};

/// Beginnings of names that only the engine publishes.
const OWN: [&str; 4] = ["execution.", "bot.", "deployment.", "incident."];

pub(super) struct Event;

#[derive(Deserialize)]
struct Publish {
    name: String,
    data: Value,
}

#[async_trait::async_trait]
impl Connector for Event {
    fn name(&self) -> &str {
        "event"
    }

    async fn call(&self, action: &str, cx: &ActionContext, input: Value) -> Result<Value> {
        if action != "publish" {
            return Err(no_action("event", action));
        }
        let event: Publish = read(input)?;
        if let Some(own) = OWN.iter().find(|own| event.name.starts_with(**own)) {
            return Err(Error::invalid(format!("events that begin with {own} are published by the engine only"))
                .at("/name", "is reserved")
                .hint("choose another first word, such as order.created"));
        }
        cx.services.publish(cx, &event.name, event.data).await?;
        Ok(json!({"name": event.name}))
    }
}
