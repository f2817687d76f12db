//! `kv`: what a bot remembers.

use crate::connector::input::{no_action, read};
use crate::connector::{ActionContext, Connector, KvChange};
use crate::error::Result;
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) struct Kv;

#[derive(Deserialize)]
struct Input {
    #[serde(default)]
    key: String,
    #[serde(default)]
    default: Value,
    #[serde(default)]
    value: Value,
    #[serde(default)]
    by: f64,
    #[serde(default)]
    item: Value,
    #[serde(default)]
    keep: usize,
    #[serde(default)]
    prefix: String,
}

#[async_trait::async_trait]
impl Connector for Kv {
    fn name(&self) -> &str {
        "kv"
    }

    async fn call(&self, action: &str, cx: &ActionContext, input: Value) -> Result<Value> {
        let input: Input = read(input)?;
        let update = |change| cx.services.kv_update(cx, &input.key, change);
        match action {
            "get" => {
                let found = cx.services.kv_get(cx, &input.key).await?;
                Ok(json!({"found": found.is_some(), "value": found.unwrap_or(input.default)}))
            }
            "set" => Ok(json!({"value": update(KvChange::Set(input.value.clone())).await?})),
            "delete" => Ok(json!({"before": update(KvChange::Delete).await?})),
            "add" => Ok(json!({"value": update(KvChange::Add(input.by)).await?})),
            "append" => {
                let change = KvChange::Append { item: input.item.clone(), keep: input.keep };
                Ok(json!({"value": update(change).await?}))
            }
            "changed" => update(KvChange::Swap(input.value.clone())).await,
            "list" => Ok(json!({"keys": cx.services.kv_list(cx, &input.prefix).await?})),
            _ => Err(no_action("kv", action)),
        }
    }
}
