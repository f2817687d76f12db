//! Driving one execution: what the interpreter decides is written, then done.
//!
//! A driver holds the lease of its execution and is the only one that writes to it.
//! It lives while something runs and goes away when the execution waits.

mod ask;
mod child;
mod compute;
mod first;
mod interpreter;
mod load;
mod log;
mod migrate;
mod native;
mod park;
mod perform;
mod round;
mod run;
mod successor;
mod write;

pub(crate) use ask::hash as hash_token;
pub(crate) use first::First;
pub(crate) use load::{about, load};

use super::control::Inner;
use super::decide::{Command, Fact};
use super::entry::Entry;
use super::native::Fiber;
use super::ports::LoadedVersion;
use super::store::New;
use crate::clock::Millis;
use crate::storage::entity::executions;
use interpreter::Interpreter;
use log::LogBuffer;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

/// What an attempt came to, outside.
pub(crate) enum Outcome {
    /// It has a result or has failed.
    Fact(Fact),
    /// The bot that it calls is known: the child can be stored.
    Child(Box<New>, Fact),
}

/// The driver of one execution.
pub(crate) struct Driver {
    inner: Arc<Inner>,
    row: Arc<executions::Model>,
    version: Arc<LoadedVersion>,
    state: Interpreter,
    /// The function that stands in place of steps, while it runs.
    fiber: Option<Fiber>,
    /// Number of the last entry or line that is written.
    seq: i64,
    log: Arc<LogBuffer>,
    tasks: JoinSet<Outcome>,
    /// Path and attempt of each task.
    running: HashMap<Id, Running>,
    /// What attempts came to since the last round.
    outcomes: Vec<Outcome>,
    /// Rings when something was sent to the execution.
    bell: Arc<Notify>,
    /// To be done again or for the first time once the next round is written.
    dispatch: Vec<Command>,
    /// The engine is shutting down: nothing new is begun.
    draining: bool,
    /// Ends when what runs is left for whoever drives the execution next.
    left: CancellationToken,
    /// Whether something may have been sent to the execution before it had this driver.
    look: bool,
    /// Whether more can be decided than the last round has written.
    more: bool,
    /// When it was last known that the lease is held, UTC milliseconds.
    held_at: Millis,
    /// Its place among the drivers.
    permit: Option<OwnedSemaphorePermit>,
    /// The whole journal, where it is known from the start and someone waits for the end.
    history: Option<Vec<Entry>>,
}

/// An attempt that is being performed.
struct Running {
    path: String,
    attempt: u32,
    cancel: CancellationToken,
}

/// How a driver ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The execution is over.
    Finished,
    /// It waits; rows will wake it.
    Parked,
    /// It was given back unfinished, to be claimed again.
    Requeued,
    /// Someone else drives it.
    Lost,
}
