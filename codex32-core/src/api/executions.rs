//! `executions`: runs of bots, their steps, journals and logs.

mod again;

pub use again::{Fork, Migrate, Replay, Retry};

use super::operation::{Meta, Method, Operation, StreamOperation};
use super::wire::limit;
use crate::access::{Caller, Permission};
use crate::clock::Millis;
use crate::engine::Engine;
use crate::error::{Code, Error, Result};
use crate::execution::{Approval, Execution, Filter, Line, Passed, Status, StepState, WatchItem};
use crate::id::ExecutionId;
use crate::storage::page::Page;
use futures::stream::{BoxStream, StreamExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;

/// Longest wait for an execution in one call, in milliseconds.
const LONGEST_WAIT_MS: u64 = 10 * 60 * 1_000;

/// An execution with its steps.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ExecutionDetail {
    /// The execution.
    #[serde(flatten)]
    pub execution: Execution,
    /// Labels for want of which nobody drives it: no worker has them all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_labels: Vec<String>,
    /// What a rule of the bot's `flow` made of the start that is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed: Option<Passed>,
    /// Its steps, in the order of their beginning.
    pub steps: Vec<StepState>,
}

async fn detail(engine: &Engine, caller: &Caller, id: ExecutionId) -> Result<ExecutionDetail> {
    with_steps(engine, caller, engine.executor().get(caller.workspace, id).await?).await
}

async fn with_steps(engine: &Engine, caller: &Caller, execution: Execution) -> Result<ExecutionDetail> {
    let steps = engine.executor().steps(caller.workspace, execution.id).await?;
    let missing_labels = engine.executor().missing_labels(&execution).await?;
    Ok(ExecutionDetail { execution, missing_labels, passed: None, steps })
}

/// Starts a bot.
pub struct Start;

/// A bot and its input.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartInput {
    /// Name or id of the bot.
    pub bot: String,
    /// What it is given; an object.
    #[serde(default)]
    pub input: Option<Value>,
    /// Where; by default the workspace's default environment.
    #[serde(default)]
    pub environment: Option<String>,
    /// A version that is not deployed, by number, to try it out.
    #[serde(default)]
    pub version: Option<u32>,
    /// Wait until it has ended, and give its output and steps.
    #[serde(default)]
    pub wait: Option<bool>,
    /// Longest wait in milliseconds; 60,000 by default.
    #[serde(default)]
    #[schemars(range(min = 1, max = 600_000))]
    pub timeout_ms: Option<u64>,
    /// A second start with the same key gives the first execution.
    #[serde(default)]
    #[schemars(length(min = 1, max = 200))]
    pub idempotency_key: Option<String>,
}

impl Operation for Start {
    const META: Meta = Meta::write("executions.start", Method::Post, "/executions", "Run a bot now.")
        .describe("Durable when it answers: the execution goes on through crashes and restarts.")
        .needs(Permission::ExecutionsRun)
        .errors(&[Code::NotFound, Code::Precondition, Code::Conflict])
        .status(201)
        .drives()
        .alias("run")
        .positional(&["bot"])
        .example(r#"{"bot": "btc-watch", "input": {}, "wait": true}"#);
    type Input = StartInput;
    type Output = ExecutionDetail;
    async fn run(engine: &Engine, caller: &Caller, input: StartInput) -> Result<ExecutionDetail> {
        let object = match input.input {
            None | Some(Value::Null) => json!({}),
            Some(Value::Object(object)) => Value::Object(object),
            Some(_) => return Err(Error::invalid("the input must be an object").at("/input", "not an object")),
        };
        let wish = crate::engine::ManualStart {
            bot: input.bot,
            input: object,
            environment: input.environment,
            version: input.version,
            idempotency_key: input.idempotency_key,
        };
        let start = engine.start_of(caller, wish).await?;
        if input.wait == Some(true) {
            let most = Duration::from_millis(input.timeout_ms.unwrap_or(60_000).min(LONGEST_WAIT_MS));
            let (execution, steps, passed) = engine.executor().run_to_end(start, most).await?;
            let missing_labels = engine.executor().missing_labels(&execution).await?;
            return Ok(ExecutionDetail { execution, missing_labels, passed, steps });
        }
        let started = engine.executor().start(start).await?;
        Ok(ExecutionDetail { passed: started.passed, ..detail(engine, caller, started.id).await? })
    }
}

/// Lists executions.
pub struct List;

/// Which executions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListExecutionsInput {
    /// Name of a bot.
    #[serde(default)]
    pub bot: Option<String>,
    /// Where they stand.
    #[serde(default)]
    pub status: Option<Status>,
    /// Of this environment.
    #[serde(default)]
    pub environment: Option<String>,
    /// Created at or after this time, UTC milliseconds.
    #[serde(default)]
    pub since: Option<Millis>,
    /// `next` of the page before.
    #[serde(default)]
    pub cursor: Option<String>,
    /// Rows of a page, 1 to 200.
    #[serde(default = "limit")]
    #[schemars(range(min = 1, max = 200))]
    pub limit: u64,
}

