//! Moving an execution to another version of its bot while it is in flight.

use super::Executor;
use crate::error::{Code, Error, Result};
use crate::execution::decide::Fact;
use crate::execution::entry::Event;
use crate::execution::types::WatchItem;
use crate::id::{ExecutionId, VersionId, WorkspaceId};
use futures::StreamExt as _;
use std::time::Duration;

/// How long an execution may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

impl Executor {
    /// Lets an execution that is not finished go on with another version of its bot. That
    /// is done only where its journal is what that version would have written so far, and
    /// what is open goes on in it; what it waits for stays, to the time it began to.
    ///
    /// # Errors
    /// `not_found`; `precondition` where it is finished, or with the reason where the
    /// journal and the version do not agree; `invalid` where the version is not one of its
    /// bot or takes other input; `timeout` where nobody drives it at present: it is moved
    /// or refused once somebody does.
    pub async fn migrate(&self, workspace: WorkspaceId, id: ExecutionId, to: VersionId, by: &str) -> Result<()> {
        let row = self.inner.store.row(workspace, id).await?;
        if row.version_id == to.0 {
            return Ok(());
        }
        let ready = self.version_of(&row, to).await?;
        ready.check_again(&self.get(workspace, id).await?.input)?;
        // Refused at once where that is clear already, without anything written.
        if let Some(parting) = self.followed(&row, &ready).await?.divergence {
            return Err(Error::precondition(format!(
                "the execution {id} cannot go on with that version: {}",
                parting.reason()
            ))
            .hint("let it end with its own version, or fork it from a step"));
        }
        let after = self.inner.store.last_seq(id).await?;
        self.send(workspace, id, Fact::Migrate { to, by: by.to_owned() }).await?;
        self.answer_to_migration(workspace, id, to, after).await
    }

    async fn answer_to_migration(&self, ws: WorkspaceId, id: ExecutionId, to: VersionId, after: i64) -> Result<()> {
        let mut happening = std::pin::pin!(self.watch(ws, id, after).await?);
        let answer = async {
            while let Some(item) = happening.next().await {
                let WatchItem::Entry(entry) = item? else { continue };
                match entry.event {
                    Event::Migrated { to: version, .. } if version == to => return Ok(()),
                    Event::MigrationRefused { to: version, error, .. } if version == to => {
                        return Err(error.to_error().context(format!("the execution {id} stays with its version")));
                    }
                    _ => {}
                }
            }
            Err(Error::precondition(format!("the execution {id} ended before it could be moved")))
        };
        tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| {
            Err(Error::new(Code::Timeout, format!("nobody drives the execution {id} at present"))
                .hint("it is moved or refused as soon as somebody does; its journal tells"))
        })
    }
}
