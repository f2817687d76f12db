//! What callers see of an execution.

use super::entry::Failure;
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::id::{BotId, DeploymentId, ExecutionId, VersionId, WorkspaceId};
use crate::observe::Stream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where an execution stands. See `docs/execution.md` for the transitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// A rule of its bot's `flow` keeps it from beginning yet.
    Held,
    /// Ready to be driven: just started, or something that it waited for has come.
    Queued,
    /// An executor drives it.
    Running,
    /// It waits for a time, an event, an approval or a child, and holds nothing but rows.
    Waiting,
    /// Someone paused it.
    Paused,
    /// It ended well.
    Succeeded,
    /// It ended with an error.
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl Status {
    /// All of them.
    pub const ALL: [Status; 8] = [
        Status::Held,
        Status::Queued,
        Status::Running,
        Status::Waiting,
        Status::Paused,
        Status::Succeeded,
        Status::Failed,
        Status::Cancelled,
    ];

    /// As it is stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Status::Held => "held",
            Status::Queued => "queued",
            Status::Running => "running",
            Status::Waiting => "waiting",
            Status::Paused => "paused",
            Status::Succeeded => "succeeded",
            Status::Failed => "failed",
            Status::Cancelled => "cancelled",
        }
    }

    /// Whether nothing follows any more.
    #[must_use]
    pub const fn is_finished(self) -> bool {
        matches!(self, Status::Succeeded | Status::Failed | Status::Cancelled)
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Status {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        Status::ALL.into_iter().find(|status| status.as_str() == s).ok_or_else(|| {
            Error::invalid(format!("there is no status \"{s}\""))
                .at("/status", "not a status")
                .hint("one of held, queued, running, waiting, paused, succeeded, failed, cancelled")
        })
    }
}

/// One run of a bot version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Execution {
    /// Identity; sorts by creation.
    pub id: ExecutionId,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// Its bot.
    pub bot: BotId,
    /// The bot's name when it was started.
    pub bot_name: String,
    /// The version that it runs.
    pub version: VersionId,
    /// The deployment that started it, where one did.
    pub deployment: Option<DeploymentId>,
    /// `dev`, `staging`, `prod`.
    pub environment: String,
    /// Where it stands.
    pub status: Status,
    /// What it was given.
    pub input: Value,
    /// What it returned, once it has succeeded.
    pub output: Option<Value>,
    /// Why it failed or was cancelled.
    pub error: Option<Failure>,
    /// What started it.
    pub trigger: Value,
    /// Who started it, for people.
    pub caller: String,
    /// The execution that called it.
    pub parent: Option<ExecutionId>,
    /// The step that called it.
    pub parent_step: Option<String>,
    /// The execution that it takes up again.
    pub retry_of: Option<ExecutionId>,
    /// The execution that it goes on from, by a `continue` step.
    pub continues: Option<ExecutionId>,
    /// The execution that goes on from it.
    pub continued_as: Option<ExecutionId>,
    /// A second start with it finds this execution.
    pub idempotency_key: Option<String>,
    /// Labels that a worker must have to drive it.
    #[serde(default)]
    pub runs_on: Vec<String>,
    /// UTC milliseconds.
    pub created_at: Millis,
    /// When it was first driven, UTC milliseconds.
    pub started_at: Option<Millis>,
    /// UTC milliseconds.
    pub finished_at: Option<Millis>,
}

/// What an execution is started with.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The bot.
    pub bot: BotId,
    /// Its name.
    pub bot_name: String,
    /// The version to run.
    pub version: VersionId,
    /// The deployment that starts it, where one does.
    pub deployment: Option<DeploymentId>,
    /// `dev`, `staging`, `prod`.
    pub environment: String,
    /// Input; an object.
    pub input: Value,
    /// What expressions see as `trigger`: `{type, at, ...}`.
    pub trigger: Value,
    /// The same for the same wish: a second start with it gives the first execution.
    pub idempotency_key: Option<String>,
    /// The execution and the step that call it.
    pub parent: Option<(ExecutionId, String)>,
    /// Who starts it, for people: `user:ada@example.org`, `trigger:schedule`.
    pub caller: String,
}

