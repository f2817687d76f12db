//! The blueprint as the engine sees it: typed, checked, without positions.
//!
//! Text becomes a [`Blueprint`] by `blueprint::parse` and goes back by
//! `blueprint::print`; the two are inverse.

use super::flow::Flow;
use indexmap::IndexMap;
use serde_json::Value;

/// A length of time in milliseconds, written `250ms`, `5m`, `1h30m`, `2d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(pub u64);

/// A number of bytes, written `512KiB`, `256MB`, `1GiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(pub u64);

/// The text of a bot, parsed.
#[derive(Debug, Clone, PartialEq)]
pub struct Blueprint {
    /// Name of the bot: lower case letters, digits and hyphens, 1 to 63 characters.
    pub name: String,
    /// What the bot is for, in a sentence.
    pub description: Option<String>,
    /// What starts it. A bot can always be started by hand too.
    pub on: Vec<Trigger>,
    /// JSON Schema (draft 2020-12) of the input; an object schema.
    pub inputs: Option<Value>,
    /// What it may touch. What is not declared is denied.
    pub permissions: Permissions,
    /// Packages that its scripts need.
    pub dependencies: Dependencies,
    /// Limits of each script that it runs.
    pub limits: Limits,
    /// Labels that a worker must have to execute it; none: any worker does.
    pub runs_on: Vec<String>,
    /// How many executions go at a time, and when they begin.
    pub flow: Flow,
    /// Longest time for a whole execution; waiting counts.
    pub timeout: Option<Span>,
    /// How long its finished executions are kept.
    pub retention: Retention,
    /// Whether the supervisor starts it again when it ends.
    pub restart: Restart,
    /// How the supervisor sees whether it is well.
    pub health: Option<Health>,
    /// The function of a program that does it, in place of steps.
    pub native: Option<Native>,
    /// What it does.
    pub steps: Vec<Step>,
    /// Template of the execution's output; by default the last step's output.
    pub output: Option<Value>,
}

/// How long finished executions are kept; by default as long as the engine's own setting says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// Those that ended longer ago are removed.
    pub age: Option<Span>,
    /// Of the latest executions, those beyond this number are removed.
    pub count: Option<u32>,
    /// Whether what is removed is not written to the archive first.
    pub unarchived: bool,
}

/// A function that an embedding program has registered: `native: order`, or
/// `native: {function: order, revision: "2"}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Native {
    /// The name that it is registered by.
    pub function: String,
    /// The state of its code: only a program that has this very revision executes it.
    pub revision: Option<String>,
}

/// What starts a bot.
#[derive(Debug, Clone, PartialEq)]
pub enum Trigger {
    /// By hand: `- manual`.
    Manual,
    /// By time: `- schedule: every weekday at 9am`, or a cron expression of 5 or 6 fields.
    Schedule(ScheduleTrigger),
    /// By an HTTP request to `/hooks/{workspace}/{path}`.
    Webhook(WebhookTrigger),
    /// By an event on the workspace's bus.
    Event(EventTrigger),
    /// By another bot's end.
    Bot(BotTrigger),
    /// By a connector that looks for news: `- use: rss.new_item`, one execution for each.
    Poll(PollTrigger),
}

/// Start by time.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleTrigger {
    /// Phrase ("every 5 minutes") or cron expression.
    pub schedule: String,
    /// IANA zone; by default the workspace's.
    pub timezone: Option<String>,
    /// What to do about runs that were due while the engine was down.
    pub missed: Missed,
    /// Each run is delayed by a random time below this.
    pub jitter: Option<Span>,
    /// Input of the executions that it starts.
    pub input: Option<Value>,
}

/// Policy for runs that were due while the engine was down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missed {
    /// Forget them.
    Skip,
    /// Run once for all of them together.
    #[default]
    Once,
    /// Run each of them, oldest first, at most 100.
    All,
}

/// Start by an HTTP request.
#[derive(Debug, Clone, PartialEq)]
pub struct WebhookTrigger {
    /// Path below `/hooks/{workspace}/`: letters, digits, `-`, `_`, `/`.
    pub path: String,
    /// Upper-case method; `POST` by default.
    pub method: String,
    /// Name of the secret that signs the body (HMAC-SHA256, header `X-Signature-256: sha256=HEX`).
    pub secret: Option<String>,
    /// Fields that the JSON body must have, else 422 and no execution.
    pub require: Vec<String>,
    /// When the answer is given.
    pub respond: Respond,
}

/// When a webhook is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Respond {
    /// 202 with the execution's id, as soon as the start is durable.
    #[default]
    Accepted,
    /// By the bot's `webhook.reply` step, or its output at its end.
    Reply,
}

/// Start by an event on the bus.
#[derive(Debug, Clone, PartialEq)]
pub struct EventTrigger {
    /// Event name; a trailing `*` matches any rest.
    pub event: String,
    /// CEL condition over `event` (its data).
    pub filter: Option<String>,
}

