//! Executions once more: from a step, with other input, with another version, on paper.

use super::{ExecutionDetail, detail};
use crate::access::{Caller, Permission};
use crate::api::operation::{Meta, Method, Operation};
use crate::engine::Engine;
use crate::error::{Code, Error, Result};
use crate::execution;
use crate::id::{ExecutionId, VersionId};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// The version of this number of the bot that an execution is one of.
async fn version(engine: &Engine, caller: &Caller, id: ExecutionId, number: Option<u32>) -> Result<Option<VersionId>> {
    let Some(number) = number else { return Ok(None) };
    let execution = engine.executor().get(caller.workspace, id).await?;
    Ok(Some(engine.registry().content(caller.workspace, execution.bot, Some(number)).await?.version.id))
}

/// Retries an execution.
pub struct Retry;

/// An execution and from where.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryInput {
    /// Its id.
    pub id: ExecutionId,
    /// Path of the step to begin with; by default the first that failed.
    #[serde(default)]
    pub from: Option<String>,
}

impl Operation for Retry {
    const META: Meta = Meta::write(
        "executions.retry",
        Method::Post,
        "/executions/{id}/retry",
        "Run an ended execution again from a step.",
    )
    .describe(
        "A new execution takes over the recorded results before that step, so that what worked is not done twice.",
    )
    .needs(Permission::ExecutionsControl)
    .errors(&[Code::NotFound, Code::Precondition])
    .status(201)
    .drives();
    type Input = RetryInput;
    type Output = ExecutionDetail;
    async fn run(engine: &Engine, caller: &Caller, input: RetryInput) -> Result<ExecutionDetail> {
        let started =
            engine.executor().retry(caller.workspace, input.id, input.from.as_deref(), caller.label()).await?;
        Ok(ExecutionDetail { passed: started.passed, ..detail(engine, caller, started.id).await? })
    }
}

/// Starts something like an execution.
pub struct Fork;

/// An execution, and what is to be different.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForkInput {
    /// Its id.
    pub id: ExecutionId,
    /// Other input; an object.
    #[serde(default)]
    pub input: Option<Value>,
    /// Path of the step to begin with: results recorded before it are taken over, also where the input differs.
    #[serde(default)]
    pub from: Option<String>,
    /// Number of another version of its bot.
    #[serde(default)]
    pub version: Option<u32>,
}

impl Operation for Fork {
    const META: Meta = Meta::write(
        "executions.fork",
        Method::Post,
        "/executions/{id}/fork",
        "Run what an execution ran with other input, another version, or from a step.",
    )
    .describe("The execution itself, finished or not, stays as it is. Without a step everything is done anew.")
    .needs(Permission::ExecutionsControl)
    .errors(&[Code::NotFound, Code::Precondition])
    .status(201)
    .drives()
    .example(r#"{"input": {"amount": 12}, "from": "charge"}"#);
    type Input = ForkInput;
    type Output = ExecutionDetail;
    async fn run(engine: &Engine, caller: &Caller, input: ForkInput) -> Result<ExecutionDetail> {
        let version = version(engine, caller, input.id, input.version).await?;
        if input.input.as_ref().is_some_and(|input| !input.is_object()) {
            return Err(Error::invalid("the input must be an object").at("/input", "not an object"));
        }
        let fork = execution::Fork { input: input.input, version, from: input.from };
        let started = engine.executor().fork(caller.workspace, input.id, fork, caller.label()).await?;
        Ok(ExecutionDetail { passed: started.passed, ..detail(engine, caller, started.id).await? })
    }
}

/// Follows an execution's journal once more.
pub struct Replay;

/// An execution and a version.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayInput {
    /// Its id.
    pub id: ExecutionId,
    /// Number of the version to follow it with; by default its own.
    #[serde(default)]
    pub version: Option<u32>,
}

impl Operation for Replay {
    const META: Meta = Meta::read(
        "executions.replay",
        Method::Get,
        "/executions/{id}/replay",
        "Tell where a version would have done something else than an execution did.",
    )
    .describe(
        "What steps gave, signals and answers are taken from the journal; nothing is performed. \
         The first entry that would be different is shown.",
    )
    .needs(Permission::ExecutionsRead)
    .errors(&[Code::NotFound]);
    type Input = ReplayInput;
    type Output = execution::Replay;
    async fn run(engine: &Engine, caller: &Caller, input: ReplayInput) -> Result<execution::Replay> {
        let version = version(engine, caller, input.id, input.version).await?;
        engine.executor().replay(caller.workspace, input.id, version).await
    }
}

/// Moves an execution to another version.
pub struct Migrate;

/// An execution and a version.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MigrateInput {
    /// Its id.
    pub id: ExecutionId,
    /// Number of the version of its bot that it is to go on with.
    pub version: u32,
}

impl Operation for Migrate {
    const META: Meta = Meta::write(
        "executions.migrate",
        Method::Post,
        "/executions/{id}/migrate",
        "Let a running execution go on with another version of its bot.",
    )
    .describe(
        "Only where its journal is what that version would have written so far; refused with the first \
         difference otherwise (`executions.replay` tells beforehand).",
    )
    .needs(Permission::ExecutionsControl)
    .errors(&[Code::NotFound, Code::Precondition, Code::Timeout])
    .drives()
    .positional(&["id", "version"]);
    type Input = MigrateInput;
    type Output = ExecutionDetail;
    async fn run(engine: &Engine, caller: &Caller, input: MigrateInput) -> Result<ExecutionDetail> {
        if let Some(to) = version(engine, caller, input.id, Some(input.version)).await? {
            engine.executor().migrate(caller.workspace, input.id, to, caller.label()).await?;
        }
        detail(engine, caller, input.id).await
    }
}
