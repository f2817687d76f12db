//! What is to be done next.

use super::super::entry::{Call, Event, Failure, Purpose, Shared};
use super::super::plan::NodeId;
use super::Finish;
use super::native::NativeWork;
use crate::clock::Millis;
use crate::expr::Scope;
use crate::id::ExecutionId;

/// An attempt of a step that does something outside.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) path: String,
    pub(crate) node: NodeId,
    pub(crate) attempt: u32,
    pub(crate) idempotency_key: String,
    /// What its templates see, secrets aside.
    pub(crate) scope: Scope,
    /// Whether it asks people for an approval, so that it needs the addresses for the answer.
    pub(crate) asks: bool,
}

/// What is to be written next, and done once it is written.
#[derive(Debug, Clone)]
pub(crate) enum Command {
    /// Perform a `use` or `run` step.
    Run(Work),
    /// Start the child of a `call` step.
    StartChild(Work, Option<Millis>),
    /// Prepare the execution that this one goes on as.
    Continue(Work),
    /// What a native function asked for begins.
    Native(NativeWork),
    /// Wait for a signal.
    AwaitSignal { path: String, idempotency_key: String, due: Option<Millis> },
    /// Wait for an event.
    AwaitEvent {
        path: String,
        idempotency_key: String,
        event: String,
        filter: Option<String>,
        /// What the filter sees beside `event`.
        scope: Scope,
        due: Option<Millis>,
    },
    /// Wait for a time.
    SetTimer { path: String, due: Millis },
    /// Wait for people.
    AskApproval { path: String, message: String, due: Option<Millis> },
    /// A guard was false.
    Skip { path: String },
    /// A step that does nothing outside has its result.
    Succeed { path: String, attempt: u32, output: Shared },
    /// A step failed by itself.
    Fail { path: String, attempt: u32, error: Failure, retry_at: Option<Millis> },
    /// A time has come.
    Fire { path: String, purpose: Purpose },
    /// What was done is undone, in the body of a `try` or altogether.
    Undo { path: String, error: Failure, due: Option<Millis> },
    /// The journal has become too long.
    JournalFull { entries: u64 },
    /// It is over.
    Finish(Finish),
}

impl Command {
    /// The step that something is done for outside; `None` for other commands.
    pub(crate) fn path(&self) -> Option<&str> {
        match self {
            Command::Run(work) | Command::StartChild(work, _) | Command::Continue(work) => Some(&work.path),
            Command::Native(work) => Some(&work.path),
            _ => None,
        }
    }

    /// The entry to write before it is done.
    pub(crate) fn event(&self) -> Event {
        match self {
            Command::Run(work) | Command::Continue(work) => scheduled(work, None),
            Command::StartChild(work, due) => scheduled(work, *due),
            Command::Native(work) => asked_for(work),
            Command::AwaitSignal { path, idempotency_key, due }
            | Command::AwaitEvent { path, idempotency_key, due, .. } => Event::StepScheduled {
                path: path.clone(),
                attempt: 1,
                idempotency_key: idempotency_key.clone(),
                due: *due,
                call: None,
            },
            Command::SetTimer { path, due } => Event::TimerSet { path: path.clone(), due: *due },
            Command::AskApproval { path, message, due } => {
                Event::ApprovalAsked { path: path.clone(), message: message.clone(), due: *due }
            }
            Command::Skip { path } => Event::StepSkipped { path: path.clone() },
            Command::Succeed { path, attempt, output } => Event::StepSucceeded {
                path: path.clone(),
                attempt: *attempt,
                output: output.clone(),
                ms: 0,
                copied: false,
            },
            Command::Fail { path, attempt, error, retry_at } => Event::StepFailed {
                path: path.clone(),
                attempt: *attempt,
                error: error.clone(),
                ms: 0,
                retry_at: *retry_at,
                copied: false,
            },
            Command::Undo { path, error, due } => {
                Event::Undoing { path: path.clone(), error: error.clone(), due: *due }
            }
            Command::JournalFull { entries } => Event::JournalFull { entries: *entries },
            Command::Fire { path, purpose } => Event::TimerFired { path: path.clone(), purpose: *purpose },
            Command::Finish(finish) => {
                Event::Finished { status: finish.status, output: finish.output.clone(), error: finish.error.clone() }
            }
        }
    }
}

fn asked_for(work: &NativeWork) -> Event {
    let path = work.path.clone();
    match work.request.call() {
        Call::Sleep => Event::TimerSet { path, due: work.due.unwrap_or_default() },
        call => Event::StepScheduled {
            path,
            attempt: work.attempt,
            idempotency_key: work.idempotency_key.clone(),
            due: work.due,
            call: Some(call),
        },
    }
}

fn scheduled(work: &Work, due: Option<Millis>) -> Event {
    Event::StepScheduled {
        path: work.path.clone(),
        attempt: work.attempt,
        idempotency_key: work.idempotency_key.clone(),
        due,
        call: None,
    }
}

/// What has to be done outside because something ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The attempt that runs at this path is not wanted any more.
    Abort { path: String },
    /// This child is not wanted any more.
    CancelChild { id: ExecutionId },
    /// Nobody waits at this path for an event any more.
    ForgetWait { path: String },
    /// Nobody waits at this path for an approval any more.
    CloseApproval { path: String },
}
