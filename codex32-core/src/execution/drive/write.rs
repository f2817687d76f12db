//! Writing a round, whatever it takes.

use super::load::failure;
use super::round::ended;
use super::{Driver, Exit};
use crate::clock::Millis;
use crate::error::{Code, Error};
use crate::execution::control::{End, Inner};
use crate::execution::decide::Finish;
use crate::execution::entry::{Entry, Event};
use crate::execution::store::{Commit, Ended};
use crate::id::{ExecutionId, WorkspaceId};
use crate::storage::entity::executions;
use std::sync::Arc;

/// First and longest time between two tries, in milliseconds.
const BACKOFF: (Millis, Millis) = (200, 30_000);
/// Entries that are remembered for those who wait for the end; a longer journal is read back.
const MAX_HISTORY: usize = 1_000;

impl Driver {
    /// Writes a round. `Some` where the driver has to end because of it.
    pub(super) async fn write(&mut self, commit: Commit) -> Option<Exit> {
        let commit = Arc::new(commit);
        let exit = write(&self.inner, &commit).await;
        if exit.is_none() {
            self.seq = commit.last_seq;
            self.remember(&commit);
            if commit.ended.is_some() {
                // Before anyone is told: who starts another one now finds room.
                self.permit = None;
                self.inner.has_room();
            }
            // Of one that goes on as another, the rows say more.
            let ended = commit.ended.as_ref().filter(|_| commit.successor.is_none());
            let end = ended.and_then(|ended| self.end(ended));
            self.inner.tell(&commit, end);
        }
        exit
    }

    /// Keeps what was written for those who wait for the end, up to a limit.
    fn remember(&mut self, commit: &Commit) {
        if let Some(history) = &mut self.history {
            let entries = commit.entries.iter();
            history.extend(entries.map(|(seq, at, event)| Entry { seq: *seq, at: *at, event: event.clone() }));
            if history.len() > MAX_HISTORY {
                self.history = None;
            }
        }
    }

    /// The execution as those who wait for it see it, without a look at the tables.
    fn end(&mut self, ended: &Ended) -> Option<End> {
        let history = self.history.take()?;
        End::new(&self.row, ended, history)
            .inspect_err(|error| tracing::warn!(%error, "the end of the execution is read back"))
            .ok()
    }
}

/// A database that does not answer is waited for: what was done outside must be recorded,
/// and it is only remembered here.
async fn write(inner: &Inner, commit: &Arc<Commit>) -> Option<Exit> {
    let mut wait = BACKOFF.0;
    loop {
        let error = match inner.store.commit(commit.clone()).await {
            Ok(true) => return None,
            Ok(false) => {
                fenced(commit.id);
                return Some(Exit::Lost);
            }
            Err(error) => error,
        };
        if error.code() == Code::Conflict {
            // An earlier try that seemed to fail may have been committed: the journal knows.
            tracing::warn!(execution = %commit.id, %error, "the journal is ahead; the execution is loaded again");
            return Some(match inner.store.requeue(commit.id, commit.token).await {
                Ok(()) => Exit::Requeued,
                Err(_) => Exit::Lost,
            });
        }
        tracing::error!(execution = %commit.id, %error, "the journal cannot be written; trying again");
        let until = inner.clock.now() + wait;
        wait = (wait * 2).min(BACKOFF.1);
        let shutdown = inner.shutdown();
        tokio::select! {
            () = inner.clock.sleep_until(until) => {}
            () = shutdown.cancelled() => return Some(Exit::Lost),
        }
    }
}

/// Notes that a write was refused: someone else drives the execution by now.
pub(super) fn fenced(id: ExecutionId) {
    metrics::counter!("codex32_fenced_writes_total").increment(1);
    tracing::warn!(execution = %id, "someone else drives the execution; this driver ends");
}

/// Ends an execution that cannot be driven at all: its version is gone or broken.
pub(super) async fn give_up(inner: &Inner, row: &executions::Model, error: Error) -> Exit {
    let (status, failure) = failure(&error);
    let finish = Finish { status, output: None, error: Some(failure.clone()) };
    let last = inner.store.last_seq(ExecutionId(row.id)).await;
    let Ok(seq) = last.map(|last| last + 1) else { return Exit::Lost };
    let now = inner.clock.now();
    let event = Event::Finished { status, output: None, error: Some(failure) };
    let commit = Commit {
        id: ExecutionId(row.id),
        workspace: WorkspaceId(row.workspace_id),
        token: row.lease_token,
        last_seq: seq,
        entries: vec![(seq, now, event)],
        lines: Vec::new(),
        taken: Vec::new(),
        status: None,
        asked: Vec::new(),
        tokens: Vec::new(),
        waits: Vec::new(),
        forget: Vec::new(),
        close: Vec::new(),
        children: Vec::new(),
        cancel: Vec::new(),
        ended: Some(ended(row, now, finish)),
        successor: None,
        version: None,
    };
    let commit = Arc::new(commit);
    match write(inner, &commit).await {
        Some(exit) => exit,
        None => {
            inner.tell(&commit, None);
            Exit::Finished
        }
    }
}
