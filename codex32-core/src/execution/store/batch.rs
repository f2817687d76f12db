//! Starts and rounds of many executions in one transaction, their rows by few statements.

use super::super::types::Started;
use super::commit::{Commit, finish};
use super::fence::fence;
use super::start::{self, New};
use super::{ROWS, row};
use crate::clock::Clock;
use crate::error::{Code, Error, Result};
use crate::event::{Announcement, Bus};
use crate::execution::entry::Event;
use crate::storage::entity::{execution_logs, executions, journal, signals};
use crate::storage::{Db, Tx};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use uuid::Uuid;

/// Something to be written.
#[derive(Clone)]
pub(super) enum Write {
    /// A new execution.
    Start(Arc<New>),
    /// A round of one that is driven.
    Commit(Arc<Commit>),
}

/// What came of it.
#[derive(Debug, Clone)]
pub(super) enum Written {
    /// A new execution, or the one that its idempotency key has started before.
    Started(Started),
    /// The round is written.
    Committed,
    /// Someone else drives the execution by now; nothing was written.
    Refused,
}

/// Writes all of `writes` in one transaction, and gives an answer for each. Where that
/// fails because of one of them, each is written in a transaction of its own, so that
/// none suffers for another.
pub(super) async fn write(db: Db, clock: Arc<dyn Clock>, writes: Vec<Write>) -> Vec<Result<Written>> {
    metrics::counter!("codex32_execution_batches_total").increment(1);
    let error = match together(&db, clock.clone(), writes.clone()).await {
        Ok(written) => return written,
        Err(error) => error,
    };
    if writes.len() == 1 || matches!(error.code(), Code::Unavailable | Code::Busy) {
        return writes.iter().map(|_| Err(error.clone())).collect();
    }
    let mut written = Vec::with_capacity(writes.len());
    for write in writes {
        let alone = together(&db, clock.clone(), vec![write]).await;
        written
            .push(alone.and_then(|mut one| one.pop().unwrap_or_else(|| Err(Error::internal("nothing was written")))));
    }
    written
}

async fn together(db: &Db, clock: Arc<dyn Clock>, writes: Vec<Write>) -> Result<Vec<Result<Written>>> {
    db.append(move |tx| {
        Box::pin(async move {
            let mut batch = Batch { tx, clock: &*clock, entries: Vec::new(), lines: Vec::new(), told: Vec::new() };
            let started = batch.start(&writes).await?;
            let held = batch.commit(&writes).await?;
            batch.finish().await?;
            let mut answers = Vec::with_capacity(writes.len());
            for write in &writes {
                answers.push(match write {
                    Write::Start(new) => match started.get(&new.id.0) {
                        Some(Start::Stored) => Ok(Written::Started(Started { id: new.id, existing: false })),
                        Some(Start::Refused(error)) => Err(error.clone()),
                        None => start::existing(tx, &new.start).await.map(Written::Started),
                    },
                    Write::Commit(commit) if held.contains(&commit.id.0) => Ok(Written::Committed),
                    Write::Commit(_) => Ok(Written::Refused),
                });
            }
            Ok(answers)
        })
    })
    .await
}

/// How a start went; absent where there was an execution of its idempotency key.
enum Start {
    Stored,
    Refused(Error),
}

/// Rows that are gathered to be written together.
struct Batch<'a> {
    tx: &'a Tx,
    clock: &'a dyn Clock,
    entries: Vec<journal::ActiveModel>,
    lines: Vec<execution_logs::ActiveModel>,
    told: Vec<Announcement>,
}

impl Batch<'_> {
    async fn start(&mut self, writes: &[Write]) -> Result<HashMap<Uuid, Start>> {
        let news = || writes.iter().filter_map(|write| if let Write::Start(new) = write { Some(new) } else { None });
        let mut done = HashMap::new();
        let mut rows = Vec::new();
        for new in news() {
            match start::check(new) {
                Ok(()) => rows.push(start::execution_row(new)?),
                Err(error) => drop(done.insert(new.id.0, Start::Refused(error))),
            }
        }
        for rows in rows.chunks(ROWS) {
            let inserted = executions::Entity::insert_many(rows.to_vec())
                .on_conflict(start::once())
                .exec_with_returning_keys(self.tx)
                .await?;
            done.extend(inserted.into_iter().map(|id| (id, Start::Stored)));
        }
        for new in news().filter(|new| matches!(done.get(&new.id.0), Some(Start::Stored))) {
            self.entries.extend(start::first_entries(new)?);
            self.told.push(start::announcement(new));
        }
        Ok(done)
    }

    /// Writes the rounds whose drivers still hold their executions; gives which those are.
    async fn commit(&mut self, writes: &[Write]) -> Result<HashSet<Uuid>> {
        let commits: Vec<&Commit> =
            writes.iter().filter_map(|w| if let Write::Commit(commit) = w { Some(&**commit) } else { None }).collect();
        let held = fence(self.tx, self.clock.now(), &commits).await?;
        for commit in commits.iter().filter(|commit| held.contains(&commit.id.0)) {
            for (seq, at, event) in &commit.entries {
                self.entry(commit, *seq, *at, event)?;
            }
            self.lines.extend(commit.lines.iter().map(|line| row::line_row(commit.workspace, commit.id, line)));
            self.told.extend(finish(self.tx, self.clock, commit).await?);
        }
        let over = commits.iter().filter(|c| c.ended.is_some() && held.contains(&c.id.0)).map(|c| c.id.0);
        let over: Vec<Uuid> = over.collect();
        if !over.is_empty() {
            // What nobody will take any more.
            signals::Entity::delete_many().filter(signals::Column::ExecutionId.is_in(over)).exec(self.tx).await?;
        }
        Ok(held)
    }

    fn entry(&mut self, commit: &Commit, seq: i64, at: i64, event: &Event) -> Result<()> {
        self.entries.push(row::journal_row(commit.workspace, commit.id, seq, at, event)?);
        Ok(())
    }

    /// Writes what was gathered. The bus comes last: on PostgreSQL it is held from then on.
    async fn finish(&mut self) -> Result<()> {
        for rows in self.entries.chunks(ROWS) {
            journal::Entity::insert_many(rows.to_vec()).exec_without_returning(self.tx).await?;
        }
        for rows in self.lines.chunks(ROWS) {
            execution_logs::Entity::insert_many(rows.to_vec()).exec_without_returning(self.tx).await?;
        }
        Bus::announce_in(self.tx, self.clock, std::mem::take(&mut self.told)).await
    }
}
