//! Whose turn it is: what is ready is taken by workspace, one after the other, so that a
//! million of one do not stand before the only one of another.

use super::Store;
use super::lease::ready;
use super::workers::fits;
use crate::error::Result;
use crate::storage::entity::executions::{self, Column};
use sea_orm::sea_query::{
    Alias, CommonTableExpression, Expr, ExprTrait, Query, SelectStatement, UnionType, WithClause, WithQuery,
};
use sea_orm::{ConnectionTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use uuid::Uuid;

/// Workspaces that are looked at in one turn.
pub(super) const MOST: u64 = 64;

impl Store {
    /// The workspaces in which something is ready, at most `most`, in the order in which they
    /// are served: first those behind the one that was served last.
    pub(crate) async fn turns(&self, last: Option<Uuid>, most: u64) -> Result<Vec<Uuid>> {
        let most = most.clamp(2, MOST);
        let mut turns = self.workspaces(last.unwrap_or(Uuid::nil()), most).await?;
        if let Some(last) = last.filter(|_| turns.len() < usize::try_from(most).unwrap_or(usize::MAX)) {
            let before = self.workspaces(Uuid::nil(), most - u64::try_from(turns.len()).unwrap_or(0)).await?;
            turns.extend(before.into_iter().filter(|workspace| *workspace <= last));
        }
        Ok(turns)
    }

    async fn workspaces(&self, after: Uuid, most: u64) -> Result<Vec<Uuid>> {
        let rows = self.db.read().query_all(&walk(fits(&self.labels.all()), after, most)).await?;
        rows.into_iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
    }
}

/// Walks from workspace to workspace along the index, without a look at what is ready in
/// each: its cost is that of the workspaces, not of the backlog.
fn walk(fits: Expr, after: Uuid, most: u64) -> WithQuery {
    let (turns, workspace, n) = (Alias::new("turns"), Alias::new("workspace_id"), Alias::new("n"));
    let first = Query::select()
        .column(workspace.clone())
        .expr_as(Expr::value(1_i64), n.clone())
        .from_subquery(next(fits.clone(), Expr::value(after)), Alias::new("first"))
        .to_owned();
    let behind = next(fits, Expr::col((turns.clone(), workspace.clone())));
    let then = Query::select()
        .expr(Expr::SubQuery(None, Box::new(behind.into())))
        .expr(Expr::col((turns.clone(), n.clone())).add(1_i64))
        .from(turns.clone())
        .and_where(Expr::col((turns.clone(), workspace.clone())).is_not_null())
        .and_where(Expr::col((turns.clone(), n.clone())).lt(i64::try_from(most).unwrap_or(i64::MAX)))
        .to_owned();
    let mut all = first;
    all.union(UnionType::All, then);
    let table =
        CommonTableExpression::new().query(all).columns([workspace.clone(), n]).table_name(turns.clone()).to_owned();
    let walked =
        Query::select().column(workspace.clone()).from(turns).and_where(Expr::col(workspace).is_not_null()).to_owned();
    walked.with(WithClause::new().recursive(true).cte(table).to_owned())
}

/// The first workspace behind `after` in which something is ready.
fn next(fits: Expr, after: Expr) -> SelectStatement {
    ready(fits)
        .select_only()
        .column(Column::WorkspaceId)
        .filter(Expr::col((executions::Entity, Column::WorkspaceId)).gt(after))
        .order_by_asc(Column::WorkspaceId)
        .limit(1)
        .into_query()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::testing::sqlite;
    use sea_orm::{DbBackend, Statement, StatementBuilder};

    /// There may be many that are ready, and many more that are over.
    #[tokio::test]
    async fn workspaces_are_found_along_the_index() {
        let test = sqlite().await;
        let built = StatementBuilder::build(&walk(fits(&[]), Uuid::nil(), 8), &DbBackend::Sqlite);
        let explain = Statement { sql: ["EXPLAIN QUERY PLAN ", &built.sql].concat(), ..built };
        let rows = test.db.read().query_all_raw(explain).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.try_get("", "detail").unwrap()).collect();
        let looks: Vec<&String> = plan.iter().filter(|line| line.contains("executions")).collect();
        assert_eq!(looks.len(), 2, "{plan:?}");
        assert!(looks.iter().all(|l| l.contains("executions_queued") && l.contains("workspace_id>?")), "{plan:?}");
    }
}
