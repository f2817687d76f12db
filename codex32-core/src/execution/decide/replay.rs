//! Following a journal once more, with the version that wrote it or with another one.
//!
//! What was seen outside (results, signals, answers, wishes) is taken as it stands in the
//! journal. What the interpreter decides is worked out again and held against what was
//! written. Nothing is performed.

use super::super::entry::{Entry, Event};
use super::super::plan::{Kind, SharedBlueprint};
use super::super::words;
use super::command::Command;
use super::frame::{Frame, FrameId, Phase};
use super::scope::About;
use super::{State, idempotency_key};
use crate::clock::Millis;
use std::collections::BTreeMap;

/// A journal that was followed.
#[derive(Debug)]
pub(crate) struct Replayed {
    /// Behind the last entry that was followed.
    pub(crate) state: State,
    /// How many entries the journal has.
    pub(crate) entries: usize,
    /// How many of them agree.
    pub(crate) followed: usize,
    /// The first one that does not.
    pub(crate) divergence: Option<Parting>,
}

/// Where the journal and the version part.
#[derive(Debug)]
pub(crate) struct Parting {
    /// What the journal has.
    pub(crate) recorded: Entry,
    /// What the version would have there; `None` where it would only wait.
    pub(crate) expected: Option<Event>,
}

impl Parting {
    /// What is different, in words.
    pub(crate) fn reason(&self) -> String {
        let recorded = words::of(&self.recorded.event);
        let instead = self.expected.as_ref().map_or("it would have waited on".to_owned(), words::of);
        format!("entry {} of the journal says: {recorded}; with that version: {instead}", self.recorded.seq)
    }
}

/// Follows `entries` with `plan` up to the first that does not agree.
pub(crate) fn replay(plan: SharedBlueprint, about: About, entries: &[Entry]) -> Replayed {
    let mut replay = Replay { state: State::new(plan, about), before: None };
    for (followed, entry) in entries.iter().enumerate() {
        if let Err(expected) = replay.follow(entry) {
            let divergence = Some(Parting { recorded: entry.clone(), expected: expected.map(|event| *event) });
            return Replayed { state: replay.state, entries: entries.len(), followed, divergence };
        }
    }
    // What followed outside has been done.
    replay.state.take_effects();
    Replayed { state: replay.state, entries: entries.len(), followed: entries.len(), divergence: None }
}

struct Replay<'e> {
    state: State,
    before: Option<&'e Event>,
}

/// What would stand there instead.
type Instead = Option<Box<Event>>;

impl<'e> Replay<'e> {
    fn follow(&mut self, entry: &'e Entry) -> Result<(), Instead> {
        self.state.now = entry.at;
        match self.is_seen(&entry.event) {
            Some(true) => {}
            Some(false) => return Err(self.decided(entry.at)),
            None => match self.decided(entry.at) {
                Some(decided) if *decided == entry.event => {}
                instead => return Err(instead),
            },
        }
        self.state.apply(entry.at, &entry.event);
        self.before = Some(&entry.event);
        Ok(())
    }

    /// What the version does next by itself.
    fn decided(&mut self, at: Millis) -> Instead {
        self.state.next(at).map(|command| Box::new(command.event()))
    }

    /// Whether an entry that tells what was seen outside has its place here; `None` for one
    /// that tells what was decided.
    fn is_seen(&self, event: &Event) -> Option<bool> {
        let state = &self.state;
        Some(match event {
            Event::Held { .. }
            | Event::Started { .. }
            | Event::CancelRequested { .. }
            | Event::Paused { .. }
            | Event::Resumed { .. }
            | Event::Migrated { .. }
            | Event::MigrationRefused { .. }
            | Event::StepSucceeded { copied: true, .. }
            | Event::StepFailed { copied: true, .. } => true,
            Event::SignalReceived { path, .. } if path.is_empty() => true,
            Event::SignalReceived { path, name, .. } => state.listens(path, name),
            Event::ChildStarted { path, attempt, .. } | Event::Continued { path, attempt, .. } => {
                state.is_current(path, *attempt)
            }
            Event::ChildFinished { path, id, .. } | Event::ChildContinued { path, id, .. } => {
                state.by_child.get(id).and_then(|frame| state.frames.get(frame)).is_some_and(|f| *f.path == **path)
            }
            Event::ApprovalAnswered { path, .. } => state.phase_at(path, |phase| matches!(phase, Phase::Asked(_))),
            Event::StepSucceeded { path, attempt, .. } if self.is_outcome(path, *attempt) => {
                !state.phase_at(path, |phase| matches!(phase, Phase::Calling(_)))
            }
            Event::StepFailed { path, attempt, error, retry_at, .. } if self.is_outcome(path, *attempt) => {
                state.by_path.get(&**path).and_then(|id| state.retry_at(*id, error)) == *retry_at
            }
            Event::Finished { .. } if matches!(self.before, Some(Event::Continued { .. })) => true,
            _ => return None,
        })
    }

