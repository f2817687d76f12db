//! `try`, `catch`, `finally`.
//!
//! `catch` runs when the body failed by itself, after what it did was undone. `finally` runs in any case: also when
//! the execution is cancelled or out of time, and when something around it failed.

use super::super::entry::{Failure, NotUndone};
use super::super::plan::{BlockId, Kind};
use super::State;
use super::frame::{Frame, FrameId, Outcome, Part, Phase, Todo, Trying};
use super::undo::NotUndoneSteps;
use serde_json::json;
use std::sync::Arc;

impl State {
    pub(super) fn enter_try(&mut self, id: FrameId, body: BlockId) -> Result<(), Failure> {
        self.set_part(id, Part::Body, None);
        let path = format!("{}/body", self.base(id));
        self.open_block(Some(id), 0, path, body, Vec::new());
        Ok(())
    }

    pub(super) fn part_done(&mut self, id: FrameId, outcome: Outcome) {
        let Some((part, catch, finally)) = self.parts(id) else { return };
        match (part, outcome, catch) {
            (Part::Body, Err(failure), Some(_)) if self.can_undo_body(id) => {
                self.set_part(id, Part::Undoing, Some(Err(failure.clone())));
                self.mark(id, Todo::Undo { error: failure });
            }
            (Part::Body, Err(failure), Some(catch)) => self.enter_catch(id, catch, &failure, Vec::new()),
            (Part::Undoing, _, catch) => {
                let not_undone = self.take_not_undone(id);
                match (self.take_outcome(id), catch) {
                    (Some(Err(failure)), Some(catch)) => self.enter_catch(id, catch, &failure, not_undone),
                    (outcome, _) => self.control_done(id, outcome.unwrap_or_else(|| Ok(State::null()))),
                }
            }
            (Part::Body | Part::Catch, outcome, _) => match finally {
                Some(finally) => self.enter_finally(id, finally, outcome),
                None => self.control_done(id, outcome),
            },
            (Part::Finally, last, _) => {
                let before = self.take_outcome(id).unwrap_or_else(|| Ok(State::null()));
                // The first failure is the one to tell about.
                let outcome = match (before, last) {
                    (Ok(_), Err(failure)) => Err(failure),
                    (before, _) => before,
                };
                self.control_done(id, outcome);
            }
        }
    }

    fn enter_catch(&mut self, id: FrameId, catch: BlockId, failure: &Failure, not_undone: Vec<NotUndone>) {
        self.set_part(id, Part::Catch, None);
        let error = json!({
            "code": failure.code, "message": failure.message, "step": failure.step, "not_undone": not_undone,
        });
        let path = format!("{}/catch", self.base(id));
        self.open_block(Some(id), 0, path, catch, vec![("error".to_owned(), Arc::new(error))]);
    }

    pub(super) fn enter_finally(&mut self, id: FrameId, finally: BlockId, outcome: Outcome) {
        // What was to be undone first is undone with the rest.
        if let Some(step) = self.frames.get_mut(&id).and_then(Frame::step_mut) {
            step.todo = None;
        }
        self.set_part(id, Part::Finally, Some(outcome));
        let path = format!("{}/finally", self.base(id));
        self.open_block(Some(id), 0, path, finally, Vec::new());
    }

    /// The part that a `try` is in, and its `catch` and `finally`; `None` for other steps.
    pub(super) fn parts(&self, id: FrameId) -> Option<(Part, Option<BlockId>, Option<BlockId>)> {
        let step = self.frames.get(&id)?.step()?;
        let Phase::Trying(trying) = &step.phase else { return None };
        let Kind::Try { catch, finally, .. } = &self.plan.node(step.node).kind else { return None };
        Some((trying.part, *catch, *finally))
    }

    fn set_part(&mut self, id: FrameId, part: Part, outcome: Option<Outcome>) {
        self.set_phase(id, Phase::Trying(Trying { part, outcome, not_undone: NotUndoneSteps::default() }));
    }

    fn take_not_undone(&mut self, id: FrameId) -> Vec<NotUndone> {
        let step = self.frames.get_mut(&id).and_then(Frame::step_mut);
        match step.map(|step| &mut step.phase) {
            Some(Phase::Trying(trying)) => std::mem::take(&mut trying.not_undone).named,
            _ => Vec::new(),
        }
    }

    fn take_outcome(&mut self, id: FrameId) -> Option<Outcome> {
        let step = self.frames.get_mut(&id).and_then(Frame::step_mut)?;
        let Phase::Trying(trying) = &mut step.phase else { return None };
        trying.outcome.take()
    }
}
