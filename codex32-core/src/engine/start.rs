//! What callers start by hand: a bot, an action out of any bot, a draft.

use super::Engine;
use super::ports::connection_of;
use crate::access::Caller;
use crate::blueprint::{self, Permissions};
use crate::connector::{ActionContext, Network};
use crate::error::Result;
use crate::execution::{BotSource, Start};
use crate::observe::NoSink;
use crate::secret::SecretKind;
use crate::understand::{Context, Draft};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Longest time for an action that is tried by hand, in milliseconds.
const TRY_MS: i64 = 60_000;
/// Names that a draft is told of.
const KNOWN: u64 = 200;

/// A start by a person or a program.
pub(crate) struct ManualStart {
    pub(crate) bot: String,
    pub(crate) input: Value,
    pub(crate) environment: Option<String>,
    pub(crate) version: Option<u32>,
    pub(crate) idempotency_key: Option<String>,
}

impl Engine {
    /// What starts that which is deployed of a bot, or the version that is named.
    pub(crate) async fn start_of(&self, caller: &Caller, wish: ManualStart) -> Result<Start> {
        let ws = caller.workspace;
        let bot = self.registry().find(ws, &wish.bot).await?;
        let environment = match wish.environment {
            Some(environment) => environment,
            None => self.access().workspace(caller).await?.environment,
        };
        let (version, deployment) = match wish.version {
            Some(number) => (self.registry().content(ws, bot.id, Some(number)).await?.version.id, None),
            None => {
                let target = self.registry().deployed(ws, &bot.name, &environment).await?;
                (target.version, target.deployment)
            }
        };
        Ok(Start {
            workspace: ws,
            bot: bot.id,
            bot_name: bot.name,
            version,
            deployment,
            environment,
            input: wish.input,
            trigger: json!({ "type": "manual", "at": rfc3339(self.clock().now()), "by": caller.label() }),
            idempotency_key: wish.idempotency_key,
            parent: None,
            caller: format!("user:{}", caller.label()),
        })
    }

    /// Calls an action outside of any bot. Nothing is declared for it but the hosts that
    /// its own input names.
    pub(crate) async fn try_action(
        &self,
        caller: &Caller,
        action: &str,
        input: Value,
        connection: Option<&str>,
    ) -> Result<Value> {
        let connection = connection_of(self.secrets(), caller.workspace, action, connection).await?;
        let permissions = Permissions { network: hosts(&input), ..Permissions::default() };
        let cx = ActionContext {
            workspace: caller.workspace,
            bot: None,
            bot_name: String::new(),
            execution: None,
            step: String::new(),
            attempt: 1,
            idempotency_key: uuid::Uuid::now_v7().to_string(),
            deadline: Some(self.clock().now() + TRY_MS),
            network: Network {
                permissions: Arc::new(permissions),
                private_allowed: caller.may_allow_private_network(),
            },
            connection,
            cancel: CancellationToken::new(),
            log: Arc::new(NoSink),
            clock: self.clock().clone(),
            services: self.services(),
        };
        let output = self.connectors().call(action, &cx, input).await?;
        Ok(self.secrets().redactor(caller.workspace).await?.value(output))
    }

    /// Drafts a bot of a sentence, with what the workspace knows.
    pub(crate) async fn draft(&self, caller: &Caller, text: &str, answers: &BTreeMap<String, String>) -> Result<Draft> {
        let ws = caller.workspace;
        let bots = self.registry().list(ws, &crate::registry::BotFilter::default(), None, KNOWN).await?;
        let secrets = self.secrets().list(ws, None, KNOWN).await?;
        let context = Context {
            now: self.clock().now(),
            timezone: self.access().workspace(caller).await?.timezone,
            email: Some(caller.email.clone()).filter(|email| !email.is_empty()),
            bots: bots.items.into_iter().map(|bot| bot.name).collect(),
            connections: secrets
                .items
                .into_iter()
                .filter(|info| info.kind == SecretKind::Connection)
                .map(|info| info.name)
                .collect(),
            answers: answers.clone(),
        };
        self.builder().draft(text, context).await
    }

    /// What a blueprint does in plain words; empty where it cannot be read.
    pub(crate) fn explain_text(&self, text: &str) -> String {
        blueprint::parse(text).map(|b| blueprint::explain(&b, &self.connectors().catalogue())).unwrap_or_default()
    }
}

/// The input against the blueprint's own schema.
/// The hosts of the addresses in the texts of an input.
fn hosts(input: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![input];
    while let Some(value) = open.pop() {
        match value {
            Value::String(text) => {
                let host = url::Url::parse(text).ok().and_then(|url| {
                    let host = url.host_str()?.to_owned();
                    Some(url.port().map_or(host.clone(), |port| format!("{host}:{port}")))
                });
                found.extend(host);
            }
            Value::Array(items) => open.extend(items),
            Value::Object(fields) => open.extend(fields.values()),
            _ => {}
        }
    }
    found
}

fn rfc3339(ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(ms).map(|t| t.to_rfc3339()).unwrap_or_default()
}
