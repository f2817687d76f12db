//! Approvals: what people are asked, and who may answer.

use super::super::decide::Fact;
use super::super::types::{Answer, Approval};
use super::commit::Commit;
use super::{Store, row, signals};
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::id::{ExecutionId, WorkspaceId};
use crate::storage::Tx;
use crate::storage::entity::{approval_tokens, approvals};
use crate::storage::page::{self, Page};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

const OPEN: &str = "open";

/// Writes what a round says about approvals.
pub(super) async fn write(tx: &Tx, now: Millis, commit: &Commit) -> Result<()> {
    use approvals::Column;
    if !commit.close.is_empty() {
        approvals::Entity::update_many()
            .col_expr(Column::Status, Expr::value("closed"))
            .filter(Column::ExecutionId.eq(commit.id.0))
            .filter(Column::Path.is_in(commit.close.iter().cloned()))
            .filter(Column::Status.eq(OPEN))
            .exec(tx)
            .await?;
    }
    for asked in &commit.asked {
        let row = approvals::ActiveModel {
            execution_id: Set(commit.id.0),
            path: Set(asked.path.clone()),
            workspace_id: Set(commit.workspace.0),
            bot_name: Set(asked.bot_name.clone()),
            message: Set(asked.message.clone()),
            status: Set(OPEN.to_owned()),
            created_at: Set(now),
            expires_at: Set(asked.expires_at),
            answer: Set(None),
        };
        let again = OnConflict::columns([Column::ExecutionId, Column::Path])
            .update_columns([Column::Message, Column::Status, Column::CreatedAt, Column::ExpiresAt, Column::Answer])
            .to_owned();
        approvals::Entity::insert(row).on_conflict(again).exec_without_returning(tx).await?;
    }
    if !commit.tokens.is_empty() {
        let rows = commit.tokens.iter().map(|(hash, path)| approval_tokens::ActiveModel {
            hash: Set(hash.clone()),
            workspace_id: Set(commit.workspace.0),
            execution_id: Set(commit.id.0),
            path: Set(path.clone()),
            created_at: Set(now),
        });
        approval_tokens::Entity::insert_many(rows).exec_without_returning(tx).await?;
    }
    Ok(())
}

impl Store {
    /// Which approval the token of this hash answers, and whether it is still open.
    pub(crate) async fn approval_by_token(&self, hash: &str) -> Result<Option<(WorkspaceId, Approval, bool)>> {
        let Some(token) = approval_tokens::Entity::find_by_id(hash.to_owned()).one(self.db.read()).await? else {
            return Ok(None);
        };
        let row = approvals::Entity::find_by_id((token.execution_id, token.path)).one(self.db.read()).await?;
        Ok(row.map(|row| {
            let open = row.status == OPEN;
            (WorkspaceId(row.workspace_id), approval(row), open)
        }))
    }

    /// Answers an open approval.
    pub(crate) async fn answer(
        &self,
        workspace: WorkspaceId,
        id: ExecutionId,
        path: String,
        answer: Answer,
    ) -> Result<()> {
        use approvals::Column;
        let now = self.clock.now();
        self.write("answer", move |tx| {
            Box::pin(async move {
                let done = approvals::Entity::update_many()
                    .col_expr(Column::Status, Expr::value("answered"))
                    .col_expr(Column::Answer, Expr::value(row::write("answer", &answer)?))
                    .filter(Column::ExecutionId.eq(id.0))
                    .filter(Column::WorkspaceId.eq(workspace.0))
                    .filter(Column::Path.eq(path.clone()))
                    .filter(Column::Status.eq(OPEN))
                    .exec(tx)
                    .await?;
                if done.rows_affected != 1 {
                    return Err(not_open(tx, workspace, id, &path).await?);
                }
                if !signals::post(tx, now, workspace, id, &Fact::Answered { path, answer }).await? {
                    return Err(Error::precondition("the execution that asked is over"));
                }
                Ok(())
            })
        })
        .await
    }

    /// Approvals of a workspace that nobody has answered, oldest first.
    pub(crate) async fn open_approvals(
        &self,
        workspace: WorkspaceId,
        cursor: Option<&str>,
        limit: u64,
    ) -> Result<Page<Approval>> {
        use approvals::Column;
        let limit = limit.clamp(1, page::MAX_LIMIT);
        let mut query =
            approvals::Entity::find().filter(Column::WorkspaceId.eq(workspace.0)).filter(Column::Status.eq(OPEN));
        if let Some(cursor) = cursor {
            let (execution, path) = place(cursor)?;
            let same = Condition::all().add(Column::ExecutionId.eq(execution)).add(Column::Path.gt(path));
            query = query.filter(Condition::any().add(Column::ExecutionId.gt(execution)).add(same));
        }
        let rows = query.order_by_asc(Column::ExecutionId).order_by_asc(Column::Path).limit(limit + 1);
        let mut rows = rows.all(self.db.read()).await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(cursor_behind);
        Ok(Page { items: rows.into_iter().map(approval).collect(), next })
    }
}

/// An execution can have many approvals, so a cursor names a step in it.
fn cursor_behind(row: &approvals::Model) -> String {
    format!("{}.{}", page::encode(row.execution_id), hex::encode(&row.path))
}

fn place(cursor: &str) -> Result<(Uuid, String)> {
    let (execution, path) = cursor.split_once('.').unwrap_or((cursor, ""));
    let execution = page::decode(execution)?;
    let path = hex::decode(path).ok().and_then(|path| String::from_utf8(path).ok());
    Ok((execution, path.unwrap_or_default()))
}

fn approval(row: approvals::Model) -> Approval {
    Approval {
        execution: ExecutionId(row.execution_id),
        path: row.path,
        bot_name: row.bot_name,
        message: row.message,
        created_at: row.created_at,
        expires_at: row.expires_at,
    }
}

async fn not_open(tx: &Tx, workspace: WorkspaceId, id: ExecutionId, path: &str) -> Result<Error> {
    let row = approvals::Entity::find_by_id((id.0, path.to_owned()))
        .filter(approvals::Column::WorkspaceId.eq(workspace.0))
        .one(tx)
        .await?;
    Ok(match row {
        Some(row) => Error::precondition(format!("the approval was {} already", row.status)),
        None => Error::not_found("approval", format!("{id} {path}")),
    })
}
