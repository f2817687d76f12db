//! The fence of a batch: what a driver writes counts only while its execution's token is
//! the one that it was given.
//!
//! A round that does more than add entries moves the row of its execution, which locks it.
//! One that only adds entries leaves the row alone: the fence stands in the insert itself.

use super::commit::{Commit, Ended};
use super::row;
use crate::error::Result;
use crate::storage::entity::executions::{self, Column};
use crate::storage::entity::journal;
use crate::storage::{GIVEN, Tx, given, padded};
use sea_orm::sea_query::{Expr, ExprTrait, InsertStatement, LockType, Query, TableRef, UpdateStatement, Value};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, Iterable as _, QueryFilter, QueryResult, QuerySelect,
};
use std::collections::HashSet;
use uuid::Uuid;

/// What a statement is given, by number of the column.
const ID: usize = 1;
const TOKEN: usize = 2;
const LAST_SEQ: usize = 3;
const TAKEN: usize = 4;
const STATUS: usize = 5;
const OUTPUT: usize = 6;
const ERROR: usize = 7;
const FINISHED_AT: usize = 8;
/// Columns of the journal; behind them stands the token of the driver.
const COLUMNS: usize = 8;
const HOLDER: usize = COLUMNS + 1;

/// Moves the executions of `commits` on, each only if its driver's token is still the
/// valid one. Gives the ids of those that moved.
pub(super) async fn fence(tx: &Tx, commits: &[&Commit]) -> Result<HashSet<Uuid>> {
    let (mut open, mut over) = (Vec::new(), Vec::new());
    let ending: Vec<&Commit> = commits.iter().copied().filter(|commit| commit.ended.is_some()).collect();
    for commit in commits {
        let mut given: Vec<Value> = vec![
            commit.id.0.into(),
            commit.token.into(),
            commit.last_seq.into(),
            i64::try_from(commit.taken.len()).unwrap_or(0).into(),
        ];
        match &commit.ended {
            None => {
                given.push(commit.status.map(|status| status.as_str().to_owned()).into());
                open.push(given);
            }
            Some(ended) => {
                given.extend(end(ended)?);
                over.push(given);
            }
        }
    }
    let mut held = HashSet::new();
    if !open.is_empty() {
        let mut update = moved(open);
        update
            .value(Column::Status, given(STATUS).if_null(Expr::col((executions::Entity, Column::Status))))
            .returning_col(Column::Id);
        held.extend(ids(tx.query_all(&update).await?)?);
    }
    if !over.is_empty() {
        let mut update = moved(over);
        update
            .value(Column::Status, given(STATUS))
            .value(Column::Output, given(OUTPUT))
            .value(Column::Error, given(ERROR))
            .value(Column::FinishedAt, given(FINISHED_AT))
            .value(Column::LeaseOwner, Option::<Uuid>::None)
            .value(Column::LeaseUntil, Option::<i64>::None);
        let moved = tx.execute(&update).await?.rows_affected();
        held.extend(ended_now(tx, &ending, moved).await?);
    }
    Ok(held)
}

/// Those of `ending` that are over by what was just written, where so many rows have moved.
async fn ended_now(tx: &Tx, ending: &[&Commit], moved: u64) -> Result<Vec<Uuid>> {
    // Nearly always all of them: then nobody need be asked which.
    if u64::try_from(ending.len()).is_ok_and(|count| count == moved) {
        return Ok(ending.iter().map(|commit| commit.id.0).collect());
    }
    let rows: Vec<(Uuid, i64, i64)> = executions::Entity::find()
        .select_only()
        .columns([Column::Id, Column::LeaseToken, Column::LastSeq])
        .filter(Column::Id.is_in(ending.iter().map(|commit| commit.id.0)))
        .filter(Column::FinishedAt.is_not_null())
        .into_tuple()
        .all(tx)
        .await?;
    let over: HashSet<(Uuid, i64, i64)> = rows.into_iter().collect();
    let is_over = |commit: &&&Commit| over.contains(&(commit.id.0, commit.token, commit.last_seq));
    Ok(ending.iter().filter(is_over).map(|commit| commit.id.0).collect())
}

