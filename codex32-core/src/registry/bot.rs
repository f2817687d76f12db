//! Bots: made by their first version, deleted softly.

use super::deployment::{self, Deployment, DeploymentStatus};
use super::text::{self, Files, Reading};
use super::version::Version;
use super::{Events, Registry, store};
use crate::access::Caller;
use crate::clock::{Clock, Millis};
use crate::error::{Error, Result};
use crate::id::{BotId, UserId, WorkspaceId};
use crate::storage::Tx;
use crate::storage::entity::{bots, deployments, versions};
use crate::storage::page::{self, Page};
use schemars::JsonSchema;
use sea_orm::sea_query::{Expr, ExprTrait as _, Func};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Longest note, in characters.
const MAX_NOTE: usize = 1_000;

/// A bot with what is at work of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bot {
    /// Identity.
    pub id: BotId,
    /// Name, unique in the workspace.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Number of its latest version.
    pub latest: u32,
    /// Who made it.
    pub created_by: Option<UserId>,
    /// UTC milliseconds.
    pub created_at: Millis,
    /// UTC milliseconds.
    pub updated_at: Millis,
    /// UTC milliseconds, where it is deleted.
    pub deleted_at: Option<Millis>,
    /// Its present deployment in each environment.
    pub deployments: Vec<Deployment>,
}

/// What became of a blueprint that was handed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Saved {
    /// The bot.
    pub bot: Bot,
    /// The version that holds the blueprint.
    pub version: Version,
    /// Whether the bot is new.
    pub created: bool,
    /// Whether the version is new; not where the latest has the same content.
    pub changed: bool,
}

/// Which bots are wanted.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct BotFilter {
    /// Only names that start with this.
    pub prefix: Option<String>,
    /// Only bots whose name or description contains this, in upper or lower case.
    pub text: Option<String>,
    /// The deleted ones instead of the others.
    #[serde(default)]
    pub deleted: bool,
}

impl Registry {
    /// Makes a bot by its first version.
    ///
    /// # Errors
    /// `invalid` with every fault of the blueprint, `conflict` where the name is taken.
    pub async fn create(&self, caller: &Caller, text: &str, files: &Files, note: Option<&str>) -> Result<Saved> {
        self.keep(caller, text, files, note, Mode::Create).await
    }

    /// Adds a version to a bot. The blueprint's name must be the bot's.
    ///
    /// # Errors
    /// `invalid` with every fault of the blueprint, `not_found`.
    pub async fn add_version(
        &self,
        caller: &Caller,
        bot: BotId,
        text: &str,
        files: &Files,
        note: Option<&str>,
    ) -> Result<Saved> {
        self.keep(caller, text, files, note, Mode::Version(bot)).await
    }

    /// Makes the bot that the blueprint names, or adds a version to it.
    ///
    /// # Errors
    /// `invalid` with every fault of the blueprint.
    pub async fn save(&self, caller: &Caller, text: &str, files: &Files, note: Option<&str>) -> Result<Saved> {
        self.keep(caller, text, files, note, Mode::Either).await
    }

    async fn keep(&self, caller: &Caller, text: &str, files: &Files, note: Option<&str>, mode: Mode) -> Result<Saved> {
        let reading = text::read(&(self.parts.catalogue)(), text, files)?;
        let note = check_note(note)?;
        let (now, by, ws) = (self.now(), caller.clone(), caller.workspace);
        let (row, version, created, changed) = self
            .change(ws, move |tx, events| {
                Box::pin(async move {
                    let kept = keep_in(tx, now, &by, &reading, note, mode).await?;
                    kept.announce(events);
                    Ok((kept.bot, kept.version, kept.created, kept.changed))
                })
            })
            .await?;
        let bot = self.with_deployments(ws, row).await?;
        Ok(Saved { bot, version: Version::from(&version), created, changed })
    }

