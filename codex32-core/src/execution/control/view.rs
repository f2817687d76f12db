//! The steps of an execution, gathered from its journal.

use crate::clock::Millis;
use crate::execution::entry::{Entry, Event};
use crate::execution::types::{StepState, StepStatus};
use std::collections::HashMap;

/// The steps in the order in which they began.
pub(super) fn steps(entries: Vec<Entry>) -> Vec<StepState> {
    let mut view = View::default();
    let mut finished = None;
    for entry in entries {
        if matches!(entry.event, Event::Finished { .. }) {
            finished = Some(entry.at);
        }
        view.take(entry.at, entry.event);
    }
    if let Some(at) = finished {
        for step in view.steps.iter_mut().filter(|step| step.finished_at.is_none()) {
            step.status = StepStatus::Cancelled;
            step.finished_at = Some(at);
            step.due = None;
        }
    }
    view.steps
}

#[derive(Default)]
struct View {
    steps: Vec<StepState>,
    by_path: HashMap<String, usize>,
}

impl View {
    fn step(&mut self, path: &str, at: Millis) -> &mut StepState {
        let next = self.steps.len();
        let index = *self.by_path.entry(path.to_owned()).or_insert(next);
        if index == next {
            self.steps.push(StepState {
                path: path.to_owned(),
                status: StepStatus::Running,
                attempt: 1,
                begun_at: at,
                finished_at: None,
                ms: None,
                output: None,
                error: None,
                due: None,
                child: None,
                copied: false,
                undone: false,
            });
        }
        &mut self.steps[index]
    }

    fn take(&mut self, at: Millis, event: Event) {
        match event {
            Event::StepScheduled { path, attempt, due, .. } => {
                let step = self.step(&path, at);
                step.attempt = attempt;
                step.due = due;
                step.status = if due.is_some() { StepStatus::Waiting } else { StepStatus::Running };
            }
            Event::StepSucceeded { path, attempt, output, ms, copied } => {
                let step = self.step(&path, at);
                (step.attempt, step.copied) = (attempt, copied);
                step.output = Some((*output).clone());
                step.end(StepStatus::Succeeded, at, ms);
                // Only a step that holds no others has a result and something below it of this name.
                let undone = path.strip_suffix("/undo").and_then(|step| self.by_path.get(step));
                if let Some(step) = undone.and_then(|index| self.steps.get_mut(*index)) {
                    step.undone = true;
                }
            }
            Event::StepFailed { path, attempt, error, ms, retry_at, copied } => {
                let step = self.step(&path, at);
                (step.attempt, step.copied) = (attempt, copied);
                step.error = Some(error);
                step.end(StepStatus::Failed, at, ms);
                if retry_at.is_some() {
                    step.status = StepStatus::Retrying;
                    step.finished_at = None;
                    step.due = retry_at;
                }
            }
            Event::StepSkipped { path } => self.step(&path, at).end(StepStatus::Skipped, at, 0),
            Event::TimerSet { path, due } => self.wait(&path, at, Some(due)),
            Event::ApprovalAsked { path, due, .. } => self.wait(&path, at, due),
            Event::ChildStarted { path, id, .. } | Event::ChildContinued { path, next: id, .. } => {
                let step = self.step(&path, at);
                step.child = Some(id);
                step.status = StepStatus::Waiting;
            }
            Event::Continued { path, id, .. } => {
                let step = self.step(&path, at);
                step.child = Some(id);
                step.end(StepStatus::Succeeded, at, 0);
            }
            _ => {}
        }
    }

    fn wait(&mut self, path: &str, at: Millis, due: Option<Millis>) {
        let step = self.step(path, at);
        step.status = StepStatus::Waiting;
        step.due = due;
    }
}

impl StepState {
    fn end(&mut self, status: StepStatus, at: Millis, ms: u64) {
        self.status = status;
        self.finished_at = Some(at);
        self.ms = Some(ms);
        self.due = None;
    }
}
