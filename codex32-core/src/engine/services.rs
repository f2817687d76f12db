//! What the engine does for connectors.

use crate::connector::kv::{KvStore, Owner};
use crate::connector::{ActionContext, KvChange, Services};
use crate::error::{Error, Result};
use crate::event::{Bus, check_custom};
use crate::execution::Executor;
use crate::id::ExecutionId;
use crate::notify::{Notice, Notifier, Severity};
use crate::queue::{Queue, SendOptions};
use crate::trigger::depth_of;
use crate::webhook::Webhooks;
use serde_json::Value;
use std::sync::{Arc, OnceLock};
use uuid::Uuid;

/// [`Services`] over the rooms of the engine.
pub(super) struct EngineServices {
    pub(super) bus: Bus,
    pub(super) kv: KvStore,
    pub(super) queues: Arc<dyn Queue>,
    pub(super) notifier: Arc<dyn Notifier>,
    /// Set once they exist: they call connectors, and connectors call them.
    pub(super) later: OnceLock<Later>,
}

/// Rooms that are made after the connectors.
pub(super) struct Later {
    pub(super) executor: Executor,
    pub(super) webhooks: Webhooks,
}

impl EngineServices {
    fn later(&self) -> Result<&Later> {
        self.later.get().ok_or_else(|| Error::internal("a connector was called before the engine was assembled"))
    }
}

fn execution(cx: &ActionContext) -> Result<ExecutionId> {
    cx.execution.ok_or_else(|| Error::precondition("this action needs an execution to belong to"))
}

fn owner(cx: &ActionContext) -> Owner {
    Owner { workspace: cx.workspace, bot: cx.bot }
}

#[async_trait::async_trait]
impl Services for EngineServices {
    async fn publish(&self, cx: &ActionContext, event: &str, data: Value) -> Result<()> {
        check_custom(event, &data)?;
        let depth = match cx.execution {
            Some(id) => depth_of(&self.later()?.executor.get(cx.workspace, id).await?.trigger),
            None => 0,
        };
        self.bus.emit(cx.workspace, event, data, depth).await?;
        Ok(())
    }

    async fn reply(&self, cx: &ActionContext, status: u16, headers: Value, body: Value) -> Result<()> {
        self.later()?.webhooks.reply(cx.workspace, execution(cx)?, status, headers, body).await
    }

    async fn notify(&self, cx: &ActionContext, title: &str, text: &str, severity: &str) -> Result<()> {
        let notice = Notice {
            workspace: cx.workspace,
            at: cx.clock.now(),
            severity: severity.parse::<Severity>()?,
            title: title.to_owned(),
            text: text.to_owned(),
            bot: Some(cx.bot_name.clone()).filter(|name| !name.is_empty()),
            key: cx.idempotency_key.clone(),
        };
        self.notifier.notify(&notice).await
    }

    async fn kv_get(&self, cx: &ActionContext, key: &str) -> Result<Option<Value>> {
        self.kv.get(owner(cx), key).await
    }

    async fn kv_update(&self, cx: &ActionContext, key: &str, change: KvChange) -> Result<Value> {
        self.kv.update(owner(cx), key, &cx.idempotency_key, change).await
    }

    async fn kv_list(&self, cx: &ActionContext, prefix: &str) -> Result<Vec<String>> {
        self.kv.list(owner(cx), prefix).await
    }

    async fn queue_send(&self, cx: &ActionContext, queue: &str, body: Value, options: SendOptions) -> Result<Uuid> {
        self.queues.send(cx.workspace, queue, body, options).await
    }
}