/// Start by another bot's end.
#[derive(Debug, Clone, PartialEq)]
pub struct BotTrigger {
    /// Name of the other bot in the same workspace.
    pub bot: String,
    /// Which ends count.
    pub when: BotEnd,
}

/// Which ends of a bot count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BotEnd {
    /// It succeeded.
    #[default]
    Succeeded,
    /// It failed.
    Failed,
    /// Either.
    Finished,
}

/// Start by a connector's poll.
#[derive(Debug, Clone, PartialEq)]
pub struct PollTrigger {
    /// `connector.trigger`, such as `rss.new_item`.
    pub source: String,
    /// Settings of the trigger (templates allowed over `secrets` only).
    pub with: Value,
    /// Name of the connection to use; by default the connector's name.
    pub connection: Option<String>,
    /// How often to look.
    pub every: Span,
}

/// What a bot may touch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Permissions {
    /// `host`, `host:port` or `*.domain`. A private address must be named literally.
    pub network: Vec<String>,
    /// Names of secrets.
    pub secrets: Vec<String>,
    /// Absolute folders or files that it may read and write.
    pub files: Vec<String>,
}

/// Packages for scripts, pinned.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dependencies {
    /// `name==version`.
    pub pip: Vec<String>,
    /// `name@version`.
    pub npm: Vec<String>,
}

/// Limits of each script run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Limits {
    /// Memory.
    pub memory: Option<Bytes>,
    /// Processor time.
    pub cpu: Option<Span>,
    /// Processes and threads.
    pub processes: Option<u32>,
    /// Bytes of output kept, stdout and stderr together.
    pub output: Option<Bytes>,
}

/// Whether a bot is started again when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Restart {
    /// Only its triggers start it.
    #[default]
    Never,
    /// Kept running: started again with backoff after a failure.
    OnFailure,
    /// Kept running: started again with backoff whenever it ends.
    Always,
}

/// How the supervisor sees whether a bot is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// It must have succeeded within this time.
    pub succeeded_within: Option<Span>,
    /// Failures in a row that open an incident; 3 by default.
    pub failures: u32,
}

/// One node of what a bot does.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Unique within the blueprint: letters, digits, `_`. Given by the parser (`step3`) where the text has none.
    pub id: String,
    /// Whether the text gave the id (an id that was made up is not printed).
    pub named: bool,
    /// For people.
    pub title: Option<String>,
    /// CEL guard: where false, the step is skipped and its output is null.
    pub guard: Option<String>,
    /// What to do when it fails.
    pub retry: Option<Retry>,
    /// Longest time for one attempt.
    pub timeout: Option<Span>,
    /// How what it did is taken back when the execution does not succeed; for `use`, `run` and `call`.
    pub undo: Option<Box<Undo>>,
    /// What it does.
    pub kind: StepKind,
}

/// How what a step did is taken back: `undo: {use: stripe.refund, with: {...}}`. Its expressions
/// see what the step sees, and the step's output as `result`.
#[derive(Debug, Clone, PartialEq)]
pub struct Undo {
    /// What to do when it fails; by default three attempts.
    pub retry: Option<Retry>,
    /// Longest time for one attempt.
    pub timeout: Option<Span>,
    /// What it does: `use`, `run` or `call`.
    pub kind: StepKind,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq)]
pub enum StepKind {
    /// `use: http.get` with its input: a connector's (or the embedding program's) action.
    Use {
        /// `connector.action`.
        action: String,
        /// Template of the input.
        with: Value,
        /// Name of the connection; by default the connector's name.
        connection: Option<String>,
    },
    /// `run: python`: code in a process of its own.
    Run {
        /// Language.
        language: Language,
        /// Inline code or the name of a file that belongs to the version.
        source: Source,
        /// Template of the input, handed over as JSON.
        with: Value,
        /// Environment variables (templates; the place for secrets).
        env: IndexMap<String, String>,
    },
    /// `call: triage`: another bot as a child execution.
    Call {
        /// Name of the bot.
        bot: String,
        /// Template of its input.
        with: Value,
        /// False: go on without waiting for its end; the output is then its execution id.
        wait: bool,
    },
    /// `wait: 10m` and the other durable waits.
    Wait(Wait),
    /// `if:` with `then:` and `else:`.
    If {
        /// CEL condition.
        condition: String,
        /// Where true.
        then: Vec<Step>,
        /// Where false.
        otherwise: Vec<Step>,
    },
    /// `switch:` with `cases:` and `default:`.
    Switch {
        /// CEL expression whose value is compared.
        on: String,
        /// First equal case wins.
        cases: Vec<Case>,
        /// Where none is equal.
        default: Vec<Step>,
    },
    /// `foreach:`; its output is the list of each round's last output.
    Foreach {
        /// CEL expression that yields a list.
        items: String,
        /// Name of the item in the steps; `item` by default.
        bind: String,
        /// Rounds at a time; 1 by default.
        concurrency: u32,
        /// The body.
        steps: Vec<Step>,
    },
    /// `parallel:`, named branches at once; its output maps branch to last output.
    Parallel {
        /// Name to steps.
        branches: IndexMap<String, Vec<Step>>,
    },
    /// `try:`, `catch:`, `finally:`. In `catch`, `error` holds code, message and step.
    Try {
        /// The body.
        body: Vec<Step>,
        /// When the body failed; without it the error goes on after `finally`.
        catch: Vec<Step>,
        /// In any case.
        finally: Vec<Step>,
    },
    /// `fail: message`: end the execution (or the enclosing `try`) with an error.
    Fail {
        /// Template of the message.
        message: String,
    },
    /// `continue: {cursor: ...}`: end this execution well and go on as a new one of the same bot.
    Continue {
        /// Template of the new execution's input.
        input: Value,
    },
}

