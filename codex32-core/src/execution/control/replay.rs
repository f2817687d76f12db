//! Following what an execution did once more, without doing any of it.

use super::Executor;
use crate::error::{Error, Result};
use crate::execution::control::Ready;
use crate::execution::decide::{Replayed, replay};
use crate::execution::drive::about;
use crate::execution::types::{Divergence, Replay};
use crate::execution::words;
use crate::id::{ExecutionId, VersionId, WorkspaceId};
use crate::storage::entity::executions;

impl Executor {
    /// Follows the journal of an execution as far as it goes with `version`, or with its own,
    /// and tells where that would have done something else. What steps gave, signals and
    /// answers are taken from the journal; nothing is performed and nothing is written.
    ///
    /// # Errors
    /// `not_found`; `invalid` where the version is not one of its bot.
    pub async fn replay(&self, workspace: WorkspaceId, id: ExecutionId, version: Option<VersionId>) -> Result<Replay> {
        let row = self.inner.store.row(workspace, id).await?;
        let ready = self.version_of(&row, version.unwrap_or(VersionId(row.version_id))).await?;
        let replayed = self.followed(&row, &ready).await?;
        let divergence = replayed.divergence.map(|parting| Divergence {
            seq: parting.recorded.seq,
            at: parting.recorded.at,
            step: parting.recorded.event.path().to_owned(),
            recorded: words::of(&parting.recorded.event),
            instead: parting.expected.as_ref().map(words::of),
        });
        Ok(Replay {
            execution: id,
            version: ready.version.number,
            entries: replayed.entries,
            followed: replayed.followed,
            same: divergence.is_none(),
            divergence,
        })
    }

    /// A version of the same bot.
    pub(super) async fn version_of(&self, row: &executions::Model, version: VersionId) -> Result<Ready> {
        let ready = self.inner.versions.get(WorkspaceId(row.workspace_id), version).await?;
        if ready.version.bot.0 != row.bot_id {
            return Err(Error::invalid(format!("the version {version} is one of another bot"))
                .at("/version", "of another bot")
                .hint(format!("name a version of \"{}\"", row.bot_name)));
        }
        Ok(ready)
    }

    /// The journal, followed with `ready`.
    pub(super) async fn followed(&self, row: &executions::Model, ready: &Ready) -> Result<Replayed> {
        if ready.plan.native.is_some() {
            return Err(Error::precondition("the journal of a native function is followed by the function itself")
                .hint("where the function strays from it, its execution fails with `nondeterministic`"));
        }
        let entries = self.inner.store.whole_journal(ExecutionId(row.id)).await?;
        let about = about(row, ready.version.number)?;
        Ok(replay(ready.plan.clone(), about, &entries))
    }
}
