//! What follows within the state from one entry, one task at a time, so that a
//! long list of steps without effects costs no stack.

use super::State;
use super::frame::{FrameId, FrameKind, Outcome, Phase};
use serde_json::Value;
use std::sync::Arc;

/// Something that follows from what was applied.
#[derive(Debug)]
pub(super) enum Task {
    /// Open the next step of a block, or end the block.
    Advance(FrameId),
    /// Look at a step for the first time.
    Begin(FrameId),
    /// Do what the step's kind says; its guard was true.
    Enter(FrameId),
    /// A frame ended.
    Done(FrameId, Outcome),
    /// Undo the next step of a rollback.
    Undo(FrameId),
}

impl State {
    /// Goes as far as can be gone without an entry.
    pub(super) fn settle(&mut self) {
        while let Some(task) = self.agenda.pop_front() {
            match task {
                Task::Advance(id) => self.advance(id),
                Task::Begin(id) => self.begin(id),
                Task::Enter(id) => self.enter(id),
                Task::Done(id, outcome) => self.done(id, outcome),
                Task::Undo(id) => self.undo_next(id),
            }
        }
    }

    fn advance(&mut self, id: FrameId) {
        let Some(frame) = self.frames.get_mut(&id) else { return };
        let FrameKind::Block { block, next, last } = &mut frame.kind else { return };
        match self.plan.block(*block).get(*next) {
            Some(node) => {
                *next += 1;
                let path = super::tree::join(&frame.path, &self.plan.node(*node).id);
                self.open_step(id, path, *node);
            }
            None => {
                let last = last.clone();
                self.agenda.push_back(Task::Done(id, Ok(last)));
            }
        }
    }

    /// Takes an ended frame away and lets its parent go on.
    fn done(&mut self, id: FrameId, outcome: Outcome) {
        let Some(frame) = self.close(id) else { return };
        let Some(parent_id) = frame.parent else {
            return match frame.kind {
                FrameKind::Rollback(_) => self.undone(),
                _ => self.conclude(outcome, frame.steps),
            };
        };
        let Some(parent) = self.frames.get_mut(&parent_id) else { return };
        let node = frame.step().map(|step| step.node);
        match &mut parent.kind {
            FrameKind::Block { last, .. } => {
                parent.steps.extend(frame.steps);
                let unwinding = parent.unwinding.clone();
                if let (Ok(value), Some(node)) = (&outcome, node) {
                    *last = value.clone();
                    let node = self.plan.node(node);
                    parent.steps.insert(node.id.clone(), value.clone());
                    // What did not run is null behind the step that holds it.
                    for id in &node.inside {
                        parent.steps.entry(id.clone()).or_insert_with(|| Arc::new(Value::Null));
                    }
                }
                match unwinding.map(Err).unwrap_or(outcome) {
                    Ok(_) => self.agenda.push_back(Task::Advance(parent_id)),
                    Err(failure) => self.agenda.push_back(Task::Done(parent_id, Err(failure))),
                }
            }
            FrameKind::Step(step) => {
                // The results of a round are only for that round.
                if !matches!(step.phase, Phase::Rounds(_)) {
                    parent.steps.extend(frame.steps);
                }
                if let (FrameKind::Rollback(rollback), Phase::Trying(trying)) = (frame.kind, &mut step.phase) {
                    trying.not_undone = rollback.failed;
                }
                self.child_done(parent_id, frame.slot, outcome);
            }
            FrameKind::Rollback(_) => self.undo_done(parent_id, outcome.err()),
        }
    }

    fn child_done(&mut self, id: FrameId, slot: usize, outcome: Outcome) {
        let Some(frame) = self.frames.get(&id) else { return };
        let Some(step) = frame.step() else { return };
        if frame.unwinding.is_some() {
            return self.unwound(id);
        }
        match &step.phase {
            Phase::Way => self.control_done(id, outcome),
            Phase::Rounds(_) => self.round_done(id, slot, outcome),
            Phase::Branches(_) => self.branch_done(id, slot, outcome),
            Phase::Trying(_) => self.part_done(id, outcome),
            Phase::Asked(_) => self.asking_done(id, slot, outcome),
            _ => {}
        }
    }

    /// A step that is made of others ended: with another attempt to come, or for good.
    pub(super) fn control_done(&mut self, id: FrameId, outcome: Outcome) {
        let failure = match outcome {
            Ok(value) => return self.agenda.push_back(Task::Done(id, Ok(value))),
            Err(failure) => failure,
        };
        match self.retry_at(id, &failure) {
            Some(retry_at) => {
                let todo = super::frame::Todo::Fail { error: failure, retry_at: Some(retry_at) };
                self.mark(id, todo);
            }
            None => self.agenda.push_back(Task::Done(id, Err(failure))),
        }
    }
}
