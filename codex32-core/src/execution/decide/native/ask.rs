//! What passes between the function and the journal.

use super::super::super::entry::{Call, Failure, Shared};
use super::super::super::types::Status;
use super::super::super::{MAX_OUTPUT, size};
use super::super::Finish;
use super::{CallId, NativeState, Outcome, Phase, Request, Todo};
use crate::clock::Millis;
use crate::error::{Code, Error};
use serde_json::Value;

/// A result that the function is told.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) path: String,
    /// When it came, UTC milliseconds; `None` where it was taken over from another execution.
    pub(crate) at: Option<Millis>,
    pub(crate) outcome: Outcome,
}

impl NativeState {
    /// The function asks for something at `path`, for the first time in this life.
    pub(crate) fn ask(&mut self, path: String, request: Request) {
        if self.is_over() {
            return;
        }
        if let Some(outcome) = self.memo.remove(&path) {
            return self.asked_memo.push_back((path, outcome));
        }
        let Some(id) = self.by_path.get(&*path).copied() else {
            return self.fresh.push_back((path, request));
        };
        let Some(call) = self.calls.get_mut(id) else { return };
        let (held, asked) = (call.call, request.call());
        if held != asked {
            return self.strayed(Some(id), &described(asked, &path));
        }
        call.request = Some(request);
        match (call.phase, &call.todo) {
            (_, Some(Todo::Begin)) => self.ready.push_back(id),
            (Phase::Working | Phase::Calling(None), None) => self.again.push(id),
            _ => {}
        }
    }

    /// The next result that the function is to be told, where it has asked for it.
    pub(crate) fn tell(&mut self) -> Option<Told> {
        if self.is_over() || self.paused {
            return None;
        }
        if let Some((path, outcome)) = self.asked_memo.pop_front() {
            return Some(Told { path, at: None, outcome });
        }
        let id = self.ended.get(self.told).copied()?;
        let call = self.calls.get_mut(id).filter(|call| call.request.is_some())?;
        let (at, outcome) = call.outcome.take()?;
        self.told += 1;
        Some(Told { path: call.path.to_string(), at: Some(at), outcome })
    }

    /// Whether the journal holds more than the function has come to.
    pub(crate) fn is_behind(&self) -> bool {
        self.told < self.ended.len() || self.unasked().is_some()
    }

    /// The function has gone as far as it can with what it was told: what it asks for is
    /// written next, or it has left the way that the journal knows.
    pub(crate) fn settled(&mut self) {
        if self.is_over() {
            return;
        }
        if let Some(expected) = self.unasked() {
            // What it asks for instead: something new, or something that ended later.
            let fresh = self.fresh.front().map(|(path, request)| described(request.call(), path));
            if let Some(found) = fresh.or_else(|| self.overtaken()) {
                self.strayed(Some(expected), &found);
            }
            return;
        }
        for (path, request) in std::mem::take(&mut self.fresh) {
            // Before it is written, so that calls come in the order in which they were asked for.
            let id = self.insert(&path, request.call());
            if let Some(call) = self.calls.get_mut(id) {
                call.request = Some(request);
                self.mark(id, Todo::Begin);
            }
        }
    }

    /// What the function waits for that ended behind something that it has not asked for.
    fn overtaken(&self) -> Option<String> {
        let mut untold = self.ended.get(self.told..)?.iter().filter_map(|id| self.calls.get(*id));
        if untold.next()?.request.is_some() {
            return None;
        }
        let call = untold.find(|call| call.request.is_some())?;
        Some(described(call.call, &call.path))
    }

    /// The first call of the journal that the function has not asked for.
    fn unasked(&self) -> Option<CallId> {
        self.calls.iter().position(|call| call.request.is_none())
    }

    /// The function has ended.
    pub(crate) fn returned(&mut self, result: Result<Value, Failure>) {
        if self.is_over() {
            return;
        }
        if self.unasked().is_some() {
            return self.strayed(self.unasked(), "the end of the function");
        }
        match result.and_then(|output| fits(output).map_err(|error| Failure::at("", &error))) {
            Ok(output) => self.close(Finish { status: Status::Succeeded, output: Some(output), error: None }),
            Err(failure) => self.conclude(Status::Failed, failure),
        }
    }

    /// The function does not do what it did before.
    fn strayed(&mut self, expected: Option<CallId>, found: &str) {
        let Some((place, call)) = expected.and_then(|id| Some((id + 1, self.calls.get(id)?))) else { return };
        let wanted = described(call.call, &call.path);
        let message = format!("the function is not deterministic: call {place} was {wanted}, now it is {found}");
        let error = Error::new(Code::Nondeterministic, message)
            .at(format!("/calls/{place}"), format!("expected {wanted}, found {found}"))
            .hint(
                "outside of steps the function must do the same each time: no clock, no randomness, no I/O; \
                 changed code needs another `revision`",
            );
        let failure = Failure::at(&call.path, &error);
        self.conclude(Status::Failed, failure);
    }
}

fn described(call: Call, path: &str) -> String {
    format!("the {} `{path}`", call.as_str())
}

fn fits(output: Value) -> Result<Shared, Error> {
    let bytes = size(&output);
    if bytes > MAX_OUTPUT {
        return Err(Error::new(Code::TooLarge, format!("the output has {bytes} bytes; the limit is {MAX_OUTPUT}")));
    }
    Ok(Shared::new(output))
}
