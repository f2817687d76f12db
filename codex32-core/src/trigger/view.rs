//! Triggers as people see them.

use super::spec::{Kind, Spec};
use super::store::{self, Due};
use crate::clock::{Clock, Millis};
use crate::error::{Error, Result};
use crate::id::{BotId, DeploymentId, TriggerId, VersionId, WorkspaceId};
use crate::schedule::Timetable;
use crate::storage::Db;
use crate::storage::entity::triggers;
use schemars::JsonSchema;
use sea_orm::ActiveValue::Set;
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Next times that are shown.
const UPCOMING: usize = 5;
/// Triggers that one list holds at most.
const MAX_LIST: u64 = 1_000;

/// A trigger of an active deployment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Trigger")]
pub struct TriggerInfo {
    /// Identity.
    pub id: TriggerId,
    /// The bot.
    pub bot: BotId,
    /// Its name.
    pub bot_name: String,
    /// The deployed version.
    pub version: VersionId,
    /// The deployment.
    pub deployment: DeploymentId,
    /// Its environment.
    pub environment: String,
    /// Place in the blueprint's `on`, from 0.
    pub position: u32,
    /// What fires it.
    pub kind: Kind,
    /// Its settings, by kind.
    pub settings: Value,
    /// Whether it fires.
    pub enabled: bool,
    /// IANA zone of a schedule.
    pub timezone: String,
    /// Path of a webhook below `/hooks/{workspace}/`.
    pub path: Option<String>,
    /// Next times of a schedule or poll, UTC milliseconds; empty where it is off.
    pub upcoming: Vec<Millis>,
    /// When it last started an execution, UTC milliseconds.
    pub last_fired: Option<Millis>,
    /// What went wrong last, until it fires well again.
    pub last_error: Option<String>,
    /// Failures in a row.
    pub failures: u32,
}

/// The triggers of a bot's active deployments, or of the whole workspace (at most 1,000),
/// by bot and place.
///
/// # Errors
/// Those of the database.
pub async fn list(db: &Db, workspace: WorkspaceId, bot: Option<BotId>) -> Result<Vec<TriggerInfo>> {
    let mut query = triggers::Entity::find()
        .filter(triggers::Column::WorkspaceId.eq(workspace.0))
        .filter(triggers::Column::Active.eq(true));
    if let Some(bot) = bot {
        query = query.filter(triggers::Column::BotId.eq(bot.0));
    }
    let rows = query
        .order_by_asc(triggers::Column::BotName)
        .order_by_asc(triggers::Column::Environment)
        .order_by_asc(triggers::Column::Position)
        .limit(MAX_LIST)
        .all(db.read())
        .await?;
    rows.into_iter().map(info).collect()
}

/// One trigger.
///
/// # Errors
/// `not_found` where the workspace has no such armed trigger.
pub async fn get(db: &Db, workspace: WorkspaceId, id: TriggerId) -> Result<TriggerInfo> {
    let row = triggers::Entity::find_by_id(id.0)
        .filter(triggers::Column::WorkspaceId.eq(workspace.0))
        .filter(triggers::Column::Active.eq(true))
        .one(db.read())
        .await?;
    info(row.ok_or_else(|| Error::not_found("trigger", id))?)
}

/// Turns a trigger on or off. What was due while it was off is forgotten. A deployment
/// of a new version turns all its triggers on.
///
/// # Errors
/// `not_found` where the workspace has no such armed trigger.
pub async fn set_enabled(
    db: &Db,
    clock: &dyn Clock,
    workspace: WorkspaceId,
    id: TriggerId,
    enabled: bool,
) -> Result<TriggerInfo> {
    let now = clock.now();
    let row = db
        .write(move |tx| {
            Box::pin(async move {
                let row = store::locked(tx, id.0)
                    .await?
                    .filter(|row| row.workspace_id == workspace.0)
                    .ok_or_else(|| Error::not_found("trigger", id))?;
                if row.enabled == enabled {
                    return Ok(row);
                }
                let due = if enabled { due(&row, now)? } else { Due::default() };
                let change = triggers::ActiveModel {
                    id: Set(row.id),
                    enabled: Set(enabled),
                    next_due: Set(due.next_due),
                    wake_at: Set(due.wake_at),
                    lease: Set(None),
                    lease_until: Set(None),
                    after_seq: Set(crate::event::last_in(tx).await?),
                    failures: Set(0),
                    updated_at: Set(now),
                    ..Default::default()
                };
                Ok(change.update(tx).await?)
            })
        })
        .await?;
    info(row)
}

/// When a trigger that is turned on at `now` is due, and when to look at it.
fn due(row: &triggers::Model, now: Millis) -> Result<Due> {
    Ok(match Spec::from_text(&row.spec)? {
        Spec::Schedule { schedule, jitter_ms, .. } => {
            let due = Timetable::parse(&schedule, &row.timezone, row.created_at)?.next(now);
            Due::with_jitter(row.id, due, jitter_ms)
        }
        Spec::Poll { .. } => Due { next_due: Some(now), wake_at: Some(now) },
        _ => Due::default(),
    })
}

fn info(row: triggers::Model) -> Result<TriggerInfo> {
    let spec = Spec::from_text(&row.spec)?;
    let mut settings: Value =
        serde_json::from_str(&row.spec).map_err(|e| Error::internal(format!("read a trigger's settings: {e}")))?;
    if let Some(fields) = settings.as_object_mut() {
        fields.shift_remove("kind");
    }
    Ok(TriggerInfo {
        upcoming: upcoming(&row, &spec)?,
        kind: spec.kind(),
        id: TriggerId(row.id),
        bot: BotId(row.bot_id),
        bot_name: row.bot_name,
        version: VersionId(row.version_id),
        deployment: DeploymentId(row.deployment_id),
        environment: row.environment,
        position: u32::try_from(row.position).unwrap_or(0),
        settings,
        enabled: row.enabled,
        timezone: row.timezone,
        path: row.path,
        last_fired: row.last_fired,
        last_error: row.last_error,
        failures: u32::try_from(row.failures).unwrap_or(0),
    })
}

fn upcoming(row: &triggers::Model, spec: &Spec) -> Result<Vec<Millis>> {
    let Some(first) = row.next_due.filter(|_| row.enabled) else { return Ok(Vec::new()) };
    Ok(match spec {
        Spec::Schedule { schedule, .. } => {
            let table = Timetable::parse(schedule, &row.timezone, row.created_at)?;
            let rest = table.upcoming(first, UPCOMING - 1);
            std::iter::once(first).chain(rest).collect()
        }
        _ => vec![first],
    })
}
