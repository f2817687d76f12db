//! The end of an execution: by itself, by someone's wish, or because its time is up.

use super::super::MAX_OUTPUT;
use super::super::entry::{Failure, Purpose, Shared};
use super::super::types::Status;
use super::frame::Outcome;
use super::scope::expression_failure;
use super::{FINALLY_BOUND, Finish, State};
use crate::error::{Code, Error};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

impl State {
    pub(super) fn apply_cancel(&mut self, by: &str, reason: Option<&str>) {
        self.paused = false;
        let failure = cancelled(by, reason);
        if self.undoing.is_some() {
            return self.cancel_undoing();
        }
        if matches!(self.ending, Some((Status::Cancelled, _))) {
            self.close_all();
            self.give_up_undoing(Code::Cancelled, "the execution was cancelled again before it was undone");
            return self.conclude(Err(failure), BTreeMap::new());
        }
        self.end(Status::Cancelled, failure);
    }

    /// The journal has become too long.
    pub(super) fn apply_journal_full(&mut self, entries: u64) {
        let hint = "end it with a `continue` step now and then, and go on as a new execution";
        self.end(Status::Failed, Failure::at("", &journal_full(entries).hint(hint)));
    }

    /// The time of the execution, or of what still runs at its end, is up.
    pub(super) fn apply_end_of_time(&mut self, purpose: Purpose) {
        self.timers.retain(|(_, frame, p)| *frame != 0 || *p != purpose);
        match purpose {
            Purpose::Timeout if self.ending.is_none() => {
                self.end(Status::Failed, Failure::at("", &out_of_time()));
            }
            Purpose::Bound if self.undoing.is_some() => {
                self.stop_undoing(Code::Timeout, "the time for undoing was over");
            }
            Purpose::Bound => {
                self.close_all();
                if let Some((_, failure)) = self.ending.clone() {
                    self.conclude(Err(failure), BTreeMap::new());
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, status: Status, failure: Failure) {
        self.timers.retain(|(_, frame, _)| *frame != 0);
        self.timers.insert((self.now.saturating_add(FINALLY_BOUND), 0, Purpose::Bound));
        self.ending = Some((status, failure.clone()));
        if let Some(root) = self.root {
            self.unwind(root, &failure);
        }
        if self.root.is_none_or(|root| !self.frames.contains_key(&root)) {
            self.conclude(Err(failure), BTreeMap::new());
        }
    }

    /// Ends everything without running what `finally` holds.
    fn close_all(&mut self) {
        if let Some(root) = self.root {
            self.close(root);
        }
    }

    /// All steps are done: works out how the execution ends.
    pub(super) fn conclude(&mut self, outcome: Outcome, steps: BTreeMap<String, Shared>) {
        self.timers.clear();
        self.agenda.clear();
        let failed = |failure| Finish { status: Status::Failed, output: None, error: Some(failure) };
        let finish = match (&self.ending, outcome) {
            (Some((status, failure)), _) => Finish { status: *status, output: None, error: Some(failure.clone()) },
            (None, Err(failure)) => failed(failure),
            (None, Ok(last)) => match self.output(last, steps) {
                Ok(output) => Finish { status: Status::Succeeded, output: Some(output), error: None },
                Err(failure) => failed(failure),
            },
        };
        self.end_with(finish);
    }

    fn output(&self, last: Shared, steps: BTreeMap<String, Shared>) -> Outcome {
        let output = match &self.plan.output {
            None => last,
            Some(text) => {
                let mut scope = self.about.constants.clone();
                scope.set("steps", Value::Object(serde_json::Map::new()));
                for (id, value) in steps {
                    if text.needs.all_steps || text.needs.steps.contains(&id) {
                        scope.set_field_shared("steps", &id, value);
                    }
                }
                let rendered = text.template.render(&scope);
                Arc::new(rendered.map_err(|e| expression_failure("", text.place, e.into()))?)
            }
        };
        let size = super::super::size(&output);
        if size > MAX_OUTPUT {
            let message = format!("the output has {size} bytes; the limit is {MAX_OUTPUT}");
            return Err(Failure::at("", &Error::new(Code::TooLarge, message)));
        }
        Ok(output)
    }

    pub(super) fn apply_finished(&mut self) {
        self.finished = true;
        self.result = None;
        self.close_all();
        self.undoable.clear();
        self.undoing = None;
        self.timers.clear();
        self.ready.clear();
        self.signals.clear();
    }
}

/// Why an execution ends that someone wants to end.
pub(super) fn cancelled(by: &str, reason: Option<&str>) -> Failure {
    let mut message = if by.is_empty() { "it was cancelled".to_owned() } else { format!("cancelled by {by}") };
    if let Some(reason) = reason {
        message = format!("{message}: {reason}");
    }
    Failure::at("", &Error::new(Code::Cancelled, message))
}

/// Why an execution ends whose time is up.
pub(super) fn out_of_time() -> Error {
    Error::new(Code::Timeout, "the execution took longer than its timeout")
}

/// Why an execution ends whose journal is too long.
pub(super) fn journal_full(entries: u64) -> Error {
    Error::new(Code::TooLarge, format!("the journal of the execution has {entries} entries, which is the limit"))
}