    /// Whether a result is that of an attempt outside, or of a child.
    fn is_outcome(&self, path: &str, attempt: u32) -> bool {
        self.state.is_current(path, attempt)
            || matches!(self.before, Some(Event::ChildFinished { path: p, .. }) if p == path)
    }
}

/// A step that is open and written so.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Open {
    attempt: u32,
    what: &'static str,
}

impl State {
    /// Whether the step at `path` waits for an event of this name.
    fn listens(&self, path: &str, name: &str) -> bool {
        self.phase_at(path, |phase| matches!(phase, Phase::Awaiting))
            && self.open_steps().any(|(_, frame, kind)| {
                *frame.path == *path && matches!(kind, Kind::WaitEvent { event, .. } if event == name)
            })
    }

    fn open_steps(&self) -> impl Iterator<Item = (FrameId, &Frame, &Kind)> {
        self.frames.iter().filter_map(|(id, frame)| Some((*id, frame, &self.plan.node(frame.step()?.node).kind)))
    }

    /// What is open outside, by path.
    fn open(&self) -> BTreeMap<&str, Open> {
        let open = self.open_steps().filter_map(|(_, frame, kind)| {
            let step = frame.step()?;
            let what = match (&step.phase, kind) {
                (Phase::Working, Kind::Use { .. }) => "performs an action",
                (Phase::Working, Kind::Run { .. }) => "runs a script",
                (Phase::Working, _) => "goes on as a new execution",
                (Phase::Calling(_), _) => "calls a bot",
                (Phase::Backoff, _) => "waits for its next attempt",
                (Phase::Sleeping, _) => "waits for a time",
                (Phase::Awaiting, _) => "waits for an event",
                (Phase::Asked(_), _) => "waits for an approval",
                _ => return None,
            };
            Some((&*frame.path, Open { attempt: step.attempt, what }))
        });
        open.collect()
    }

    /// Why what is open now would not go on in `other`; `None` where all of it would.
    pub(crate) fn cannot_go_on_as(&self, other: &State) -> Option<String> {
        let theirs = other.open();
        self.open().into_iter().find_map(|(path, open)| match theirs.get(path) {
            Some(same) if *same == open => None,
            Some(differs) => Some(format!("the step \"{path}\" {} and would be one that {}", open.what, differs.what)),
            None => Some(format!("the step \"{path}\" {}, and the other version has no such step open", open.what)),
        })
    }

    /// The steps that wait for an event on the bus, as they were begun.
    pub(crate) fn listening(&self) -> Vec<Command> {
        let mut waits: Vec<(FrameId, Command)> = self
            .open_steps()
            .filter_map(|(id, frame, kind)| {
                let Kind::WaitEvent { event, bus: true, filter, .. } = kind else { return None };
                matches!(frame.step()?.phase, Phase::Awaiting).then(|| {
                    let wait = Command::AwaitEvent {
                        path: frame.path.to_string(),
                        idempotency_key: idempotency_key(self.about.id, &frame.path),
                        event: event.clone(),
                        filter: filter.as_ref().map(|code| code.program.source().to_owned()),
                        scope: filter.as_ref().map(|code| self.scope(id, &code.needs)).unwrap_or_default(),
                        due: None,
                    };
                    (id, wait)
                })
            })
            .collect();
        waits.sort_unstable_by_key(|(id, _)| *id);
        waits.into_iter().map(|(_, wait)| wait).collect()
    }
}
