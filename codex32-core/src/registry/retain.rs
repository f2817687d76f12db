//! Going through the bots to remove what of their executions is old.

use super::Registry;
use crate::clock::Millis;
use crate::error::Result;
use crate::id::{BotId, WorkspaceId};
use crate::storage::entity::bots;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

/// Bots that are read at a time.
const PAGE: u64 = 200;

/// How long the executions of a bot are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The bot.
    pub bot: BotId,
    /// Its name.
    pub name: String,
    /// For how long, in milliseconds.
    pub age: Option<Millis>,
    /// How many.
    pub count: Option<u64>,
    /// Whether what is removed is archived.
    pub archived: bool,
}

impl Registry {
    /// How long the executions of each bot are kept, for some bots of all workspaces behind
    /// `after`, in the order of their ids. What a bot does not say itself is `age` and
    /// `count`; one of which nothing is to be removed is left out.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn kept(
        &self,
        after: Option<BotId>,
        age: Option<Millis>,
        count: Option<u64>,
    ) -> Result<(Vec<Kept>, Option<BotId>)> {
        let mut query = bots::Entity::find().order_by_asc(bots::Column::Id).limit(PAGE);
        if let Some(after) = after {
            query = query.filter(bots::Column::Id.gt(after.0));
        }
        if age.is_none() && count.is_none() {
            let any =
                Condition::any().add(bots::Column::KeepMs.is_not_null()).add(bots::Column::KeepCount.is_not_null());
            query = query.filter(any);
        }
        let rows = query.all(self.db().read()).await?;
        let next = rows.last().map(|row| BotId(row.id));
        let kept = rows.into_iter().map(|row| {
            let own = row.keep_ms.is_some() || row.keep_count.is_some();
            let own_count = row.keep_count.and_then(|count| u64::try_from(count).ok());
            Kept {
                workspace: WorkspaceId(row.workspace_id),
                bot: BotId(row.id),
                name: row.name,
                age: if own { row.keep_ms } else { age },
                count: if own { own_count } else { count },
                archived: row.archived,
            }
        });
        Ok((kept.collect(), next))
    }
}
