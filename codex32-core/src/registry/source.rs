//! What the executor is given of a bot.

use super::deployment::{DeploymentStatus, not_deployed};
use super::{Registry, bot, store, text};
use crate::error::{Error, Result};
use crate::execution::{BotSource, LoadedVersion, Target};
use crate::id::{VersionId, WorkspaceId};
use crate::storage::entity::deployments;
use sea_orm::{ColumnTrait, QueryFilter};
use std::sync::Arc;

#[async_trait::async_trait]
impl BotSource for Registry {
    /// A version, parsed. It never changes, so it is read once and kept; only that an
    /// admin deploys it later is looked for anew, until one has.
    async fn version(&self, ws: WorkspaceId, id: VersionId) -> Result<Arc<LoadedVersion>> {
        let cached = self.loaded.get(&(ws, id)).await;
        let version = match cached {
            Some(loaded) if loaded.private_network_allowed => return Ok(loaded),
            Some(loaded) => loaded,
            None => Arc::new(self.load(ws, id).await?),
        };
        let allowed = self.allowed.get((ws, id), self.private_allowed(ws, id)).await?;
        let version = match allowed {
            true => Arc::new(LoadedVersion { private_network_allowed: true, ..(*version).clone() }),
            false => version,
        };
        self.loaded.insert((ws, id), version.clone()).await;
        Ok(version)
    }

    async fn deployed(&self, ws: WorkspaceId, bot_name: &str, environment: &str) -> Result<Target> {
        let key = (ws, bot_name.to_owned(), environment.to_owned());
        self.targets.get(key, self.target(ws, bot_name, environment)).await
    }
}

impl Registry {
    async fn target(&self, ws: WorkspaceId, bot_name: &str, environment: &str) -> Result<Target> {
        let db = self.db().read();
        let row = store::live_by_name(db, ws, bot_name).await?.ok_or_else(|| bot::unknown(bot_name))?;
        let present = store::present_in(db, ws, row.id.into(), environment).await?;
        let present = present.ok_or_else(|| not_deployed(&row.name, environment))?;
        if present.status != DeploymentStatus::Active.as_str() {
            return Err(Error::precondition(format!("the bot \"{bot_name}\" is stopped in {environment}"))
                .hint(format!("`codex32 start {bot_name}` starts it again")));
        }
        Ok(Target { bot: row.id.into(), version: present.version_id.into(), deployment: Some(present.id.into()) })
    }

    async fn load(&self, ws: WorkspaceId, id: VersionId) -> Result<LoadedVersion> {
        let db = self.db().read();
        let version = store::version_by_id(db, ws, id).await?.ok_or_else(|| Error::not_found("version", id))?;
        let bot = store::bot(db, ws, version.bot_id.into()).await?;
        let files = store::files(db, ws, version.id).await?;
        let blueprint = text::parse(&version.blueprint)?;
        Ok(LoadedVersion {
            bot: bot.id.into(),
            bot_name: bot.name,
            version: id,
            number: u32::try_from(version.number).unwrap_or_default(),
            blueprint: Arc::new(blueprint),
            files: Arc::new(files),
            private_network_allowed: false,
        })
    }

    /// Whether an admin or owner ever put this version to work.
    async fn private_allowed(&self, ws: WorkspaceId, id: VersionId) -> Result<bool> {
        let query = store::deployments_of(ws)
            .filter(deployments::Column::VersionId.eq(id.0))
            .filter(deployments::Column::PrivateAllowed.eq(true));
        Ok(query.one(self.db().read()).await?.is_some())
    }
}
