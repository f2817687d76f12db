//! Putting the triggers of a deployment in place, and taking them away again.

use super::spec::Spec;
use super::store::{self, Due};
use crate::blueprint::{Blueprint, Permissions, Restart, Trigger};
use crate::clock::{Clock, Millis};
use crate::error::{Error, Result};
use crate::id::{BotId, DeploymentId, TriggerId, VersionId, WorkspaceId};
use crate::schedule::Timetable;
use crate::storage::Tx;
use crate::storage::entity::{supervised, triggers};
use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

/// Failures in a row that open an incident where the blueprint does not say.
const DEFAULT_FAILURES: i32 = 3;

/// What a deployment is, as far as its triggers and its supervision need to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The bot.
    pub bot: BotId,
    /// Its name.
    pub bot_name: String,
    /// The version.
    pub version: VersionId,
    /// The deployment.
    pub deployment: DeploymentId,
    /// `prod`, `staging`, ...
    pub environment: String,
    /// Whether this is the workspace's default environment: then the paths of webhooks
    /// stand as they are written, else below `{environment}/`.
    pub default_environment: bool,
    /// IANA zone of schedules that name none: the workspace's.
    pub timezone: String,
    /// Whether an admin stands behind it: then declared private addresses are reachable.
    pub private_allowed: bool,
}

/// Arms the triggers of a deployment and hands it to the supervisor, within the
/// transaction that makes it active. Wake the dispatcher after the commit
/// ([`Bus::wake`](crate::event::Bus::wake) suffices where `deployment.changed` was
/// published in the same transaction).
///
/// # Errors
/// `invalid` for a schedule that is not understood, `conflict` where another bot has
/// the webhook's path. Then the transaction must be given up.
pub async fn arm(tx: &Tx, clock: &dyn Clock, deployment: &Deployment, blueprint: &Blueprint) -> Result<Vec<TriggerId>> {
    let now = clock.now();
    let after_seq = crate::event::last_in(tx).await?;
    let before = store::retired(tx, deployment.workspace, deployment.bot, &deployment.environment).await?;
    let mut ids = Vec::new();
    for (position, trigger) in blueprint.on.iter().enumerate() {
        let Some(spec) = Spec::of(trigger, &blueprint.permissions, deployment.private_allowed) else { continue };
        let id = TriggerId::at(now);
        let mut row = row(id, deployment, position, &spec, now, after_seq)?;
        place(tx, id, deployment, trigger, &before, now, &mut row).await?;
        triggers::Entity::insert(row).exec_without_returning(tx).await?;
        ids.push(id);
    }
    store::delete(tx, before.iter().map(|(row, _)| row.id)).await?;
    supervise(tx, deployment, blueprint, now, after_seq).await?;
    Ok(ids)
}

fn row(
    id: TriggerId,
    deployment: &Deployment,
    position: usize,
    spec: &Spec,
    now: Millis,
    after_seq: i64,
) -> Result<triggers::ActiveModel> {
    Ok(triggers::ActiveModel {
        id: Set(id.0),
        workspace_id: Set(deployment.workspace.0),
        bot_id: Set(deployment.bot.0),
        bot_name: Set(deployment.bot_name.clone()),
        version_id: Set(deployment.version.0),
        deployment_id: Set(deployment.deployment.0),
        environment: Set(deployment.environment.clone()),
        position: Set(i32::try_from(position).unwrap_or(i32::MAX)),
        kind: Set(spec.kind().as_str().to_owned()),
        spec: Set(spec.to_text()?),
        timezone: Set(deployment.timezone.clone()),
        active: Set(true),
        enabled: Set(true),
        path: Set(None),
        topic: Set(spec.topic()),
        after_seq: Set(after_seq),
        next_due: Set(None),
        wake_at: Set(None),
        cursor: Set(None),
        lease: Set(None),
        lease_until: Set(None),
        failures: Set(0),
        last_error: Set(None),
        last_fired: Set(None),
        created_at: Set(now),
        updated_at: Set(now),
    })
}

/// Fills in what depends on the kind: the path, the next time, what an earlier row reached.
async fn place(
    tx: &Tx,
    id: TriggerId,
    deployment: &Deployment,
    trigger: &Trigger,
    before: &[(triggers::Model, Spec)],
    now: Millis,
    row: &mut triggers::ActiveModel,
) -> Result<()> {
    match trigger {
        Trigger::Schedule(s) => {
            let zone = s.timezone.as_deref().unwrap_or(&deployment.timezone);
            let table = Timetable::parse(&s.schedule, zone, now)?;
            let due = table.next(now);
            row.timezone = Set(zone.to_owned());
            let due = Due::with_jitter(id.0, due, s.jitter.map_or(0, |jitter| jitter.0));
            row.next_due = Set(due.next_due);
            row.wake_at = Set(due.wake_at);
        }
        Trigger::Webhook(w) => {
            let path = match deployment.default_environment {
                true => w.path.clone(),
                false => format!("{}/{}", deployment.environment, w.path),
            };
            free_path(tx, deployment, &path).await?;
            row.path = Set(Some(path));
        }
        Trigger::Poll(_) => {
            let spec = Spec::of(trigger, &Permissions::default(), false);
            if let Some((old, _)) = before.iter().find(|(_, old)| spec.as_ref().is_some_and(|s| s.continues(old))) {
                row.cursor = Set(old.cursor.clone());
                row.last_fired = Set(old.last_fired);
            }
            row.next_due = Set(Some(now));
            row.wake_at = Set(Some(now));
        }
        Trigger::Manual | Trigger::Event(_) | Trigger::Bot(_) => {}
    }
    Ok(())
}

