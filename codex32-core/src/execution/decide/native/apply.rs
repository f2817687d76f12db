//! One journal entry, applied.

use super::super::super::entry::{Call, Event, Failure, Purpose, Shared};
use super::super::super::types::Status;
use super::super::ending::{cancelled, journal_full, out_of_time};
use super::super::{Effect, Finish, MAX_KEPT_SIGNALS};
use super::{CallId, Known, NativeState, Outcome, Phase, Todo};
use crate::clock::Millis;
use crate::error::{Code, Error};
use serde_json::Value;
use std::sync::Arc;

impl NativeState {
    /// Applies an entry of the time `at`. One about a call that has ended changes nothing.
    pub(crate) fn apply(&mut self, at: Millis, event: &Event) {
        if self.finished {
            return;
        }
        self.now = at;
        self.entries += 1;
        match event {
            Event::Started { .. } => self.apply_started(),
            Event::StepSucceeded { path, output, copied: true, .. } => {
                self.memo.insert(path.clone(), Ok(output.clone()));
            }
            Event::StepFailed { path, error, copied: true, .. } => {
                self.memo.insert(path.clone(), Err(error.clone()));
            }
            Event::StepScheduled { path, attempt, due, call, .. } => {
                let id = self.opened(path, call.unwrap_or(Call::Step));
                self.apply_scheduled(id, *attempt, *due);
            }
            Event::TimerSet { path, due } => {
                let id = self.opened(path, Call::Sleep);
                self.written(id, Phase::Sleeping);
                self.set_timer(id, *due, Purpose::Wait);
            }
            Event::TimerFired { path, .. } if path.is_empty() => {
                self.conclude(Status::Failed, Failure::at("", &out_of_time()));
            }
            Event::SignalReceived { name, payload, path } => self.apply_signal(name, payload, path),
            Event::CancelRequested { by, reason } => {
                self.paused = false;
                self.conclude(Status::Cancelled, cancelled(by, reason.as_deref()));
            }
            Event::JournalFull { entries } => {
                let hint = "let the function start another execution and end";
                self.conclude(Status::Failed, Failure::at("", &journal_full(*entries).hint(hint)));
            }
            Event::Paused { .. } => self.paused = true,
            Event::Resumed { .. } => self.paused = false,
            Event::Finished { .. } => self.apply_finished(),
            _ => {
                if let Some(id) = self.open_at(event.path()) {
                    self.apply_to_call(id, event);
                }
            }
        }
    }

    /// The call at a path that has not ended.
    fn open_at(&self, path: &str) -> Option<CallId> {
        let id = self.by_path.get(path).copied()?;
        self.calls.get(id).is_some_and(|call| call.phase != Phase::Ended).then_some(id)
    }

    fn apply_to_call(&mut self, id: CallId, event: &Event) {
        match event {
            Event::StepSucceeded { output, .. } => self.end_call(id, Ok(output.clone())),
            Event::StepFailed { error, retry_at: None, .. } => self.end_call(id, Err(error.clone())),
            Event::StepFailed { retry_at: Some(retry_at), .. } => {
                self.clear_timers(id);
                self.written(id, Phase::Backoff);
                self.set_timer(id, *retry_at, Purpose::Retry);
            }
            Event::TimerFired { purpose, .. } => self.apply_timer(id, *purpose),
            Event::ChildStarted { id: child, .. } => {
                self.by_child.insert(*child, id);
                self.set_phase(id, Phase::Calling(Some(*child)));
            }
            Event::ChildFinished { id: child, .. } => {
                self.by_child.remove(child);
                self.set_phase(id, Phase::New);
            }
            Event::ChildContinued { id: child, next, .. } if self.by_child.remove(child).is_some() => {
                self.by_child.insert(*next, id);
                self.set_phase(id, Phase::Calling(Some(*next)));
            }
            _ => {}
        }
    }

    fn apply_started(&mut self) {
        self.started = true;
        self.began = self.now;
        if let Some(timeout) = self.plan.timeout {
            self.timers.insert((self.now.saturating_add(timeout), None, Purpose::Timeout));
        }
    }

    /// The call at `path`, which the journal holds from now on.
    fn opened(&mut self, path: &str, call: Call) -> CallId {
        if let Some(id) = self.by_path.get(path) {
            return *id;
        }
        self.insert(path, call)
    }

    pub(super) fn insert(&mut self, path: &str, call: Call) -> CallId {
        let (id, path): (CallId, Arc<str>) = (self.calls.len(), path.into());
        self.by_path.insert(path.clone(), id);
        self.calls.push(Known {
            path,
            call,
            attempt: 1,
            phase: Phase::New,
            todo: None,
            request: None,
            timers: Vec::new(),
            outcome: None,
        });
        id
    }

