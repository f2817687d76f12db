//! Workspaces and the first start.

use super::token::{Issued, TokenKind, Wish, issue};
use super::{Access, Caller, Role};
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::id::{UserId, WorkspaceId};
use crate::storage::entity::{memberships, users, workspaces};
use crate::storage::page::{self, Page};
use crate::storage::{Only as _, Tx};
use schemars::JsonSchema;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    Set,
};
use serde::{Deserialize, Serialize};

/// Name of the workspace that the first start makes when none is given.
pub const DEFAULT_WORKSPACE: &str = "default";
/// Environment that deployments go to where nothing else is said.
pub const DEFAULT_ENVIRONMENT: &str = "prod";
/// Workspaces that one user may belong to.
const MAX_WORKSPACES: usize = 1_000;

/// A workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Workspace {
    /// Identity.
    pub id: WorkspaceId,
    /// Short name in URLs.
    pub slug: String,
    /// Name for people.
    pub name: String,
    /// Whether its owners may administer the engine.
    pub home: bool,
    /// IANA zone of schedules that name none.
    pub timezone: String,
    /// Environment that deployments go to by default.
    pub environment: String,
    /// UTC milliseconds.
    pub created_at: Millis,
}

/// A change of a workspace's settings; a field that is none stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct WorkspaceChange {
    /// Name for people.
    pub name: Option<String>,
    /// IANA zone.
    pub timezone: Option<String>,
    /// Environment that deployments go to by default.
    pub environment: Option<String>,
}

impl From<workspaces::Model> for Workspace {
    fn from(row: workspaces::Model) -> Self {
        Workspace {
            id: row.id.into(),
            slug: row.slug,
            name: row.name,
            home: row.home,
            timezone: row.timezone,
            environment: row.environment,
            created_at: row.created_at,
        }
    }
}

