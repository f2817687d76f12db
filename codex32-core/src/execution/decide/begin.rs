//! A step begins: its guard, then what its kind says.

use super::super::entry::{Failure, Purpose, Shared};
use super::super::plan::Kind;
use super::State;
use super::agenda::Task;
use super::frame::{Frame, FrameId, Phase, Todo};
use crate::clock::Millis;
use crate::error::{Code, Error};
use chrono::DateTime;
use serde_json::Value;
use std::sync::Arc;

impl State {
    pub(super) fn begin(&mut self, id: FrameId) {
        let Some(frame) = self.frames.get(&id) else { return };
        let Some(step) = frame.step() else { return };
        let plan = self.plan.clone();
        let node = plan.node(step.node);
        if node.kind.is_leaf()
            && let Some(outcome) = self.memo.remove(&*frame.path)
        {
            if let Ok(output) = &outcome {
                self.remember(id, output);
            }
            return self.agenda.push_back(Task::Done(id, outcome));
        }
        match node.guard.as_ref().map(|guard| self.condition(id, guard)) {
            Some(Err(failure)) => self.mark(id, Todo::Fail { error: failure, retry_at: None }),
            Some(Ok(false)) => self.mark(id, Todo::Skip),
            Some(Ok(true)) | None => self.agenda.push_back(Task::Enter(id)),
        }
    }

    /// Also for a later attempt.
    pub(super) fn enter(&mut self, id: FrameId) {
        let Some(node) = self.frames.get(&id).and_then(Frame::step).map(|step| step.node) else { return };
        let plan = self.plan.clone();
        let node = plan.node(node);
        let timeout = node.timeout.map(|span| self.now.saturating_add(span));
        // An attempt of `use` and `run` is held to its time by whoever performs it.
        if let Some(due) = timeout
            && !matches!(node.kind, Kind::Use { .. } | Kind::Run { .. })
        {
            self.set_timer(id, due, Purpose::Timeout);
        }
        let entered = match &node.kind {
            Kind::Use { .. } | Kind::Run { .. } | Kind::Continue { .. } => self.note(id, Todo::Schedule { due: None }),
            Kind::Call { .. } => self.note(id, Todo::Schedule { due: timeout }),
            Kind::WaitFor(span) => self.note(id, Todo::SetTimer { due: self.now.saturating_add(*span) }),
            Kind::WaitUntil(code) => self.eval(id, code).and_then(|value| self.until(id, code.place, &value)),
            Kind::WaitEvent { timeout, .. } => self.await_event(id, *timeout),
            Kind::Approval(approval) => self.ask_approval(id, &approval.message, approval.timeout),
            Kind::If { condition, then, otherwise } => self.choose_if(id, condition, *then, *otherwise),
            Kind::Switch { on, cases, default } => self.choose_case(id, on, cases, *default),
            Kind::Foreach { items, .. } => self.enter_foreach(id, items),
            Kind::Parallel { branches } => self.enter_parallel(id, branches),
            Kind::Try { body, .. } => self.enter_try(id, *body),
            Kind::Fail { message } => self.text(id, message).and_then(|text| self.fail(id, text)),
        };
        if let Err(failure) = entered {
            self.mark(id, Todo::Fail { error: failure, retry_at: None });
        }
    }

    /// Notes what is to be written about a step that cannot fail here.
    pub(super) fn note(&mut self, id: FrameId, todo: Todo) -> Result<(), Failure> {
        self.mark(id, todo);
        Ok(())
    }

    /// `fail: message`.
    fn fail(&self, id: FrameId, message: String) -> Result<(), Failure> {
        let path = self.frames.get(&id).map_or("", |frame| &frame.path);
        Err(Failure::at(path, &Error::new(Code::Failed, message)))
    }

    /// `wait: {until: ...}`.
    fn until(&mut self, id: FrameId, place: &str, value: &Value) -> Result<(), Failure> {
        let due = moment(value).map_err(|error| self.fault(id, place, error))?;
        self.mark(id, Todo::SetTimer { due });
        Ok(())
    }

    /// Path below which the present attempt of a step keeps what is inside.
    pub(super) fn base(&self, id: FrameId) -> String {
        let Some(frame) = self.frames.get(&id) else { return String::new() };
        match frame.step().map_or(1, |step| step.attempt) {
            1 => frame.path.to_string(),
            attempt => format!("{}~{attempt}", frame.path),
        }
    }

    pub(super) fn set_phase(&mut self, id: FrameId, phase: Phase) {
        if let Some(step) = self.frames.get_mut(&id).and_then(Frame::step_mut) {
            step.phase = phase;
        }
    }

    /// A result for a step that does nothing outside.
    pub(super) fn succeed(&mut self, id: FrameId, output: Shared) {
        self.mark(id, Todo::Succeed(output));
    }

    pub(super) fn null() -> Shared {
        Arc::new(Value::Null)
    }
}

/// The time that a value names: RFC 3339 text, or a number of milliseconds since 1970.
fn moment(value: &Value) -> Result<Millis, Error> {
    match value {
        Value::String(text) => DateTime::parse_from_rfc3339(text)
            .map(|time| time.timestamp_millis())
            .map_err(|_| Error::invalid("the text is not a time").hint("write RFC 3339: 2026-05-01T09:00:00Z")),
        Value::Number(number) => {
            number.as_i64().ok_or_else(|| Error::invalid("the number is not whole milliseconds since 1970"))
        }
        _ => Err(Error::invalid("the value is not a time").hint("use a timestamp or RFC 3339 text")),
    }
}
