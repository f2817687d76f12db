//! One round of an execution: what was seen, what follows from it, and what others
//! are told of it, in one transaction.

use super::super::decide::Fact;
use super::super::entry::{Event, Failure, Shared};
use super::super::types::{Line, Status};
use super::batch::{Write, Written};
use super::flow::Whose;
use super::start::{New, insert_untold};
use super::waits::EventWait;
use super::{Store, approvals, chain, signals, waits};
use crate::clock::{Clock, Millis};
use crate::error::{Error, Result};
use crate::event::Announcement;
use crate::id::{ExecutionId, VersionId, WorkspaceId};
use crate::storage::Tx;
use crate::storage::entity::{executions, signals as signal_rows};
use crate::trigger::depth_of;
use sea_orm::sea_query::Expr;
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
    /// The execution that goes on where this one ends.
    pub(crate) successor: Option<New>,
    /// The version that it goes on with, and the labels that this one asks for.
    pub(crate) version: Option<(VersionId, String)>,
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
    /// The time of the entry that says so, UTC milliseconds.
    pub(crate) at: Millis,
    pub(crate) output: Option<Shared>,
    pub(crate) error: Option<Failure>,
    /// What the workspace is told beside the result.
    pub(crate) about: Value,
    /// The parent that waits for it.
    pub(crate) parent: Option<ExecutionId>,
    /// Whose rules have it among theirs.
    pub(crate) flow: Option<Whose>,
}

impl Commit {
    /// Whether it adds entries and does nothing else, so that the row of the execution may
    /// stay as it is; no more than one statement takes.
    pub(super) fn only_adds(&self) -> bool {
        let Commit {
            lines,
            taken,
            status,
            asked,
            tokens,
            waits,
            forget,
            close,
            children,
            cancel,
            ended,
            entries,
            successor,
            version,
            ..
        } = self;
        let quiet = successor.is_none() && lines.is_empty() && taken.is_empty() && status.is_none() && ended.is_none();
        let alone = children.is_empty() && cancel.is_empty() && waits.is_empty() && forget.is_empty();
        quiet
            && alone
            && asked.is_empty()
            && tokens.is_empty()
            && close.is_empty()
            && version.is_none()
            && (1..=super::ROWS).contains(&entries.len())
    }
}

impl Store {
    /// Writes a round. False, and nothing written, where someone else drives the execution by now.
    pub(crate) async fn commit(&self, commit: Arc<Commit>) -> Result<bool> {
        match self.group("commit", Write::Commit(commit)).await? {
            Written::Committed => Ok(true),
            Written::Refused => Ok(false),
            Written::Started(_) => Err(Error::internal("a round was answered as a start")),
        }
    }
}

/// Writes what a round says besides its entries and lines, once its execution is locked.
/// Gives what the workspace is to be told of it.
pub(super) async fn finish(tx: &Tx, clock: &dyn Clock, commit: &Commit) -> Result<Vec<Announcement>> {
    let mut told = Vec::new();
    if !commit.taken.is_empty() {
        let taken = signal_rows::Column::Id.is_in(commit.taken.iter().copied());
        signal_rows::Entity::delete_many().filter(taken).exec(tx).await?;
    }
    if let Some((version, runs_on)) = &commit.version {
        executions::Entity::update_many()
            .col_expr(executions::Column::VersionId, Expr::value(version.0))
            .col_expr(executions::Column::RunsOn, Expr::value(runs_on.clone()))
            .filter(executions::Column::Id.eq(commit.id.0))
            .exec(tx)
            .await?;
    }
    approvals::write(tx, clock.now(), commit).await?;
    for child in &commit.cancel {
        let fact = Fact::Cancel { by: "the bot that called it".to_owned(), reason: None };
        signals::post_along(tx, clock.now(), commit.workspace, *child, &fact).await?;
    }
    for child in &commit.children {
        told.extend(insert_untold(tx, child).await?.1);
    }
    waits::write(tx, commit).await?;
    match (&commit.ended, &commit.successor) {
        (Some(ended), Some(next)) => told.extend(chain::go_on(tx, clock, commit, ended, next).await?),
        (Some(ended), None) => {
            tell_parent(tx, clock, commit, ended).await?;
            told.push(end_of(commit, ended));
        }
        (None, _) => {}
    }
    Ok(told)
}

/// A parent that waits learns of the end through its inbox.
async fn tell_parent(tx: &Tx, clock: &dyn Clock, commit: &Commit, ended: &Ended) -> Result<()> {
    let Some(parent) = ended.parent else { return Ok(()) };
    let fact = Fact::ChildFinished {
        id: commit.id,
        status: ended.status,
        output: ended.output.as_deref().cloned(),
        error: ended.error.clone(),
    };
    // A parent that is finished or cancelled does not wait any more.
    signals::post(tx, clock.now(), commit.workspace, parent, &fact).await?;
    Ok(())
}

fn end_of(commit: &Commit, ended: &Ended) -> Announcement {
    let mut data = ended.about.clone();
    data["status"] = json!(ended.status);
    data["output"] = ended.output.as_deref().cloned().unwrap_or(Value::Null);
    data["error"] = json!(ended.error);
    let depth = depth_of(&ended.about["trigger"]);
    Announcement { workspace: commit.workspace, name: "execution.finished", data, depth }
}