impl Access {
    /// Makes the first owner, where no user exists, and gives their token, once.
    /// Whoever worked on the data directory before keeps everything: it becomes theirs.
    ///
    /// # Errors
    /// `invalid` for a bad address or name.
    pub async fn bootstrap(&self, email: &str, workspace_name: &str) -> Result<Option<Issued>> {
        let email = super::user::email(email)?;
        let workspace_name = super::name("/workspace", workspace_name)?;
        let (now, db) = (self.now(), self.db.clone());
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    // Nodes that are started together for the first time.
                    db.alone_in(tx, "bootstrap").await?;
                    let home = home_in(tx, now, &workspace_name).await?;
                    if users::Entity::find().limit(1).one(tx).await?.is_some() {
                        return Ok(None);
                    }
                    let name = email.split('@').next().unwrap_or(&email).to_owned();
                    let user = super::user::insert(tx, now, &email, &name, None).await?;
                    join(tx, now, home.id.into(), user, Role::Owner).await?;
                    let wish = Wish {
                        workspace: home.id.into(),
                        user,
                        kind: TokenKind::Api,
                        name: "first token".to_owned(),
                        scopes: None,
                        expires_at: None,
                    };
                    issue(tx, now, wish).await.map(Some)
                })
            })
            .await
    }

    /// The caller for whoever opened the data directory: the owner of the home workspace,
    /// which is made where there is none. It uses no token, so nothing can be stolen from it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn local_owner(&self) -> Result<Caller> {
        let found = workspaces::Entity::find().filter(workspaces::Column::Home.eq(true)).one(self.db.read()).await?;
        let home = match found {
            Some(home) => home,
            None => {
                let now = self.now();
                self.db.write(move |tx| Box::pin(async move { home_in(tx, now, DEFAULT_WORKSPACE).await })).await?
            }
        };
        let owner = first_owner(self.db.read(), home.id.into()).await?;
        Ok(Caller {
            workspace: home.id.into(),
            workspace_slug: home.slug,
            home: true,
            user: owner.as_ref().map(|owner| owner.id.into()),
            name: owner.as_ref().map_or_else(|| "local".to_owned(), |owner| owner.name.clone()),
            email: owner.map(|owner| owner.email).unwrap_or_default(),
            role: Role::Owner,
            scopes: None,
            token: None,
        })
    }

    /// The caller's workspace.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn workspace(&self, caller: &Caller) -> Result<Workspace> {
        self.workspace_by_id(caller.workspace).await
    }

    /// A workspace by its id, for the engine itself.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn workspace_by_id(&self, id: WorkspaceId) -> Result<Workspace> {
        let read = async {
            let row = workspaces::Entity::find_by_id(id.0).only(self.db.read()).await?;
            row.map(Workspace::from).ok_or_else(|| Error::not_found("workspace", id))
        };
        self.by_id.get(id, read).await
    }

    /// A workspace by its slug, for the engine itself (the address of a webhook).
    ///
    /// # Errors
    /// `not_found`.
    pub async fn workspace_by_slug(&self, slug: &str) -> Result<Workspace> {
        let read = async {
            let query = workspaces::Entity::find().filter(workspaces::Column::Slug.eq(slug));
            query.only(self.db.read()).await?.map(Workspace::from).ok_or_else(|| Error::not_found("workspace", slug))
        };
        self.by_slug.get(slug.to_owned(), read).await
    }

    /// The workspaces that the caller belongs to, in the order of joining. A token with
    /// scopes and the one without a user see their own only.
    ///
    /// # Errors
    /// `invalid` for a cursor that is none.
    pub async fn list_workspaces(
        &self,
        caller: &Caller,
        cursor: Option<&str>,
        limit: u64,
    ) -> Result<Page<(Workspace, Role)>> {
        let (Some(user), None) = (caller.user, &caller.scopes) else {
            return Ok(Page { items: vec![(self.workspace(caller).await?, caller.role)], next: None });
        };
        let limit = limit.clamp(1, page::MAX_LIMIT);
        let mut query = memberships::Entity::find().filter(memberships::Column::UserId.eq(user.0));
        if let Some(cursor) = cursor {
            query = query.filter(memberships::Column::Id.gt(page::decode(cursor)?));
        }
        let rows = query.order_by_asc(memberships::Column::Id).limit(limit + 1).all(self.db.read()).await?;
        let page = Page::cut(rows, limit, |row| row.id);
        let ids = page.items.iter().map(|row| row.workspace_id);
        let found = workspaces::Entity::find().filter(workspaces::Column::Id.is_in(ids)).all(self.db.read()).await?;
        let mut items = Vec::with_capacity(page.items.len());
        for member in &page.items {
            if let Some(row) = found.iter().find(|row| row.id == member.workspace_id) {
                items.push((row.clone().into(), super::membership::role(member)?));
            }
        }
        Ok(Page { items, next: page.next })
    }

    /// Makes a workspace that the caller owns. `slug` is made from the name where it is not given.
    ///
    /// # Errors
    /// `invalid` for a bad name or slug, `conflict` where the slug is taken.
    pub async fn create_workspace(&self, caller: &Caller, name: &str, slug: Option<&str>) -> Result<Workspace> {
        let user = caller.require_user()?;
        let name = super::name("/name", name)?;
        let slug = match slug {
            Some(slug) => check_slug(slug)?,
            None => slug_of(&name),
        };
        let now = self.now();
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let mine = memberships::Entity::find().filter(memberships::Column::UserId.eq(user.0));
                    if mine.limit(MAX_WORKSPACES as u64).all(tx).await?.len() >= MAX_WORKSPACES {
                        return Err(Error::precondition(format!("you belong to {MAX_WORKSPACES} workspaces already")));
                    }
                    if workspaces::Entity::find().filter(workspaces::Column::Slug.eq(&slug)).one(tx).await?.is_some() {
                        return Err(Error::conflict(format!("a workspace \"{slug}\" exists already"))
                            .at("/slug", "is taken")
                            .hint("choose another slug"));
                    }
                    let row = insert(tx, now, &name, &slug, false).await?;
                    join(tx, now, row.id.into(), user, Role::Owner).await?;
                    Ok(row.into())
                })
            })
            .await
    }

    /// Changes the settings of the caller's workspace.
    ///
    /// # Errors
    /// `invalid` for a bad name, zone or environment.
    pub async fn change_workspace(&self, caller: &Caller, change: WorkspaceChange) -> Result<Workspace> {
        let name = change.name.as_deref().map(|name| super::name("/name", name)).transpose()?;
        if let Some(zone) = &change.timezone {
            zone.parse::<chrono_tz::Tz>().map_err(|_| {
                Error::invalid("the time zone is not known").at("/timezone", "unknown").hint("such as Europe/Berlin")
            })?;
        }
        if let Some(environment) = &change.environment {
            check_label("environment", environment).map_err(|e| e.at("/environment", "not a short name"))?;
        }
        let (id, now) = (caller.workspace, self.now());
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let row = lock(tx, id).await?;
                    let mut row = row.into_active_model();
                    row.updated_at = Set(now);
                    if let Some(name) = name {
                        row.name = Set(name);
                    }
                    if let Some(zone) = change.timezone {
                        row.timezone = Set(zone);
                    }
                    if let Some(environment) = change.environment {
                        row.environment = Set(environment);
                    }
                    Ok(row.update(tx).await?.into())
                })
            })
            .await
    }
}

