//! `foreach`: the same steps for each item, some at a time.

use super::super::entry::Failure;
use super::super::plan::{Code, Kind};
use super::State;
use super::frame::{Frame, FrameId, Outcome, Phase, Rounds};
use super::{MAX_ITEMS, agenda::Task};
use crate::error::{Code as ErrorCode, Error};
use serde_json::Value;
use std::sync::Arc;

impl State {
    pub(super) fn enter_foreach(&mut self, id: FrameId, items: &Code) -> Result<(), Failure> {
        let list = match self.eval(id, items)? {
            Value::Array(list) => list,
            Value::Null => Vec::new(),
            _ => return Err(self.fault(id, items.place, Error::invalid("the value is not a list"))),
        };
        if list.len() > MAX_ITEMS {
            let message = format!("the list has {} items; the limit is {MAX_ITEMS}", list.len());
            return Err(self.fault(id, items.place, Error::new(ErrorCode::TooLarge, message)));
        }
        let outputs = vec![State::null(); list.len()];
        self.set_phase(id, Phase::Rounds(Rounds { left: list.into(), next: 0, outputs }));
        self.more_rounds(id);
        Ok(())
    }

    /// Starts rounds up to the limit; ends the step when all are done.
    fn more_rounds(&mut self, id: FrameId) {
        let base = self.base(id);
        let plan = self.plan.clone();
        loop {
            let Some(frame) = self.frames.get_mut(&id) else { return };
            let open = frame.children.len();
            let Some(step) = frame.step_mut() else { return };
            let Kind::Foreach { bind, concurrency, body, .. } = &plan.node(step.node).kind else { return };
            let Phase::Rounds(rounds) = &mut step.phase else { return };
            if open >= *concurrency {
                return;
            }
            let Some(item) = rounds.left.pop_front() else {
                if open == 0 {
                    let list = std::mem::take(&mut rounds.outputs).iter().map(|value| (**value).clone()).collect();
                    self.agenda.push_back(Task::Done(id, Ok(Arc::new(Value::Array(list)))));
                }
                return;
            };
            let round = rounds.next;
            rounds.next += 1;
            let variables = vec![("index".to_owned(), Arc::new(Value::from(round))), (bind.clone(), Arc::new(item))];
            self.open_block(Some(id), round, format!("{base}[{round}]"), *body, variables);
        }
    }

    pub(super) fn round_done(&mut self, id: FrameId, round: usize, outcome: Outcome) {
        match outcome {
            Ok(value) => {
                let Some(step) = self.frames.get_mut(&id).and_then(Frame::step_mut) else { return };
                if let Phase::Rounds(rounds) = &mut step.phase
                    && let Some(place) = rounds.outputs.get_mut(round)
                {
                    *place = value;
                }
                self.more_rounds(id);
            }
            Err(failure) => self.unwind_inside(id, failure),
        }
    }
}
