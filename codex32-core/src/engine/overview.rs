//! What the first page shows: last runs, next runs, figures. Each is a bounded number
//! of indexed queries, whatever is stored.

use super::Engine;
use crate::api::dashboard::FigureSet;
use crate::clock::Millis;
use crate::error::Result;
use crate::execution::Status;
use crate::id::{BotId, WorkspaceId};
use crate::storage::entity::{approvals, bots, deployments, executions, incidents, triggers};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use std::collections::HashMap;

/// How a bot's last execution stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LastRun {
    pub(crate) status: Status,
    pub(crate) created_at: Millis,
}

impl Engine {
    /// The last execution of each of these bots.
    pub(crate) async fn last_executions(&self, ws: WorkspaceId, bots: &[BotId]) -> Result<HashMap<BotId, LastRun>> {
        let mut last = HashMap::new();
        for bot in bots {
            let row: Option<(String, i64)> = executions::Entity::find()
                .select_only()
                .columns([executions::Column::Status, executions::Column::CreatedAt])
                .filter(executions::Column::WorkspaceId.eq(ws.0))
                .filter(executions::Column::BotId.eq(bot.0))
                .order_by_desc(executions::Column::Id)
                .limit(1)
                .into_tuple()
                .one(self.db().read())
                .await?;
            if let Some((status, created_at)) = row {
                last.insert(*bot, LastRun { status: status.parse()?, created_at });
            }
        }
        Ok(last)
    }

    /// When each of these bots starts next by itself, UTC milliseconds.
    pub(crate) async fn next_runs(&self, ws: WorkspaceId, bots: &[BotId]) -> Result<HashMap<BotId, Millis>> {
        let rows: Vec<(uuid::Uuid, i64)> = triggers::Entity::find()
            .select_only()
            .columns([triggers::Column::BotId, triggers::Column::NextDue])
            .filter(triggers::Column::WorkspaceId.eq(ws.0))
            .filter(triggers::Column::BotId.is_in(bots.iter().map(|bot| bot.0)))
            .filter(triggers::Column::Active.eq(true))
            .filter(triggers::Column::Enabled.eq(true))
            .filter(triggers::Column::NextDue.is_not_null())
            .into_tuple()
            .all(self.db().read())
            .await?;
        let mut next: HashMap<BotId, Millis> = HashMap::new();
        for (bot, due) in rows {
            let soonest = next.entry(bot.into()).or_insert(due);
            *soonest = due.min(*soonest);
        }
        Ok(next)
    }

    /// The figures of the last `hours`.
    pub(crate) async fn figures(&self, ws: WorkspaceId, hours: u32) -> Result<FigureSet> {
        let since = self.clock().now() - i64::from(hours) * 3_600_000;
        let ended = |status: Status| {
            executions::Entity::find()
                .filter(executions::Column::WorkspaceId.eq(ws.0))
                .filter(executions::Column::Status.eq(status.as_str()))
                .filter(executions::Column::CreatedAt.gte(since))
                .count(self.db().read())
        };
        let open = [Status::Held, Status::Queued, Status::Running, Status::Waiting, Status::Paused].map(Status::as_str);
        Ok(FigureSet {
            bots: bots::Entity::find()
                .filter(bots::Column::WorkspaceId.eq(ws.0))
                .filter(bots::Column::DeletedAt.is_null())
                .count(self.db().read())
                .await?,
            deployed: deployments::Entity::find()
                .filter(deployments::Column::WorkspaceId.eq(ws.0))
                .filter(deployments::Column::Status.eq("active"))
                .count(self.db().read())
                .await?,
            succeeded: ended(Status::Succeeded).await?,
            failed: ended(Status::Failed).await?,
            active: executions::Entity::find()
                .filter(executions::Column::WorkspaceId.eq(ws.0))
                .filter(executions::Column::Status.is_in(open))
                .count(self.db().read())
                .await?,
            approvals: approvals::Entity::find()
                .filter(approvals::Column::WorkspaceId.eq(ws.0))
                .count(self.db().read())
                .await?,
            incidents: incidents::Entity::find()
                .filter(incidents::Column::WorkspaceId.eq(ws.0))
                .filter(incidents::Column::Status.ne("closed"))
                .count(self.db().read())
                .await?,
        })
    }
}
