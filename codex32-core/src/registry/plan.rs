//! Blueprints as code: a folder is compared with what is stored, and made so.

use super::bot::{Kept, Mode, delete_in, keep_in};
use super::deployment::{self, Order, check_environment, place_in, retire_in, stands};
use super::diff;
use super::text::{self, Files, Reading};
use super::{Events, Registry, store};
use crate::access::{Caller, Permission};
use crate::error::{Code, Error, Result};
use crate::id::WorkspaceId;
use crate::storage::Tx;
use crate::storage::entity::{bots, workspaces};
use schemars::JsonSchema;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Blueprints that one plan takes.
const MAX_DOCUMENTS: usize = 500;
/// Bytes of all of them together.
const MAX_ALL: usize = 16 * 1_024 * 1_024;

/// A blueprint of the folder.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// How it is called in messages, such as its file's name.
    pub source: String,
    /// The blueprint.
    pub blueprint: String,
    /// Its files: relative path to text.
    #[serde(default)]
    pub files: Files,
}

/// How a folder is applied.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PlanOptions {
    /// Where the bots are deployed; by default the workspace's environment.
    pub environment: Option<String>,
    /// Whether they are deployed at all.
    pub deploy: bool,
    /// Whether bots that an earlier apply made and that are gone from the folder are deleted.
    pub prune: bool,
    /// Why, for the versions that it makes.
    pub note: Option<String>,
}

impl Default for PlanOptions {
    fn default() -> Self {
        PlanOptions { environment: None, deploy: true, prune: false, note: None }
    }
}

/// What happens to a bot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is new.
    Create,
    /// It gets a new version.
    Change,
    /// Its text is what is stored; it is deployed where it is not.
    Deploy,
    /// Nothing.
    Unchanged,
    /// It is no longer in the folder and is deleted.
    Prune,
}

/// One bot of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanItem {
    /// The bot.
    pub name: String,
    /// The document, or empty for what is pruned.
    pub source: String,
    /// What happens to it.
    pub action: Action,
    /// Its latest version before.
    pub from: Option<u32>,
    /// Its latest version after.
    pub to: Option<u32>,
    /// What changes, as a unified diff; only in a plan, not in what was applied.
    pub diff: String,
}

/// What an apply does, or did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// In the order of the documents, then what is pruned.
    pub items: Vec<PlanItem>,
}

impl Plan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.iter().all(|item| item.action == Action::Unchanged)
    }
}

impl Registry {
    /// What [`Registry::apply`] would do, with diffs; changes nothing.
    ///
    /// # Errors
    /// `invalid` with the faults of all documents at once, `too_large`.
    pub async fn plan(&self, ws: WorkspaceId, documents: &[Document], options: &PlanOptions) -> Result<Plan> {
        let readings = self.read_all(documents)?;
        let environment = check_environment(options.environment.as_deref())?;
        let db = self.db().read();
        let workspace = store::workspace(db, ws).await?;
        let environment = environment.as_deref().unwrap_or(&workspace.environment);
        let mut items = Vec::with_capacity(documents.len());
        for (document, reading) in documents.iter().zip(&readings) {
            items.push(self.compare(ws, document, reading, environment, options.deploy).await?);
        }
        if options.prune {
            let gone = surplus(db, ws, &readings).await?;
            items.extend(gone.iter().map(pruned));
        }
        Ok(Plan { items })
    }

    async fn compare(
        &self,
        ws: WorkspaceId,
        document: &Document,
        reading: &Reading,
        environment: &str,
        deploy: bool,
    ) -> Result<PlanItem> {
        let db = self.db().read();
        let name = reading.blueprint.name.clone();
        let texts = (reading.text.clone(), reading.files.clone());
        let item = |action, from: Option<u32>, to, diff| {
            let (name, source) = (name.clone(), document.source.clone());
            Ok(PlanItem { name, source, action, from, to, diff })
        };
        let Some(bot) = store::live_by_name(db, ws, &name).await? else {
            return item(Action::Create, None, Some(1), diff::off_thread(None, texts).await?);
        };
        let latest = self.content(ws, bot.id.into(), None).await?;
        let number = latest.version.number;
        if latest.version.digest != reading.digest {
            let diff = diff::off_thread(Some((latest.blueprint, latest.files)), texts).await?;
            return item(Action::Change, Some(number), Some(number + 1), diff);
        }
        let present = store::present_in(db, ws, bot.id.into(), environment).await?;
        let deployed = present.is_some_and(|present| present.version_id == latest.version.id.0);
        let action = if deploy && !deployed { Action::Deploy } else { Action::Unchanged };
        item(action, Some(number), Some(number), String::new())
    }