/// What came of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Started {
    /// The execution.
    pub id: ExecutionId,
    /// Whether it was there already, by its idempotency key or a rule of its bot's `flow`.
    pub existing: bool,
    /// What a rule of its bot's `flow` made of the start; absent where it went through.
    pub passed: Option<Passed>,
    /// The execution that was told to end because of it.
    pub replaced: Option<ExecutionId>,
}

impl Started {
    /// A start that no rule has touched.
    #[must_use]
    pub fn plain(id: ExecutionId, existing: bool) -> Started {
        Started { id, existing, passed: None, replaced: None }
    }
}

/// What a rule of a bot's `flow` made of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Passed {
    /// The execution is held: it begins later.
    Held,
    /// `singleton`: there is one that is not over; nothing was started.
    Skipped,
    /// `singleton`: the older one is cancelled; the execution begins when that is over.
    Replaced,
    /// `debounce`: the execution is about this start from now on, and not about the one before.
    Debounced,
    /// `batch`: the execution has it among its items.
    Batched,
    /// `idempotency`: the execution was started by the same key.
    Repeated,
}

/// What a rule of a bot's `flow` counts, for one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FlowCount {
    /// `dev`, `staging`, `prod`.
    pub environment: String,
    /// `concurrency`, `rate`, `throttle`, `debounce`, `batch`, `singleton`, `idempotency`.
    pub rule: String,
    /// The value of its key, where it has one; of a long one its hash.
    pub key: Option<String>,
    /// Executions that hold a place; starts that are gathered.
    pub taken: u64,
    /// How many there may be.
    pub room: Option<u64>,
    /// Executions that are held until there is a place.
    pub waiting: u64,
    /// The execution that it is about.
    pub execution: Option<ExecutionId>,
    /// Of a pace: when all that was used up has come back; else when it is forgotten. UTC
    /// milliseconds.
    pub until: Option<Millis>,
}

/// An execution before the rules of its bot's `flow`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FlowTicket {
    /// `dev`, `staging`, `prod`.
    pub environment: String,
    /// The rule that holds it; none where it may go and holds a place.
    pub waits_for: Option<String>,
    /// The value of the rule's key.
    pub key: Option<String>,
    /// The higher goes first.
    pub priority: i32,
    /// Until when it is held, where that is known, UTC milliseconds.
    pub until: Option<Millis>,
    /// When it is cancelled unless it has begun, UTC milliseconds.
    pub deadline: Option<Millis>,
    /// The execution.
    pub execution: ExecutionId,
}

/// What is different in a fork of an execution. The default: nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fork {
    /// Its input; an object. That of the execution where absent.
    pub input: Option<Value>,
    /// The version that it runs. That of the execution where absent.
    pub version: Option<VersionId>,
    /// Path of the step to begin with: results recorded before it are taken over. Nothing
    /// is taken over where absent.
    pub from: Option<String>,
}

/// What came of following an execution's journal once more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Replay {
    /// The execution.
    pub execution: ExecutionId,
    /// Number of the version that followed.
    pub version: u32,
    /// Entries of the journal.
    pub entries: usize,
    /// Entries that agree with what the version would have done.
    pub followed: usize,
    /// Whether all of them do.
    pub same: bool,
    /// The first that does not.
    pub divergence: Option<Divergence>,
}

/// Where the journal and a version part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Divergence {
    /// Number of the entry.
    pub seq: i64,
    /// Its time, UTC milliseconds.
    pub at: Millis,
    /// Path of the step that it is about, or empty.
    pub step: String,
    /// What happened, in words.
    pub recorded: String,
    /// What would have happened instead, in words; absent where it would have waited on.
    pub instead: Option<String>,
}

