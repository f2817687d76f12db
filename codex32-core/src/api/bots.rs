//! `bots`: named automations.

use super::operation::{Meta, Method, Operation, Raw, StreamOperation};
use super::wire::{DONE, Done, limit};
use crate::access::{Caller, Permission};
use crate::blueprint::{self, Diagnostic};
use crate::clock::Millis;
use crate::engine::Engine;
use crate::error::{Code, Error, Result};
use crate::execution::Status;
use crate::id::{BotId, ExecutionId};
use crate::registry::{Bot, BotFilter, DeploymentStatus, Document, Files, PlanItem, Saved};
use crate::storage::page::Page;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::stream::BoxStream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The file of an exported bot.
const PACKAGE: Raw = Raw { field: "package", media: "application/gzip", limit: 16 << 20 };

/// A bot by name or id.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BotInput {
    /// Name or id.
    pub bot: String,
}

/// Lists bots.
pub struct List;

/// Which bots.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListBotsInput {
    /// Only bots whose name or description contains this.
    #[serde(default)]
    pub text: Option<String>,
    /// The deleted ones instead of the others.
    #[serde(default)]
    pub deleted: bool,
    /// `next` of the page before.
    #[serde(default)]
    pub cursor: Option<String>,
    /// Rows of a page, 1 to 200.
    #[serde(default = "limit")]
    #[schemars(range(min = 1, max = 200))]
    pub limit: u64,
}

/// A bot in a list.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BotRow {
    /// Name.
    pub name: String,
    /// `deployed`, `stopped` or `draft`; `deleted` among the deleted.
    pub state: String,
    /// Version at work, else the latest.
    pub version: u32,
    /// Where it is deployed.
    pub environments: String,
    /// How its last execution ended, or stands.
    pub last_status: Option<Status>,
    /// When that began, UTC milliseconds.
    pub last_run_at: Option<Millis>,
    /// When it starts next by itself, UTC milliseconds.
    pub next_run_at: Option<Millis>,
    /// What it is for.
    pub description: Option<String>,
    /// Identity.
    pub id: BotId,
}

impl Operation for List {
    const META: Meta = Meta::read("bots.list", Method::Get, "/bots", "List the bots with their state.")
        .needs(Permission::BotsRead)
        .alias("ps")
        .paged();
    type Input = ListBotsInput;
    type Output = Page<BotRow>;
    async fn run(engine: &Engine, caller: &Caller, input: ListBotsInput) -> Result<Page<BotRow>> {
        let filter = BotFilter { prefix: None, text: input.text, deleted: input.deleted };
        let page = engine.registry().list(caller.workspace, &filter, input.cursor.as_deref(), input.limit).await?;
        let ids: Vec<BotId> = page.items.iter().map(|bot| bot.id).collect();
        let last = engine.last_executions(caller.workspace, &ids).await?;
        let next = engine.next_runs(caller.workspace, &ids).await?;
        Ok(page.map(|bot| {
            let last = last.get(&bot.id);
            BotRow {
                state: state(&bot).to_owned(),
                version: at_work(&bot),
                environments: environments(&bot),
                last_status: last.map(|l| l.status),
                last_run_at: last.map(|l| l.created_at),
                next_run_at: next.get(&bot.id).copied(),
                name: bot.name,
                description: bot.description,
                id: bot.id,
            }
        }))
    }
}

fn state(bot: &Bot) -> &'static str {
    let any = |status| bot.deployments.iter().any(|d| d.status == status);
    match () {
        () if bot.deleted_at.is_some() => "deleted",
        () if any(DeploymentStatus::Active) => "deployed",
        () if any(DeploymentStatus::Stopped) => "stopped",
        () => "draft",
    }
}

fn at_work(bot: &Bot) -> u32 {
    bot.deployments.iter().map(|d| d.number).max().unwrap_or(bot.latest)
}

fn environments(bot: &Bot) -> String {
    bot.deployments.iter().map(|d| d.environment.as_str()).collect::<Vec<_>>().join(", ")
}

/// Makes a bot.
pub struct Create;

/// A blueprint.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateBotInput {
    /// The text of the blueprint (YAML).
    pub blueprint: String,
    /// Source files of its scripts: relative path to text.
    #[serde(default)]
    pub files: Files,
    /// Why, for the history.
    #[serde(default)]
    pub note: Option<String>,
}

