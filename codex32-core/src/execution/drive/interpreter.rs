//! What decides for an execution: the interpreter of its blueprint, or the function that
//! stands in place of steps.

use crate::clock::Millis;
use crate::execution::decide::native::NativeState;
use crate::execution::decide::{About, Command, Effect, Fact, State};
use crate::execution::entry::{Entry, Event};
use crate::execution::plan::SharedBlueprint;

pub(crate) enum Interpreter {
    Blueprint(Box<State>),
    Native(Box<NativeState>),
}

impl Interpreter {
    /// What decides after these entries.
    pub(crate) fn fold(plan: SharedBlueprint, about: About, entries: impl IntoIterator<Item = Entry>) -> Interpreter {
        if plan.native.is_some() {
            return Interpreter::Native(Box::new(NativeState::fold(plan, about.id, entries)));
        }
        Interpreter::Blueprint(Box::new(State::fold(plan, about, entries)))
    }

    pub(crate) fn plan(&self) -> SharedBlueprint {
        match self {
            Interpreter::Blueprint(state) => state.plan(),
            Interpreter::Native(replay) => replay.plan(),
        }
    }

    pub(crate) fn facts(&mut self, now: Millis, fact: Fact) -> Vec<Event> {
        match self {
            Interpreter::Blueprint(state) => state.facts(now, fact),
            Interpreter::Native(replay) => replay.facts(now, fact),
        }
    }

    pub(crate) fn apply(&mut self, at: Millis, event: &Event) {
        match self {
            Interpreter::Blueprint(state) => state.apply(at, event),
            Interpreter::Native(replay) => replay.apply(at, event),
        }
    }

    pub(crate) fn next(&mut self, now: Millis) -> Option<Command> {
        match self {
            Interpreter::Blueprint(state) => state.next(now),
            Interpreter::Native(replay) => replay.next(now),
        }
    }

    pub(crate) fn in_flight(&mut self) -> Vec<Command> {
        match self {
            Interpreter::Blueprint(state) => state.in_flight(),
            Interpreter::Native(replay) => replay.in_flight(),
        }
    }

    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        match self {
            Interpreter::Blueprint(state) => state.take_effects(),
            Interpreter::Native(replay) => replay.take_effects(),
        }
    }

    pub(crate) fn kept_signals(&self) -> Vec<Event> {
        match self {
            Interpreter::Blueprint(state) => state.kept_signals(),
            Interpreter::Native(replay) => replay.kept_signals(),
        }
    }

    pub(crate) fn next_due(&self) -> Option<(Millis, &str)> {
        match self {
            Interpreter::Blueprint(state) => state.next_due(),
            Interpreter::Native(replay) => replay.next_due(),
        }
    }

    pub(crate) fn is_current(&self, path: &str, attempt: u32) -> bool {
        match self {
            Interpreter::Blueprint(state) => state.is_current(path, attempt),
            Interpreter::Native(replay) => replay.is_current(path, attempt),
        }
    }

    pub(crate) fn is_started(&self) -> bool {
        match self {
            Interpreter::Blueprint(state) => state.is_started(),
            Interpreter::Native(replay) => replay.is_started(),
        }
    }

    pub(crate) fn is_paused(&self) -> bool {
        match self {
            Interpreter::Blueprint(state) => state.is_paused(),
            Interpreter::Native(replay) => replay.is_paused(),
        }
    }

    pub(crate) fn waits_for_others(&self) -> bool {
        match self {
            Interpreter::Blueprint(state) => state.waits_for_others(),
            Interpreter::Native(replay) => replay.waits_for_others(),
        }
    }
}
