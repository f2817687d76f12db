//! A blueprint made ready to be run: all expressions compiled, all blocks numbered.
//!
//! Made once for each version and shared by all its executions. It holds nothing
//! that changes and does no I/O.

mod build;
mod code;
mod order;

pub(crate) use code::{Code, Needs, Text};
pub(crate) use order::Redo;

use super::entry::Shared;
use crate::blueprint::{Blueprint, Language, Native, OnTimeout, Retry, Source};
use crate::clock::Millis;
use crate::error::Result;
use std::sync::Arc;

/// Number of a step within its blueprint.
pub(crate) type NodeId = usize;
/// Number of a list of steps within its blueprint.
pub(crate) type BlockId = usize;

/// A blueprint made ready to be run.
#[derive(Debug)]
pub struct CompiledBlueprint {
    nodes: Vec<Node>,
    blocks: Vec<Vec<NodeId>>,
    root: BlockId,
    /// The function of a program that stands in place of steps.
    pub(crate) native: Option<Native>,
    /// Longest time for a whole execution, in milliseconds.
    pub(crate) timeout: Option<Millis>,
    /// What an execution returns; by default the last step's output.
    pub(crate) output: Option<Text>,
}

/// A step.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) guard: Option<Code>,
    pub(crate) retry: Option<Retry>,
    pub(crate) timeout: Option<Millis>,
    /// The step that takes back what this one did; it stands in no block.
    pub(crate) undo: Option<NodeId>,
    pub(crate) kind: Kind,
    /// The ids of the steps inside that are visible behind it. Those in the rounds of a
    /// `foreach` are not: there are many of each.
    pub(crate) inside: Vec<String>,
}

/// What a step does.
#[derive(Debug)]
pub(crate) enum Kind {
    Use {
        action: String,
        with: Text,
        connection: String,
    },
    Run {
        language: Language,
        source: Source,
        with: Text,
        env: Vec<(String, Text)>,
    },
    Call {
        bot: String,
        with: Text,
        wait: bool,
    },
    WaitFor(Millis),
    WaitUntil(Code),
    /// `bus`: an event on the bus counts; else only what is sent to the execution.
    WaitEvent {
        event: String,
        bus: bool,
        filter: Option<Code>,
        timeout: Option<Millis>,
    },
    Approval(Box<Approval>),
    If {
        condition: Code,
        then: BlockId,
        otherwise: BlockId,
    },
    Switch {
        on: Code,
        cases: Vec<(Shared, BlockId)>,
        default: BlockId,
    },
    Foreach {
        items: Code,
        bind: String,
        concurrency: usize,
        body: BlockId,
    },
    Parallel {
        branches: Vec<(String, BlockId)>,
    },
    Try {
        body: BlockId,
        catch: Option<BlockId>,
        finally: Option<BlockId>,
    },
    Fail {
        message: Text,
    },
    Continue {
        input: Text,
    },
}

/// A wait for somebody's yes or no. The steps that ask stand in no block.
#[derive(Debug)]
pub(crate) struct Approval {
    pub(crate) message: Text,
    pub(crate) ask: Option<NodeId>,
    pub(crate) remind: Option<Remind>,
    /// How long after the question, and the step that asks.
    pub(crate) escalate: Vec<(Millis, NodeId)>,
    pub(crate) timeout: Option<Millis>,
    pub(crate) on_timeout: OnTimeout,
}

/// Asking again.
#[derive(Debug)]
pub(crate) struct Remind {
    pub(crate) every: Millis,
    pub(crate) times: u32,
    pub(crate) ask: NodeId,
}

impl Kind {
    /// Whether its result is recorded as such (and not made of the results of steps inside).
    pub(crate) fn is_leaf(&self) -> bool {
        !matches!(
            self,
            Kind::If { .. } | Kind::Switch { .. } | Kind::Foreach { .. } | Kind::Parallel { .. } | Kind::Try { .. }
        )
    }

    /// What the input of a step reads that does something outside; `None` for other steps.
    pub(crate) fn needs(&self) -> Option<Needs> {
        Some(match self {
            Kind::Use { with, .. } | Kind::Call { with, .. } | Kind::Continue { input: with } => with.needs.clone(),
            Kind::Run { with, env, .. } => {
                env.iter().fold(with.needs.clone(), |needs, (_, text)| needs.and(&text.needs))
            }
            _ => return None,
        })
    }
}

impl CompiledBlueprint {
    /// Compiles all expressions of `blueprint`.
    ///
    /// # Errors
    /// `invalid` with every expression that does not compile, by its place.
    pub fn compile(blueprint: &Blueprint) -> Result<CompiledBlueprint> {
        build::compile(blueprint)
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }

    pub(crate) fn block(&self, id: BlockId) -> &[NodeId] {
        &self.blocks[id]
    }

    pub(crate) fn root(&self) -> BlockId {
        self.root
    }

    /// The path of the step that the one at `path` undoes; `None` where it undoes none.
    pub(crate) fn undone_by<'p>(&self, path: &'p str) -> Option<&'p str> {
        let step = path.strip_suffix("/undo")?;
        order::undoable(self, step).then_some(step)
    }

    /// Whether there is a step at `path`, as far as the blueprint tells.
    pub(crate) fn has_path(&self, path: &str) -> bool {
        order::find(self, path).is_some()
    }
}

/// A compiled blueprint that its executions share.
pub(crate) type SharedBlueprint = Arc<CompiledBlueprint>;
