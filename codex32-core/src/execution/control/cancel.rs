//! Cancelling an execution, with the children that it waits for.

use super::Executor;
use crate::error::Result;
use crate::execution::decide::Fact;
use crate::id::{ExecutionId, WorkspaceId};

impl Executor {
    /// Cancels an execution: running steps and scripts are stopped at once, and so are the
    /// children that it waits for. What `finally` holds runs, for at most half a minute; a
    /// second cancellation ends that, too. The wish is durable when this returns.
    ///
    /// # Errors
    /// `not_found`; `precondition` where it is finished.
    pub async fn cancel(&self, workspace: WorkspaceId, id: ExecutionId, by: &str, reason: Option<&str>) -> Result<()> {
        let fact = Fact::Cancel { by: by.to_owned(), reason: reason.map(str::to_owned) };
        self.send(workspace, id, fact).await
    }

    pub(super) async fn send(&self, workspace: WorkspaceId, id: ExecutionId, fact: Fact) -> Result<()> {
        let reached = self.inner.store.send(workspace, id, fact).await?;
        self.inner.wake(reached);
        Ok(())
    }
}
