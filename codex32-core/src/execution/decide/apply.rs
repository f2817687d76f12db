//! One journal entry, applied.

use super::super::entry::{Event, Failure, Purpose, Shared};
use super::super::plan::Kind;
use super::State;
use super::agenda::Task;
use super::frame::{Frame, FrameId, Outcome, Phase};
use crate::clock::Millis;
use serde_json::Value;
use std::sync::Arc;

impl State {
    /// Applies an entry of the time `at` and goes as far as it leads. An entry about a
    /// step that is not open (any more) changes nothing.
    pub(crate) fn apply(&mut self, at: Millis, event: &Event) {
        if self.finished {
            return;
        }
        self.now = at;
        self.entries += 1;
        match event {
            Event::Started { copied } => self.apply_started(*copied),
            Event::StepSucceeded { path, output, copied: true, .. } => self.apply_copied(path, Ok(output.clone())),
            Event::StepFailed { path, error, copied: true, .. } => self.apply_copied(path, Err(error.clone())),
            Event::SignalReceived { name, payload, path } => self.apply_signal(name, payload, path),
            Event::TimerFired { path, purpose } if path.is_empty() => self.apply_end_of_time(*purpose),
            Event::CancelRequested { by, reason } => self.apply_cancel(by, reason.as_deref()),
            Event::Undoing { path, due, .. } if path.is_empty() => self.apply_undoing_all(*due),
            Event::JournalFull { entries } => self.apply_journal_full(*entries),
            Event::Paused { .. } => self.paused = true,
            Event::Resumed { .. } => self.paused = false,
            Event::Finished { .. } => self.apply_finished(),
            _ => {
                if let Some(id) = self.at(event) {
                    self.apply_to_step(id, event);
                }
            }
        }
        self.settle();
    }

    fn apply_to_step(&mut self, id: FrameId, event: &Event) {
        match event {
            Event::StepScheduled { attempt, due, .. } => self.apply_scheduled(id, *attempt, *due),
            Event::StepSucceeded { output, .. } => {
                self.remember(id, output);
                self.apply_result(id, Ok(output.clone()));
            }
            Event::StepFailed { error, retry_at: None, .. } => self.apply_result(id, Err(error.clone())),
            Event::StepFailed { retry_at: Some(retry_at), .. } => self.apply_backoff(id, *retry_at),
            Event::StepSkipped { .. } => self.apply_result(id, Ok(Arc::new(Value::Null))),
            Event::TimerSet { due, .. } => {
                self.written(id, Phase::Sleeping);
                self.set_timer(id, *due, Purpose::Wait);
            }
            Event::TimerFired { purpose, .. } => self.apply_timer(id, *purpose),
            Event::ChildStarted { id: child, .. } => self.apply_child_started(id, *child),
            Event::ChildFinished { id: child, .. } => {
                self.by_child.remove(child);
                self.set_phase(id, Phase::New);
            }
            Event::ChildContinued { id: child, next, .. } => self.apply_child_continued(id, *child, *next),
            Event::Undoing { .. } => self.apply_undoing(id),
            Event::ApprovalAsked { due, .. } => self.apply_asked(id, *due),
            Event::ApprovalAnswered { answer, .. } => self.apply_answer(id, answer),
            _ => {}
        }
    }

    fn apply_started(&mut self, copied: u32) {
        self.started = true;
        self.copies_left = copied;
        if let Some(timeout) = self.plan.timeout {
            self.timers.insert((self.now.saturating_add(timeout), 0, Purpose::Timeout));
        }
        self.open_root();
    }

    fn apply_copied(&mut self, path: &str, outcome: Outcome) {
        self.memo.insert(path.to_owned(), outcome);
        self.copies_left = self.copies_left.saturating_sub(1);
        self.open_root();
    }

    fn open_root(&mut self) {
        // What a held execution takes over is there before it is started.
        if self.started && self.copies_left == 0 && self.root.is_none() {
            let block = self.plan.root();
            self.root = Some(self.open_block(None, 0, String::new(), block, Vec::new()));
        }
    }

    fn apply_scheduled(&mut self, id: FrameId, attempt: u32, due: Option<Millis>) {
        let Some(step) = self.frames.get(&id).and_then(Frame::step) else { return };
        if step.attempt != attempt {
            return;
        }
        let plan = self.plan.clone();
        match &plan.node(step.node).kind {
            Kind::Call { .. } => self.written(id, Phase::Calling(None)),
            Kind::WaitEvent { event, .. } => {
                self.written(id, Phase::Awaiting);
                if let Some(due) = due {
                    self.clear_timer(id, Purpose::Timeout);
                    self.set_timer(id, due, Purpose::Timeout);
                }
                self.start_awaiting(id, event);
            }
            _ => self.written(id, Phase::Working),
        }
    }

    /// What was to be written about a step is written.
    pub(super) fn written(&mut self, id: FrameId, phase: Phase) {
        if let Some(step) = self.frames.get_mut(&id).and_then(Frame::step_mut) {
            step.todo = None;
            step.phase = phase;
        }
    }

    fn apply_result(&mut self, id: FrameId, outcome: Result<Shared, Failure>) {
        let Some(step) = self.frames.get_mut(&id).and_then(Frame::step_mut) else { return };
        step.todo = None;
        if matches!(step.phase, Phase::Working | Phase::Calling(None)) {
            // The attempt has ended by itself: there is nothing to stop.
            step.phase = Phase::New;
        }
        self.agenda.push_back(Task::Done(id, outcome));
    }

    fn apply_backoff(&mut self, id: FrameId, retry_at: Millis) {
        for purpose in [Purpose::Timeout, Purpose::Wait, Purpose::Remind, Purpose::Escalate] {
            self.clear_timer(id, purpose);
        }
        self.leave(id);
        self.written(id, Phase::Backoff);
        self.set_timer(id, retry_at, Purpose::Retry);
    }

    fn apply_child_continued(&mut self, id: FrameId, child: crate::id::ExecutionId, next: crate::id::ExecutionId) {
        if self.by_child.remove(&child).is_some() {
            self.by_child.insert(next, id);
            self.set_phase(id, Phase::Calling(Some(next)));
        }
    }

    fn apply_child_started(&mut self, id: FrameId, child: crate::id::ExecutionId) {
        let Some(step) = self.frames.get(&id).and_then(Frame::step) else { return };
        if !matches!(step.phase, Phase::Calling(None)) {
            return;
        }
        if matches!(self.plan.node(step.node).kind, Kind::Call { wait: true, .. }) {
            self.by_child.insert(child, id);
            self.set_phase(id, Phase::Calling(Some(child)));
        } else {
            self.set_phase(id, Phase::New);
            self.succeed(id, Arc::new(Value::String(child.to_string())));
        }
    }
}
