//! An execution that has nothing to do gives up its driver.

use super::{Driver, Exit};
use crate::execution::store::Parked;
use crate::id::{ExecutionId, WorkspaceId};
use serde_json::json;

impl Driver {
    /// Gives the execution back. `None` where something was sent to it meanwhile.
    pub(super) async fn rest(&mut self) -> Option<Exit> {
        let id = ExecutionId(self.row.id);
        if self.draining {
            return Some(match self.inner.store.requeue(id, self.row.lease_token).await {
                Ok(()) => {
                    self.inner.ready_anywhere();
                    Exit::Requeued
                }
                Err(_) => Exit::Lost,
            });
        }
        let paused = self.state.is_paused();
        let next = self.state.next_due().filter(|_| !paused).map(|(due, path)| (due, path.to_owned()));
        let announce = (!paused && self.state.waits_for_others()).then(|| {
            json!({
                "execution": self.row.id, "bot": self.row.bot_id, "bot_name": self.row.bot_name,
                "environment": self.row.environment, "due": next.as_ref().map(|(due, _)| due),
                "depth": self.depth(),
            })
        });
        let parked = Parked {
            id,
            workspace: WorkspaceId(self.row.workspace_id),
            token: self.row.lease_token,
            paused,
            due: next.clone(),
            announce,
        };
        match self.inner.store.park(parked).await {
            Ok(true) => {
                self.inner.parked(next.map(|(due, _)| due));
                Some(Exit::Parked)
            }
            Ok(false) => self.why_not(id).await,
            Err(error) => {
                tracing::warn!(execution = %id, %error, "the execution cannot be parked now");
                self.inner.pause_before_retry().await;
                None
            }
        }
    }

    /// It was not parked, or it is not known whether it still could be: because of a signal, or because it is someone
    /// else's.
    pub(super) async fn why_not(&self, id: ExecutionId) -> Option<Exit> {
        match self.inner.store.row(WorkspaceId(self.row.workspace_id), id).await {
            Ok(row) if row.lease_token == self.row.lease_token && row.lease_owner.is_some() => None,
            Ok(_) => {
                super::write::fenced(id);
                Some(Exit::Lost)
            }
            Err(error) => {
                tracing::warn!(execution = %id, %error, "the execution cannot be read now");
                self.inner.pause_before_retry().await;
                None
            }
        }
    }

    fn depth(&self) -> u32 {
        let trigger: serde_json::Value = serde_json::from_str(&self.row.trigger).unwrap_or_default();
        crate::trigger::depth_of(&trigger)
    }
}