/// Which executions a list holds. The default: all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of the bot of this name.
    pub bot: Option<String>,
    /// With this status.
    pub status: Option<Status>,
    /// Of this environment.
    pub environment: Option<String>,
    /// Created at or after this time, UTC milliseconds.
    pub since: Option<Millis>,
    /// Children of this execution.
    pub parent: Option<ExecutionId>,
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// It was begun and has no result yet.
    Running,
    /// It waits for a time, an event, an approval or a child.
    Waiting,
    /// An attempt failed; another will follow.
    Retrying,
    /// It has a result.
    Succeeded,
    /// It failed for good.
    Failed,
    /// Its guard was false.
    Skipped,
    /// It was begun, and the execution ended or went another way before it had a result.
    Cancelled,
}

/// A step of an execution, gathered from the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepState {
    /// Path in the execution: `price`, `each[3]/send`.
    pub path: String,
    /// Where it stands.
    pub status: StepStatus,
    /// The last attempt.
    pub attempt: u32,
    /// When it was first begun, UTC milliseconds.
    pub begun_at: Millis,
    /// When it got its result, UTC milliseconds.
    pub finished_at: Option<Millis>,
    /// How long its last attempt took, in milliseconds.
    pub ms: Option<u64>,
    /// Its result.
    pub output: Option<Value>,
    /// Why it failed, last.
    pub error: Option<Failure>,
    /// When it goes on by itself, UTC milliseconds.
    pub due: Option<Millis>,
    /// The execution that it called, or that goes on from this one.
    pub child: Option<ExecutionId>,
    /// Whether the result was taken over from the execution that this one retries.
    pub copied: bool,
    /// Whether what it did was taken back by its `undo`, the step `PATH/undo`.
    pub undone: bool,
}

/// One line of an execution's log, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// Counts within the execution, journal entries included.
    pub seq: i64,
    /// UTC milliseconds.
    pub at: Millis,
    /// Path of the step, or empty for the execution itself.
    pub step: String,
    /// Where it came from.
    pub stream: Stream,
    /// The text, secrets redacted.
    pub text: String,
}

/// One thing that a watcher of an execution sees.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum WatchItem {
    /// Something happened.
    Entry(super::entry::Entry),
    /// Something was written to the log.
    Log(Line),
}

impl WatchItem {
    /// Its place in the execution; pass it as `after` to go on behind it.
    #[must_use]
    pub fn seq(&self) -> i64 {
        match self {
            WatchItem::Entry(entry) => entry.seq,
            WatchItem::Log(line) => line.seq,
        }
    }
}

/// Something that people are asked to approve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Approval {
    /// The execution that waits.
    pub execution: ExecutionId,
    /// The step that waits.
    pub path: String,
    /// Its bot.
    pub bot_name: String,
    /// What is to be approved.
    pub message: String,
    /// UTC milliseconds.
    pub created_at: Millis,
    /// When it is too late, UTC milliseconds.
    pub expires_at: Option<Millis>,
}

/// An answer to an approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// Yes or no.
    pub approved: bool,
    /// Who answered, for people.
    pub by: String,
    /// What they said.
    pub comment: Option<String>,
}

/// A process that drives executions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Worker {
    /// Name of its machine.
    pub host: String,
    /// Whether it was seen within its lease; one that was not is taken for lost, and what
    /// it drove is driven by others.
    pub alive: bool,
    /// Whether it takes no more, since it is about to end.
    pub draining: bool,
    /// Executions that it drove when it was seen last.
    pub active: u32,
    /// Executions that it drives at most at the same time.
    pub concurrency: u32,
    /// What it can do beyond others: bots ask for it by `runs_on`.
    pub labels: Vec<String>,
    /// Version of the product.
    pub version: String,
    /// When it began, UTC milliseconds.
    pub since: Millis,
    /// When it was seen last, UTC milliseconds.
    pub seen_at: Millis,
    /// Identity.
    pub id: uuid::Uuid,
}
