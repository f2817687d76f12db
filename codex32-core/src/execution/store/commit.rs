//! One round of an execution: what was seen, what follows from it, and what others
//! are told of it, in one transaction.

use super::super::decide::Fact;
use super::super::entry::{Event, Failure, Shared};
use super::super::types::{Line, Status};
use super::start::{New, insert};
use super::waits::EventWait;
use super::{ROWS, Store, approvals, row, signals, waits};
use crate::clock::{Clock, Millis};
use crate::error::Result;
use crate::event::Bus;
use crate::id::{ExecutionId, WorkspaceId};
use crate::storage::Tx;
use crate::storage::entity::{execution_logs, executions, journal, signals as signal_rows};
use crate::trigger::depth_of;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::{Value, json};
use std::sync::Arc;

/// What a round writes.
#[derive(Debug, Clone)]
pub(crate) struct Commit {
    pub(crate) id: ExecutionId,
    pub(crate) workspace: WorkspaceId,
    /// Fencing token of the driver.
    pub(crate) token: i64,
    /// Number of the last entry or line of this round.
    pub(crate) last_seq: i64,
    pub(crate) entries: Vec<(i64, Millis, Event)>,
    pub(crate) lines: Vec<Line>,
    /// Signals that were taken.
    pub(crate) taken: Vec<i64>,
    /// The status where it changes, but for the end.
    pub(crate) status: Option<Status>,
    pub(crate) asked: Vec<Asked>,
    /// Hashes of tokens that answer the approval at a path.
    pub(crate) tokens: Vec<(String, String)>,
    pub(crate) waits: Vec<EventWait>,
    /// Paths where nobody waits for an event any more.
    pub(crate) forget: Vec<String>,
    /// Paths where nobody waits for an answer any more.
    pub(crate) close: Vec<String>,
    pub(crate) children: Vec<New>,
    /// Children that are not wanted any more.
    pub(crate) cancel: Vec<ExecutionId>,
    pub(crate) ended: Option<Ended>,
}

/// An approval that is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) bot_name: String,
    pub(crate) message: String,
    pub(crate) expires_at: Option<Millis>,
}

/// The end of an execution.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    pub(crate) status: Status,
    pub(crate) output: Option<Shared>,
    pub(crate) error: Option<Failure>,
    /// What the workspace is told beside the result.
    pub(crate) about: Value,
    /// The parent that waits for it.
    pub(crate) parent: Option<ExecutionId>,
}

impl Store {
    /// Writes a round. False, and nothing written, where someone else drives the execution by now.
    pub(crate) async fn commit(&self, commit: Arc<Commit>) -> Result<bool> {
        let clock = self.clock.clone();
        self.write("commit", move |tx| Box::pin(async move { write(tx, &*clock, &commit).await })).await
    }
}

async fn write(tx: &Tx, clock: &dyn Clock, commit: &Commit) -> Result<bool> {
    if !fence(tx, clock.now(), commit).await? {
        return Ok(false);
    }
    append(tx, commit).await?;
    if !commit.taken.is_empty() {
        let taken = signal_rows::Column::Id.is_in(commit.taken.iter().copied());
        signal_rows::Entity::delete_many().filter(taken).exec(tx).await?;
    }
    approvals::write(tx, clock.now(), commit).await?;
    for child in &commit.cancel {
        let fact = Fact::Cancel { by: "the bot that called it".to_owned(), reason: None };
        signals::post(tx, clock.now(), commit.workspace, *child, &fact).await?;
    }
    for child in &commit.children {
        insert(tx, clock, child).await?;
    }
    waits::write(tx, commit).await?;
    if let Some(ended) = &commit.ended {
        end(tx, clock, commit, ended).await?;
    }
    Ok(true)
}

/// The first statement: it locks the row and refuses a driver whose lease was taken over.
async fn fence(tx: &Tx, now: Millis, commit: &Commit) -> Result<bool> {
    let taken = i64::try_from(commit.taken.len()).unwrap_or(0);
    let mut update = executions::Entity::update_many()
        .col_expr(executions::Column::LastSeq, Expr::value(commit.last_seq))
        .filter(executions::Column::Id.eq(commit.id.0))
        .filter(executions::Column::LeaseToken.eq(commit.token))
        .filter(executions::Column::LeaseOwner.is_not_null());
    if taken > 0 {
        let left = Expr::col(executions::Column::SignalsPending).sub(taken);
        update = update.col_expr(executions::Column::SignalsPending, left);
    }
    if let Some(status) = commit.ended.as_ref().map(|ended| ended.status).or(commit.status) {
        update = update.col_expr(executions::Column::Status, Expr::value(status.as_str()));
    }
    if let Some(ended) = &commit.ended {
        let output = ended.output.as_ref().map(|output| output.to_string());
        let error = ended.error.as_ref().map(|error| row::write("error", error)).transpose()?;
        update = update
            .col_expr(executions::Column::Output, Expr::value(output))
            .col_expr(executions::Column::Error, Expr::value(error))
            .col_expr(executions::Column::FinishedAt, Expr::value(now))
            .col_expr(executions::Column::LeaseOwner, Expr::value(Option::<uuid::Uuid>::None))
            .col_expr(executions::Column::LeaseUntil, Expr::value(Option::<i64>::None));
    }
    Ok(update.exec(tx).await?.rows_affected == 1)
}

async fn append(tx: &Tx, commit: &Commit) -> Result<()> {
    let rows: Vec<journal::ActiveModel> = commit
        .entries
        .iter()
        .map(|(seq, at, event)| row::journal_row(commit.workspace, commit.id, *seq, *at, event))
        .collect::<Result<_>>()?;
    for rows in rows.chunks(ROWS) {
        journal::Entity::insert_many(rows.to_vec()).exec_without_returning(tx).await?;
    }
    for lines in commit.lines.chunks(ROWS) {
        let rows = lines.iter().map(|line| row::line_row(commit.workspace, commit.id, line));
        execution_logs::Entity::insert_many(rows).exec_without_returning(tx).await?;
    }
    Ok(())
}

async fn end(tx: &Tx, clock: &dyn Clock, commit: &Commit, ended: &Ended) -> Result<()> {
    // What nobody will take any more.
    let left = signal_rows::Column::ExecutionId.eq(commit.id.0);
    signal_rows::Entity::delete_many().filter(left).exec(tx).await?;
    if let Some(parent) = ended.parent {
        let fact = Fact::ChildFinished {
            id: commit.id,
            status: ended.status,
            output: ended.output.as_deref().cloned(),
            error: ended.error.clone(),
        };
        // A parent that is finished or cancelled does not wait any more.
        signals::post(tx, clock.now(), commit.workspace, parent, &fact).await?;
    }
    let mut data = ended.about.clone();
    data["status"] = json!(ended.status);
    data["output"] = ended.output.as_deref().cloned().unwrap_or(Value::Null);
    data["error"] = json!(ended.error);
    let depth = depth_of(&ended.about["trigger"]);
    Bus::publish_deep_in(tx, clock, commit.workspace, "execution.finished", data, depth).await?;
    Ok(())
}
