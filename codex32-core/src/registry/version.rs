//! Versions: immutable, numbered from 1.

use super::text::Files;
use super::{Registry, diff, number, store};
use crate::clock::Millis;
use crate::error::Result;
use crate::id::{BotId, UserId, VersionId, WorkspaceId};
use crate::storage::entity::versions;
use crate::storage::page::{self, Page};
use schemars::JsonSchema;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};

/// A version, without its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Version {
    /// Identity.
    pub id: VersionId,
    /// The bot.
    pub bot: BotId,
    /// 1 at first, one more for each.
    pub number: u32,
    /// SHA-256 over blueprint and files, in hex.
    pub digest: String,
    /// Why, in the words of who made it.
    pub note: Option<String>,
    /// Who made it.
    pub created_by: Option<UserId>,
    /// UTC milliseconds.
    pub created_at: Millis,
}

/// A version with its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Content {
    /// The version.
    pub version: Version,
    /// The text as it was handed in.
    pub blueprint: String,
    /// Relative path to text.
    pub files: Files,
}

impl From<&versions::Model> for Version {
    fn from(row: &versions::Model) -> Self {
        Version {
            id: row.id.into(),
            bot: row.bot_id.into(),
            number: u32::try_from(row.number).unwrap_or_default(),
            digest: row.digest.clone(),
            note: row.note.clone(),
            created_by: row.created_by.map(UserId),
            created_at: row.created_at,
        }
    }
}

impl Registry {
    /// The versions of a bot, newest first.
    ///
    /// # Errors
    /// `not_found`, `invalid` for a cursor that is none.
    pub async fn versions(
        &self,
        ws: WorkspaceId,
        bot: BotId,
        cursor: Option<&str>,
        limit: u64,
    ) -> Result<Page<Version>> {
        let db = self.db().read();
        store::bot(db, ws, bot).await?;
        let limit = limit.clamp(1, page::MAX_LIMIT);
        let mut query = versions::Entity::find()
            .filter(versions::Column::WorkspaceId.eq(ws.0))
            .filter(versions::Column::BotId.eq(bot.0));
        if let Some(cursor) = cursor {
            let last = store::version_by_id(db, ws, page::decode(cursor)?.into()).await?;
            query = query.filter(versions::Column::Number.lt(last.map_or(0, |last| last.number)));
        }
        let rows = query.order_by_desc(versions::Column::Number).limit(limit + 1).all(db).await?;
        Ok(Page::cut(rows, limit, |row| row.id).map(|row| Version::from(&row)))
    }

    /// One version with its text; by default the latest.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn content(&self, ws: WorkspaceId, bot: BotId, version: Option<u32>) -> Result<Content> {
        let db = self.db().read();
        let row = store::bot(db, ws, bot).await?;
        let wanted = version.map_or(Ok(row.latest), number)?;
        let row = store::version(db, ws, bot, wanted).await?;
        let files = store::files(db, ws, row.id).await?;
        Ok(Content { version: Version::from(&row), blueprint: row.blueprint, files })
    }

    /// What changed from version `from` to version `to`: a unified diff of the blueprint and each file.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn diff(&self, ws: WorkspaceId, bot: BotId, from: u32, to: u32) -> Result<String> {
        let from = self.content(ws, bot, Some(from)).await?;
        let to = self.content(ws, bot, Some(to)).await?;
        diff::off_thread(Some((from.blueprint, from.files)), (to.blueprint, to.files)).await
    }
}
