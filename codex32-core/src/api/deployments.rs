//! `deployments`: versions put to work.

use super::operation::{Meta, Method, Operation};
use super::wire::limit;
use crate::access::{Caller, Permission};
use crate::engine::Engine;
use crate::error::{Code, Result};
use crate::registry::Deployment;
use crate::storage::page::Page;
use schemars::JsonSchema;
use serde::Deserialize;

/// Deploys a version.
pub struct Create;

/// A version and where.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeployInput {
    /// Name or id of the bot.
    pub bot: String,
    /// Number of the version; by default the latest.
    #[serde(default)]
    pub version: Option<u32>,
    /// `dev`, `staging`, `prod`, ...; by default the workspace's default environment.
    #[serde(default)]
    pub environment: Option<String>,
}

impl Operation for Create {
    const META: Meta =
        Meta::write("deployments.create", Method::Post, "/bots/{bot}/deployments", "Put a version to work.")
            .describe("It takes the place of the one that is there; running executions stay on their version.")
            .needs(Permission::BotsDeploy)
            .errors(&[Code::NotFound, Code::Conflict, Code::Precondition])
            .status(201)
            .alias("deploy")
            .example(r#"{"bot": "hello"}"#);
    type Input = DeployInput;
    type Output = Deployment;
    async fn run(engine: &Engine, caller: &Caller, input: DeployInput) -> Result<Deployment> {
        let bot = engine.registry().find(caller.workspace, &input.bot).await?;
        let deployment = engine.registry().deploy(caller, bot.id, input.version, input.environment.as_deref()).await?;
        engine.wake();
        Ok(deployment)
    }
}

/// Lists deployments.
pub struct List;

/// Whose deployments.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListDeploymentsInput {
    /// Name or id of the bot.
    pub bot: String,
    /// `next` of the page before.
    #[serde(default)]
    pub cursor: Option<String>,
    /// Rows of a page, 1 to 200.
    #[serde(default = "limit")]
    #[schemars(range(min = 1, max = 200))]
    pub limit: u64,
}

impl Operation for List {
    const META: Meta = Meta::read(
        "deployments.list",
        Method::Get,
        "/bots/{bot}/deployments",
        "List a bot's deployments, newest first.",
    )
    .needs(Permission::BotsRead)
    .errors(&[Code::NotFound])
    .paged();
    type Input = ListDeploymentsInput;
    type Output = Page<Deployment>;
    async fn run(engine: &Engine, caller: &Caller, input: ListDeploymentsInput) -> Result<Page<Deployment>> {
        let bot = engine.registry().find(caller.workspace, &input.bot).await?;
        engine.registry().deployments(caller.workspace, bot.id, input.cursor.as_deref(), input.limit).await
    }
}
