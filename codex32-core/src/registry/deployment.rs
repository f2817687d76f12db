//! Deployments: which version of a bot is at work in which environment.

use super::{Events, Registry, number, store, text};
use crate::access::{Caller, check_label};
use crate::blueprint::Blueprint;
use crate::clock::{Clock, Millis};
use crate::error::{Error, Result};
use crate::id::{BotId, DeploymentId, UserId, VersionId, WorkspaceId};
use crate::storage::Tx;
use crate::storage::entity::{bots, deployments, versions, workspaces};
use crate::storage::page::{self, Page};
use crate::trigger;
use schemars::JsonSchema;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Where a deployment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeploymentStatus {
    /// Its triggers are armed.
    Active,
    /// Somebody stopped it; it can be started again.
    Stopped,
    /// Another version took its place.
    Replaced,
}

impl DeploymentStatus {
    /// As it is stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            DeploymentStatus::Active => "active",
            DeploymentStatus::Stopped => "stopped",
            DeploymentStatus::Replaced => "replaced",
        }
    }

    fn from_stored(text: &str) -> Self {
        match text {
            "active" => DeploymentStatus::Active,
            "stopped" => DeploymentStatus::Stopped,
            _ => DeploymentStatus::Replaced,
        }
    }
}

/// A version put to work in an environment, now or once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deployment {
    /// Identity.
    pub id: DeploymentId,
    /// The bot.
    pub bot: BotId,
    /// The version.
    pub version: VersionId,
    /// Its number.
    pub number: u32,
    /// `prod`, `staging`, ...
    pub environment: String,
    /// Where it stands.
    pub status: DeploymentStatus,
    /// Whether an admin or owner deployed it: then declared private addresses are reachable.
    pub private_allowed: bool,
    /// Who deployed it.
    pub created_by: Option<UserId>,
    /// UTC milliseconds.
    pub created_at: Millis,
    /// UTC milliseconds of the last change of its status.
    pub updated_at: Millis,
    /// UTC milliseconds at which another took its place.
    pub ended_at: Option<Millis>,
}

/// Everything that a deployment needs to know, read and checked.
pub(super) struct Order<'a> {
    pub(super) workspace: &'a workspaces::Model,
    pub(super) bot: &'a bots::Model,
    pub(super) version: &'a versions::Model,
    pub(super) blueprint: &'a Blueprint,
    pub(super) environment: &'a str,
    pub(super) by: Option<UserId>,
    pub(super) private_allowed: bool,
}

impl Registry {
    /// Puts a version (a number; by default the latest) to work in an environment (by
    /// default the workspace's), in place of the one that is there. Where that very
    /// version is active already, nothing changes.
    ///
    /// # Errors
    /// `not_found`, `invalid` where the version no longer passes the checks, `conflict`
    /// where another bot has the path of a webhook.
    pub async fn deploy(
        &self,
        caller: &Caller,
        bot: BotId,
        version: Option<u32>,
        environment: Option<&str>,
    ) -> Result<Deployment> {
        let environment = check_environment(environment)?;
        let wanted = version.map(number).transpose()?;
        let (ws, by, registry) = (caller.workspace, caller.clone(), self.clone());
        self.change(ws, move |tx, events| {
            Box::pin(async move {
                let row = store::hold_live(tx, ws, bot).await?;
                let version = store::version(tx, ws, bot, wanted.unwrap_or(row.latest)).await?;
                registry.deploy_in(tx, &by, &row, &version, environment.as_deref(), events).await
            })
        })
        .await
    }

    /// Goes back to an earlier version: `to`, or the one that was deployed before the present one.
    ///
    /// # Errors
    /// `precondition` where there was none before, and those of [`Registry::deploy`].
    pub async fn rollback(
        &self,
        caller: &Caller,
        bot: BotId,
        to: Option<u32>,
        environment: Option<&str>,
    ) -> Result<Deployment> {
        let environment = check_environment(environment)?;
        let wanted = to.map(number).transpose()?;
        let (ws, by, registry) = (caller.workspace, caller.clone(), self.clone());
        self.change(ws, move |tx, events| {
            Box::pin(async move {
                let row = store::hold_live(tx, ws, bot).await?;
                let version = match wanted {
                    Some(wanted) => store::version(tx, ws, bot, wanted).await?,
                    None => before(tx, &row, environment.as_deref()).await?,
                };
                registry.deploy_in(tx, &by, &row, &version, environment.as_deref(), events).await
            })
        })
        .await
    }

