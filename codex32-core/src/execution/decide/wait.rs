//! Waiting for an event or a signal.

use super::super::entry::{Failure, Purpose, Shared};
use super::super::plan::{Kind, NodeId};
use super::frame::{Frame, FrameId, Phase, Todo};
use super::{MAX_KEPT_SIGNALS, State};
use crate::clock::Millis;

impl State {
    pub(super) fn await_event(&mut self, id: FrameId, timeout: Option<Millis>) -> Result<(), Failure> {
        let due = self.earlier(id, timeout);
        self.note(id, Todo::Schedule { due })
    }

    /// The end of the wait's own timeout or of the step's, whichever comes first.
    pub(super) fn earlier(&self, id: FrameId, timeout: Option<Millis>) -> Option<Millis> {
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

    /// The step does not wait any more. Gives whether the bus was to tell it.
    pub(super) fn stop_awaiting(&mut self, id: FrameId, node: NodeId) -> bool {
        let Kind::WaitEvent { event, bus, .. } = &self.plan.node(node).kind else { return false };
        let bus = *bus;
        if let Some(waiting) = self.awaiting.get_mut(event) {
            waiting.remove(&id);
            if waiting.is_empty() {
                let event = event.clone();
                self.awaiting.remove(&event);
            }
        }
        bus
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
        let Kind::WaitEvent { filter, bus, .. } = &plan.node(node).kind else { return false };
        let Some(filter) = filter else {
            self.succeed(id, payload.clone());
            return true;
        };
        let mut scope = self.scope(id, &filter.needs);
        scope.set_shared(if *bus { "event" } else { "signal" }, payload.clone());
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
}
