//! Who belongs to a workspace, and as what.

use super::user::{User, find_in, random_password};
use super::workspace::{join, lock};
use super::{Access, Caller, Permission, Role};
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::id::{UserId, WorkspaceId};
use crate::storage::Tx;
use crate::storage::entity::{memberships, tokens, users};
use crate::storage::page::{self, Page};
use schemars::JsonSchema;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};

/// A user's place in a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Member {
    /// The user.
    pub user: UserId,
    /// Address.
    pub email: String,
    /// Name for people.
    pub name: String,
    /// Role.
    pub role: Role,
    /// UTC milliseconds.
    pub since: Millis,
}

/// Somebody to add to a workspace.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct NewMember {
    /// Address; a user who has it already is added as they are.
    pub email: String,
    /// Name for people; by default the part before the @.
    pub name: Option<String>,
    /// Role, at most the caller's own.
    pub role: Role,
}

/// Somebody who was added.
#[derive(Clone, Serialize, JsonSchema)]
pub struct Added {
    /// Who.
    pub member: Member,
    /// First password, shown once; none where the user existed already.
    pub password: Option<String>,
}

impl std::fmt::Debug for Added {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Added").field("member", &self.member).finish_non_exhaustive()
    }
}

impl Access {
    /// The workspace's members, in the order of joining.
    ///
    /// # Errors
    /// `invalid` for a cursor that is none.
    pub async fn list_members(&self, caller: &Caller, cursor: Option<&str>, limit: u64) -> Result<Page<Member>> {
        let limit = limit.clamp(1, page::MAX_LIMIT);
        let mut query = memberships::Entity::find().filter(memberships::Column::WorkspaceId.eq(caller.workspace.0));
        if let Some(cursor) = cursor {
            query = query.filter(memberships::Column::Id.gt(page::decode(cursor)?));
        }
        let rows = query.order_by_asc(memberships::Column::Id).limit(limit + 1).all(self.db.read()).await?;
        let page = Page::cut(rows, limit, |row| row.id);
        let ids = page.items.iter().map(|row| row.user_id);
        let people = users::Entity::find().filter(users::Column::Id.is_in(ids)).all(self.db.read()).await?;
        let mut items = Vec::with_capacity(page.items.len());
        for row in &page.items {
            if let Some(user) = people.iter().find(|user| user.id == row.user_id) {
                items.push(member(row, user)?);
            }
        }
        Ok(Page { items, next: page.next })
    }

    /// Adds somebody; a new user gets a first password, which is shown once.
    ///
    /// # Errors
    /// `forbidden` for a role above the caller's, `conflict` for who belongs already.
    pub async fn add_member(&self, caller: &Caller, new: NewMember) -> Result<Added> {
        let email = super::user::email(&new.email)?;
        let name = match &new.name {
            Some(name) => super::name("/name", name)?,
            None => email.split('@').next().unwrap_or(&email).to_owned(),
        };
        grants(caller, new.role)?;
        let password = random_password();
        let hash = self.passwords.hash(&password).await?;
        let (workspace, now) = (caller.workspace, self.now());
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    lock(tx, workspace).await?;
                    let known = users::Entity::find()
                        .filter(users::Column::Email.eq(&email))
                        .filter(users::Column::DeletedAt.is_null())
                        .one(tx)
                        .await?;
                    let (user, password) = match known {
                        Some(user) => (user.id.into(), None),
                        None => (super::user::insert(tx, now, &email, &name, Some(hash)).await?, Some(password)),
                    };
                    if place(tx, workspace, user).await?.is_some() {
                        return Err(Error::conflict(format!("{email} belongs to the workspace already"))
                            .hint("change the role instead"));
                    }
                    join(tx, now, workspace, user, new.role).await?;
                    let member = member_in(tx, workspace, user).await?;
                    Ok(Added { member, password })
                })
            })
            .await
    }

    /// Gives a member another role.
    ///
    /// # Errors
    /// `forbidden` above the caller's own role, `precondition` for the last owner.
    pub async fn set_role(&self, caller: &Caller, user: UserId, role: Role) -> Result<Member> {
        grants(caller, role)?;
        let caller = caller.clone();
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let row = reach(tx, &caller, user).await?;
                    if role != Role::Owner {
                        keep_an_owner(tx, &row).await?;
                    }
                    memberships::Entity::update_many()
                        .col_expr(memberships::Column::Role, Expr::value(role.as_str()))
                        .filter(memberships::Column::Id.eq(row.id))
                        .exec(tx)
                        .await?;
                    member_in(tx, caller.workspace, user).await
                })
            })
            .await
    }

    /// Takes somebody, who may be the caller, out of the workspace; their tokens for it end at once.
    ///
    /// # Errors
    /// `not_found`, `forbidden` for a higher role, `precondition` for the last owner.
    pub async fn remove_member(&self, caller: &Caller, user: UserId) -> Result<()> {
        let caller = caller.clone();
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let row = reach(tx, &caller, user).await?;
                    keep_an_owner(tx, &row).await?;
                    memberships::Entity::delete_by_id(row.id).exec(tx).await?;
                    tokens::Entity::delete_many()
                        .filter(tokens::Column::WorkspaceId.eq(caller.workspace.0))
                        .filter(tokens::Column::UserId.eq(user.0))
                        .exec(tx)
                        .await?;
                    Ok(())
                })
            })
            .await
    }
}