async fn free_path(tx: &Tx, deployment: &Deployment, path: &str) -> Result<()> {
    let Some(holder) = store::by_path(tx, deployment.workspace, path).await? else { return Ok(()) };
    let whose = if holder.bot_id == deployment.bot.0 {
        "another trigger of the same bot".to_owned()
    } else {
        format!("the bot \"{}\"", holder.bot_name)
    };
    Err(Error::conflict(format!("the webhook path \"{path}\" is taken by {whose}"))
        .hint("choose another path, or stop the bot that has it"))
}

/// The row by which the supervisor knows the deployment.
async fn supervise(tx: &Tx, deployment: &Deployment, blueprint: &Blueprint, now: Millis, after_seq: i64) -> Result<()> {
    let health = blueprint.health.as_ref();
    let within = health.and_then(|h| h.succeeded_within).map(|span| i64::try_from(span.0).unwrap_or(i64::MAX / 4));
    let restart = match blueprint.restart {
        Restart::Never => "never",
        Restart::OnFailure => "on_failure",
        Restart::Always => "always",
    };
    let kept = blueprint.restart != Restart::Never;
    // A deployment that was stopped and starts again goes on with the execution that it still has.
    let old = supervised::Entity::find_by_id(deployment.deployment.0).one(tx).await?.filter(|_| kept);
    let running = old.as_ref().and_then(|old| old.execution_id);
    let state = match (kept, running) {
        (false, _) => "idle",
        (true, None) => "starting",
        (true, Some(_)) => "running",
    };
    let row = supervised::ActiveModel {
        deployment_id: Set(deployment.deployment.0),
        workspace_id: Set(deployment.workspace.0),
        bot_id: Set(deployment.bot.0),
        bot_name: Set(deployment.bot_name.clone()),
        version_id: Set(deployment.version.0),
        environment: Set(deployment.environment.clone()),
        restart: Set(restart.to_owned()),
        max_failures: Set(health.map_or(DEFAULT_FAILURES, |h| i32::try_from(h.failures).unwrap_or(i32::MAX))),
        succeed_within: Set(within),
        state: Set(state.to_owned()),
        health: Set("unknown".to_owned()),
        execution_id: Set(running),
        run: Set(old.as_ref().map_or(0, |old| old.run)),
        backoffs: Set(0),
        started_at: Set(old.and_then(|old| old.started_at)),
        look_at: Set(kept.then_some(now)),
        overdue_at: Set(within.map(|within| now.saturating_add(within))),
        failures: Set(0),
        last_success: Set(None),
        incident_id: Set(None),
        after_seq: Set(after_seq),
        updated_at: Set(now),
    };
    supervised::Entity::delete_by_id(deployment.deployment.0).exec(tx).await?;
    supervised::Entity::insert(row).exec_without_returning(tx).await?;
    Ok(())
}

/// Takes the triggers of a deployment away, within the transaction that ends it, and
/// tells the supervisor to cancel what it keeps running. Cursors are kept for the
/// bot's next deployment to the same environment.
///
/// # Errors
/// Those of the database.
pub async fn disarm(tx: &Tx, clock: &dyn Clock, deployment: DeploymentId) -> Result<()> {
    let now = clock.now();
    triggers::Entity::update_many()
        .set(triggers::ActiveModel {
            active: Set(false),
            path: Set(None),
            topic: Set(None),
            next_due: Set(None),
            wake_at: Set(None),
            lease: Set(None),
            lease_until: Set(None),
            updated_at: Set(now),
            ..Default::default()
        })
        .filter(triggers::Column::DeploymentId.eq(deployment.0))
        .exec(tx)
        .await?;
    supervised::Entity::update_many()
        .set(supervised::ActiveModel {
            state: Set("stopping".to_owned()),
            look_at: Set(Some(now)),
            overdue_at: Set(None),
            updated_at: Set(now),
            deployment_id: NotSet,
            ..Default::default()
        })
        .filter(supervised::Column::DeploymentId.eq(deployment.0))
        .exec(tx)
        .await?;
    Ok(())
}

/// Forgets a bot's triggers and their cursors, when the bot is purged. Its deployments
/// must have been disarmed.
///
/// # Errors
/// Those of the database.
pub async fn forget(tx: &Tx, bot: BotId) -> Result<()> {
    triggers::Entity::delete_many().filter(triggers::Column::BotId.eq(bot.0)).exec(tx).await?;
    Ok(())
}