impl Operation for Create {
    const META: Meta = Meta::write(
        "bots.create",
        Method::Post,
        "/bots",
        "Make a bot of a blueprint; its first version.",
    )
    .describe("It is stored, not deployed: `deployments.create` puts it to work.")
    .needs(Permission::BotsWrite)
    .errors(&[Code::Conflict, Code::Precondition])
    .status(201)
    .example(r#"{"blueprint": "codex32: v1\nname: hello\nsteps:\n  - use: log.write\n    with: {message: hello}\n"}"#);
    type Input = CreateBotInput;
    type Output = Saved;
    async fn run(engine: &Engine, caller: &Caller, input: CreateBotInput) -> Result<Saved> {
        engine.registry().create(caller, &input.blueprint, &input.files, input.note.as_deref()).await
    }
}

/// Shows a bot.
pub struct Get;

/// A bot with its present text.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BotDetail {
    /// The bot.
    #[serde(flatten)]
    pub bot: Bot,
    /// `deployed`, `stopped`, `draft` or `deleted`.
    pub state: String,
    /// What it does, read back in plain words.
    pub explanation: String,
    /// The text of its latest version.
    pub blueprint: String,
    /// Names of its files.
    pub files: Vec<String>,
}

impl Operation for Get {
    const META: Meta =
        Meta::read("bots.get", Method::Get, "/bots/{bot}", "Show a bot, its blueprint and what it does.")
            .needs(Permission::BotsRead)
            .errors(&[Code::NotFound])
            .alias("show");
    type Input = BotInput;
    type Output = BotDetail;
    async fn run(engine: &Engine, caller: &Caller, input: BotInput) -> Result<BotDetail> {
        let bot = engine.registry().find(caller.workspace, &input.bot).await?;
        let content = engine.registry().content(caller.workspace, bot.id, None).await?;
        let explanation = engine.explain_text(&content.blueprint);
        Ok(BotDetail {
            state: state(&bot).to_owned(),
            bot,
            explanation,
            blueprint: content.blueprint,
            files: content.files.into_keys().collect(),
        })
    }
}

/// Checks a blueprint.
pub struct Validate;

/// A blueprint to check.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ValidateInput {
    /// The text of the blueprint.
    pub blueprint: String,
}

/// What a check found.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Validation {
    /// Whether it could be stored.
    pub valid: bool,
    /// Every mistake with its place.
    pub diagnostics: Vec<Diagnostic>,
    /// The mistakes as text, with the lines they are in.
    pub rendered: String,
    /// What the bot would do, read back in plain words.
    pub explanation: Option<String>,
}

impl Operation for Validate {
    const META: Meta =
        Meta::read("bots.validate", Method::Post, "/bots/validate", "Check a blueprint and store nothing.")
            .needs(Permission::BotsRead)
            .positional(&["blueprint"])
            .example(r#"{"blueprint": "codex32: v1\nname: hello\nsteps: []\n"}"#);
    type Input = ValidateInput;
    type Output = Validation;
    async fn run(engine: &Engine, _: &Caller, input: ValidateInput) -> Result<Validation> {
        let catalogue = engine.connectors().catalogue();
        let (blueprint, diagnostics) = blueprint::check(&input.blueprint, &catalogue);
        let valid = blueprint.is_some() && !diagnostics.has_errors();
        Ok(Validation {
            valid,
            rendered: diagnostics.render(&input.blueprint, false),
            explanation: blueprint.filter(|_| valid).map(|b| blueprint::explain(&b, &catalogue)),
            diagnostics: diagnostics.iter().cloned().collect(),
        })
    }
}

/// Deletes a bot.
pub struct Delete;

impl Operation for Delete {
    const META: Meta = Meta::write("bots.delete", Method::Delete, "/bots/{bot}", "Delete a bot; it can be restored.")
        .describe("Its triggers fire no more and what runs is cancelled. `bots.restore` brings it back.")
        .needs(Permission::BotsDelete)
        .errors(&[Code::NotFound, Code::Precondition])
        .alias("rm");
    type Input = BotInput;
    type Output = Done;
    async fn run(engine: &Engine, caller: &Caller, input: BotInput) -> Result<Done> {
        let bot = engine.registry().find(caller.workspace, &input.bot).await?;
        engine.registry().delete(caller, bot.id).await?;
        engine.cancel_running(caller, &bot.name, None).await?;
        Ok(DONE)
    }
}

/// Brings a deleted bot back.
pub struct Restore;

impl Operation for Restore {
    const META: Meta =
        Meta::write("bots.restore", Method::Post, "/bots/{bot}/restore", "Bring a deleted bot back, stopped.")
            .needs(Permission::BotsDelete)
            .errors(&[Code::NotFound, Code::Conflict, Code::Precondition]);
    type Input = BotInput;
    type Output = Bot;
    async fn run(engine: &Engine, caller: &Caller, input: BotInput) -> Result<Bot> {
        let bot = engine.registry().find_deleted(caller.workspace, &input.bot).await?;
        engine.registry().restore(caller, bot.id).await
    }
}

/// Removes a deleted bot for good.
pub struct Purge;

impl Operation for Purge {
    const META: Meta = Meta::write(
        "bots.purge",
        Method::Post,
        "/bots/{bot}/purge",
        "Remove a deleted bot for good, with its history.",
    )
    .needs(Permission::BotsPurge)
    .errors(&[Code::NotFound, Code::Precondition])
    .destructive();
    type Input = BotInput;
    type Output = Done;
    async fn run(engine: &Engine, caller: &Caller, input: BotInput) -> Result<Done> {
        let bot = engine.registry().find_deleted(caller.workspace, &input.bot).await?;
        engine.registry().purge(caller, bot.id).await?;
        Ok(DONE)
    }
}

/// Stops a bot.
pub struct Stop;

/// A bot and an environment.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SwitchInput {
    /// Name or id.
    pub bot: String,
    /// Where; by default the workspace's default environment.
    #[serde(default)]
    pub environment: Option<String>,
}