    /// A bot by its name, or by its id; the name goes first.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn find(&self, ws: WorkspaceId, name_or_id: &str) -> Result<Bot> {
        let read = async {
            let db = self.db().read();
            if let Some(row) = store::live_by_name(db, ws, name_or_id).await? {
                return self.with_deployments(ws, row).await;
            }
            match name_or_id.parse() {
                Ok(id) => self.get(ws, id).await,
                Err(_) => Err(unknown(name_or_id)),
            }
        };
        self.found.get((ws, name_or_id.to_owned()), read).await
    }

    /// A deleted bot by its id, or the one of that name that was deleted last.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn find_deleted(&self, ws: WorkspaceId, name_or_id: &str) -> Result<Bot> {
        let mut query = store::bots_of(ws).filter(bots::Column::DeletedAt.is_not_null());
        query = match name_or_id.parse::<BotId>() {
            Ok(id) => query.filter(bots::Column::Id.eq(id.0)),
            Err(_) => query.filter(bots::Column::Name.eq(name_or_id)),
        };
        let row = query.order_by_desc(bots::Column::DeletedAt).one(self.db().read()).await?;
        let row = row.ok_or_else(|| Error::not_found("deleted bot", clipped(name_or_id)))?;
        self.with_deployments(ws, row).await
    }

    /// A bot by its id, deleted or not.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn get(&self, ws: WorkspaceId, id: BotId) -> Result<Bot> {
        let row = store::bot(self.db().read(), ws, id).await?;
        self.with_deployments(ws, row).await
    }

    async fn with_deployments(&self, ws: WorkspaceId, row: bots::Model) -> Result<Bot> {
        let present = store::present(self.db().read(), ws, &[row.id]).await?;
        Ok(bot(row, &present))
    }

    /// Bots, newest first.
    ///
    /// # Errors
    /// `invalid` for a cursor that is none.
    pub async fn list(
        &self,
        ws: WorkspaceId,
        filter: &BotFilter,
        cursor: Option<&str>,
        limit: u64,
    ) -> Result<Page<Bot>> {
        use bots::Column;
        let limit = limit.clamp(1, page::MAX_LIMIT);
        let mut query = store::bots_of(ws).filter(match filter.deleted {
            true => Column::DeletedAt.is_not_null(),
            false => Column::DeletedAt.is_null(),
        });
        if let Some(prefix) = &filter.prefix {
            query = query.filter(Column::Name.like(page::starts_with(&prefix.to_lowercase())));
        }
        if let Some(text) = &filter.text {
            let pattern = || page::contains(&text.to_lowercase());
            let description = Expr::expr(Func::lower(Expr::col(Column::Description))).like(pattern());
            query = query.filter(Condition::any().add(Column::Name.like(pattern())).add(description));
        }
        if let Some(cursor) = cursor {
            query = query.filter(Column::Id.lt(page::decode(cursor)?));
        }
        let db = self.db().read();
        let rows = query.order_by_desc(Column::Id).limit(limit + 1).all(db).await?;
        let page = Page::cut(rows, limit, |row| row.id);
        let ids: Vec<_> = page.items.iter().map(|row| row.id).collect();
        let present = store::present(db, ws, &ids).await?;
        Ok(page.map(|row| bot(row, &present)))
    }

    /// Deletes a bot: its triggers go, its deployments stop, its name is free again. It
    /// can be restored until it is purged.
    ///
    /// # Errors
    /// `not_found`, `precondition` where it is deleted already.
    pub async fn delete(&self, caller: &Caller, id: BotId) -> Result<()> {
        let (ws, clock) = (caller.workspace, self.parts.clock.clone());
        self.change(ws, move |tx, events| {
            Box::pin(async move {
                let row = store::hold_live(tx, ws, id).await?;
                delete_in(tx, &*clock, row, events).await
            })
        })
        .await
    }

    /// Brings a deleted bot back. Its deployments stay stopped.
    ///
    /// # Errors
    /// `not_found`, `precondition` where it is not deleted or is being purged, `conflict`
    /// where another bot has its name now.
    pub async fn restore(&self, caller: &Caller, id: BotId) -> Result<Bot> {
        let (ws, now) = (caller.workspace, self.now());
        let row = self
            .change(ws, move |tx, events| {
                Box::pin(async move {
                    let row = store::hold(tx, ws, id).await?;
                    if row.deleted_at.is_none() {
                        return Err(Error::precondition(format!("the bot \"{}\" is not deleted", row.name)));
                    }
                    if row.purged_at.is_some() {
                        return Err(Error::precondition(format!("the bot \"{}\" is being purged", row.name)));
                    }
                    if store::live_by_name(tx, ws, &row.name).await?.is_some() {
                        return Err(Error::conflict(format!("another bot is named \"{}\" now", row.name))
                            .hint("delete that one first"));
                    }
                    let change =
                        bots::ActiveModel { deleted_at: Set(None), updated_at: Set(now), ..Default::default() };
                    bots::Entity::update_many().set(change).filter(bots::Column::Id.eq(row.id)).exec(tx).await?;
                    events.push("bot.changed", json!({"bot": row.id, "name": row.name, "restored": true}));
                    store::bot(tx, ws, id).await
                })
            })
            .await?;
        self.with_deployments(ws, row).await
    }
}