impl Operation for List {
    const META: Meta = Meta::read("executions.list", Method::Get, "/executions", "List executions, newest first.")
        .needs(Permission::ExecutionsRead)
        .paged();
    type Input = ListExecutionsInput;
    type Output = Page<ExecutionRow>;
    async fn run(engine: &Engine, caller: &Caller, input: ListExecutionsInput) -> Result<Page<ExecutionRow>> {
        let filter = Filter {
            bot: input.bot,
            status: input.status,
            environment: input.environment,
            since: input.since,
            parent: None,
        };
        let page = engine.executor().list(caller.workspace, &filter, input.cursor.as_deref(), input.limit).await?;
        Ok(page.map(ExecutionRow::from))
    }
}

/// An execution in a list.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ExecutionRow {
    /// Its bot's name.
    pub bot: String,
    /// Where it stands.
    pub status: Status,
    /// `manual`, `schedule`, `webhook`, ...
    pub trigger: String,
    /// Where it ran.
    pub environment: String,
    /// Why it failed, in a line.
    pub error: Option<String>,
    /// UTC milliseconds.
    pub created_at: Millis,
    /// UTC milliseconds.
    pub finished_at: Option<Millis>,
    /// Identity.
    pub id: ExecutionId,
}

impl From<Execution> for ExecutionRow {
    fn from(e: Execution) -> Self {
        ExecutionRow {
            bot: e.bot_name,
            status: e.status,
            trigger: e.trigger.get("type").and_then(Value::as_str).unwrap_or("manual").to_owned(),
            environment: e.environment,
            error: e.error.map(|f| f.message),
            created_at: e.created_at,
            finished_at: e.finished_at,
            id: e.id,
        }
    }
}

/// Shows an execution.
pub struct Get;

/// An execution.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecutionInput {
    /// Its id.
    pub id: ExecutionId,
}

impl Operation for Get {
    const META: Meta =
        Meta::read("executions.get", Method::Get, "/executions/{id}", "Show an execution with its steps.")
            .needs(Permission::ExecutionsRead)
            .errors(&[Code::NotFound]);
    type Input = ExecutionInput;
    type Output = ExecutionDetail;
    async fn run(engine: &Engine, caller: &Caller, input: ExecutionInput) -> Result<ExecutionDetail> {
        detail(engine, caller, input.id).await
    }
}

