//! What an execution does first, decided before it is stored, so that its start and the
//! intents that follow are one transaction.

use super::Driver;
use super::compute::{MOST, computed};
use super::interpreter::Interpreter;
use super::load::about;
use super::log::LogBuffer;
use crate::error::Result;
use crate::execution::control::{Inner, Ready};
use crate::execution::decide::Command;
use crate::execution::entry::Event;
use crate::execution::ports::LoadedVersion;
use crate::execution::store::New;
use crate::storage::entity::executions;
use std::sync::Arc;
use tokio::sync::Notify;

/// An execution that is driven from its start.
pub(crate) struct First {
    row: executions::Model,
    version: Arc<LoadedVersion>,
    state: Interpreter,
    dispatch: Vec<Command>,
}

impl First {
    /// Decides what `new` does first, and adds it to what is stored of it.
    ///
    /// # Errors
    /// Where its row cannot be made.
    pub(crate) async fn decide(inner: &Inner, ready: &Ready, new: &mut New) -> Result<First> {
        let row = new.row()?;
        let begun = |new: &New| -> Result<Interpreter> {
            Ok(Interpreter::fold(ready.plan.clone(), about(&row, ready.version.number)?, new.entries()))
        };
        let mut state = begun(new)?;
        let mut dispatch = Vec::new();
        // What is too much to be stored at once belongs to the first round, and so does its end.
        while new.first.len() < MOST
            && let Some(command) = state.next(new.at)
        {
            if matches!(command, Command::Finish(_)) {
                break;
            }
            if let Some(fact) = computed(inner, &ready.plan, new.start.workspace, &command).await {
                note(&mut state, new, command.event());
                for event in state.facts(new.at, fact) {
                    note(&mut state, new, event);
                }
                continue;
            }
            // Whatever needs more than entries is left to the first round.
            if !is_only_entry(&command) {
                new.first.clear();
                let state = begun(new)?;
                return Ok(First { row, version: ready.version.clone(), state, dispatch: Vec::new() });
            }
            note(&mut state, new, command.event());
            if matches!(command, Command::Run(_) | Command::StartChild(..)) {
                dispatch.push(command);
            }
        }
        // Nothing runs yet that could be aborted.
        state.take_effects();
        Ok(First { row: new.row()?, version: ready.version.clone(), state, dispatch })
    }

    /// Its driver, once it is stored. `watched` where someone waits for its end.
    pub(crate) fn driver(self, inner: Arc<Inner>, new: &New, bell: Arc<Notify>, watched: bool) -> Driver {
        let log = Arc::new(LogBuffer::new(inner.clock.clone(), 0));
        let history = watched.then(|| new.entries().collect());
        let driver = Driver::new(inner, Arc::new(self.row), self.version, self.state, log, bell);
        // Its bell was there before it could be sent anything.
        Driver { dispatch: self.dispatch, look: false, history, ..driver }
    }
}

fn note(state: &mut Interpreter, new: &mut New, event: Event) {
    state.apply(new.at, &event);
    new.first.push(event);
}

/// Whether a command is carried out by its entry, and by an attempt that follows.
fn is_only_entry(command: &Command) -> bool {
    match command {
        Command::Run(work) => !work.asks,
        Command::StartChild(_, due) => due.is_none(),
        Command::Skip { .. } | Command::Succeed { .. } => true,
        _ => false,
    }
}