/// What a blueprint may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Create,
    Version(BotId),
    Either,
    /// Like `Either`, by an apply.
    Apply,
}

/// What it became.
pub(super) struct Kept {
    pub(super) bot: bots::Model,
    pub(super) version: versions::Model,
    pub(super) created: bool,
    pub(super) changed: bool,
}

impl Kept {
    pub(super) fn announce(&self, events: &mut Events) {
        let name = match (self.created, self.changed) {
            (true, _) => "bot.created",
            (false, true) => "bot.changed",
            (false, false) => return,
        };
        events.push(name, json!({"bot": self.bot.id, "name": self.bot.name, "version": self.version.number}));
    }
}

pub(super) async fn keep_in(
    tx: &Tx,
    now: Millis,
    caller: &Caller,
    reading: &Reading,
    note: Option<String>,
    mode: Mode,
) -> Result<Kept> {
    let (ws, name) = (caller.workspace, &reading.blueprint.name);
    let found = match mode {
        Mode::Version(id) => {
            let row = store::hold_live(tx, ws, id).await?;
            if row.name != *name {
                return Err(Error::invalid(format!("the blueprint is named \"{name}\" and the bot \"{}\"", row.name))
                    .hint("a bot keeps its name; make another bot instead"));
            }
            Some(row)
        }
        _ => match store::live_by_name(tx, ws, name).await? {
            Some(_) if mode == Mode::Create => {
                return Err(Error::conflict(format!("there is a bot \"{name}\" already"))
                    .hint("add a version to it, or choose another name"));
            }
            Some(row) => Some(store::hold_live(tx, ws, row.id.into()).await?),
            None => None,
        },
    };
    let created = found.is_none();
    let bot = match found {
        Some(row) => row,
        None => store::insert_bot(tx, now, caller, reading, mode == Mode::Apply).await?,
    };
    if bot.latest > 0 {
        let latest = store::version(tx, ws, bot.id.into(), bot.latest).await?;
        if latest.digest == reading.digest {
            return Ok(Kept { bot, version: latest, created, changed: false });
        }
    }
    let version = store::insert_version(tx, now, caller, &bot, reading, note).await?;
    let bot = store::bot(tx, ws, bot.id.into()).await?;
    Ok(Kept { bot, version, created, changed: true })
}

pub(super) async fn delete_in(tx: &Tx, clock: &dyn Clock, row: bots::Model, events: &mut Events) -> Result<()> {
    let now = clock.now();
    let active = store::deployments_of(row.workspace_id.into())
        .filter(deployments::Column::BotId.eq(row.id))
        .filter(deployments::Column::Status.eq(DeploymentStatus::Active.as_str()))
        .all(tx)
        .await?;
    for present in active {
        deployment::halt_in(tx, clock, &present, DeploymentStatus::Stopped, None).await?;
    }
    let change = bots::ActiveModel { deleted_at: Set(Some(now)), updated_at: Set(now), ..Default::default() };
    bots::Entity::update_many().set(change).filter(bots::Column::Id.eq(row.id)).exec(tx).await?;
    events.push("bot.deleted", json!({"bot": row.id, "name": row.name}));
    Ok(())
}

fn bot(row: bots::Model, present: &[(deployments::Model, i32)]) -> Bot {
    let own = present.iter().filter(|(deployment, _)| deployment.bot_id == row.id);
    Bot {
        id: row.id.into(),
        deployments: own.map(|(deployment, number)| deployment::info(deployment, *number)).collect(),
        name: row.name,
        description: row.description,
        latest: u32::try_from(row.latest).unwrap_or_default(),
        created_by: row.created_by.map(UserId),
        created_at: row.created_at,
        updated_at: row.updated_at,
        deleted_at: row.deleted_at,
    }
}

pub(super) fn check_note(note: Option<&str>) -> Result<Option<String>> {
    let Some(note) = note.map(str::trim).filter(|note| !note.is_empty()) else { return Ok(None) };
    if note.chars().count() > MAX_NOTE || note.contains('\0') {
        return Err(Error::invalid("the note is not usable").at("/note", format!("at most {MAX_NOTE} characters")));
    }
    Ok(Some(note.to_owned()))
}

pub(super) fn unknown(name: &str) -> Error {
    Error::not_found("bot", clipped(name)).hint("`codex32 ps` lists the bots")
}

fn clipped(name: &str) -> String {
    name.chars().take(100).collect()
}