impl Operation for Stop {
    const META: Meta =
        Meta::write("bots.stop", Method::Post, "/bots/{bot}/stop", "Stop a bot: its triggers, and what runs of it.")
            .needs(Permission::BotsDeploy)
            .errors(&[Code::NotFound, Code::Precondition])
            .alias("stop")
            .idempotent();
    type Input = SwitchInput;
    type Output = Bot;
    async fn run(engine: &Engine, caller: &Caller, input: SwitchInput) -> Result<Bot> {
        let bot = engine.registry().find(caller.workspace, &input.bot).await?;
        let stopped = engine.registry().stop(caller, bot.id, input.environment.as_deref()).await?;
        engine.cancel_running(caller, &bot.name, Some(&stopped.environment)).await?;
        engine.registry().get(caller.workspace, bot.id).await
    }
}

/// Starts a stopped bot.
pub struct StartAgain;

impl Operation for StartAgain {
    const META: Meta =
        Meta::write("bots.start", Method::Post, "/bots/{bot}/start", "Let a stopped bot's triggers fire again.")
            .needs(Permission::BotsDeploy)
            .errors(&[Code::NotFound, Code::Precondition, Code::Conflict])
            .alias("start")
            .idempotent();
    type Input = SwitchInput;
    type Output = Bot;
    async fn run(engine: &Engine, caller: &Caller, input: SwitchInput) -> Result<Bot> {
        let bot = engine.registry().find(caller.workspace, &input.bot).await?;
        engine.registry().start(caller, bot.id, input.environment.as_deref()).await?;
        engine.wake();
        engine.registry().get(caller.workspace, bot.id).await
    }
}

/// Reads the logs of a bot.
pub struct Logs;

/// Whose logs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BotLogsInput {
    /// Name or id of a bot, or id of an execution.
    pub bot: String,
    /// Go on with what comes.
    #[serde(default)]
    pub follow: bool,
    /// How many of the last executions to begin with, 1 to 100.
    #[serde(default = "tail")]
    #[schemars(range(min = 1, max = 100))]
    pub tail: u64,
}

const fn tail() -> u64 {
    10
}

/// A line of a bot's logs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct BotLogLine {
    /// UTC milliseconds.
    pub at: Millis,
    /// Path of the step, or empty.
    pub step: String,
    /// `stdout`, `stderr`, `system`, or what happened (`step_failed`, `finished`).
    pub stream: String,
    /// The text.
    pub text: String,
    /// The execution.
    pub execution: ExecutionId,
}

impl StreamOperation for Logs {
    const META: Meta = Meta::stream("bots.logs", "/bots/{bot}/logs", "Read a bot's logs, and follow them.")
        .needs(Permission::ExecutionsRead)
        .errors(&[Code::NotFound])
        .alias("logs");
    type Input = BotLogsInput;
    type Item = BotLogLine;
    async fn open(
        engine: &Engine,
        caller: &Caller,
        input: BotLogsInput,
    ) -> Result<BoxStream<'static, Result<BotLogLine>>> {
        engine.logs(caller.workspace, &input.bot, input.tail, input.follow).await
    }
}