    fn apply_scheduled(&mut self, id: CallId, attempt: u32, due: Option<Millis>) {
        let Some(known) = self.calls.get_mut(id) else { return };
        known.attempt = attempt;
        let phase = match known.call {
            Call::Step | Call::Sleep => Phase::Working,
            Call::Child => Phase::Calling(None),
            Call::Signal | Call::Event => Phase::Awaiting,
        };
        let signal = (known.call == Call::Signal).then(|| signal_of(&known.path).to_owned());
        self.written(id, phase);
        if let Some(due) = due {
            self.set_timer(id, due, Purpose::Timeout);
        }
        if let Some(name) = signal
            && let Some(place) = self.signals.iter().position(|(kept, _)| *kept == name)
            && let Some((_, payload)) = self.signals.remove(place)
        {
            self.mark(id, Todo::Succeed(payload));
        }
    }

    fn set_phase(&mut self, id: CallId, phase: Phase) {
        if let Some(call) = self.calls.get_mut(id) {
            call.phase = phase;
        }
    }

    /// What was to be written about a call is written.
    fn written(&mut self, id: CallId, phase: Phase) {
        if let Some(call) = self.calls.get_mut(id) {
            call.todo = None;
            call.phase = phase;
        }
    }

    fn end_call(&mut self, id: CallId, outcome: Outcome) {
        self.clear_timers(id);
        if let Some(call) = self.calls.get(id)
            && !matches!(call.phase, Phase::Working | Phase::Calling(None))
        {
            self.leave(id);
        }
        self.written(id, Phase::Ended);
        if let Some(call) = self.calls.get_mut(id) {
            call.outcome = Some((self.now, outcome));
            self.ended.push(id);
        }
    }

    fn apply_timer(&mut self, id: CallId, purpose: Purpose) {
        self.clear_timers(id);
        let Some(call) = self.calls.get_mut(id) else { return };
        match purpose {
            Purpose::Wait if call.todo.is_none() => self.mark(id, Todo::Succeed(Arc::new(Value::Null))),
            Purpose::Retry if call.phase == Phase::Backoff => {
                call.attempt += 1;
                call.phase = Phase::New;
                self.mark(id, Todo::Begin);
            }
            Purpose::Timeout if call.todo.is_none() => {
                let what = match call.call {
                    Call::Signal => "no signal came in time",
                    Call::Event => "no event came in time",
                    _ => "it took longer than its timeout",
                };
                let failure = Failure::at(&call.path, &Error::new(Code::Timeout, what));
                self.mark(id, Todo::Fail(failure));
            }
            _ => {}
        }
    }

    fn apply_signal(&mut self, name: &str, payload: &Shared, path: &str) {
        let waits = |call: &Known| call.phase == Phase::Awaiting && call.todo.is_none();
        let found = if path.is_empty() {
            let wants = |call: &Known| call.call == Call::Signal && waits(call) && signal_of(&call.path) == name;
            self.calls.iter().position(wants)
        } else {
            // Whoever sent it has looked at the filter.
            self.by_path.get(path).copied().filter(|id| self.calls.get(*id).is_some_and(waits))
        };
        match found {
            Some(id) => self.mark(id, Todo::Succeed(payload.clone())),
            None if path.is_empty() => {
                if self.signals.len() >= MAX_KEPT_SIGNALS {
                    self.signals.pop_front();
                }
                self.signals.push_back((name.to_owned(), payload.clone()));
            }
            None => {}
        }
    }

    /// Ends what a call waits for outside.
    fn leave(&mut self, id: CallId) {
        let Some(call) = self.calls.get(id) else { return };
        let path = call.path.to_string();
        match call.phase {
            Phase::Working | Phase::Calling(None) => self.effects.push(Effect::Abort { path }),
            Phase::Calling(Some(child)) => {
                self.by_child.remove(&child);
                self.effects.push(Effect::CancelChild { id: child });
            }
            Phase::Awaiting if call.call == Call::Event => self.effects.push(Effect::ForgetWait { path }),
            _ => {}
        }
    }

    /// The execution ends without success; what is open is not wanted any more.
    pub(super) fn conclude(&mut self, status: Status, failure: Failure) {
        self.close(Finish { status, output: None, error: Some(failure) });
    }

    /// The execution ends.
    pub(super) fn close(&mut self, finish: Finish) {
        for id in 0..self.calls.len() {
            self.leave(id);
            self.written(id, Phase::Ended);
        }
        self.timers.clear();
        self.ready.clear();
        self.again.clear();
        self.fresh.clear();
        self.result = Some(finish);
    }

    fn apply_finished(&mut self) {
        self.finished = true;
        self.result = None;
        self.timers.clear();
        self.ready.clear();
        self.signals.clear();
    }
}

/// The signal that the call at `path` waits for.
fn signal_of(path: &str) -> &str {
    path.split_once('#').map_or(path, |(name, _)| name)
}
