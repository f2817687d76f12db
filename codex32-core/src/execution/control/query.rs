//! Looking at executions.

use super::{Executor, view};
use crate::error::Result;
use crate::execution::entry::Entry;
use crate::execution::types::{Execution, Filter, Line, StepState};
use crate::id::{ExecutionId, WorkspaceId};
use crate::storage::page::Page;

/// Rows of a journal or log that are given at a time.
const MAX_ROWS: u64 = 1_000;

impl Executor {
    /// An execution.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn get(&self, workspace: WorkspaceId, id: ExecutionId) -> Result<Execution> {
        self.inner.store.get(workspace, id).await
    }

    /// Executions of a workspace, newest first.
    ///
    /// # Errors
    /// `invalid` for a cursor that no list gave.
    pub async fn list(
        &self,
        workspace: WorkspaceId,
        filter: &Filter,
        cursor: Option<&str>,
        limit: u64,
    ) -> Result<Page<Execution>> {
        self.inner.store.list(workspace, filter, cursor, limit).await
    }

    /// The steps of an execution as far as it has come, in the order in which they began.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn steps(&self, workspace: WorkspaceId, id: ExecutionId) -> Result<Vec<StepState>> {
        self.inner.store.row(workspace, id).await?;
        Ok(view::steps(self.inner.store.whole_journal(id).await?))
    }

    /// Entries of the journal after number `after`, in order, at most `limit` (1 to 1,000).
    ///
    /// # Errors
    /// `not_found`.
    pub async fn journal(&self, workspace: WorkspaceId, id: ExecutionId, after: i64, limit: u64) -> Result<Vec<Entry>> {
        self.inner.store.row(workspace, id).await?;
        self.inner.store.entries(id, after, limit.clamp(1, MAX_ROWS)).await
    }

    /// Lines of the log after number `after`, in order, at most `limit` (1 to 1,000).
    ///
    /// # Errors
    /// `not_found`.
    pub async fn logs(&self, workspace: WorkspaceId, id: ExecutionId, after: i64, limit: u64) -> Result<Vec<Line>> {
        self.inner.store.row(workspace, id).await?;
        self.inner.store.lines(id, after, limit.clamp(1, MAX_ROWS)).await
    }
}