    async fn deploy_in(
        &self,
        tx: &Tx,
        caller: &Caller,
        bot: &bots::Model,
        version: &versions::Model,
        environment: Option<&str>,
        events: &mut Events,
    ) -> Result<Deployment> {
        let ws = caller.workspace;
        let workspace = store::workspace(tx, ws).await?;
        let environment = environment.unwrap_or(&workspace.environment);
        let files = store::files(tx, ws, version.id).await?;
        // Checked again: the catalogue may have changed since the version was stored.
        let reading = text::read(&(self.parts.catalogue)(), &version.blueprint, &files)
            .map_err(|e| e.context(format!("deploy version {} of {}", version.number, bot.name)))?;
        let order = Order {
            workspace: &workspace,
            bot,
            version,
            blueprint: &reading.blueprint,
            environment,
            by: caller.user,
            private_allowed: caller.may_allow_private_network(),
        };
        if let Some(present) = stands(tx, &order).await? {
            return Ok(info(&present, version.number));
        }
        let clock = &*self.parts.clock;
        retire_in(tx, clock, &order).await?;
        let row = place_in(tx, clock, &order, events).await?;
        Ok(info(&row, version.number))
    }

    /// Stops the bot in an environment: its triggers go, and with them what the supervisor
    /// keeps running. Stopping what is stopped changes nothing.
    ///
    /// # Errors
    /// `not_found`, `precondition` where it is not deployed there.
    pub async fn stop(&self, caller: &Caller, bot: BotId, environment: Option<&str>) -> Result<Deployment> {
        self.switch(caller, bot, environment, DeploymentStatus::Stopped).await
    }

    /// Starts the bot again in an environment where it was stopped.
    ///
    /// # Errors
    /// `not_found`, `precondition` where it is not deployed there, and those of [`Registry::deploy`].
    pub async fn start(&self, caller: &Caller, bot: BotId, environment: Option<&str>) -> Result<Deployment> {
        self.switch(caller, bot, environment, DeploymentStatus::Active).await
    }

    async fn switch(
        &self,
        caller: &Caller,
        bot: BotId,
        environment: Option<&str>,
        to: DeploymentStatus,
    ) -> Result<Deployment> {
        let environment = check_environment(environment)?;
        let (ws, registry) = (caller.workspace, self.clone());
        self.change(ws, move |tx, events| {
            Box::pin(async move {
                let row = store::hold_live(tx, ws, bot).await?;
                let workspace = store::workspace(tx, ws).await?;
                let environment = environment.as_deref().unwrap_or(&workspace.environment);
                let present = store::present_in(tx, ws, bot, environment).await?;
                let present = present.ok_or_else(|| not_deployed(&row.name, environment))?;
                let version = store::version_by_id(tx, ws, present.version_id.into()).await?;
                let version = version.ok_or_else(|| Error::internal("a deployed version is gone"))?;
                if DeploymentStatus::from_stored(&present.status) == to {
                    return Ok(info(&present, version.number));
                }
                let clock = &*registry.parts.clock;
                if to == DeploymentStatus::Stopped {
                    halt_in(tx, clock, &present, to, None).await?;
                } else {
                    let files = store::files(tx, ws, version.id).await?;
                    let reading = text::read(&(registry.parts.catalogue)(), &version.blueprint, &files)?;
                    store::set_status(tx, clock.now(), present.id.into(), to.as_str(), None).await?;
                    let facts = facts(&workspace, &row, &present);
                    trigger::arm(tx, clock, &facts, &reading.blueprint).await?;
                }
                events.push("deployment.changed", event(&row.name, &present, version.number, to));
                let row = store::present_in(tx, ws, bot, environment).await?;
                row.map(|row| info(&row, version.number)).ok_or_else(|| not_deployed("", environment))
            })
        })
        .await
    }

    /// The deployments of a bot, present and past, newest first.
    ///
    /// # Errors
    /// `not_found`, `invalid` for a cursor that is none.
    pub async fn deployments(
        &self,
        ws: WorkspaceId,
        bot: BotId,
        cursor: Option<&str>,
        limit: u64,
    ) -> Result<Page<Deployment>> {
        let db = self.db().read();
        store::bot(db, ws, bot).await?;
        let limit = limit.clamp(1, page::MAX_LIMIT);
        let mut query = store::deployments_of(ws).filter(deployments::Column::BotId.eq(bot.0));
        if let Some(cursor) = cursor {
            query = query.filter(deployments::Column::Id.lt(page::decode(cursor)?));
        }
        let rows = query.order_by_desc(deployments::Column::Id).limit(limit + 1).all(db).await?;
        let rows = store::numbered(db, ws, rows).await?;
        Ok(Page::cut(rows, limit, |(row, _)| row.id).map(|(row, number)| info(&row, number)))
    }
}

/// The present deployment, where it is what the order asks for already.
pub(super) async fn stands(tx: &Tx, order: &Order<'_>) -> Result<Option<deployments::Model>> {
    let present = store::present_in(tx, order.workspace.id.into(), order.bot.id.into(), order.environment).await?;
    Ok(present.filter(|present| {
        present.version_id == order.version.id
            && present.status == DeploymentStatus::Active.as_str()
            // An admin who deploys again what an editor deployed gives it more.
            && (present.private_allowed || !order.private_allowed)
    }))
}