macro_rules! control {
    ($(#[$doc:meta])* $operation:ident, $name:literal, $path:literal, $summary:literal, $method:ident) => {
        $(#[$doc])*
        pub struct $operation;
        impl Operation for $operation {
            const META: Meta = Meta::write($name, Method::Post, $path, $summary)
                .needs(Permission::ExecutionsControl)
                .errors(&[Code::NotFound, Code::Precondition])
                .drives();
            type Input = ExecutionInput;
            type Output = ExecutionDetail;
            async fn run(engine: &Engine, caller: &Caller, input: ExecutionInput) -> Result<ExecutionDetail> {
                engine.executor().$method(caller.workspace, input.id, caller.label()).await?;
                detail(engine, caller, input.id).await
            }
        }
    };
}

/// Cancels an execution.
pub struct Cancel;

/// An execution and why it is cancelled.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelInput {
    /// Its id.
    pub id: ExecutionId,
    /// Why.
    #[serde(default)]
    #[schemars(length(max = 2000))]
    pub reason: Option<String>,
}

impl Operation for Cancel {
    const META: Meta = Meta::write(
        "executions.cancel",
        Method::Post,
        "/executions/{id}/cancel",
        "Cancel an execution, its scripts and its children at once.",
    )
    .needs(Permission::ExecutionsControl)
    .errors(&[Code::NotFound, Code::Precondition])
    .drives();
    type Input = CancelInput;
    type Output = ExecutionDetail;
    async fn run(engine: &Engine, caller: &Caller, input: CancelInput) -> Result<ExecutionDetail> {
        let reason = input.reason.as_deref();
        engine.executor().cancel(caller.workspace, input.id, caller.label(), reason).await?;
        detail(engine, caller, input.id).await
    }
}

control!(
    /// Pauses an execution after the steps that run.
    Pause, "executions.pause", "/executions/{id}/pause", "Pause an execution after the steps that run.", pause
);
control!(
    /// Lets a paused execution go on.
    Resume, "executions.resume", "/executions/{id}/resume", "Let a paused execution go on.", resume
);

/// Sends a signal.
pub struct Signal;

/// A signal.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignalInput {
    /// The execution.
    pub id: ExecutionId,
    /// Name of the event that it waits for.
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
    /// What goes with it.
    #[serde(default)]
    pub payload: Option<Value>,
}

impl Operation for Signal {
    const META: Meta = Meta::write(
        "executions.signal",
        Method::Post,
        "/executions/{id}/signal",
        "Give an execution the event that it waits for.",
    )
    .needs(Permission::ExecutionsControl)
    .errors(&[Code::NotFound, Code::Precondition])
    .drives()
    .positional(&["id", "name"])
    .example(r#"{"name": "order.paid", "payload": {"amount": 10}}"#);
    type Input = SignalInput;
    type Output = ExecutionDetail;
    async fn run(engine: &Engine, caller: &Caller, input: SignalInput) -> Result<ExecutionDetail> {
        let payload = input.payload.unwrap_or_default();
        engine.executor().signal(caller.workspace, input.id, &input.name, payload).await?;
        detail(engine, caller, input.id).await
    }
}

/// Lists what waits for an answer.
pub struct Approvals;

impl Operation for Approvals {
    const META: Meta =
        Meta::read("executions.approvals", Method::Get, "/approvals", "List what waits for somebody's approval.")
            .needs(Permission::ExecutionsRead)
            .paged();
    type Input = super::wire::Paging;
    type Output = Page<Approval>;
    async fn run(engine: &Engine, caller: &Caller, input: super::wire::Paging) -> Result<Page<Approval>> {
        engine.executor().approvals(caller.workspace, input.cursor.as_deref(), input.limit).await
    }
}

/// Answers an approval.
pub struct Approve;

/// An answer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproveInput {
    /// The execution.
    pub id: ExecutionId,
    /// Path of the step that waits.
    pub step: String,
    /// Yes or no.
    pub approved: bool,
    /// Why.
    #[serde(default)]
    #[schemars(length(max = 2000))]
    pub comment: Option<String>,
}

impl Operation for Approve {
    const META: Meta = Meta::write(
        "executions.approve",
        Method::Post,
        "/executions/{id}/approve",
        "Answer what an execution asks approval for.",
    )
    .needs(Permission::ExecutionsControl)
    .errors(&[Code::NotFound, Code::Precondition])
    .drives()
    .positional(&["id", "step", "approved"])
    .example(r#"{"step": "approval", "approved": true}"#);
    type Input = ApproveInput;
    type Output = ExecutionDetail;
    async fn run(engine: &Engine, caller: &Caller, input: ApproveInput) -> Result<ExecutionDetail> {
        let answer = crate::execution::Answer {
            approved: input.approved,
            by: caller.label().to_owned(),
            comment: input.comment,
        };
        engine.executor().answer(caller.workspace, input.id, &input.step, answer).await?;
        detail(engine, caller, input.id).await
    }
}

/// Reads a log.
pub struct Logs;

/// Lines of an execution's log.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogsInput {
    /// The execution.
    pub id: ExecutionId,
    /// Lines after this number.
    #[serde(default)]
    pub after: Option<i64>,
    /// Lines, 1 to 1,000.
    #[serde(default = "log_limit")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: u64,
}

