//! Users: who can log in.

use super::membership::{keep_an_owner, place};
use super::token::{TokenKind, random_text};
use super::workspace::lock;
use super::{Access, Caller, Permission, password};
use crate::clock::Millis;
use crate::error::{Code, Error, Result};
use crate::id::{UserId, WorkspaceId};
use crate::storage::Tx;
use crate::storage::entity::{memberships, tokens, users};
use schemars::JsonSchema;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};
use serde::{Deserialize, Serialize};

/// Longest address, in bytes (RFC 5321).
pub(super) const MAX_EMAIL: usize = 254;

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct User {
    /// Identity.
    pub id: UserId,
    /// Address, in lower case.
    pub email: String,
    /// Name for people.
    pub name: String,
    /// Whether a password is set.
    pub has_password: bool,
    /// UTC milliseconds.
    pub created_at: Millis,
}

impl From<users::Model> for User {
    fn from(row: users::Model) -> Self {
        User {
            id: row.id.into(),
            email: row.email,
            name: row.name,
            has_password: row.password.is_some(),
            created_at: row.created_at,
        }
    }
}

impl Access {
    /// The caller's own user.
    ///
    /// # Errors
    /// `precondition` for the one who opened the data directory without being a user.
    pub async fn me(&self, caller: &Caller) -> Result<User> {
        let id = caller.require_user()?;
        find_in(self.db.read(), id).await?.map(User::from).ok_or_else(|| Error::not_found("user", id))
    }

    /// Sets the caller's password; where there is one already, it must be given. Other sessions end.
    ///
    /// # Errors
    /// `invalid` for a bad password, `unauthenticated` where the present one is wrong.
    pub async fn set_password(&self, caller: &Caller, current: Option<&str>, new: &str) -> Result<()> {
        let id = caller.require_user()?;
        if caller.scopes.is_some() {
            return Err(Error::forbidden("a token with scopes cannot set a password"));
        }
        password::check(new)?;
        let user = find_in(self.db.read(), id).await?.ok_or_else(|| Error::not_found("user", id))?;
        if user.password.is_some() && !self.passwords.verify(current.unwrap_or_default(), user.password).await? {
            return Err(Error::new(Code::Unauthenticated, "the present password is wrong").at("/current", "wrong"));
        }
        let hash = self.passwords.hash(new).await?;
        let (now, keep) = (self.now(), caller.token);
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    store_password(tx, now, id, hash).await?;
                    let mut end = tokens::Entity::delete_many()
                        .filter(tokens::Column::UserId.eq(id.0))
                        .filter(tokens::Column::Kind.eq(TokenKind::Session.as_str()));
                    if let Some(keep) = keep {
                        end = end.filter(tokens::Column::Id.ne(keep.0));
                    }
                    end.exec(tx).await?;
                    Ok(())
                })
            })
            .await
    }

    /// Gives a member a new first password, shown once, and ends all their tokens. Only for
    /// one whose every workspace is this one: else an admin here could enter another tenant as them.
    ///
    /// # Errors
    /// `forbidden`, `not_found`.
    pub async fn reset_password(&self, caller: &Caller, user: UserId) -> Result<String> {
        caller.require(Permission::MembersWrite)?;
        let fresh = random_password();
        let hash = self.passwords.hash(&fresh).await?;
        let (now, caller) = (self.now(), caller.clone());
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    lock(tx, caller.workspace).await?;
                    let places = memberships::Entity::find()
                        .filter(memberships::Column::UserId.eq(user.0))
                        .limit(2)
                        .all(tx)
                        .await?;
                    let here = place(tx, caller.workspace, user).await?;
                    let here = here.ok_or_else(|| Error::not_found("member", user))?;
                    if super::membership::role(&here)? > caller.role {
                        return Err(Error::forbidden("the member's role is above your own"));
                    }
                    if places.len() > 1 {
                        return Err(Error::forbidden("the member belongs to other workspaces too")
                            .hint("only they themselves can set their password"));
                    }
                    store_password(tx, now, user, hash).await?;
                    tokens::Entity::delete_many().filter(tokens::Column::UserId.eq(user.0)).exec(tx).await?;
                    Ok(())
                })
            })
            .await?;
        Ok(fresh)
    }

    /// Deletes a user everywhere: oneself, or anyone for who administers the engine. Their
    /// memberships and tokens end at once; records keep their name.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `precondition` where a workspace would be left without an owner.
    pub async fn delete_user(&self, caller: &Caller, user: UserId) -> Result<()> {
        if caller.user != Some(user) || caller.scopes.is_some() {
            caller.require(Permission::SystemAdmin)?;
        }
        let now = self.now();
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    find_in(tx, user).await?.ok_or_else(|| Error::not_found("user", user))?;
                    for workspace in workspaces_of(tx, user).await? {
                        lock(tx, workspace).await?;
                        if let Some(place) = place(tx, workspace, user).await? {
                            keep_an_owner(tx, &place).await?;
                        }
                    }
                    memberships::Entity::delete_many().filter(memberships::Column::UserId.eq(user.0)).exec(tx).await?;
                    tokens::Entity::delete_many().filter(tokens::Column::UserId.eq(user.0)).exec(tx).await?;
                    users::Entity::update_many()
                        .col_expr(users::Column::DeletedAt, Expr::value(now))
                        .col_expr(users::Column::Password, Expr::value(Option::<String>::None))
                        .filter(users::Column::Id.eq(user.0))
                        .exec(tx)
                        .await?;
                    Ok(())
                })
            })
            .await
    }
}

