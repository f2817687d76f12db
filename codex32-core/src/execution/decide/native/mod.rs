//! The part that decides where a native function stands in place of steps.
//!
//! The function is run from its start whenever the execution is driven, and asks for what
//! it wants done ([`Request`]). What the journal holds is told to it in the order in which
//! it was recorded; the rest is written, done, recorded and told. This is the same split as
//! for a blueprint: [`NativeState::next`] says what is to be written, [`NativeState::apply`] takes an
//! entry, [`NativeState::facts`] turns what was seen into entries.
//!
//! Invariants: no I/O, no clock, no randomness. A call that has a result is never done
//! again. A new call is only written once the function has asked for every call that the
//! journal holds; where it cannot come to that, it does not do what it did before, and the
//! execution fails with what was expected and what was found.

mod apply;
mod ask;
mod facts;
mod next;
mod request;

pub(crate) use ask::Told;
pub(crate) use request::{NativeWork, Request, Until};

use super::super::entry::{Call, Entry, Event, Failure, Purpose, Shared};
use super::super::plan::SharedBlueprint;
use super::frame::Outcome;
use super::{Effect, Finish, MAX_JOURNAL};
use crate::clock::Millis;
use crate::id::ExecutionId;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

/// Number of a call, in the order in which calls were first written.
type CallId = usize;

/// Where an execution of a native function stands, worked out from its journal and from
/// what the function has asked for in this life.
#[derive(Debug)]
pub(crate) struct NativeState {
    plan: SharedBlueprint,
    id: ExecutionId,
    calls: Vec<Known>,
    by_path: HashMap<Arc<str>, CallId>,
    by_child: HashMap<ExecutionId, CallId>,
    /// Calls that have ended, in this order, and how many of them the function was told of.
    ended: Vec<CallId>,
    told: usize,
    /// What the function asks for and the journal does not hold.
    fresh: VecDeque<(String, Request)>,
    /// Results taken over from the execution that this one retries, and those asked for.
    memo: HashMap<String, Outcome>,
    asked_memo: VecDeque<(String, Outcome)>,
    ready: VecDeque<CallId>,
    /// Begun in a life before and asked for again.
    again: Vec<CallId>,
    /// By time; `None` stands for the execution itself.
    timers: BTreeSet<(Millis, Option<CallId>, Purpose)>,
    signals: VecDeque<(String, Shared)>,
    began: Millis,
    started: bool,
    paused: bool,
    entries: u64,
    max_entries: u64,
    result: Option<Finish>,
    finished: bool,
    effects: Vec<Effect>,
    now: Millis,
}

/// A call that the journal holds, or is about to.
#[derive(Debug)]
struct Known {
    path: Arc<str>,
    call: Call,
    attempt: u32,
    phase: Phase,
    todo: Option<Todo>,
    /// As the function has asked for it in this life.
    request: Option<Request>,
    timers: Vec<(Millis, Purpose)>,
    /// Its result, until the function is told, and when it came.
    outcome: Option<(Millis, Outcome)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    New,
    Working,
    Calling(Option<ExecutionId>),
    Awaiting,
    Sleeping,
    Backoff,
    Ended,
}

/// What is to be written about a call.
#[derive(Debug, Clone)]
enum Todo {
    /// That an attempt begins.
    Begin,
    Succeed(Shared),
    Fail(Failure),
}

impl NativeState {
    pub(crate) fn new(plan: SharedBlueprint, id: ExecutionId) -> NativeState {
        NativeState {
            plan,
            id,
            calls: Vec::new(),
            by_path: HashMap::new(),
            by_child: HashMap::new(),
            ended: Vec::new(),
            told: 0,
            fresh: VecDeque::new(),
            memo: HashMap::new(),
            asked_memo: VecDeque::new(),
            ready: VecDeque::new(),
            again: Vec::new(),
            timers: BTreeSet::new(),
            signals: VecDeque::new(),
            began: 0,
            started: false,
            paused: false,
            entries: 0,
            max_entries: MAX_JOURNAL,
            result: None,
            finished: false,
            effects: Vec::new(),
            now: 0,
        }
    }

    /// Where it stands after these entries.
    pub(crate) fn fold(
        plan: SharedBlueprint,
        id: ExecutionId,
        entries: impl IntoIterator<Item = Entry>,
    ) -> NativeState {
        let mut replay = NativeState::new(plan, id);
        for entry in entries {
            replay.apply(entry.at, &entry.event);
        }
        replay.effects.clear();
        replay
    }

    pub(crate) fn plan(&self) -> SharedBlueprint {
        self.plan.clone()
    }

    pub(crate) fn is_started(&self) -> bool {
        self.started
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused
    }

    /// When the execution was started, UTC milliseconds.
    pub(crate) fn began(&self) -> Millis {
        self.began
    }

    /// Whether it waits for something other than its own next attempt.
    pub(crate) fn waits_for_others(&self) -> bool {
        self.calls.iter().any(|call| matches!(call.phase, Phase::Awaiting | Phase::Sleeping | Phase::Calling(Some(_))))
    }

    /// Whether something that is written will let it go on.
    pub(crate) fn waits(&self) -> bool {
        self.waits_for_others() || self.calls.iter().any(|call| matches!(call.phase, Phase::Backoff))
    }

    /// Whether nothing is to be done any more but to write the end.
    pub(crate) fn is_over(&self) -> bool {
        self.finished || self.result.is_some()
    }

    /// Signals that came and that no call has taken yet, as entries.
    pub(crate) fn kept_signals(&self) -> Vec<Event> {
        let signals = self.signals.iter().cloned();
        signals.map(|(name, payload)| Event::SignalReceived { name, payload, path: String::new() }).collect()
    }

    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// When it goes on by itself, and which call does.
    pub(crate) fn next_due(&self) -> Option<(Millis, &str)> {
        let (due, call, _) = self.timers.first()?;
        Some((*due, call.and_then(|id| self.calls.get(id)).map_or("", |call| &call.path)))
    }

    /// Whether the call of this path and attempt is still being performed outside.
    pub(crate) fn is_current(&self, path: &str, attempt: u32) -> bool {
        self.by_path.get(path).and_then(|id| self.calls.get(*id)).is_some_and(|call| {
            call.attempt == attempt
                && matches!(call.phase, Phase::Working | Phase::Calling(None))
                && call.todo.is_none()
        })
    }

    /// Lets it fail after fewer entries.
    #[cfg(test)]
    pub(crate) fn limit_journal(&mut self, entries: u64) {
        self.max_entries = entries;
    }

    fn set_timer(&mut self, id: CallId, due: Millis, purpose: Purpose) {
        if let Some(call) = self.calls.get_mut(id) {
            call.timers.push((due, purpose));
            self.timers.insert((due, Some(id), purpose));
        }
    }

    fn clear_timers(&mut self, id: CallId) {
        if let Some(call) = self.calls.get_mut(id) {
            for (due, purpose) in call.timers.drain(..) {
                self.timers.remove(&(due, Some(id), purpose));
            }
        }
    }

    fn mark(&mut self, id: CallId, todo: Todo) {
        if let Some(call) = self.calls.get_mut(id) {
            call.todo = Some(todo);
            self.ready.push_back(id);
        }
    }
}
