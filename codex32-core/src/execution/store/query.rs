//! Looking executions up.

use super::super::types::{Execution, Filter};
use super::{Store, row};
use crate::error::{Error, Result};
use crate::id::{ExecutionId, WorkspaceId};
use crate::storage::Only as _;
use crate::storage::entity::executions::{self, Column};
use crate::storage::page::{self, Page};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

impl Store {
    /// The row of an execution.
    pub(crate) async fn row(&self, workspace: WorkspaceId, id: ExecutionId) -> Result<executions::Model> {
        executions::Entity::find_by_id(id.0)
            .filter(Column::WorkspaceId.eq(workspace.0))
            .only(self.db.read())
            .await?
            .ok_or_else(|| Error::not_found("execution", id).hint("`codex32 executions list` shows them"))
    }

    /// An execution.
    pub(crate) async fn get(&self, workspace: WorkspaceId, id: ExecutionId) -> Result<Execution> {
        row::execution(self.row(workspace, id).await?)
    }

    /// Executions of a workspace, newest first.
    pub(crate) async fn list(
        &self,
        workspace: WorkspaceId,
        filter: &Filter,
        cursor: Option<&str>,
        limit: u64,
    ) -> Result<Page<Execution>> {
        let limit = limit.clamp(1, page::MAX_LIMIT);
        let mut query = executions::Entity::find().filter(Column::WorkspaceId.eq(workspace.0));
        if let Some(bot) = &filter.bot {
            query = query.filter(Column::BotName.eq(bot.clone()));
        }
        if let Some(status) = filter.status {
            query = query.filter(Column::Status.eq(status.as_str()));
        }
        if let Some(environment) = &filter.environment {
            query = query.filter(Column::Environment.eq(environment.clone()));
        }
        if let Some(since) = filter.since {
            query = query.filter(Column::CreatedAt.gte(since));
        }
        if let Some(parent) = filter.parent {
            query = query.filter(Column::ParentId.eq(parent.0));
        }
        if let Some(cursor) = cursor {
            query = query.filter(Column::Id.lt(page::decode(cursor)?));
        }
        let rows = query.order_by_desc(Column::Id).limit(limit + 1).all(self.db.read()).await?;
        let page = Page::cut(rows, limit, |row| row.id);
        let items = page.items.into_iter().map(row::execution).collect::<Result<_>>()?;
        Ok(Page { items, next: page.next })
    }
}
