//! Waiting for an event, a signal or people.

use super::super::entry::{Failure, Purpose, Shared};
use super::super::plan::{Kind, NodeId, Text};
use super::super::types::Answer;
use super::frame::{Frame, FrameId, Outcome, Phase, Todo};
use super::tree::join;
use super::{MAX_KEPT_SIGNALS, State};
use crate::clock::Millis;
use serde_json::json;
use std::sync::Arc;

impl State {
    pub(super) fn await_event(&mut self, id: FrameId, timeout: Option<Millis>) -> Result<(), Failure> {
        let due = self.earlier(id, timeout);
        self.note(id, Todo::Schedule { due })
    }

    pub(super) fn ask_approval(&mut self, id: FrameId, message: &Text, timeout: Option<Millis>) -> Result<(), Failure> {
        let message = self.text(id, message)?;
        let due = self.earlier(id, timeout);
        self.note(id, Todo::Ask { message, due })
    }

    /// The end of the wait's own timeout or of the step's, whichever comes first.
    fn earlier(&self, id: FrameId, timeout: Option<Millis>) -> Option<Millis> {
        let own = timeout.map(|span| self.now.saturating_add(span));
        let step = self.frames.get(&id).and_then(Frame::step)?;
        let around = step.timers.iter().find(|(_, purpose)| *purpose == Purpose::Timeout).map(|(due, _)| *due);
        [own, around].into_iter().flatten().min()
    }

    /// The step waits from now on; a signal that came before is taken at once.
    pub(super) fn start_awaiting(&mut self, id: FrameId, event: &str) {
        self.awaiting.entry(event.to_owned()).or_default().insert(id);
        for position in 0..self.signals.len() {
            let Some((name, payload)) = self.signals.get(position).cloned() else { return };
            if name == event && self.offer(id, &payload) {
                self.signals.remove(position);
                return;
            }
        }
    }

    pub(super) fn stop_awaiting(&mut self, id: FrameId, node: NodeId) {
        let Kind::WaitEvent { event, .. } = &self.plan.node(node).kind else { return };
        if let Some(waiting) = self.awaiting.get_mut(event) {
            waiting.remove(&id);
            if waiting.is_empty() {
                let event = event.clone();
                self.awaiting.remove(&event);
            }
        }
    }

    pub(super) fn apply_signal(&mut self, name: &str, payload: &Shared, path: &str) {
        if !path.is_empty() {
            // Whoever sent it has looked at the filter.
            if let Some(id) = self.by_path.get(path).copied().filter(|id| self.awaits(*id)) {
                self.succeed(id, payload.clone());
            }
            return;
        }
        let waiting: Vec<FrameId> = self.awaiting.get(name).into_iter().flatten().copied().collect();
        for id in waiting {
            if self.awaits(id) && self.offer(id, payload) {
                return;
            }
        }
        if self.signals.len() >= MAX_KEPT_SIGNALS {
            self.signals.pop_front();
        }
        self.signals.push_back((name.to_owned(), payload.clone()));
    }

    /// Whether the step waits and has nothing else to be written.
    fn awaits(&self, id: FrameId) -> bool {
        let step = self.frames.get(&id).and_then(Frame::step);
        step.is_some_and(|step| matches!(step.phase, Phase::Awaiting) && step.todo.is_none())
    }

    /// Gives a waiting step a signal. False where its filter does not want it.
    fn offer(&mut self, id: FrameId, payload: &Shared) -> bool {
        let Some(node) = self.frames.get(&id).and_then(Frame::step).map(|step| step.node) else { return false };
        let plan = self.plan.clone();
        let Kind::WaitEvent { filter, .. } = &plan.node(node).kind else { return false };
        let Some(filter) = filter else {
            self.succeed(id, payload.clone());
            return true;
        };
        let mut scope = self.scope(id, &filter.needs);
        scope.set_shared("event", payload.clone());
        match filter.program.condition(&scope) {
            Ok(true) => self.succeed(id, payload.clone()),
            Ok(false) => return false,
            Err(e) => {
                let failure = self.fault(id, filter.place, e.into());
                self.fail_attempt(id, failure);
            }
        }
        true
    }

    pub(super) fn apply_asked(&mut self, id: FrameId, due: Option<Millis>) {
        self.written(id, Phase::Asked);
        if let Some(due) = due {
            self.clear_timer(id, Purpose::Timeout);
            self.set_timer(id, due, Purpose::Timeout);
        }
        let base = self.base(id);
        let Some(node) = self.frames.get(&id).and_then(Frame::step).map(|step| step.node) else { return };
        if let Kind::Approval { ask: Some(ask), .. } = self.plan.node(node).kind {
            self.open_step(id, join(&base, "ask"), ask);
        }
    }

    pub(super) fn apply_answer(&mut self, id: FrameId, answer: &Answer) {
        let step = self.frames.get(&id).and_then(Frame::step);
        if step.is_some_and(|step| matches!(step.phase, Phase::Asked) && step.todo.is_none()) {
            let output = json!({"approved": answer.approved, "by": answer.by, "comment": answer.comment});
            self.succeed(id, Arc::new(output));
        }
    }

    /// The step that asks people has ended. Where it could not ask, nobody will answer.
    pub(super) fn asking_done(&mut self, id: FrameId, outcome: Outcome) {
        let Err(failure) = outcome else { return };
        let step = self.frames.get(&id).and_then(Frame::step);
        if step.is_some_and(|step| step.todo.is_none()) {
            self.fail_attempt(id, failure);
        }
    }
}
