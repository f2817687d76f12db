//! What was seen outside, and the entries that record it.

use super::super::entry::{Event, Failure, Shared};
use super::super::types::{Answer, Status};
use super::State;
use super::frame::{Frame, FrameId, Phase};
use crate::error::{Code, Error};
use crate::id::{ExecutionId, VersionId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// Something that was seen outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub(crate) enum Fact {
    /// An attempt succeeded.
    Succeeded { path: String, attempt: u32, output: Value, ms: u64 },
    /// An attempt failed.
    Failed { path: String, attempt: u32, error: Failure, ms: u64 },
    /// The child of a `call` step exists.
    ChildStarted { path: String, attempt: u32, id: ExecutionId },
    /// A child is done.
    ChildFinished { id: ExecutionId, status: Status, output: Option<Value>, error: Option<Failure> },
    /// A child goes on as another execution.
    ChildContinued { id: ExecutionId, next: ExecutionId },
    /// The execution that this one goes on as is ready to be stored.
    Continued { path: String, attempt: u32, id: ExecutionId },
    /// Someone sent a signal.
    Signal { name: String, payload: Value },
    /// An event came that a step waits for; its filter was satisfied.
    Event { path: String, name: String, payload: Value },
    /// Someone answered an approval.
    Answered { path: String, answer: Answer },
    /// Someone wants it to end.
    Cancel { by: String, reason: Option<String> },
    /// Someone wants it to stand still.
    Pause { by: String },
    /// Someone wants it to go on.
    Resume { by: String },
    /// Someone wants it to go on with another version. Its driver looks whether it can.
    Migrate { to: VersionId, by: String },
}

impl State {
    /// The entries that record a fact; none where it came too late to matter. Apply each.
    pub(crate) fn facts(&mut self, now: crate::clock::Millis, fact: Fact) -> Vec<Event> {
        if self.finished || !self.started {
            return Vec::new();
        }
        self.now = now;
        match fact {
            Fact::Succeeded { path, attempt, output, ms } if self.is_current(&path, attempt) => {
                vec![Event::StepSucceeded { path, attempt, output: Arc::new(output), ms, copied: false }]
            }
            Fact::Failed { path, attempt, error, ms } if self.is_current(&path, attempt) => {
                let retry_at = self.by_path.get(&*path).and_then(|id| self.retry_at(*id, &error));
                vec![Event::StepFailed { path, attempt, error, ms, retry_at, copied: false }]
            }
            Fact::ChildStarted { path, attempt, id } if self.is_current(&path, attempt) => {
                vec![Event::ChildStarted { path, attempt, id }]
            }
            Fact::Continued { path, attempt, id } if self.is_current(&path, attempt) => {
                let finished = Event::Finished { status: Status::Succeeded, output: Some(State::null()), error: None };
                vec![Event::Continued { path, attempt, id }, finished]
            }
            Fact::Succeeded { .. } | Fact::Failed { .. } | Fact::ChildStarted { .. } | Fact::Continued { .. } => {
                Vec::new()
            }
            Fact::ChildContinued { id, next } => {
                let frame = self.by_child.get(&id).and_then(|frame| self.frames.get(frame));
                let waits = frame.filter(|frame| frame.step().is_some_and(|step| step.todo.is_none()));
                waits
                    .map(|frame| Event::ChildContinued { path: frame.path.to_string(), id, next })
                    .into_iter()
                    .collect()
            }
            Fact::ChildFinished { id, status, output, error } => self.child_finished(id, status, output, error),
            Fact::Signal { name, payload } => {
                vec![Event::SignalReceived { name, payload: Arc::new(payload), path: String::new() }]
            }
            Fact::Event { path, name, payload } if self.phase_at(&path, |p| matches!(p, Phase::Awaiting)) => {
                vec![Event::SignalReceived { name, payload: Arc::new(payload), path }]
            }
            Fact::Answered { path, answer } if self.phase_at(&path, |p| matches!(p, Phase::Asked(_))) => {
                vec![Event::ApprovalAnswered { path, answer }]
            }
            Fact::Event { .. } | Fact::Answered { .. } => Vec::new(),
            Fact::Cancel { by, reason } => vec![Event::CancelRequested { by, reason }],
            Fact::Pause { by } if !self.paused && self.ending.is_none() => vec![Event::Paused { by }],
            Fact::Resume { by } if self.paused => vec![Event::Resumed { by }],
            Fact::Pause { .. } | Fact::Resume { .. } | Fact::Migrate { .. } => Vec::new(),
        }
    }

    pub(super) fn phase_at(&self, path: &str, is: impl Fn(&Phase) -> bool) -> bool {
        let step = self.by_path.get(path).and_then(|id| self.frames.get(id)).and_then(Frame::step);
        step.is_some_and(|step| is(&step.phase) && step.todo.is_none())
    }

    fn child_finished(
        &mut self,
        child: ExecutionId,
        status: Status,
        output: Option<Value>,
        error: Option<Failure>,
    ) -> Vec<Event> {
        let Some(id) = self.by_child.get(&child).copied() else { return Vec::new() };
        let Some(frame) = self.frames.get(&id) else { return Vec::new() };
        if frame.step().is_some_and(|step| step.todo.is_some()) {
            return Vec::new();
        }
        let path = frame.path.to_string();
        let attempt = self.attempt(id);
        let result = match (status, error) {
            (Status::Succeeded, _) => Event::StepSucceeded {
                path: path.clone(),
                attempt,
                output: output.map_or_else(State::null, Shared::new),
                ms: 0,
                copied: false,
            },
            (_, error) => self.child_failed(id, &path, attempt, error),
        };
        vec![Event::ChildFinished { path, id: child, status }, result]
    }

    fn child_failed(&self, id: FrameId, path: &str, attempt: u32, error: Option<Failure>) -> Event {
        let failure = called_failed(path, error);
        let retry_at = self.retry_at(id, &failure);
        Event::StepFailed { path: path.to_owned(), attempt, error: failure, ms: 0, retry_at, copied: false }
    }
}

/// Why a step failed that called another bot.
pub(super) fn called_failed(path: &str, error: Option<Failure>) -> Failure {
    let mut failure = match error {
        Some(failure) => Failure {
            message: format!("the called bot failed: {}", failure.message),
            // Its steps are not those of this execution.
            not_undone: Vec::new(),
            ..failure
        },
        None => Failure::at(path, &Error::new(Code::Failed, "the called bot failed")),
    };
    path.clone_into(&mut failure.step);
    failure
}
