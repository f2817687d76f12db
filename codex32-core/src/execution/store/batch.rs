//! Starts and rounds of many executions in one transaction, their rows by few statements.

use super::super::types::Started;
use super::commit::{Commit, finish};
use super::fence::{append, fence};
use super::flow::{self, Entered, Whose};
use super::start::{self, New};
use super::{ROWS, row};
use crate::clock::Clock;
use crate::error::{Code, Error, Result};
use crate::event::{Announcement, Bus};
use crate::execution::entry::Event;
use crate::storage::entity::{execution_logs, executions, journal, signals};
use crate::storage::{Db, Script, Tx, insert_all, repeated};
use sea_orm::{ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait as _};
use std::collections::{BTreeSet, HashMap, HashSet};
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
    if writes.iter().all(Write::only_adds) && writes.iter().map(Write::entries).sum::<usize>() <= ROWS {
        return added(db, writes).await;
    }
    let flowing = db.clone();
    let writes = Arc::new(writes);
    db.batch(move |tx| {
        let (flowing, clock, writes) = (flowing.clone(), clock.clone(), writes.clone());
        Box::pin(async move {
            flow::hold(&flowing, tx, &writes.iter().flat_map(Write::whose).collect()).await?;
            let mut batch = Batch::new(tx, &*clock);
            let mut started = batch.start(&writes).await?;
            batch.enter(&writes, &mut started).await?;
            let held = batch.commit(&writes).await?;
            batch.finish().await?;
            answers(tx, &writes, &started, &held).await
        })
    })
    .await
}

async fn answers(
    tx: &Tx,
    writes: &[Write],
    started: &HashMap<Uuid, Start>,
    held: &HashSet<Uuid>,
) -> Result<Vec<Result<Written>>> {
    let mut answers = Vec::with_capacity(writes.len());
    for write in writes {
        answers.push(match write {
            Write::Start(new) => match started.get(&new.id.0) {
                Some(Start::Stored) => Ok(Written::Started(Started::plain(new.id, false))),
                Some(Start::Entered(started)) => Ok(Written::Started(*started)),
                Some(Start::Refused(error)) => Err(error.clone()),
                None => start::existing(tx, &new.start).await.map(Written::Started),
            },
            Write::Commit(commit) => Ok(Written::of(commit, held)),
        });
    }
    Ok(answers)
}

/// Rounds that only add entries: one statement, which needs no transaction around it.
async fn added(db: &Db, writes: Vec<Write>) -> Result<Vec<Result<Written>>> {
    let writes = Arc::new(writes);
    db.single(move |db| {
        let writes = writes.clone();
        Box::pin(async move {
            let commits: Vec<&Commit> = writes.iter().filter_map(Write::commit).collect();
            let held = append(&db, &commits).await?;
            Ok(commits.into_iter().map(|commit| Ok(Written::of(commit, &held))).collect())
        })
    })
    .await
}

impl Write {
    fn commit(&self) -> Option<&Commit> {
        match self {
            Write::Start(_) => None,
            Write::Commit(commit) => Some(commit),
        }
    }

    fn only_adds(&self) -> bool {
        self.commit().is_some_and(Commit::only_adds)
    }

    fn entries(&self) -> usize {
        self.commit().map_or(0, |commit| commit.entries.len())
    }

    /// The bots whose rules it concerns.
    fn whose(&self) -> BTreeSet<Whose> {
        match self {
            Write::Start(new) => Whose::of_new(new).into_iter().collect(),
            Write::Commit(commit) => {
                let left = commit.ended.iter().filter_map(|ended| ended.flow.clone());
                commit.children.iter().filter_map(Whose::of_new).chain(left).collect()
            }
        }
    }
}

impl Written {
    fn of(commit: &Commit, held: &HashSet<Uuid>) -> Written {
        if held.contains(&commit.id.0) { Written::Committed } else { Written::Refused }
    }
}

/// How a start went; absent where there was an execution of its idempotency key.
enum Start {
    Stored,
    /// The rules of its bot have seen it.
    Entered(Started),
    Refused(Error),
}

fn insert<A: ActiveModelTrait>(script: &mut Script<'_>, mut rows: Vec<A>) {
    while !rows.is_empty() {
        let rest = rows.split_off(rows.len().min(ROWS));
        if let Some(insert) = insert_all(rows) {
            script.push(&insert);
        }
        rows = rest;
    }
}

/// Commits in pieces that one statement takes.
fn by_rows<'a, 'c>(commits: &'a [&'c Commit]) -> impl Iterator<Item = &'a [&'c Commit]> {
    let mut rows = 0;
    commits.chunk_by(move |commit, next| {
        rows += commit.entries.len();
        let fits = rows + next.entries.len() <= ROWS;
        if !fits {
            rows = 0;
        }
        fits
    })
}

/// Rows that are gathered to be written together.
struct Batch<'a> {
    tx: &'a Tx,
    clock: &'a dyn Clock,
    entries: Vec<journal::ActiveModel>,
    lines: Vec<execution_logs::ActiveModel>,
    told: Vec<Announcement>,
    /// Executions that are over.
    over: Vec<Uuid>,
}

