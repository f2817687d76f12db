//! `triggers`: what starts the deployed bots.

use super::operation::{Meta, Method, Operation};
use crate::access::{Caller, Permission};
use crate::engine::Engine;
use crate::error::{Code, Result};
use crate::id::TriggerId;
use crate::trigger::{self, TriggerInfo};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Lists triggers.
pub struct List;

/// Whose triggers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListTriggersInput {
    /// Name or id of a bot; absent: of the whole workspace.
    #[serde(default)]
    pub bot: Option<String>,
}

/// Triggers.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TriggerList {
    /// By bot and place in the blueprint.
    pub items: Vec<TriggerInfo>,
}

impl Operation for List {
    const META: Meta =
        Meta::read("triggers.list", Method::Get, "/triggers", "List what starts the deployed bots, with next times.")
            .needs(Permission::TriggersRead)
            .errors(&[Code::NotFound])
            .positional(&["bot"]);
    type Input = ListTriggersInput;
    type Output = TriggerList;
    async fn run(engine: &Engine, caller: &Caller, input: ListTriggersInput) -> Result<TriggerList> {
        let bot = match input.bot {
            Some(bot) => Some(engine.registry().find(caller.workspace, &bot).await?.id),
            None => None,
        };
        Ok(TriggerList { items: trigger::list(engine.db(), caller.workspace, bot).await? })
    }
}

/// Shows a trigger.
pub struct Get;

/// A trigger.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TriggerInput {
    /// Its id.
    pub id: TriggerId,
}

impl Operation for Get {
    const META: Meta = Meta::read("triggers.get", Method::Get, "/triggers/{id}", "Show a trigger.")
        .needs(Permission::TriggersRead)
        .errors(&[Code::NotFound]);
    type Input = TriggerInput;
    type Output = TriggerInfo;
    async fn run(engine: &Engine, caller: &Caller, input: TriggerInput) -> Result<TriggerInfo> {
        trigger::get(engine.db(), caller.workspace, input.id).await
    }
}

/// Turns a trigger on or off.
pub struct SetEnabled;

/// A trigger and whether it fires.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetEnabledInput {
    /// Its id.
    pub id: TriggerId,
    /// Whether it fires.
    pub enabled: bool,
}

impl Operation for SetEnabled {
    const META: Meta =
        Meta::write("triggers.set_enabled", Method::Put, "/triggers/{id}/enabled", "Turn a trigger on or off.")
            .describe("What was due while it was off is forgotten. Deploying a version turns all its triggers on.")
            .needs(Permission::TriggersWrite)
            .errors(&[Code::NotFound])
            .positional(&["id", "enabled"])
            .example(r#"{"enabled": false}"#);
    type Input = SetEnabledInput;
    type Output = TriggerInfo;
    async fn run(engine: &Engine, caller: &Caller, input: SetEnabledInput) -> Result<TriggerInfo> {
        trigger::set_enabled(engine.db(), &**engine.clock(), caller.workspace, input.id, input.enabled).await
    }
}
