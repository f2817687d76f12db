//! Going on with another version: where the way to here would have been the same with it.

use super::Driver;
use super::interpreter::Interpreter;
use super::load::about;
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::execution::control::Ready;
use crate::execution::decide::{Command, Fact, State, replay};
use crate::execution::entry::{Event, Failure};
use crate::execution::store::Commit;
use crate::id::{ExecutionId, VersionId, WorkspaceId};
use crate::storage::entity::executions;
use std::sync::Arc;

/// Where an execution stands that goes on with another version.
struct Moved {
    row: executions::Model,
    ready: Ready,
    state: State,
}

impl Driver {
    /// Takes the wishes for another version out of `facts`, and follows or refuses each.
    /// Before everything else of the round: the journal is that of the state.
    pub(super) async fn migrate(&mut self, now: Millis, facts: &mut Vec<Fact>, commit: &mut Commit) {
        let wishes: Vec<(VersionId, String)> = facts
            .extract_if(.., |fact| matches!(fact, Fact::Migrate { .. }))
            .filter_map(|fact| if let Fact::Migrate { to, by } = fact { Some((to, by)) } else { None })
            .collect();
        for (to, by) in wishes {
            // What was asked for twice is done once; one who waits is told.
            let from = VersionId(self.row.version_id);
            let event = match self.moved(to).await {
                Ok(moved) => {
                    self.go_on_as(moved, commit);
                    Event::Migrated { from, to, by }
                }
                Err(error) => Event::MigrationRefused { to, by, error: Failure::at("", &error) },
            };
            self.append(now, event, commit);
        }
    }

    async fn moved(&self, to: VersionId) -> Result<Moved> {
        let ready = self.inner.versions.get(WorkspaceId(self.row.workspace_id), to).await?;
        let (Interpreter::Blueprint(now), None) = (&self.state, &ready.plan.native) else {
            return Err(Error::precondition("a native function goes on in its own version only"));
        };
        let row = executions::Model { version_id: to.0, runs_on: ready.runs_on().to_owned(), ..(*self.row).clone() };
        let entries = self.inner.store.whole_journal(ExecutionId(row.id)).await?;
        let replayed = replay(ready.plan.clone(), about(&row, ready.version.number)?, &entries);
        if let Some(parting) = &replayed.divergence {
            return Err(Error::precondition(parting.reason()));
        }
        if let Some(why) = now.cannot_go_on_as(&replayed.state) {
            return Err(Error::precondition(why));
        }
        Ok(Moved { row, ready, state: replayed.state })
    }

    /// Everything that runs or waits goes on where it is, in the state of the other version.
    fn go_on_as(&mut self, moved: Moved, commit: &mut Commit) {
        let before = match &self.state {
            Interpreter::Blueprint(state) => state.listening(),
            Interpreter::Native(_) => Vec::new(),
        };
        let after = moved.state.listening();
        for wait in after {
            let same = before.iter().any(|old| listens_for(old) == listens_for(&wait));
            if !same && let Some(wait) = super::round::event_wait(commit.id, &wait) {
                commit.waits.push(wait);
            }
        }
        commit.version = Some((VersionId(moved.row.version_id), moved.row.runs_on.clone()));
        self.row = Arc::new(moved.row);
        self.version = moved.ready.version.clone();
        self.state = Interpreter::Blueprint(Box::new(moved.state));
        let mut open = self.state.in_flight();
        open.retain(|command| !self.running.values().any(|running| command.path() == Some(&*running.path)));
        self.dispatch = open;
    }
}

/// Where, for what, and with which filter a step waits.
fn listens_for(wait: &Command) -> Option<(&str, &str, Option<&str>)> {
    match wait {
        Command::AwaitEvent { path, event, filter, .. } => Some((path, event, filter.as_deref())),
        _ => None,
    }
}
