//! `parallel`: named branches at once. When one fails, the others are stopped.

use super::super::entry::Failure;
use super::super::plan::{BlockId, Kind};
use super::State;
use super::agenda::Task;
use super::frame::{FrameId, Outcome, Phase};
use serde_json::Value;
use std::sync::Arc;

impl State {
    pub(super) fn enter_parallel(&mut self, id: FrameId, branches: &[(String, BlockId)]) -> Result<(), Failure> {
        let base = self.base(id);
        self.set_phase(id, Phase::Branches(vec![State::null(); branches.len()]));
        for (slot, (name, block)) in branches.iter().enumerate() {
            self.open_block(Some(id), slot, format!("{base}.{name}"), *block, Vec::new());
        }
        if branches.is_empty() {
            self.agenda.push_back(Task::Done(id, Ok(Arc::new(Value::Object(serde_json::Map::new())))));
        }
        Ok(())
    }

    pub(super) fn branch_done(&mut self, id: FrameId, slot: usize, outcome: Outcome) {
        let value = match outcome {
            Ok(value) => value,
            Err(failure) => return self.unwind_inside(id, failure),
        };
        let plan = self.plan.clone();
        let Some(frame) = self.frames.get_mut(&id) else { return };
        let open = frame.children.len();
        let Some(step) = frame.step_mut() else { return };
        let Kind::Parallel { branches } = &plan.node(step.node).kind else { return };
        let Phase::Branches(outputs) = &mut step.phase else { return };
        if let Some(place) = outputs.get_mut(slot) {
            *place = value;
        }
        if open == 0 {
            let named = branches.iter().zip(outputs.iter()).map(|((name, _), value)| (name.clone(), (**value).clone()));
            let output = Value::Object(named.collect());
            self.agenda.push_back(Task::Done(id, Ok(Arc::new(output))));
        }
    }
}