/// Writes a bot to a file.
pub struct Export;

/// A bot and which version of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportInput {
    /// Name or id.
    pub bot: String,
    /// Number of the version; by default the latest.
    #[serde(default)]
    pub version: Option<u32>,
}

/// A bot in a file.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Package {
    /// A `tar.gz`, base64.
    pub package: String,
}

impl Operation for Export {
    const META: Meta = Meta::read("bots.export", Method::Get, "/bots/{bot}/export", "Write a bot to one file.")
        .needs(Permission::BotsRead)
        .errors(&[Code::NotFound])
        .gives(PACKAGE);
    type Input = ExportInput;
    type Output = Package;
    async fn run(engine: &Engine, caller: &Caller, input: ExportInput) -> Result<Package> {
        let bot = engine.registry().find(caller.workspace, &input.bot).await?;
        let bytes = engine.registry().export(caller.workspace, bot.id, input.version).await?;
        Ok(Package { package: STANDARD.encode(bytes) })
    }
}

/// Reads a bot from a file.
pub struct Import;

/// A bot in a file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportInput {
    /// A `tar.gz` made by `bots.export`, base64.
    pub package: String,
}

impl Operation for Import {
    const META: Meta =
        Meta::write("bots.import", Method::Post, "/bots/import", "Read a bot from a file that an export wrote.")
            .needs(Permission::BotsWrite)
            .errors(&[Code::Conflict, Code::TooLarge, Code::Precondition])
            .status(201)
            .takes(PACKAGE)
            .positional(&["package"]);
    type Input = ImportInput;
    type Output = Saved;
    async fn run(engine: &Engine, caller: &Caller, input: ImportInput) -> Result<Saved> {
        let bytes = STANDARD
            .decode(&input.package)
            .map_err(|_| Error::invalid("the package is not base64").at("/package", "not base64"))?;
        engine.registry().import(caller, bytes, None).await
    }
}

/// Shows what apply would do.
pub struct Plan;

/// Blueprints as code.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplyInput {
    /// The blueprints.
    #[schemars(length(max = 1000))]
    pub documents: Vec<Document>,
    /// Delete the bots that are not among them.
    #[serde(default)]
    pub prune: bool,
    /// Where they are deployed; by default the workspace's default environment.
    #[serde(default)]
    pub environment: Option<String>,
}

/// What is done, or would be.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Changes {
    /// One for each bot.
    pub changes: Vec<PlanItem>,
}

impl ApplyInput {
    fn options(&self) -> crate::registry::PlanOptions {
        crate::registry::PlanOptions { prune: self.prune, environment: self.environment.clone(), ..Default::default() }
    }
}

impl Operation for Plan {
    const META: Meta = Meta::read("bots.plan", Method::Post, "/bots/plan", "Show what apply would change, and change nothing.")
        .needs(Permission::BotsRead)
        .example(r#"{"documents": [{"source": "hello.yaml", "blueprint": "codex32: v1\nname: hello\nsteps: []\n", "files": {}}]}"#);
    type Input = ApplyInput;
    type Output = Changes;
    async fn run(engine: &Engine, caller: &Caller, input: ApplyInput) -> Result<Changes> {
        let plan = engine.registry().plan(caller.workspace, &input.documents, &input.options()).await?;
        Ok(Changes { changes: plan.items })
    }
}

/// Brings the bots to what a folder says.
pub struct Apply;

impl Operation for Apply {
    const META: Meta = Meta::write("bots.apply", Method::Post, "/bots/apply", "Bring the bots to what a list of blueprints says.")
        .describe("Declarative and idempotent: makes, changes and deploys what differs; deletes only with `prune`.")
        .needs(Permission::BotsDeploy)
        .errors(&[Code::Conflict, Code::Precondition])
        .idempotent()
        .example(r#"{"documents": [{"source": "hello.yaml", "blueprint": "codex32: v1\nname: hello\nsteps: []\n", "files": {}}]}"#);
    type Input = ApplyInput;
    type Output = Changes;
    async fn run(engine: &Engine, caller: &Caller, input: ApplyInput) -> Result<Changes> {
        caller.require(Permission::BotsWrite)?;
        let plan = engine.registry().apply(caller, &input.documents, &input.options()).await?;
        engine.wake();
        Ok(Changes { changes: plan.items })
    }
}
