//! Flow control as callers see it.

use super::Executor;
use crate::error::Result;
use crate::execution::types::{FlowCount, FlowTicket};
use crate::id::{BotId, WorkspaceId};

/// Rows that are shown of each kind.
const MOST: u64 = 200;

impl Executor {
    /// What the rules of a bot's `flow` count by key, and its executions that hold a place or
    /// are held, those that hold one first; at most 200 of each.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn flow(&self, workspace: WorkspaceId, bot: BotId) -> Result<(Vec<FlowCount>, Vec<FlowTicket>)> {
        self.inner.store.flow_of(workspace, bot, MOST).await
    }

    /// Forgets what rules remember and does not matter any more. Returns how much that was.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn forget_flow(&self) -> Result<u64> {
        self.inner.store.forget_flow().await
    }
}
