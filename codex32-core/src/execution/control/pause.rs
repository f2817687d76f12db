//! Pausing an execution and letting it go on.

use super::Executor;
use crate::error::Result;
use crate::execution::decide::Fact;
use crate::id::{ExecutionId, WorkspaceId};

impl Executor {
    /// Lets an execution stand still: what runs is let to its end and recorded, and nothing
    /// new is begun until [`Executor::resume`]. A time that comes meanwhile takes effect then.
    ///
    /// # Errors
    /// `not_found`; `precondition` where it is finished.
    pub async fn pause(&self, workspace: WorkspaceId, id: ExecutionId, by: &str) -> Result<()> {
        self.send(workspace, id, Fact::Pause { by: by.to_owned() }).await
    }

    /// Lets a paused execution go on.
    ///
    /// # Errors
    /// `not_found`; `precondition` where it is finished.
    pub async fn resume(&self, workspace: WorkspaceId, id: ExecutionId, by: &str) -> Result<()> {
        self.send(workspace, id, Fact::Resume { by: by.to_owned() }).await
    }
}
