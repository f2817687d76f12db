//! What is to be written next.

use super::super::super::entry::idempotency_key;
use super::super::Command;
use super::{CallId, Known, NativeState, NativeWork, Todo};
use crate::clock::Millis;

impl NativeState {
    /// What is to be written next, if anything. Write its event and apply it before asking
    /// again. While paused there is nothing.
    pub(crate) fn next(&mut self, now: Millis) -> Option<Command> {
        if !self.started || self.finished || self.paused {
            return None;
        }
        if let Some(finish) = &self.result {
            return Some(Command::Finish(finish.clone()));
        }
        if self.entries >= self.max_entries {
            return Some(Command::JournalFull { entries: self.entries });
        }
        if let Some(fire) = self.due(now) {
            return Some(fire);
        }
        while let Some(id) = self.ready.pop_front() {
            if let Some(command) = self.command(id, now) {
                return Some(command);
            }
        }
        None
    }

    /// Whether [`NativeState::next`] may give something at once.
    pub(crate) fn has_next(&self) -> bool {
        !self.paused && !self.finished && (self.result.is_some() || !self.ready.is_empty())
    }

    fn due(&self, now: Millis) -> Option<Command> {
        let (due, call, purpose) = self.timers.first()?;
        if *due > now {
            return None;
        }
        let path = call.and_then(|id| self.calls.get(id)).map_or(String::new(), |call| call.path.to_string());
        Some(Command::Fire { path, purpose: *purpose })
    }

    fn command(&self, id: CallId, now: Millis) -> Option<Command> {
        let call = self.calls.get(id)?;
        let (path, attempt) = (call.path.to_string(), call.attempt);
        match call.todo.clone()? {
            // Without the function's body there is nothing to begin; it is ready again when asked for.
            Todo::Begin => Some(Command::Native(self.work(call, Some(now))?)),
            Todo::Succeed(output) => Some(Command::Succeed { path, attempt, output }),
            Todo::Fail(error) => Some(Command::Fail { path, attempt, error, retry_at: None }),
        }
    }

    fn work(&self, call: &Known, now: Option<Millis>) -> Option<NativeWork> {
        let request = call.request.clone()?;
        Some(NativeWork {
            path: call.path.to_string(),
            attempt: call.attempt,
            idempotency_key: idempotency_key(self.id, &call.path),
            due: now.and_then(|now| request.due(now)),
            request,
        })
    }

    /// What was begun in a life before and the function has asked for again: to be done
    /// again, with the same keys.
    pub(crate) fn in_flight(&mut self) -> Vec<Command> {
        let again = std::mem::take(&mut self.again);
        let calls = again.into_iter().filter_map(|id| self.calls.get(id));
        calls.filter_map(|call| Some(Command::Native(self.work(call, None)?))).collect()
    }
}