/// Refuses a role that the caller does not have, and one that a narrowed token could use to widen itself.
fn grants(caller: &Caller, role: Role) -> Result<()> {
    caller.require(Permission::MembersWrite)?;
    if role > caller.role {
        return Err(Error::forbidden(format!("the role {role} is above your own"))
            .hint(format!("your role here is {}", caller.role)));
    }
    Ok(())
}

/// The membership that the caller wants to change: their own, or one that is not above them.
async fn reach(tx: &Tx, caller: &Caller, user: UserId) -> Result<memberships::Model> {
    lock(tx, caller.workspace).await?;
    let row = place(tx, caller.workspace, user).await?.ok_or_else(|| Error::not_found("member", user))?;
    if caller.user != Some(user) {
        caller.require(Permission::MembersWrite)?;
    }
    if role(&row)? > caller.role {
        return Err(Error::forbidden("the member's role is above your own"));
    }
    Ok(row)
}

/// Refuses to take away the workspace's last owner. The workspace's row is held, so two
/// changes at once cannot both see the other's owner.
pub(super) async fn keep_an_owner(tx: &Tx, leaving: &memberships::Model) -> Result<()> {
    if leaving.role != Role::Owner.as_str() {
        return Ok(());
    }
    let others = memberships::Entity::find()
        .filter(memberships::Column::WorkspaceId.eq(leaving.workspace_id))
        .filter(memberships::Column::Role.eq(Role::Owner.as_str()))
        .filter(memberships::Column::Id.ne(leaving.id))
        .limit(1)
        .one(tx)
        .await?;
    if others.is_some() {
        return Ok(());
    }
    Err(Error::precondition("the workspace would be left without an owner").hint("make another member owner first"))
}

pub(super) async fn place(
    db: &impl ConnectionTrait,
    workspace: WorkspaceId,
    user: UserId,
) -> Result<Option<memberships::Model>> {
    Ok(memberships::Entity::find()
        .filter(memberships::Column::WorkspaceId.eq(workspace.0))
        .filter(memberships::Column::UserId.eq(user.0))
        .one(db)
        .await?)
}

async fn member_in(tx: &Tx, workspace: WorkspaceId, user: UserId) -> Result<Member> {
    let row = place(tx, workspace, user).await?.ok_or_else(|| Error::not_found("member", user))?;
    let user = find_in(tx, user).await?.ok_or_else(|| Error::not_found("user", user))?;
    member(&row, &user)
}

fn member(row: &memberships::Model, user: &users::Model) -> Result<Member> {
    let User { id, email, name, .. } = User::from(user.clone());
    Ok(Member { user: id, email, name, role: role(row)?, since: row.created_at })
}

pub(super) fn role(row: &memberships::Model) -> Result<Role> {
    row.role.parse().map_err(|_| Error::internal("a stored role is damaged"))
}
