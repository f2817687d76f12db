//! Answering approvals.

use super::Executor;
use crate::error::{Error, Result};
use crate::execution::drive::hash_token;
use crate::execution::types::{Answer, Approval};
use crate::id::{ExecutionId, WorkspaceId};
use crate::storage::page::Page;

impl Executor {
    /// What a token answers, to show before the answer is given.
    ///
    /// # Errors
    /// `not_found` for a token that answers nothing; `precondition` where it was answered
    /// or nobody waits any more.
    pub async fn approval(&self, token: &str) -> Result<(WorkspaceId, Approval)> {
        let unknown = || Error::new(crate::error::Code::NotFound, "there is no approval for this token");
        let found = self.inner.store.approval_by_token(&hash_token(token)).await?;
        match found.ok_or_else(unknown)? {
            (workspace, approval, true) => Ok((workspace, approval)),
            (..) => Err(Error::precondition("the approval was answered already, or nobody waits for it any more")),
        }
    }

    /// Answers by the token that the asked one was given.
    ///
    /// # Errors
    /// Those of [`Executor::approval`].
    pub async fn answer_approval(&self, token: &str, answer: Answer) -> Result<ExecutionId> {
        let (workspace, approval) = self.approval(token).await?;
        self.answer(workspace, approval.execution, &approval.path, answer).await?;
        Ok(approval.execution)
    }

    /// Answers as someone who may do so in the workspace.
    ///
    /// # Errors
    /// `not_found`; `precondition` where it was answered or nobody waits any more.
    pub async fn answer(&self, workspace: WorkspaceId, id: ExecutionId, path: &str, answer: Answer) -> Result<()> {
        self.inner.store.answer(workspace, id, path.to_owned(), answer).await?;
        self.inner.wake(id);
        Ok(())
    }

    /// What people are asked and have not answered, oldest first.
    ///
    /// # Errors
    /// `invalid` for a cursor that no list gave.
    pub async fn approvals(&self, workspace: WorkspaceId, cursor: Option<&str>, limit: u64) -> Result<Page<Approval>> {
        self.inner.store.open_approvals(workspace, cursor, limit).await
    }
}