impl<'a> Batch<'a> {
    fn new(tx: &'a Tx, clock: &'a dyn Clock) -> Batch<'a> {
        Batch { tx, clock, entries: Vec::new(), lines: Vec::new(), told: Vec::new(), over: Vec::new() }
    }

    async fn start(&mut self, writes: &[Write]) -> Result<HashMap<Uuid, Start>> {
        let news = || writes.iter().filter_map(|write| if let Write::Start(new) = write { Some(new) } else { None });
        let mut done = HashMap::new();
        let mut rows = Vec::new();
        for new in news().filter(|new| new.ticket.is_none()) {
            match start::check(new) {
                Ok(()) => rows.push(start::execution_row(new)?),
                Err(error) => drop(done.insert(new.id.0, Start::Refused(error))),
            }
        }
        done.extend(self.insert_new(rows).await?.into_iter().map(|id| (id, Start::Stored)));
        for new in news().filter(|new| matches!(done.get(&new.id.0), Some(Start::Stored))) {
            self.entries.extend(start::journal_rows(new, None)?);
            self.told.push(start::announcement(new));
        }
        Ok(done)
    }

    /// Stores the rows whose idempotency keys are new; gives the ids of those.
    async fn insert_new(&self, rows: Vec<executions::ActiveModel>) -> Result<Vec<Uuid>> {
        let ids: Vec<Uuid> = rows.iter().filter_map(|row| row.id.try_as_ref().copied()).collect();
        let Some(mut insert) = insert_all(rows) else { return Ok(Vec::new()) };
        insert.on_conflict(start::once());
        let stored = self.tx.execute(&insert).await?.rows_affected();
        // Nearly always all of them: then nobody need be asked which.
        if u64::try_from(ids.len()).is_ok_and(|count| count == stored) {
            return Ok(ids);
        }
        let stored = executions::Entity::find().select_only().column(executions::Column::Id);
        Ok(stored.filter(executions::Column::Id.is_in(ids)).into_tuple().all(self.tx).await?)
    }

    /// Brings those starts before the rules of their bots that have any, one by one.
    async fn enter(&mut self, writes: &[Write], done: &mut HashMap<Uuid, Start>) -> Result<()> {
        for write in writes {
            let Write::Start(new) = write else { continue };
            let Some(ticket) = &new.ticket else { continue };
            if let Err(error) = start::check(new) {
                done.insert(new.id.0, Start::Refused(error));
                continue;
            }
            let start = match flow::enter(self.tx, new, ticket).await? {
                Entered::Stored { started, entries, told } => {
                    self.entries.extend(entries);
                    self.told.push(told);
                    Start::Entered(started)
                }
                Entered::Went(started) => Start::Entered(started),
                Entered::Refused(error) => Start::Refused(error),
            };
            done.insert(new.id.0, start);
        }
        Ok(())
    }

    /// Writes the rounds whose drivers still hold their executions; gives which those are.
    async fn commit(&mut self, writes: &[Write]) -> Result<HashSet<Uuid>> {
        let (plain, commits): (Vec<&Commit>, Vec<&Commit>) =
            writes.iter().filter_map(Write::commit).partition(|commit| commit.only_adds());
        let mut commits = commits;
        // In one order, so that two who write several rows do not wait for each other.
        commits.sort_by_key(|commit| commit.id);
        let mut held = fence(self.tx, &commits).await?;
        for plain in by_rows(&plain) {
            held.extend(append(self.tx, plain).await?);
        }
        for commit in commits.iter().filter(|commit| held.contains(&commit.id.0)) {
            for (seq, at, event) in &commit.entries {
                self.entry(commit, *seq, *at, event)?;
            }
            self.lines.extend(commit.lines.iter().map(|line| row::line_row(commit.workspace, commit.id, line)));
            self.told.extend(finish(self.tx, self.clock, commit).await?);
        }
        for commit in commits.iter().filter(|commit| held.contains(&commit.id.0)) {
            if let Some(whose) = commit.ended.as_ref().and_then(|ended| ended.flow.as_ref()) {
                flow::leave(self.tx, self.clock.now(), whose, commit.id.0).await?;
            }
        }
        let over = commits.iter().filter(|c| c.ended.is_some() && held.contains(&c.id.0)).map(|c| c.id.0);
        self.over.extend(over);
        Ok(held)
    }

    fn entry(&mut self, commit: &Commit, seq: i64, at: i64, event: &Event) -> Result<()> {
        self.entries.push(row::journal_row(commit.workspace, commit.id, seq, at, event)?);
        Ok(())
    }

    /// Writes what was gathered. The bus comes last: on PostgreSQL it is held from then on.
    async fn finish(self) -> Result<()> {
        let mut script = Script::new(self.tx);
        if !self.over.is_empty() {
            // What nobody will take any more.
            let over = signals::Column::ExecutionId.is_in(repeated(self.over));
            script.push(signals::Entity::delete_many().filter(over).as_query());
        }
        insert(&mut script, self.entries);
        insert(&mut script, self.lines);
        Bus::announce_behind(script, self.tx, self.clock, &self.told).await
    }
}
