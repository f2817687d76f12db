//! What is going on: a tree of lists of steps (blocks) and steps, as far as they are open.

use super::super::entry::{Failure, Purpose, Shared};
use super::super::plan::{BlockId, NodeId};
use super::undo::{NotUndoneSteps, Undoable};
use crate::clock::Millis;
use crate::id::ExecutionId;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Number of a frame; never used twice within a state.
pub(super) type FrameId = u64;

/// How a frame ended.
pub(super) type Outcome = Result<Shared, Failure>;

/// An open block or step.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) parent: Option<FrameId>,
    /// Which child of its parent it is: the round of a `foreach`, the branch of a `parallel`.
    pub(super) slot: usize,
    pub(super) path: Arc<str>,
    /// Results that are visible to what is inside, by step id.
    pub(super) steps: BTreeMap<String, Shared>,
    /// Variables that are visible to what is inside.
    pub(super) variables: Vec<(String, Shared)>,
    pub(super) children: BTreeSet<FrameId>,
    /// It is to end with this as soon as its children are gone.
    pub(super) unwinding: Option<Failure>,
    pub(super) kind: FrameKind,
}

#[derive(Debug)]
pub(super) enum FrameKind {
    Block {
        block: BlockId,
        next: usize,
        last: Shared,
    },
    Step(Box<StepFrame>),
    /// Steps are being undone, one after the other.
    Rollback(Box<Rollback>),
}

/// Steps that are being undone.
#[derive(Debug)]
pub(super) struct Rollback {
    /// In the order of their success: the last comes first.
    pub(super) left: Vec<Undoable>,
    pub(super) current: Option<Undoable>,
    pub(super) failed: NotUndoneSteps,
}

/// An open step.
#[derive(Debug)]
pub(super) struct StepFrame {
    pub(super) node: NodeId,
    pub(super) attempt: u32,
    /// What is to be written to the journal before anything else happens to it.
    pub(super) todo: Option<Todo>,
    pub(super) phase: Phase,
    pub(super) timers: Vec<(Millis, Purpose)>,
}

/// What is to be written to the journal.
#[derive(Debug, Clone)]
pub(super) enum Todo {
    /// That an attempt begins.
    Schedule {
        due: Option<Millis>,
    },
    SetTimer {
        due: Millis,
    },
    Ask {
        message: String,
        due: Option<Millis>,
    },
    /// That the body of a `try` is being undone.
    Undo {
        error: Failure,
    },
    Skip,
    Succeed(Shared),
    Fail {
        error: Failure,
        retry_at: Option<Millis>,
    },
}

/// Where an open step stands.
#[derive(Debug)]
pub(super) enum Phase {
    /// Nothing was written about it yet.
    New,
    /// An attempt runs.
    Working,
    /// A child is to be started, or runs.
    Calling(Option<ExecutionId>),
    /// It waits for its next attempt.
    Backoff,
    /// It waits for a time.
    Sleeping,
    /// It waits for an event or a signal.
    Awaiting,
    /// It waits for people.
    Asked(Asked),
    /// The way of an `if` or `switch`.
    Way,
    Rounds(Rounds),
    /// The branches of a `parallel` and what they gave.
    Branches(Vec<Shared>),
    Trying(Trying),
}

/// An approval that nobody has answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) at: Millis,
    /// How often people were reminded.
    pub(super) reminded: u32,
    /// How many others were asked.
    pub(super) escalated: usize,
}

/// The rounds of a `foreach`.
#[derive(Debug)]
pub(super) struct Rounds {
    pub(super) left: VecDeque<Value>,
    pub(super) next: usize,
    pub(super) outputs: Vec<Shared>,
}

/// The parts of a `try`.
#[derive(Debug)]
pub(super) struct Trying {
    pub(super) part: Part,
    /// How it ends after `finally`; why its body is being undone.
    pub(super) outcome: Option<Outcome>,
    /// What could not be undone of its body.
    pub(super) not_undone: NotUndoneSteps,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Body,
    Undoing,
    Catch,
    Finally,
}

impl Frame {
    pub(super) fn step(&self) -> Option<&StepFrame> {
        match &self.kind {
            FrameKind::Step(step) => Some(step),
            FrameKind::Block { .. } | FrameKind::Rollback(_) => None,
        }
    }

    pub(super) fn step_mut(&mut self) -> Option<&mut StepFrame> {
        match &mut self.kind {
            FrameKind::Step(step) => Some(step),
            FrameKind::Block { .. } | FrameKind::Rollback(_) => None,
        }
    }

    /// The frame whose results and variables it sees beside its own. What is undone sees
    /// what the step has seen, which its frame holds.
    pub(super) fn outer(&self) -> Option<FrameId> {
        self.parent.filter(|_| !matches!(self.kind, FrameKind::Rollback(_)))
    }
}
