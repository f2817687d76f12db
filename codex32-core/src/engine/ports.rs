//! The rooms, joined: what one floor asks of another through a narrow trait.

use crate::catalogue::Catalogue;
use crate::connector::Connectors;
use crate::connector::kv::{KvStore, Owner};
use crate::error::{Code, Error, Result};
use crate::execution::{self, Executor, Status};
use crate::id::{BotId, ExecutionId, WorkspaceId};
use crate::registry::Purger;
use crate::secret::Secrets;
use crate::storage::Db;
use crate::supervisor::Stopper;
use crate::webhook::{End, Ends};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// How long one look for an end lasts; then it is looked again.
const LOOK: Duration = Duration::from_secs(60);

/// Ends and cancellations, by the executor.
#[derive(Clone)]
pub(super) struct ExecutorPort(pub(super) Executor);

#[async_trait::async_trait]
impl Stopper for ExecutorPort {
    async fn stop(&self, workspace: WorkspaceId, execution: ExecutionId) -> Result<()> {
        match self.0.cancel(workspace, execution, "supervisor", Some("its deployment was stopped or replaced")).await {
            // It has ended or never was.
            Err(e) if matches!(e.code(), Code::NotFound | Code::Precondition | Code::Conflict) => Ok(()),
            other => other,
        }
    }
}

#[async_trait::async_trait]
impl Ends for ExecutorPort {
    async fn ended(&self, workspace: WorkspaceId, execution: ExecutionId) -> Result<End> {
        loop {
            match self.0.wait(workspace, execution, LOOK).await {
                Err(e) if e.code() == Code::Timeout => {}
                seen => {
                    let seen = seen?;
                    let succeeded = seen.status == Status::Succeeded;
                    return Ok(End { succeeded, output: seen.output.unwrap_or_default() });
                }
            }
        }
    }
}

/// The connection that `action` works with: the one named, else the connector's own.
pub(super) async fn connection_of(
    secrets: &Secrets,
    workspace: WorkspaceId,
    action: &str,
    named: Option<&str>,
) -> Result<Option<Value>> {
    let connector = action.split_once('.').map_or(action, |(connector, _)| connector);
    let found = secrets.connection(workspace, named.unwrap_or(connector)).await?;
    match (found, named) {
        (None, Some(name)) => Err(Error::not_found("connection", name)
            .hint(format!("`codex32 connect {name} '{{...}}' --connector {connector}` makes it"))),
        (found, _) => Ok(found),
    }
}

/// The catalogue as the registry asks for it at each check.
pub(super) fn catalogue_of(connectors: &Arc<Connectors>) -> Arc<dyn Fn() -> Catalogue + Send + Sync> {
    let connectors = connectors.clone();
    Arc::new(move || (*connectors.catalogue()).clone())
}

/// The rooms that keep rows of a bot beside the registry.
pub(super) fn purgers(db: &Db) -> Vec<Arc<dyn Purger>> {
    vec![Arc::new(KvPurger(db.clone())), Arc::new(ExecutionPurger(db.clone()))]
}

struct ExecutionPurger(Db);

#[async_trait::async_trait]
impl Purger for ExecutionPurger {
    async fn purge(&self, workspace: WorkspaceId, bot: BotId) -> Result<()> {
        execution::purge(&self.0, workspace, bot).await
    }
}

struct KvPurger(Db);

#[async_trait::async_trait]
impl Purger for KvPurger {
    async fn purge(&self, workspace: WorkspaceId, bot: BotId) -> Result<()> {
        let owner = Owner { workspace, bot: Some(bot) };
        self.0.write(move |tx| Box::pin(async move { KvStore::purge(tx, owner).await })).await
    }
}
