//! What the supervisor knows of deployments, for people.

use super::Supervisor;
use crate::clock::Millis;
use crate::error::Result;
use crate::id::{BotId, DeploymentId, ExecutionId, IncidentId, WorkspaceId};
use crate::storage::entity::supervised;
use schemars::JsonSchema;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};

const MAX_LIST: u64 = 1_000;

/// A deployment under supervision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Watched {
    /// The deployment.
    pub deployment: DeploymentId,
    /// The bot.
    pub bot: BotId,
    /// Its name.
    pub bot_name: String,
    /// Its environment.
    pub environment: String,
    /// `never`, `on_failure` or `always`.
    pub restart: String,
    /// `idle` (only its triggers start it), `starting`, `running`, `done` or `stopping`.
    pub state: String,
    /// `unknown`, `healthy` or `unhealthy`.
    pub health: String,
    /// The execution that is kept running.
    pub execution: Option<ExecutionId>,
    /// How often it was started by the supervisor.
    pub starts: u32,
    /// When it is started next, UTC milliseconds.
    pub next_start: Option<Millis>,
    /// Failures in a row.
    pub failures: u32,
    /// UTC milliseconds.
    pub last_success: Option<Millis>,
    /// Its open incident.
    pub incident: Option<IncidentId>,
}

impl Supervisor {
    /// The deployments of a bot, or of the whole workspace (at most 1,000), that are watched.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn watched(&self, workspace: WorkspaceId, bot: Option<BotId>) -> Result<Vec<Watched>> {
        let mut query = supervised::Entity::find().filter(supervised::Column::WorkspaceId.eq(workspace.0));
        if let Some(bot) = bot {
            query = query.filter(supervised::Column::BotId.eq(bot.0));
        }
        let rows = query
            .order_by_asc(supervised::Column::BotName)
            .order_by_asc(supervised::Column::Environment)
            .limit(MAX_LIST)
            .all(self.parts.db.read())
            .await?;
        Ok(rows.into_iter().map(watched).collect())
    }
}

fn watched(row: supervised::Model) -> Watched {
    Watched {
        deployment: DeploymentId(row.deployment_id),
        bot: BotId(row.bot_id),
        bot_name: row.bot_name,
        environment: row.environment,
        next_start: row.look_at.filter(|_| row.state == super::state::STARTING),
        restart: row.restart,
        state: row.state,
        health: row.health,
        execution: row.execution_id.map(ExecutionId),
        starts: u32::try_from(row.run).unwrap_or(0),
        failures: u32::try_from(row.failures).unwrap_or(0),
        last_success: row.last_success,
        incident: row.incident_id.map(IncidentId),
    }
}