    /// Makes the workspace as the folder says, all in one transaction: bots that are
    /// missing or differ get a version and are deployed; with `prune`, bots that an
    /// earlier apply made and that are gone are deleted. Applying again changes nothing.
    /// What somebody stopped by hand stays stopped while its text stays the same.
    ///
    /// # Errors
    /// `invalid` with the faults of all documents at once, `forbidden` to deploy or prune
    /// without the permission, `conflict` where a webhook's path is taken. Then nothing changed.
    pub async fn apply(&self, caller: &Caller, documents: &[Document], options: &PlanOptions) -> Result<Plan> {
        if options.deploy {
            caller.require(Permission::BotsDeploy)?;
        }
        if options.prune {
            caller.require(Permission::BotsDelete)?;
        }
        let work = Apply {
            registry: self.clone(),
            caller: caller.clone(),
            readings: self.read_all(documents)?,
            sources: documents.iter().map(|document| document.source.clone()).collect(),
            environment: check_environment(options.environment.as_deref())?,
            note: super::bot::check_note(options.note.as_deref())?,
            deploy: options.deploy,
            prune: options.prune,
        };
        self.change(caller.workspace, move |tx, events| Box::pin(async move { work.run(tx, events).await })).await
    }

    /// Reads every document and tells the faults of all of them at once.
    fn read_all(&self, documents: &[Document]) -> Result<Vec<Reading>> {
        check_size(documents)?;
        let catalogue = (self.parts.catalogue)();
        let mut readings: Vec<Reading> = Vec::with_capacity(documents.len());
        let mut by_name = HashMap::new();
        let mut error: Option<Error> = None;
        for (place, document) in documents.iter().enumerate() {
            let fault = match text::read(&catalogue, &document.blueprint, &document.files) {
                Ok(reading) => {
                    let first = by_name.insert(reading.blueprint.name.clone(), &document.source);
                    let fault = first.map(|first| {
                        let name = &reading.blueprint.name;
                        Error::invalid(format!("the bot \"{name}\" is in {first} already"))
                    });
                    readings.push(reading);
                    fault
                }
                Err(fault) => Some(fault),
            };
            if let Some(fault) = fault {
                let all = error.take().unwrap_or_else(|| Error::invalid("some blueprints have faults"));
                let message = format!("{}: {}", document.source, fault.message());
                let below = fault.faults().iter().map(|f| crate::error::Fault {
                    pointer: format!("/documents/{place}{}", f.pointer),
                    message: format!("{}: {}", document.source, f.message),
                });
                error = Some(all.at(format!("/documents/{place}"), message).with_faults(below));
            }
        }
        error.map_or(Ok(readings), Err)
    }
}

fn check_size(documents: &[Document]) -> Result<()> {
    if documents.len() > MAX_DOCUMENTS {
        return Err(Error::new(Code::TooLarge, format!("a plan may have at most {MAX_DOCUMENTS} blueprints")));
    }
    let size = |d: &Document| d.blueprint.len() + d.files.values().map(String::len).sum::<usize>();
    if documents.iter().map(size).sum::<usize>() > MAX_ALL {
        return Err(Error::new(Code::TooLarge, format!("the blueprints together exceed {MAX_ALL} bytes")));
    }
    Ok(())
}

/// An apply within its transaction.
struct Apply {
    registry: Registry,
    caller: Caller,
    readings: Vec<Reading>,
    sources: Vec<String>,
    environment: Option<String>,
    note: Option<String>,
    deploy: bool,
    prune: bool,
}

