//! `queue`: messages for one of many bots. (The dispatcher itself looks for them.)

use crate::connector::input::{millis, no_action, read};
use crate::connector::{ActionContext, Connector, Polled};
use crate::error::{Error, Result};
use crate::queue::SendOptions;
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) struct Queues;

#[derive(Deserialize)]
struct Send {
    queue: String,
    body: Value,
    delay: Option<String>,
    key: Option<String>,
}

#[async_trait::async_trait]
impl Connector for Queues {
    fn name(&self) -> &str {
        "queue"
    }

    async fn call(&self, action: &str, cx: &ActionContext, input: Value) -> Result<Value> {
        if action != "send" {
            return Err(no_action("queue", action));
        }
        let message: Send = read(input)?;
        let options = SendOptions {
            delay_ms: message.delay.as_deref().map(millis).transpose()?.unwrap_or(0),
            // A second attempt of the step finds what the first has sent.
            dedup: Some(match message.key {
                Some(key) => format!("key:{key}"),
                None => format!("step:{}", cx.idempotency_key),
            }),
        };
        let id = cx.services.queue_send(cx, &message.queue, message.body, options).await?;
        Ok(json!({ "id": id }))
    }

    async fn poll(&self, trigger: &str, _: &ActionContext, _: Value, _: Option<Value>) -> Result<Polled> {
        if trigger != "message" {
            return Err(Error::not_found("trigger", format!("queue.{trigger}")));
        }
        Err(Error::precondition("a message is taken together with the start of its execution, not by a look"))
    }
}