/// A case of a `switch`.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// The value to equal.
    pub is: Value,
    /// What to do then.
    pub steps: Vec<Step>,
}

/// A durable wait.
#[derive(Debug, Clone, PartialEq)]
pub enum Wait {
    /// `wait: 10m`.
    For(Span),
    /// `wait: {until: ...}`: CEL that yields a timestamp or RFC 3339 text.
    Until(String),
    /// `wait: {event: name, where: CEL, timeout: 1d}`; output is the event's data.
    Event {
        /// Event name on the bus.
        event: String,
        /// CEL over `event`.
        filter: Option<String>,
        /// After this the step fails with `timeout`.
        timeout: Option<Span>,
    },
    /// `wait: {signal: name, where: CEL, timeout: 1d}`; output is what was sent.
    Signal {
        /// Name of the signal.
        signal: String,
        /// CEL over `signal`, what was sent.
        filter: Option<String>,
        /// After this the step fails with `timeout`.
        timeout: Option<Span>,
    },
    /// `wait: {approval: text, ask: {use, with}, timeout}`; output `{approved, by, comment}`.
    Approval(Box<ApprovalWait>),
}

/// A wait for somebody's yes or no.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ApprovalWait {
    /// Template of what is to be approved.
    pub message: String,
    /// How people are asked: action and input; `approval.approve_url` and `approval.decline_url` are in scope.
    pub ask: Option<Ask>,
    /// How they are asked again while nobody has answered.
    pub remind: Option<Remind>,
    /// Whom else to ask, and when; the first answer of anybody counts.
    pub escalate: Vec<Escalation>,
    /// How long to wait for an answer.
    pub timeout: Option<Span>,
    /// What it comes to then.
    pub on_timeout: OnTimeout,
}

/// Asking again: `remind: {every: 1h, times: 5, ask: {use, with}}`.
#[derive(Debug, Clone, PartialEq)]
pub struct Remind {
    /// How often.
    pub every: Span,
    /// How many times at most, 1 to 1,000; 10 by default.
    pub times: u32,
    /// How; by default as the first time.
    pub ask: Option<Ask>,
}

/// Asking others: `- {after: 4h, ask: {use, with}}`.
#[derive(Debug, Clone, PartialEq)]
pub struct Escalation {
    /// How long after the first question.
    pub after: Span,
    /// How.
    pub ask: Ask,
}

/// What an approval comes to that nobody has answered in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnTimeout {
    /// The step fails with `timeout`.
    #[default]
    Fail,
    /// As if somebody had said yes; `by` is `timeout`.
    Approve,
    /// As if somebody had said no; `by` is `timeout`.
    Decline,
}

/// How an approval is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// `connector.action`.
    pub action: String,
    /// Template of its input.
    pub with: Value,
    /// Name of the connection.
    pub connection: Option<String>,
}

/// Languages of `run`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    /// CPython 3: `def main(input): return ...`, or a plain script.
    Python,
    /// Node.js: `export default async function (input) {}`, or a plain script.
    Node,
    /// POSIX shell; input on stdin, output from stdout.
    Shell,
}

/// Code of a `run` step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In the blueprint: `code: |`.
    Inline(String),
    /// A file stored with the version: `file: main.py`.
    File(String),
}

/// What to do when a step fails.
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// Attempts in all, the first included; 1 to 100.
    pub attempts: u32,
    /// How the delay grows.
    pub backoff: Backoff,
    /// Delay before the second attempt.
    pub delay: Span,
    /// Longest delay.
    pub max: Span,
    /// Share of the delay that is random, 0 to 1.
    pub jitter: f64,
    /// Error codes that are worth another attempt; empty: those that are retriable.
    pub on: Vec<String>,
}

impl Default for Retry {
    fn default() -> Self {
        Retry {
            attempts: 3,
            backoff: Backoff::Exponential,
            delay: Span(1_000),
            max: Span(60_000),
            jitter: 0.2,
            on: Vec::new(),
        }
    }
}

/// How the delay between attempts grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backoff {
    /// Always the same.
    Constant,
    /// By the first delay each time.
    Linear,
    /// Doubled each time.
    #[default]
    Exponential,
}