/// A user who is not deleted.
pub(super) async fn find_in(db: &impl ConnectionTrait, id: UserId) -> Result<Option<users::Model>> {
    Ok(users::Entity::find_by_id(id.0).filter(users::Column::DeletedAt.is_null()).one(db).await?)
}

/// The workspaces of a user in an order that is the same for everybody, so that two
/// transactions that hold them one after the other cannot wait for each other.
async fn workspaces_of(tx: &Tx, user: UserId) -> Result<Vec<WorkspaceId>> {
    let rows = memberships::Entity::find()
        .filter(memberships::Column::UserId.eq(user.0))
        .order_by_asc(memberships::Column::WorkspaceId)
        .all(tx)
        .await?;
    Ok(rows.into_iter().map(|row| row.workspace_id.into()).collect())
}

pub(super) async fn insert(tx: &Tx, now: Millis, email: &str, name: &str, hash: Option<String>) -> Result<UserId> {
    let id = UserId::at(now);
    let row = users::ActiveModel {
        id: Set(id.0),
        email: Set(email.to_owned()),
        name: Set(name.to_owned()),
        password: Set(hash),
        created_at: Set(now),
        updated_at: Set(now),
        deleted_at: Set(None),
    };
    users::Entity::insert(row).exec_without_returning(tx).await?;
    Ok(id)
}

async fn store_password(tx: &Tx, now: Millis, user: UserId, hash: String) -> Result<()> {
    users::Entity::update_many()
        .col_expr(users::Column::Password, Expr::value(hash))
        .col_expr(users::Column::UpdatedAt, Expr::value(now))
        .filter(users::Column::Id.eq(user.0))
        .filter(users::Column::DeletedAt.is_null())
        .exec(tx)
        .await?;
    Ok(())
}

/// A first password that nobody can guess and anybody can type.
pub(super) fn random_password() -> String {
    random_text(20)
}

/// An address in lower case. Only its shape is looked at: that it works is shown by mail that arrives.
pub(super) fn email(text: &str) -> Result<String> {
    let text = text.trim().to_lowercase();
    let good = text.len() <= MAX_EMAIL
        && text.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'))
        && !text.chars().any(|c| c.is_whitespace() || c.is_control());
    if good {
        return Ok(text);
    }
    Err(Error::invalid("the email address is not one").at("/email", "not an address").hint("such as ada@example.org"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_lower_case_and_have_one_at() {
        assert_eq!(email(" Ada@Example.ORG ").unwrap(), "ada@example.org");
        for wrong in ["", "ada", "@", "a@", "@b", "a@b@c", "a b@c", "a\0@b", &format!("{}@b", "a".repeat(300))] {
            assert!(email(wrong).is_err(), "{wrong:?}");
        }
    }
}