const fn log_limit() -> u64 {
    200
}

/// Lines.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LogLines {
    /// In order.
    pub items: Vec<Line>,
}

impl Operation for Logs {
    const META: Meta = Meta::read("executions.logs", Method::Get, "/executions/{id}/logs", "Read an execution's log.")
        .needs(Permission::ExecutionsRead)
        .errors(&[Code::NotFound]);
    type Input = LogsInput;
    type Output = LogLines;
    async fn run(engine: &Engine, caller: &Caller, input: LogsInput) -> Result<LogLines> {
        let after = input.after.unwrap_or(0);
        Ok(LogLines { items: engine.executor().logs(caller.workspace, input.id, after, input.limit).await? })
    }
}

/// Reads the journal.
pub struct Journal;

/// What happened in an execution, as it is recorded.
#[derive(Debug, Serialize, JsonSchema)]
pub struct JournalEntries {
    /// In order.
    pub items: Vec<Happening>,
}

impl Operation for Journal {
    const META: Meta =
        Meta::read("executions.journal", Method::Get, "/executions/{id}/journal", "Read an execution's journal.")
            .needs(Permission::ExecutionsRead)
            .errors(&[Code::NotFound]);
    type Input = LogsInput;
    type Output = JournalEntries;
    async fn run(engine: &Engine, caller: &Caller, input: LogsInput) -> Result<JournalEntries> {
        let after = input.after.unwrap_or(0);
        let entries = engine.executor().journal(caller.workspace, input.id, after, input.limit).await?;
        Ok(JournalEntries { items: entries.into_iter().map(|e| Happening::of(&WatchItem::Entry(e))).collect() })
    }
}

/// One thing that happened in an execution.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Happening {
    /// Its place in the execution.
    pub seq: i64,
    /// UTC milliseconds.
    pub at: Millis,
    /// `step_scheduled`, `step_succeeded`, ..., or `log`.
    pub kind: String,
    /// Path of the step, or empty.
    pub step: String,
    /// A line of the log.
    pub text: Option<String>,
    /// What to tell people, where there is something.
    pub message: Option<String>,
    /// A step's result.
    pub output: Option<Value>,
    /// Everything that was recorded.
    pub detail: Option<Value>,
}

impl Happening {
    fn of(item: &WatchItem) -> Happening {
        match item {
            WatchItem::Log(line) => Happening {
                seq: line.seq,
                at: line.at,
                kind: "log".into(),
                step: line.step.clone(),
                text: Some(line.text.clone()),
                message: None,
                output: None,
                detail: None,
            },
            WatchItem::Entry(entry) => {
                let detail = serde_json::to_value(&entry.event).unwrap_or_default();
                let text = |pointer: &str| detail.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
                Happening {
                    seq: entry.seq,
                    at: entry.at,
                    kind: text("/kind").unwrap_or_default(),
                    step: entry.event.path().to_owned(),
                    text: None,
                    message: text("/error/message").or_else(|| text("/message")),
                    output: detail.get("output").cloned(),
                    detail: Some(detail),
                }
            }
        }
    }
}

/// Watches an execution.
pub struct Watch;

/// An execution and from where.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WatchInput {
    /// The execution.
    pub id: ExecutionId,
    /// What happened after this number; by default from the beginning.
    #[serde(default)]
    pub after: Option<i64>,
}

impl StreamOperation for Watch {
    const META: Meta =
        Meta::stream("executions.watch", "/executions/{id}/watch", "Follow an execution, step by step, until it ends.")
            .needs(Permission::ExecutionsRead)
            .errors(&[Code::NotFound])
            .resume("after")
            .drives();
    type Input = WatchInput;
    type Item = Happening;
    async fn open(
        engine: &Engine,
        caller: &Caller,
        input: WatchInput,
    ) -> Result<BoxStream<'static, Result<Happening>>> {
        let items = engine.executor().watch(caller.workspace, input.id, input.after.unwrap_or(0)).await?;
        Ok(items.map(|item| item.map(|item| Happening::of(&item))).boxed())
    }
}