/// Ends the deployment that an order replaces.
pub(super) async fn retire_in(tx: &Tx, clock: &dyn Clock, order: &Order<'_>) -> Result<()> {
    let ws = order.workspace.id.into();
    if let Some(present) = store::present_in(tx, ws, order.bot.id.into(), order.environment).await? {
        halt_in(tx, clock, &present, DeploymentStatus::Replaced, Some(clock.now())).await?;
    }
    Ok(())
}

/// Makes the new deployment and arms its triggers.
pub(super) async fn place_in(
    tx: &Tx,
    clock: &dyn Clock,
    order: &Order<'_>,
    events: &mut Events,
) -> Result<deployments::Model> {
    let now = clock.now();
    let row = deployments::ActiveModel {
        id: Set(DeploymentId::at(now).0),
        workspace_id: Set(order.workspace.id),
        bot_id: Set(order.bot.id),
        version_id: Set(order.version.id),
        environment: Set(order.environment.to_owned()),
        status: Set(DeploymentStatus::Active.as_str().to_owned()),
        private_allowed: Set(order.private_allowed),
        created_by: Set(order.by.map(|user| user.0)),
        created_at: Set(now),
        updated_at: Set(now),
        ended_at: Set(None),
    };
    let row = deployments::Entity::insert(row).exec_with_returning(tx).await?;
    trigger::arm(tx, clock, &facts(order.workspace, order.bot, &row), order.blueprint).await?;
    let data = event(&order.bot.name, &row, order.version.number, DeploymentStatus::Active);
    events.push("deployment.changed", data);
    Ok(row)
}

/// Takes the triggers away and says why.
pub(super) async fn halt_in(
    tx: &Tx,
    clock: &dyn Clock,
    row: &deployments::Model,
    status: DeploymentStatus,
    ended: Option<Millis>,
) -> Result<()> {
    if row.status == DeploymentStatus::Active.as_str() {
        trigger::disarm(tx, clock, row.id.into()).await?;
    }
    store::set_status(tx, clock.now(), row.id.into(), status.as_str(), ended).await
}

/// The version of the last deployment to the environment that was another one.
async fn before(tx: &Tx, bot: &bots::Model, environment: Option<&str>) -> Result<versions::Model> {
    let ws = bot.workspace_id.into();
    let workspace = store::workspace(tx, ws).await?;
    let environment = environment.unwrap_or(&workspace.environment);
    let present = store::present_in(tx, ws, bot.id.into(), environment).await?;
    let present = present.ok_or_else(|| not_deployed(&bot.name, environment))?;
    let earlier = store::deployments_of(ws)
        .filter(deployments::Column::BotId.eq(bot.id))
        .filter(deployments::Column::Environment.eq(environment))
        .filter(deployments::Column::EndedAt.is_not_null())
        .filter(deployments::Column::VersionId.ne(present.version_id))
        .order_by_desc(deployments::Column::EndedAt)
        .order_by_desc(deployments::Column::Id)
        .one(tx)
        .await?;
    let version = match earlier {
        Some(earlier) => store::version_by_id(tx, ws, earlier.version_id.into()).await?,
        None => None,
    };
    version.ok_or_else(|| {
        Error::precondition(format!("no other version of \"{}\" was deployed to {environment} before", bot.name))
            .hint("name the version to go back to")
    })
}

fn facts(workspace: &workspaces::Model, bot: &bots::Model, row: &deployments::Model) -> trigger::Deployment {
    trigger::Deployment {
        workspace: workspace.id.into(),
        bot: bot.id.into(),
        bot_name: bot.name.clone(),
        version: row.version_id.into(),
        deployment: row.id.into(),
        environment: row.environment.clone(),
        default_environment: row.environment == workspace.environment,
        timezone: workspace.timezone.clone(),
        private_allowed: row.private_allowed,
    }
}

fn event(bot: &str, row: &deployments::Model, number: i32, status: DeploymentStatus) -> serde_json::Value {
    json!({
        "bot": row.bot_id, "name": bot, "deployment": row.id, "environment": row.environment,
        "version": number, "status": status.as_str(),
    })
}

pub(super) fn info(row: &deployments::Model, number: i32) -> Deployment {
    Deployment {
        id: row.id.into(),
        bot: row.bot_id.into(),
        version: row.version_id.into(),
        number: u32::try_from(number).unwrap_or_default(),
        environment: row.environment.clone(),
        status: DeploymentStatus::from_stored(&row.status),
        private_allowed: row.private_allowed,
        created_by: row.created_by.map(UserId),
        created_at: row.created_at,
        updated_at: row.updated_at,
        ended_at: row.ended_at,
    }
}

pub(super) fn check_environment(environment: Option<&str>) -> Result<Option<String>> {
    let Some(environment) = environment else { return Ok(None) };
    check_label("environment", environment).map_err(|e| e.at("/environment", "not a short name"))?;
    Ok(Some(environment.to_owned()))
}

pub(super) fn not_deployed(bot: &str, environment: &str) -> Error {
    Error::precondition(format!("the bot \"{bot}\" is not deployed to {environment}")).hint("deploy it first")
}