impl Apply {
    async fn run(&self, tx: &Tx, events: &mut Events) -> Result<Plan> {
        let (ws, clock) = (self.caller.workspace, &*self.registry.parts.clock);
        // Held, so that two applies take turns.
        let workspace = hold_workspace(tx, ws).await?;
        let (mut items, mut kept) = (Vec::new(), Vec::new());
        for (reading, source) in self.readings.iter().zip(&self.sources) {
            let one = keep_in(tx, clock.now(), &self.caller, reading, self.note.clone(), Mode::Apply).await?;
            mark_applied(tx, &one.bot).await?;
            one.announce(events);
            items.push(item(&one, source));
            kept.push(one);
        }
        if self.prune {
            for gone in surplus(tx, ws, &self.readings).await? {
                items.push(pruned(&gone));
                let gone = store::hold_live(tx, ws, gone.id.into()).await?;
                delete_in(tx, clock, gone, events).await?;
            }
        }
        if self.deploy {
            self.deploy_all(tx, &workspace, &kept, &mut items, events).await?;
        }
        Ok(Plan { items })
    }

    /// First everything that goes is taken away, then what comes is put up, so that a
    /// webhook's path can move from one bot to another.
    async fn deploy_all(
        &self,
        tx: &Tx,
        workspace: &workspaces::Model,
        kept: &[Kept],
        items: &mut [PlanItem],
        events: &mut Events,
    ) -> Result<()> {
        let clock = &*self.registry.parts.clock;
        let environment = self.environment.as_deref().unwrap_or(&workspace.environment);
        let mut orders = Vec::new();
        for (place, (one, reading)) in kept.iter().zip(&self.readings).enumerate() {
            let order = Order {
                workspace,
                bot: &one.bot,
                version: &one.version,
                blueprint: &reading.blueprint,
                environment,
                by: self.caller.user,
                private_allowed: self.caller.may_allow_private_network(),
            };
            if stands(tx, &order).await?.is_some() || stopped(tx, &order).await? {
                continue;
            }
            retire_in(tx, clock, &order).await?;
            orders.push((place, order));
        }
        for (place, order) in orders {
            place_in(tx, clock, &order, events).await.map_err(|e| e.context(format!("deploy {}", order.bot.name)))?;
            if let Some(item) = items.get_mut(place).filter(|item| item.action == Action::Unchanged) {
                item.action = Action::Deploy;
            }
        }
        Ok(())
    }
}

/// Whether somebody stopped this very version by hand.
async fn stopped(tx: &Tx, order: &Order<'_>) -> Result<bool> {
    let present = store::present_in(tx, order.workspace.id.into(), order.bot.id.into(), order.environment).await?;
    Ok(present.is_some_and(|present| {
        present.version_id == order.version.id && present.status == deployment::DeploymentStatus::Stopped.as_str()
    }))
}

async fn hold_workspace(tx: &Tx, ws: WorkspaceId) -> Result<workspaces::Model> {
    let row = workspaces::Entity::find_by_id(ws.0).lock_exclusive().one(tx).await?;
    row.ok_or_else(|| Error::not_found("workspace", ws))
}

async fn mark_applied(tx: &Tx, bot: &bots::Model) -> Result<()> {
    if !bot.applied {
        let change = bots::ActiveModel { applied: Set(true), ..Default::default() };
        bots::Entity::update_many().set(change).filter(bots::Column::Id.eq(bot.id)).exec(tx).await?;
    }
    Ok(())
}

/// Bots that an earlier apply made and that none of the documents names.
async fn surplus(db: &impl ConnectionTrait, ws: WorkspaceId, readings: &[Reading]) -> Result<Vec<bots::Model>> {
    let names = readings.iter().map(|reading| reading.blueprint.name.as_str());
    Ok(store::bots_of(ws)
        .filter(bots::Column::DeletedAt.is_null())
        .filter(bots::Column::Applied.eq(true))
        .filter(bots::Column::Name.is_not_in(names))
        .order_by_asc(bots::Column::Name)
        .all(db)
        .await?)
}

fn item(kept: &Kept, source: &str) -> PlanItem {
    let to = u32::try_from(kept.version.number).unwrap_or_default();
    let action = match (kept.created, kept.changed) {
        (true, _) => Action::Create,
        (false, true) => Action::Change,
        (false, false) => Action::Unchanged,
    };
    let from = match action {
        Action::Create => None,
        Action::Change => Some(to - 1),
        _ => Some(to),
    };
    PlanItem { name: kept.bot.name.clone(), source: source.to_owned(), action, from, to: Some(to), diff: String::new() }
}

fn pruned(bot: &bots::Model) -> PlanItem {
    PlanItem {
        name: bot.name.clone(),
        source: String::new(),
        action: Action::Prune,
        from: u32::try_from(bot.latest).ok(),
        to: None,
        diff: String::new(),
    }
}