fn end(ended: &Ended) -> Result<[Value; 4]> {
    let output = ended.output.as_ref().map(|output| output.to_string());
    let error = ended.error.as_ref().map(|error| row::write("error", error)).transpose()?;
    Ok([ended.status.as_str().to_owned().into(), output.into(), error.into(), ended.at.into()])
}

/// Adds the entries of rounds that do nothing else, each only if its driver's token is
/// still the valid one. Gives the ids of those that were added.
///
/// It is one statement, so that it may stand outside a transaction.
pub(super) async fn append(db: &impl ConnectionTrait, commits: &[&Commit]) -> Result<HashSet<Uuid>> {
    let mut rows = Vec::new();
    for commit in commits {
        for (seq, at, event) in &commit.entries {
            let (kind, path, attempt, data) = row::columns(event)?;
            rows.push(vec![
                commit.id.0.into(),
                (*seq).into(),
                commit.workspace.0.into(),
                (*at).into(),
                kind.into(),
                path.into(),
                attempt.into(),
                data.into(),
                commit.token.into(),
            ]);
        }
    }
    let wanted = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    let added = db.execute(&insert(rows, db.get_database_backend())).await?.rows_affected();
    if added == wanted {
        return Ok(commits.iter().map(|commit| commit.id.0).collect());
    }
    still_held(db, commits).await
}

/// The insert of journal rows, each with the token of its driver behind it.
fn insert(rows: Vec<Vec<Value>>, backend: DbBackend) -> InsertStatement {
    let own = |column: Column| Expr::col((executions::Entity, column));
    let mut select = Query::select();
    for n in 1..=COLUMNS {
        select.expr(given(n));
    }
    select
        .from_values(padded(rows), GIVEN)
        .inner_join(executions::Entity, own(Column::Id).eq(given(ID)).and(own(Column::LeaseToken).eq(given(HOLDER))))
        .and_where(own(Column::LeaseOwner).is_not_null());
    if backend == DbBackend::Postgres {
        // Who takes the execution over waits for this, or this for them.
        select.lock_with_tables(LockType::Share, [executions::Entity]);
    }
    let mut insert = Query::insert();
    insert.into_table(journal::Entity).columns(journal::Column::iter());
    // The columns of both are counted: they cannot differ.
    let _ = insert.select_from(select);
    insert
}

/// Those of `commits` whose token is still valid: a token only grows, so that what holds
/// now held before.
async fn still_held(db: &impl ConnectionTrait, commits: &[&Commit]) -> Result<HashSet<Uuid>> {
    let rows: Vec<(Uuid, i64)> = executions::Entity::find()
        .select_only()
        .columns([Column::Id, Column::LeaseToken])
        .filter(Column::Id.is_in(commits.iter().map(|commit| commit.id.0)))
        .filter(Column::LeaseOwner.is_not_null())
        .into_tuple()
        .all(db)
        .await?;
    let held = rows.into_iter().collect::<std::collections::HashMap<_, _>>();
    Ok(commits.iter().filter(|c| held.get(&c.id.0) == Some(&c.token)).map(|c| c.id.0).collect())
}

/// The update of the rows that `rows` name: id, token, last number, signals taken, and more.
fn moved(rows: Vec<Vec<Value>>) -> UpdateStatement {
    let own = |column: Column| Expr::col((executions::Entity, column));
    let mut update = Query::update();
    update
        .table(executions::Entity)
        .from(TableRef::ValuesList(padded(rows), GIVEN.into()))
        .value(Column::LastSeq, given(LAST_SEQ))
        .value(Column::SignalsPending, own(Column::SignalsPending).sub(given(TAKEN)))
        .and_where(own(Column::Id).eq(given(ID)))
        .and_where(own(Column::LeaseToken).eq(given(TOKEN)))
        .and_where(own(Column::LeaseOwner).is_not_null());
    update
}

fn ids(rows: Vec<QueryResult>) -> Result<Vec<Uuid>> {
    rows.into_iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
}
