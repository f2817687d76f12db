//! Removing a bot for good.

use super::{Registry, store};
use crate::access::Caller;
use crate::error::{Error, Result};
use crate::id::{BotId, WorkspaceId};
use crate::storage::Tx;
use crate::storage::entity::{bots, deployments, version_files, versions};
use crate::trigger;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, Set};
use uuid::Uuid;

/// Rows that one transaction removes, so that writers are never held up for long.
const BATCH: u64 = 200;

/// Somebody else who keeps rows of a bot.
#[async_trait::async_trait]
pub trait Purger: Send + Sync {
    /// Removes all rows of the bot, in small batches; safe to repeat.
    ///
    /// # Errors
    /// Those of the database.
    async fn purge(&self, workspace: WorkspaceId, bot: BotId) -> Result<()>;
}

impl Registry {
    /// Removes a deleted bot for good: executions, versions, files, deployments, state.
    /// It cannot be undone, nor restored once it began; after an interruption call it again.
    ///
    /// # Errors
    /// `not_found`, `precondition` where the bot is not deleted.
    pub async fn purge(&self, caller: &Caller, bot: BotId) -> Result<()> {
        let (ws, now) = (caller.workspace, self.now());
        self.db()
            .write(move |tx| {
                Box::pin(async move {
                    let row = store::hold(tx, ws, bot).await?;
                    if row.deleted_at.is_none() {
                        return Err(Error::precondition(format!("the bot \"{}\" is not deleted", row.name))
                            .hint("delete it first"));
                    }
                    let change = bots::ActiveModel { purged_at: Set(Some(now)), ..Default::default() };
                    bots::Entity::update_many().set(change).filter(bots::Column::Id.eq(bot.0)).exec(tx).await?;
                    trigger::forget(tx, bot).await
                })
            })
            .await?;
        for purger in &self.parts.purgers {
            purger.purge(ws, bot).await?;
        }
        while self.batch(move |tx| Box::pin(purge_deployments(tx, ws, bot))).await? {}
        while self.batch(move |tx| Box::pin(purge_files(tx, ws, bot))).await? {}
        self.db()
            .write(move |tx| {
                Box::pin(async move {
                    bots::Entity::delete_many()
                        .filter(bots::Column::WorkspaceId.eq(ws.0))
                        .filter(bots::Column::Id.eq(bot.0))
                        .exec(tx)
                        .await?;
                    Ok(())
                })
            })
            .await
    }

    /// One transaction of a purge; true while there is more.
    async fn batch(
        &self,
        work: impl for<'t> FnOnce(&'t Tx) -> futures::future::BoxFuture<'t, Result<u64>> + Send,
    ) -> Result<bool> {
        Ok(self.db().write(work).await? > 0)
    }
}

async fn purge_deployments(tx: &Tx, ws: WorkspaceId, bot: BotId) -> Result<u64> {
    let ids: Vec<Uuid> = deployments::Entity::find()
        .select_only()
        .column(deployments::Column::Id)
        .filter(deployments::Column::WorkspaceId.eq(ws.0))
        .filter(deployments::Column::BotId.eq(bot.0))
        .limit(BATCH)
        .into_tuple()
        .all(tx)
        .await?;
    Ok(deployments::Entity::delete_many().filter(deployments::Column::Id.is_in(ids)).exec(tx).await?.rows_affected)
}

/// Removes some files of some versions, or those versions once they have none.
async fn purge_files(tx: &Tx, ws: WorkspaceId, bot: BotId) -> Result<u64> {
    let some: Vec<Uuid> = versions::Entity::find()
        .select_only()
        .column(versions::Column::Id)
        .filter(versions::Column::WorkspaceId.eq(ws.0))
        .filter(versions::Column::BotId.eq(bot.0))
        .limit(BATCH)
        .into_tuple()
        .all(tx)
        .await?;
    let files: Vec<Uuid> = version_files::Entity::find()
        .select_only()
        .column(version_files::Column::Id)
        .filter(version_files::Column::VersionId.is_in(some.iter().copied()))
        .limit(BATCH)
        .into_tuple()
        .all(tx)
        .await?;
    if files.is_empty() {
        let done = versions::Entity::delete_many().filter(versions::Column::Id.is_in(some)).exec(tx).await?;
        return Ok(done.rows_affected);
    }
    let files = version_files::Entity::delete_many().filter(version_files::Column::Id.is_in(files));
    Ok(files.exec(tx).await?.rows_affected)
}
