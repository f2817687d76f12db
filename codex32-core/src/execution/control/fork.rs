//! Running something that ran before once more, with a difference.

use super::retry::{no_step, results_before, start_of};
use super::start::new;
use super::{Executor, retry_native};
use crate::error::Result;
use crate::execution::types::{Fork, Start, Started};
use crate::id::{ExecutionId, WorkspaceId};

impl Executor {
    /// Starts a new execution like another one, finished or not, with other input, another
    /// version, or from a chosen step on. Results recorded before that step are taken over
    /// as they are, also where the input differs.
    ///
    /// # Errors
    /// `not_found`; `invalid` where the version is not one of its bot or has no step
    /// `from`, or where the input does not fit it.
    pub async fn fork(&self, workspace: WorkspaceId, id: ExecutionId, fork: Fork, caller: &str) -> Result<Started> {
        let row = self.inner.store.row(workspace, id).await?;
        let execution = self.get(workspace, id).await?;
        let version = fork.version.unwrap_or(execution.version);
        let deployment = execution.deployment.filter(|_| version == execution.version);
        let input = fork.input.unwrap_or_else(|| execution.input.clone());
        self.version_of(&row, version).await?;
        let start = Start { version, deployment, input, ..start_of(execution, caller) };
        let (ready, ticket) = self.checked_again(&start).await?;
        let copied = match &fork.from {
            Some(from) if ready.plan.native.is_some() => {
                retry_native::results_before(self.inner.store.whole_journal(id).await?, from)?
            }
            Some(from) if !ready.plan.has_path(from) => return Err(no_step(from)),
            Some(from) => results_before(&ready.plan, self.inner.store.whole_journal(id).await?, from),
            None => Vec::new(),
        };
        let mut new = new(self.inner.clock.now(), start, ready.runs_on(), ticket);
        new.retry_of = Some(id);
        new.copied = copied;
        self.store_and_drive(ready, new).await
    }
}
