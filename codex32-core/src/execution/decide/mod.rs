//! The part that decides: from the journal of an execution to what is to be done next.
//!
//! - [`State::apply`] takes one journal entry and goes as far as it leads.
//! - [`State::next`] says what is to be written (and then done) next; the caller
//!   writes [`Command::event`] and applies it.
//! - [`State::facts`] turns what was seen outside into the entries that record it.
//! - [`native`] is the same for a function of a program in place of steps.
//! - [`replay`] follows a journal and finds where a version would part from it.
//!
//! Invariants: no I/O, no clock, no randomness; the time is that of the entry. The
//! state is a function of the entries alone, so a journal read back after a crash
//! leads to the very state that wrote it. An entry costs time by what it changes
//! and not by what went before. What an expression sees depends on where it
//! stands (its own list of steps and those around it), never on which of two
//! things that run side by side was faster.

mod agenda;
mod apply;
mod approval;
mod attempt;
mod begin;
mod branch;
mod command;
mod ending;
mod fact;
mod foreach;
mod frame;
pub(crate) mod native;
mod next;
mod parallel;
mod replay;
mod retry;
mod scope;
mod timer;
mod tree;
mod undo;
mod unwind;
mod wait;

pub(crate) use command::{Command, Effect, Work};
pub(crate) use fact::Fact;
pub(crate) use replay::{Replayed, replay};
pub(crate) use scope::{About, expression_failure};

use super::entry::{Entry, Event, Failure, Purpose, Shared, idempotency_key};
use super::plan::SharedBlueprint;
use super::types::Status;
use crate::clock::Millis;
use crate::id::ExecutionId;
use agenda::Task;
use frame::{Frame, FrameId, Outcome, Phase};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use undo::{NotUndoneSteps, Undoable, Undoing};

/// How long `finally` may take once an execution was cancelled or has had its time.
pub(crate) const FINALLY_BOUND: Millis = 30_000;
/// How long undoing may take once an execution was cancelled or has had its time.
pub(crate) const UNDO_BOUND: Millis = 60 * 60 * 1_000;
/// Entries after which an execution fails, since its journal has to be read back as a whole:
/// a loop over [`MAX_ITEMS`] fits.
pub(crate) const MAX_JOURNAL: u64 = 250_000;
/// Most items of a `foreach`.
pub(crate) const MAX_ITEMS: usize = 100_000;
/// Signals that are kept for a step that will wait for them; older ones are forgotten.
const MAX_KEPT_SIGNALS: usize = 1_000;

/// How an execution ends.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Finish {
    pub(crate) status: Status,
    pub(crate) output: Option<Shared>,
    pub(crate) error: Option<Failure>,
}

/// Where an execution stands, worked out from its journal.
#[derive(Debug)]
pub(crate) struct State {
    plan: SharedBlueprint,
    about: About,
    frames: HashMap<FrameId, Frame>,
    by_path: HashMap<Arc<str>, FrameId>,
    by_child: HashMap<ExecutionId, FrameId>,
    next_frame: FrameId,
    root: Option<FrameId>,
    /// Steps that may have something to be written, in order; some are gone by then.
    ready: VecDeque<FrameId>,
    /// By time; frame 0 stands for the execution itself.
    timers: BTreeSet<(Millis, FrameId, Purpose)>,
    awaiting: BTreeMap<String, BTreeSet<FrameId>>,
    signals: VecDeque<(String, Shared)>,
    /// Results taken over from the execution that this one retries.
    memo: HashMap<String, Outcome>,
    copies_left: u32,
    started: bool,
    paused: bool,
    /// It is ending: cancelled, or out of time.
    ending: Option<(Status, Failure)>,
    /// Steps that succeeded and can be undone, by path.
    undoable: BTreeMap<Arc<str>, Undoable>,
    /// Counts them.
    successes: u64,
    /// All steps are over, and what was done is undone before it ends.
    undoing: Option<Undoing>,
    not_undone: NotUndoneSteps,
    /// Entries applied, and after how many it fails.
    entries: u64,
    max_entries: u64,
    result: Option<Finish>,
    finished: bool,
    agenda: VecDeque<Task>,
    effects: Vec<Effect>,
    /// The time of the entry that is being applied.
    now: Millis,
}

