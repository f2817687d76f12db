//! A time has come.

use super::super::entry::{Failure, Purpose};
use super::State;
use super::agenda::Task;
use super::frame::{Frame, FrameId, Phase, Todo};
use crate::error::{Code, Error};

impl State {
    pub(super) fn apply_timer(&mut self, id: FrameId, purpose: Purpose) {
        self.clear_timer(id, purpose);
        let Some(frame) = self.frames.get_mut(&id) else { return };
        let Some(step) = frame.step_mut() else { return };
        match purpose {
            Purpose::Wait if step.todo.is_none() => self.succeed(id, State::null()),
            Purpose::Retry if matches!(step.phase, Phase::Backoff) => {
                step.attempt += 1;
                step.phase = Phase::New;
                self.agenda.push_back(Task::Enter(id));
            }
            Purpose::Timeout => self.time_out(id),
            Purpose::Remind => self.remind(id),
            Purpose::Escalate => self.escalate(id),
            Purpose::Wait | Purpose::Retry | Purpose::Bound => {}
        }
    }

    fn time_out(&mut self, id: FrameId) {
        let Some(frame) = self.frames.get(&id) else { return };
        let Some(step) = frame.step() else { return };
        let what = match step.phase {
            Phase::Awaiting => "no event came in time",
            Phase::Asked(_) => "nobody answered in time",
            _ => "it took longer than its timeout",
        };
        let failure = Failure::at(&frame.path, &Error::new(Code::Timeout, what));
        let leaf = self.plan.node(step.node).kind.is_leaf();
        if !leaf {
            // Another end is being written already where there is something to do.
            if frame.unwinding.is_none() && step.todo.is_none() && !matches!(step.phase, Phase::Backoff) {
                self.unwind_inside(id, failure);
            }
        } else if !matches!(step.todo, Some(Todo::Succeed(_) | Todo::Fail { .. })) {
            match self.unanswered(id) {
                Some(output) => self.succeed(id, output),
                None => self.fail_attempt(id, failure),
            }
        }
    }

    /// An attempt of a step that is not performed outside has failed.
    pub(super) fn fail_attempt(&mut self, id: FrameId, failure: Failure) {
        let retry_at = self.retry_at(id, &failure);
        self.mark(id, Todo::Fail { error: failure, retry_at });
    }

    /// Ends what a step waits for, so that it can begin again.
    pub(super) fn leave(&mut self, id: FrameId) {
        let Some(frame) = self.frames.get_mut(&id) else { return };
        let path = frame.path.clone();
        let children: Vec<FrameId> = frame.children.iter().copied().collect();
        let Some(step) = frame.step_mut() else { return };
        let phase = std::mem::replace(&mut step.phase, Phase::New);
        let node = step.node;
        match phase {
            Phase::Calling(Some(child)) => {
                self.by_child.remove(&child);
                self.effects.push(super::Effect::CancelChild { id: child });
            }
            Phase::Awaiting => {
                let bus = self.stop_awaiting(id, node);
                self.effects.extend(bus.then(|| super::Effect::ForgetWait { path: path.to_string() }));
            }
            Phase::Asked(_) => self.effects.push(super::Effect::CloseApproval { path: path.to_string() }),
            _ => {}
        }
        for child in children {
            self.close(child);
        }
    }

    /// Whether the step of this path and attempt is still being performed outside.
    pub(crate) fn is_current(&self, path: &str, attempt: u32) -> bool {
        let step = self.by_path.get(path).and_then(|id| self.frames.get(id)).and_then(Frame::step);
        step.is_some_and(|step| {
            step.attempt == attempt
                && matches!(step.phase, Phase::Working | Phase::Calling(None))
                && step.todo.is_none()
        })
    }
}
