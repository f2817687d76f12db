//! `notify`: tells the people of the workspace.

use crate::connector::input::{no_action, read};
use crate::connector::{ActionContext, Connector};
use crate::error::Result;
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) struct Notify;

#[derive(Deserialize)]
struct Message {
    title: Option<String>,
    text: String,
    severity: String,
}

#[async_trait::async_trait]
impl Connector for Notify {
    fn name(&self) -> &str {
        "notify"
    }

    async fn call(&self, action: &str, cx: &ActionContext, input: Value) -> Result<Value> {
        if action != "send" {
            return Err(no_action("notify", action));
        }
        let message: Message = read(input)?;
        let title = message.title.unwrap_or_else(|| cx.bot_name.clone());
        cx.services.notify(cx, &title, &message.text, &message.severity).await?;
        Ok(json!({"notified": true}))
    }
}