impl State {
    /// The state of an execution without a journal.
    pub(crate) fn new(plan: SharedBlueprint, about: About) -> State {
        State {
            plan,
            about,
            frames: HashMap::new(),
            by_path: HashMap::new(),
            by_child: HashMap::new(),
            next_frame: 1,
            root: None,
            ready: VecDeque::new(),
            timers: BTreeSet::new(),
            awaiting: BTreeMap::new(),
            signals: VecDeque::new(),
            memo: HashMap::new(),
            copies_left: 0,
            started: false,
            paused: false,
            ending: None,
            undoable: BTreeMap::new(),
            successes: 0,
            undoing: None,
            not_undone: NotUndoneSteps::default(),
            entries: 0,
            max_entries: MAX_JOURNAL,
            result: None,
            finished: false,
            agenda: VecDeque::new(),
            effects: Vec::new(),
            now: 0,
        }
    }

    /// The state after these entries. What they led to outside has been done already,
    /// but for what [`State::in_flight`] names.
    pub(crate) fn fold(plan: SharedBlueprint, about: About, entries: impl IntoIterator<Item = Entry>) -> State {
        let mut state = State::new(plan, about);
        for entry in entries {
            state.apply(entry.at, &entry.event);
        }
        state.effects.clear();
        state
    }

    /// What it runs.
    pub(crate) fn plan(&self) -> SharedBlueprint {
        self.plan.clone()
    }

    /// Whether it waits for something other than its own next attempt.
    pub(crate) fn waits_for_others(&self) -> bool {
        !self.awaiting.is_empty()
            || !self.by_child.is_empty()
            || self
                .frames
                .values()
                .any(|frame| frame.step().is_some_and(|step| matches!(step.phase, Phase::Sleeping | Phase::Asked(_))))
    }

    /// Whether the journal has its first entry.
    pub(crate) fn is_started(&self) -> bool {
        self.started
    }

    /// Whether it is over and written so.
    #[cfg(test)]
    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Whether someone paused it.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused
    }

    /// Lets it fail after fewer entries.
    #[cfg(test)]
    pub(crate) fn limit_journal(&mut self, entries: u64) {
        self.max_entries = entries;
    }

    /// Signals that came and that no step has taken yet, as entries.
    pub(crate) fn kept_signals(&self) -> Vec<Event> {
        let signals = self.signals.iter().cloned();
        signals.map(|(name, payload)| Event::SignalReceived { name, payload, path: String::new() }).collect()
    }

    /// Everything that decides what follows, as text: equal texts, equal futures.
    #[cfg(test)]
    pub(crate) fn snapshot(&self) -> String {
        let frames: BTreeMap<_, _> = self.frames.iter().collect();
        let memo: BTreeMap<_, _> = self.memo.iter().collect();
        let children: BTreeMap<_, _> = self.by_child.iter().collect();
        let rest = (&self.timers, &self.awaiting, &self.signals, self.paused, &self.ending, &self.result);
        let undo = (&self.undoable, &self.undoing, &self.not_undone, self.entries);
        format!("{frames:#?} {memo:?} {children:?} {rest:?} {undo:?} {} {}", self.finished, self.started)
    }

    /// What has to be done outside because of what was applied, once that is durable.
    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// When it goes on by itself, and which step does.
    pub(crate) fn next_due(&self) -> Option<(Millis, &str)> {
        let (due, frame, _) = self.timers.first()?;
        Some((*due, self.frames.get(frame).map_or("", |frame| &frame.path)))
    }
}
