//! `try`, `catch`, `finally`.
//!
//! `catch` runs when the body failed by itself. `finally` runs in any case: also when
//! the execution is cancelled or out of time, and when something around it failed.

use super::super::entry::Failure;
use super::super::plan::{BlockId, Kind};
use super::State;
use super::frame::{Frame, FrameId, Outcome, Part, Phase, Trying};
use serde_json::json;
use std::sync::Arc;

impl State {
    pub(super) fn enter_try(&mut self, id: FrameId, body: BlockId) -> Result<(), Failure> {
        self.set_phase(id, Phase::Trying(Trying { part: Part::Body, outcome: None }));
        let path = format!("{}/body", self.base(id));
        self.open_block(Some(id), 0, path, body, Vec::new());
        Ok(())
    }

    pub(super) fn part_done(&mut self, id: FrameId, outcome: Outcome) {
        let Some((part, catch, finally)) = self.parts(id) else { return };
        match (part, outcome, catch) {
            (Part::Body, Err(failure), Some(catch)) => self.enter_catch(id, catch, &failure),
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

    fn enter_catch(&mut self, id: FrameId, catch: BlockId, failure: &Failure) {
        self.set_part(id, Part::Catch, None);
        let error = json!({"code": failure.code, "message": failure.message, "step": failure.step});
        let path = format!("{}/catch", self.base(id));
        self.open_block(Some(id), 0, path, catch, vec![("error".to_owned(), Arc::new(error))]);
    }

    pub(super) fn enter_finally(&mut self, id: FrameId, finally: BlockId, outcome: Outcome) {
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
        self.set_phase(id, Phase::Trying(Trying { part, outcome }));
    }

    fn take_outcome(&mut self, id: FrameId) -> Option<Outcome> {
        let step = self.frames.get_mut(&id).and_then(Frame::step_mut)?;
        let Phase::Trying(trying) = &mut step.phase else { return None };
        trying.outcome.take()
    }
}
