//! `bots.flow`: what a bot's rules of flow control do.

use super::bots::BotInput;
use super::operation::{Meta, Method, Operation};
use crate::access::{Caller, Permission};
use crate::blueprint;
use crate::engine::Engine;
use crate::error::{Code, Result};
use crate::execution::{FlowCount, FlowTicket};
use schemars::JsonSchema;
use serde::Serialize;

/// Shows what a bot's rules of flow control do.
pub struct Show;

/// What the rules of a bot count and hold back.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BotFlow {
    /// The rules of the latest version in plain words.
    pub rules: Vec<String>,
    /// What they count, by environment, rule and key; the first 200.
    pub counts: Vec<FlowCount>,
    /// Executions that hold a place or are held, those that hold one first; the first 200.
    pub executions: Vec<FlowTicket>,
}

impl Operation for Show {
    const META: Meta = Meta::read(
        "bots.flow",
        Method::Get,
        "/bots/{bot}/flow",
        "Show what a bot's rules of flow control count and hold back.",
    )
    .needs(Permission::BotsRead)
    .errors(&[Code::NotFound]);
    type Input = BotInput;
    type Output = BotFlow;
    async fn run(engine: &Engine, caller: &Caller, input: BotInput) -> Result<BotFlow> {
        let bot = engine.registry().find(caller.workspace, &input.bot).await?;
        let content = engine.registry().content(caller.workspace, bot.id, None).await?;
        let rules = blueprint::parse(&content.blueprint).map(|b| blueprint::explain_flow(&b.flow)).unwrap_or_default();
        let (counts, executions) = engine.executor().flow(caller.workspace, bot.id).await?;
        Ok(BotFlow { rules, counts, executions })
    }
}
