//! The first statement of a batch: it locks the rows of the executions and passes over
//! those whose lease was taken over.

use super::commit::{Commit, Ended};
use super::row;
use crate::clock::Millis;
use crate::error::Result;
use crate::storage::Tx;
use crate::storage::entity::executions::{self, Column};
use sea_orm::sea_query::{Expr, ExprTrait, Query, TableRef, UpdateStatement, Value, ValueTuple};
use sea_orm::{ConnectionTrait, QueryResult};
use std::collections::HashSet;
use uuid::Uuid;

/// The name under which the statement knows what it is given.
const GIVEN: &str = "given";
const ID: &str = "column1";
const TOKEN: &str = "column2";
const LAST_SEQ: &str = "column3";
const TAKEN: &str = "column4";
const STATUS: &str = "column5";
const OUTPUT: &str = "column6";
const ERROR: &str = "column7";

/// Moves the executions of `commits` on, each only if its driver's token is still the
/// valid one. Gives the ids of those that moved.
pub(super) async fn fence(tx: &Tx, now: Millis, commits: &[&Commit]) -> Result<HashSet<Uuid>> {
    let (mut open, mut over) = (Vec::new(), Vec::new());
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
                open.push(ValueTuple::Many(given));
            }
            Some(ended) => {
                given.extend(end(ended)?);
                over.push(ValueTuple::Many(given));
            }
        }
    }
    let mut held = HashSet::new();
    if !open.is_empty() {
        let mut update = moved(open);
        update.value(Column::Status, given(STATUS).if_null(Expr::col((executions::Entity, Column::Status))));
        held.extend(ids(tx.query_all(&update).await?)?);
    }
    if !over.is_empty() {
        let mut update = moved(over);
        update
            .value(Column::Status, given(STATUS))
            .value(Column::Output, given(OUTPUT))
            .value(Column::Error, given(ERROR))
            .value(Column::FinishedAt, now)
            .value(Column::LeaseOwner, Option::<Uuid>::None)
            .value(Column::LeaseUntil, Option::<i64>::None);
        held.extend(ids(tx.query_all(&update).await?)?);
    }
    Ok(held)
}

fn end(ended: &Ended) -> Result<[Value; 3]> {
    let output = ended.output.as_ref().map(|output| output.to_string());
    let error = ended.error.as_ref().map(|error| row::write("error", error)).transpose()?;
    Ok([ended.status.as_str().to_owned().into(), output.into(), error.into()])
}

/// The update of the rows that `rows` name: id, token, last number, signals taken, and more.
fn moved(rows: Vec<ValueTuple>) -> UpdateStatement {
    let own = |column: Column| Expr::col((executions::Entity, column));
    let mut update = Query::update();
    update
        .table(executions::Entity)
        .from(TableRef::ValuesList(rows, GIVEN.into()))
        .value(Column::LastSeq, given(LAST_SEQ))
        .value(Column::SignalsPending, own(Column::SignalsPending).sub(given(TAKEN)))
        .and_where(own(Column::Id).eq(given(ID)))
        .and_where(own(Column::LeaseToken).eq(given(TOKEN)))
        .and_where(own(Column::LeaseOwner).is_not_null())
        .returning_col(Column::Id);
    update
}

/// A column of what is given. Both databases number the columns of a list of values.
fn given(name: &'static str) -> Expr {
    Expr::col((GIVEN, name))
}

fn ids(rows: Vec<QueryResult>) -> Result<Vec<Uuid>> {
    rows.into_iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
}