/// The workspace's row, held until the transaction ends, so that changes of its people take turns.
pub(super) async fn lock(tx: &Tx, id: WorkspaceId) -> Result<workspaces::Model> {
    let row = workspaces::Entity::find_by_id(id.0).lock_exclusive().one(tx).await?;
    row.ok_or_else(|| Error::not_found("workspace", id))
}

/// Adds a user to a workspace.
pub(super) async fn join(tx: &Tx, now: Millis, workspace: WorkspaceId, user: UserId, role: Role) -> Result<()> {
    let row = memberships::ActiveModel {
        id: Set(UserId::at(now).0),
        workspace_id: Set(workspace.0),
        user_id: Set(user.0),
        role: Set(role.as_str().to_owned()),
        created_at: Set(now),
    };
    memberships::Entity::insert(row).exec_without_returning(tx).await?;
    Ok(())
}

/// The home workspace, made where there is none, and held until the transaction ends.
async fn home_in(tx: &Tx, now: Millis, name: &str) -> Result<workspaces::Model> {
    let home = workspaces::Entity::find().filter(workspaces::Column::Home.eq(true)).lock_exclusive();
    match home.one(tx).await? {
        Some(home) => Ok(home),
        None => insert(tx, now, name, &slug_of(name), true).await,
    }
}

async fn insert(tx: &Tx, now: Millis, name: &str, slug: &str, home: bool) -> Result<workspaces::Model> {
    let row = workspaces::ActiveModel {
        id: Set(WorkspaceId::at(now).0),
        slug: Set(slug.to_owned()),
        name: Set(name.to_owned()),
        home: Set(home),
        timezone: Set("UTC".to_owned()),
        environment: Set(DEFAULT_ENVIRONMENT.to_owned()),
        created_at: Set(now),
        updated_at: Set(now),
    };
    Ok(workspaces::Entity::insert(row).exec_with_returning(tx).await?)
}

async fn first_owner(db: &impl ConnectionTrait, workspace: WorkspaceId) -> Result<Option<users::Model>> {
    let owner = memberships::Entity::find()
        .filter(memberships::Column::WorkspaceId.eq(workspace.0))
        .filter(memberships::Column::Role.eq(Role::Owner.as_str()))
        .order_by_asc(memberships::Column::Id)
        .one(db)
        .await?;
    let Some(owner) = owner else { return Ok(None) };
    let user = users::Entity::find_by_id(owner.user_id).filter(users::Column::DeletedAt.is_null());
    Ok(user.one(db).await?)
}

/// A slug made from a name: its letters and digits, joined by hyphens.
fn slug_of(name: &str) -> String {
    let mut slug = String::new();
    for c in name.to_lowercase().chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(63);
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { DEFAULT_WORKSPACE.to_owned() } else { slug.to_owned() }
}

fn check_slug(slug: &str) -> Result<String> {
    check_label("slug", slug).map_err(|e| e.at("/slug", "not a short name"))?;
    Ok(slug.to_owned())
}

/// Refuses what is not lower case letters, digits and hyphens, 1 to 63 characters.
pub(crate) fn check_label(what: &str, text: &str) -> Result<()> {
    let good = (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-');
    if good {
        return Ok(());
    }
    Err(Error::invalid(format!("the {what} is not a short name"))
        .hint("use 1 to 63 lower case letters, digits and hyphens, no hyphen at the ends"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_labels() {
        for (name, slug) in
            [("Acme GmbH & Co.", "acme-gmbh-co"), ("--", "default"), ("Ünï", "n"), (&"a".repeat(80), &"a".repeat(63))]
        {
            assert_eq!(slug_of(name), slug);
            assert!(check_label("slug", &slug_of(name)).is_ok());
        }
        for wrong in ["", "-a", "a-", "A", "a b", "a/b", "é"] {
            assert!(check_label("slug", wrong).is_err(), "{wrong}");
        }
    }
}
