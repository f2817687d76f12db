//! From a trigger's row and what fired it to a start.

use super::spec::Kind;
use crate::clock::Millis;
use crate::execution::Start;
use crate::id::{BotId, DeploymentId, VersionId, WorkspaceId};
use crate::storage::entity::triggers;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

/// What fired a trigger.
pub(crate) struct Cause {
    pub(crate) kind: Kind,
    /// The time that it stands for: when it was due, when the event happened.
    pub(crate) at: Millis,
    pub(crate) depth: u32,
    /// What the kind adds to the `trigger` value; an object.
    pub(crate) more: Value,
    pub(crate) key: String,
}

pub(crate) fn firing(row: &triggers::Model, cause: Cause, input: Value) -> Start {
    let mut trigger = Map::new();
    trigger.insert("type".into(), json!(cause.kind.as_str()));
    trigger.insert("at".into(), json!(rfc3339(cause.at)));
    trigger.insert("id".into(), json!(row.id));
    trigger.insert("depth".into(), json!(cause.depth));
    if let Value::Object(more) = cause.more {
        trigger.extend(more);
    }
    Start {
        workspace: WorkspaceId(row.workspace_id),
        bot: BotId(row.bot_id),
        bot_name: row.bot_name.clone(),
        version: VersionId(row.version_id),
        deployment: Some(DeploymentId(row.deployment_id)),
        environment: row.environment.clone(),
        input: as_object(input),
        trigger: Value::Object(trigger),
        idempotency_key: Some(cause.key),
        parent: None,
        caller: format!("trigger:{}", cause.kind.as_str()),
    }
}

/// An input is an object; anything else becomes its `value`.
fn as_object(input: Value) -> Value {
    if input.is_object() { input } else { json!({ "value": input }) }
}

/// RFC 3339 in UTC, to the millisecond.
pub(crate) fn rfc3339(at: Millis) -> String {
    DateTime::<Utc>::from_timestamp_millis(at)
        .unwrap_or(DateTime::<Utc>::UNIX_EPOCH)
        .to_rfc3339_opts(SecondsFormat::Millis, true)
}
