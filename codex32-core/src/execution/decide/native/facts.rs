//! What was seen outside, and the entries that record it.

use super::super::super::entry::{Event, Failure, Shared, idempotency_key};
use super::super::super::types::Status;
use super::super::Fact;
use super::super::fact::called_failed;
use super::super::retry::next_attempt;
use super::{Known, NativeState, Phase, Request};
use crate::clock::Millis;
use crate::id::ExecutionId;
use serde_json::Value;
use std::sync::Arc;

impl NativeState {
    /// The entries that record a fact; none where it came too late to matter. Apply each.
    pub(crate) fn facts(&mut self, now: Millis, fact: Fact) -> Vec<Event> {
        if self.finished || !self.started || self.result.is_some() {
            return Vec::new();
        }
        self.now = now;
        match fact {
            Fact::Succeeded { path, attempt, output, ms } if self.is_current(&path, attempt) => {
                vec![Event::StepSucceeded { path, attempt, output: Arc::new(output), ms, copied: false }]
            }
            Fact::Failed { path, attempt, error, ms } if self.is_current(&path, attempt) => {
                let retry_at = self.retry_at(&path, attempt, &error);
                vec![Event::StepFailed { path, attempt, error, ms, retry_at, copied: false }]
            }
            Fact::ChildStarted { path, attempt, id } if self.is_current(&path, attempt) => {
                vec![Event::ChildStarted { path, attempt, id }]
            }
            Fact::ChildContinued { id, next } => {
                let open = self.child(id).map(|call| call.path.to_string());
                open.map(|path| Event::ChildContinued { path, id, next }).into_iter().collect()
            }
            Fact::ChildFinished { id, status, output, error } => self.child_finished(id, status, output, error),
            Fact::Signal { name, payload } => {
                vec![Event::SignalReceived { name, payload: Arc::new(payload), path: String::new() }]
            }
            Fact::Event { path, name, payload } if self.awaits(&path) => {
                vec![Event::SignalReceived { name, payload: Arc::new(payload), path }]
            }
            Fact::Cancel { by, reason } => vec![Event::CancelRequested { by, reason }],
            Fact::Pause { by } if !self.paused => vec![Event::Paused { by }],
            Fact::Resume { by } if self.paused => vec![Event::Resumed { by }],
            _ => Vec::new(),
        }
    }

    fn awaits(&self, path: &str) -> bool {
        let call = self.by_path.get(path).and_then(|id| self.calls.get(*id));
        call.is_some_and(|call| call.phase == Phase::Awaiting && call.todo.is_none())
    }

    fn retry_at(&self, path: &str, attempt: u32, error: &Failure) -> Option<Millis> {
        let call = self.by_path.get(path).and_then(|id| self.calls.get(*id))?;
        let Some(Request::Step { retry: Some(retry), .. }) = &call.request else { return None };
        let key = idempotency_key(self.id, path);
        next_attempt(retry, attempt, &key, error, true).map(|wait| self.now.saturating_add(wait))
    }

    /// The call that waits for this child and has nothing else to be written.
    fn child(&self, child: ExecutionId) -> Option<&Known> {
        self.by_child.get(&child).and_then(|id| self.calls.get(*id)).filter(|call| call.todo.is_none())
    }

    fn child_finished(
        &self,
        child: ExecutionId,
        status: Status,
        output: Option<Value>,
        error: Option<Failure>,
    ) -> Vec<Event> {
        let Some(call) = self.child(child) else { return Vec::new() };
        let (path, attempt) = (call.path.to_string(), call.attempt);
        let result = match status {
            Status::Succeeded => {
                let output = Shared::new(output.unwrap_or_default());
                Event::StepSucceeded { path: path.clone(), attempt, output, ms: 0, copied: false }
            }
            _ => {
                let error = called_failed(&path, error);
                Event::StepFailed { path: path.clone(), attempt, error, ms: 0, retry_at: None, copied: false }
            }
        };
        vec![Event::ChildFinished { path, id: child, status }, result]
    }
}
