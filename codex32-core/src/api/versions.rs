//! `versions`: the immutable texts of bots.

use super::operation::{Meta, Method, Operation};
use super::wire::limit;
use crate::access::{Caller, Permission};
use crate::engine::Engine;
use crate::error::{Code, Result};
use crate::registry::{Content, Deployment, Files, Saved, Version};
use crate::storage::page::Page;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Lists versions.
pub struct List;

/// Whose versions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListVersionsInput {
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
    const META: Meta =
        Meta::read("versions.list", Method::Get, "/bots/{bot}/versions", "List a bot's versions, newest first.")
            .needs(Permission::BotsRead)
            .errors(&[Code::NotFound])
            .alias("versions")
            .paged();
    type Input = ListVersionsInput;
    type Output = Page<Version>;
    async fn run(engine: &Engine, caller: &Caller, input: ListVersionsInput) -> Result<Page<Version>> {
        let bot = engine.registry().find(caller.workspace, &input.bot).await?;
        engine.registry().versions(caller.workspace, bot.id, input.cursor.as_deref(), input.limit).await
    }
}

/// Shows a version.
pub struct Get;

/// A version of a bot.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VersionInput {
    /// Name or id of the bot.
    pub bot: String,
    /// Number of the version.
    pub version: u32,
}

impl Operation for Get {
    const META: Meta =
        Meta::read("versions.get", Method::Get, "/bots/{bot}/versions/{version}", "Show a version's text and files.")
            .needs(Permission::BotsRead)
            .errors(&[Code::NotFound]);
    type Input = VersionInput;
    type Output = Content;
    async fn run(engine: &Engine, caller: &Caller, input: VersionInput) -> Result<Content> {
        let bot = engine.registry().find(caller.workspace, &input.bot).await?;
        engine.registry().content(caller.workspace, bot.id, Some(input.version)).await
    }
}

/// Adds a version.
pub struct Create;

/// A new text for a bot.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateVersionInput {
    /// Name or id of the bot.
    pub bot: String,
    /// The text of the blueprint; its name must be the bot's.
    pub blueprint: String,
    /// Source files of its scripts: relative path to text.
    #[serde(default)]
    pub files: Files,
    /// Why, for the history.
    #[serde(default)]
    pub note: Option<String>,
}

impl Operation for Create {
    const META: Meta = Meta::write("versions.create", Method::Post, "/bots/{bot}/versions", "Add a version to a bot.")
        .describe("The same text as the latest version is no new version.")
        .needs(Permission::BotsWrite)
        .errors(&[Code::NotFound, Code::Conflict, Code::Precondition])
        .status(201)
        .example(r#"{"blueprint": "codex32: v1\nname: hello\nsteps: []\n", "note": "say less"}"#);
    type Input = CreateVersionInput;
    type Output = Saved;
    async fn run(engine: &Engine, caller: &Caller, input: CreateVersionInput) -> Result<Saved> {
        let bot = engine.registry().find(caller.workspace, &input.bot).await?;
        engine.registry().add_version(caller, bot.id, &input.blueprint, &input.files, input.note.as_deref()).await
    }
}

/// Compares two versions.
pub struct Diff;

/// Two versions of a bot.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiffInput {
    /// Name or id of the bot.
    pub bot: String,
    /// Number of the older version.
    pub from: u32,
    /// Number of the newer version.
    pub to: u32,
}

/// A difference.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TextDiff {
    /// A unified diff of the blueprint and each file; empty where they are equal.
    pub diff: String,
}

impl Operation for Diff {
    const META: Meta =
        Meta::read("versions.diff", Method::Get, "/bots/{bot}/diff", "Show what changed between two versions.")
            .needs(Permission::BotsRead)
            .errors(&[Code::NotFound])
            .positional(&["bot", "from", "to"])
            .example(r#"{"bot": "hello", "from": 1, "to": 2}"#);
    type Input = DiffInput;
    type Output = TextDiff;
    async fn run(engine: &Engine, caller: &Caller, input: DiffInput) -> Result<TextDiff> {
        let bot = engine.registry().find(caller.workspace, &input.bot).await?;
        Ok(TextDiff { diff: engine.registry().diff(caller.workspace, bot.id, input.from, input.to).await? })
    }
}

/// Deploys an earlier version.
pub struct Rollback;

/// A bot and where to go back to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackInput {
    /// Name or id of the bot.
    pub bot: String,
    /// Number of the version; by default the one that was deployed before.
    #[serde(default)]
    pub to: Option<u32>,
    /// Where; by default the workspace's default environment.
    #[serde(default)]
    pub environment: Option<String>,
}

impl Operation for Rollback {
    const META: Meta =
        Meta::write("versions.rollback", Method::Post, "/bots/{bot}/rollback", "Deploy an earlier version again.")
            .needs(Permission::BotsDeploy)
            .errors(&[Code::NotFound, Code::Precondition, Code::Conflict])
            .alias("rollback");
    type Input = RollbackInput;
    type Output = Deployment;
    async fn run(engine: &Engine, caller: &Caller, input: RollbackInput) -> Result<Deployment> {
        let bot = engine.registry().find(caller.workspace, &input.bot).await?;
        let deployment = engine.registry().rollback(caller, bot.id, input.to, input.environment.as_deref()).await?;
        engine.wake();
        Ok(deployment)
    }
}
