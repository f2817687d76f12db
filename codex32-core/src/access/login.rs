//! Login by password, with a brake on guessing.

use super::authenticate::{caller_of, unauthenticated};
use super::token::{Issued, SESSION_MS, TokenKind, Wish, earlier, in_use, issue};
use super::{Access, Caller, audit};
use crate::clock::Millis;
use crate::error::{Code, Error, Result};
use crate::id::WorkspaceId;
use crate::storage::Tx;
use crate::storage::entity::{login_failures, memberships, tokens, users, workspaces};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, Set};
use sha2::{Digest, Sha256};

/// Attempts that are free before the brake sets in.
const FREE_ATTEMPTS: i32 = 5;
/// Longest wait between attempts, in milliseconds.
const LONGEST_WAIT_MS: Millis = 15 * 60 * 1_000;
/// After this the attempts for an address are forgotten, in milliseconds.
const FORGET_MS: Millis = 24 * 60 * 60 * 1_000;

/// A login that succeeded.
#[derive(Debug, Clone)]
pub struct Login {
    /// The session's token, for twelve hours.
    pub session: Issued,
    /// Who that is.
    pub caller: Caller,
}

impl Access {
    /// Opens a session in `workspace` (a slug; by default the one that the user has belonged to longest).
    ///
    /// An unknown address and a wrong password look and last the same. From the fifth
    /// failure in a row on, an address has to wait, whether or not anyone has it.
    ///
    /// # Errors
    /// `unauthenticated`, or `rate_limited` with the time to wait.
    pub async fn login(&self, email: &str, password: &str, workspace: Option<&str>) -> Result<Login> {
        let email = email.trim().to_lowercase();
        let address = Sha256::digest(email.as_bytes()).to_vec();
        let now = self.now();
        // Counted before it is looked at, so that many guesses at once are counted too.
        self.count_attempt(address.clone(), now).await?;
        let user = if email.len() > super::user::MAX_EMAIL {
            None
        } else {
            users::Entity::find()
                .filter(users::Column::Email.eq(&email))
                .filter(users::Column::DeletedAt.is_null())
                .one(self.db.read())
                .await?
        };
        let good = self.passwords.verify(password, user.as_ref().and_then(|user| user.password.clone())).await?;
        let Some(user) = user.filter(|_| good) else {
            return Err(unauthenticated("the address or the password is wrong"));
        };
        let workspace = workspace.map(str::to_owned);
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    login_failures::Entity::delete_by_id(address).exec(tx).await?;
                    let workspace = workspace_for(tx, &user, workspace.as_deref()).await?;
                    forget_old_sessions(tx, now).await?;
                    let login = open_session(tx, workspace, &user, now, Some(now + SESSION_MS)).await?;
                    audit::record(tx, now, &login.caller, audit::Deed::ok("auth.login", "")).await?;
                    Ok(login)
                })
            })
            .await
    }

    /// Opens a session in another workspace of the caller's.
    ///
    /// # Errors
    /// `forbidden` with a token that is narrowed by scopes, `not_found` where the caller is no member.
    pub async fn switch_workspace(&self, caller: &Caller, slug: &str) -> Result<Login> {
        let id = caller.require_user()?;
        if caller.scopes.is_some() {
            return Err(Error::forbidden("a token with scopes opens its own workspace only"));
        }
        let (now, slug, caller) = (self.now(), slug.to_owned(), caller.clone());
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let user = users::Entity::find_by_id(id.0).one(tx).await?;
                    let user = user.ok_or_else(|| unauthenticated("the user no longer exists"))?;
                    let workspace = workspace_for(tx, &user, Some(&slug)).await?;
                    // It ends with the token in use, so that switching does not renew a login.
                    let bound = in_use(tx, &caller).await?.and_then(|(_, end)| end);
                    open_session(tx, workspace, &user, now, earlier(Some(now + SESSION_MS), bound)).await
                })
            })
            .await
    }

    async fn count_attempt(&self, address: Vec<u8>, now: Millis) -> Result<()> {
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    use login_failures::{ActiveModel, Column, Entity};
                    use sea_orm::sea_query::ExprTrait as _;
                    Entity::delete_many().filter(Column::UpdatedAt.lt(now - FORGET_MS)).exec(tx).await?;
                    let first = ActiveModel {
                        address: Set(address.clone()),
                        failures: Set(1),
                        blocked_until: Set(0),
                        updated_at: Set(now),
                    };
                    let again = OnConflict::column(Column::Address)
                        .value(Column::Failures, Expr::col((Entity, Column::Failures)).add(1))
                        .to_owned();
                    Entity::insert(first).on_conflict(again).exec_without_returning(tx).await?;
                    let row = Entity::find_by_id(address.clone()).one(tx).await?;
                    let row = row.ok_or_else(|| Error::internal("a row just written is gone"))?;
                    if row.blocked_until > now {
                        return Err(Error::new(Code::RateLimited, "too many logins failed for this address")
                            .retry_after_ms(u64::try_from(row.blocked_until - now).unwrap_or(0))
                            .hint("wait, then try again"));
                    }
                    Entity::update_many()
                        .col_expr(Column::BlockedUntil, Expr::value(now + wait_after(row.failures)))
                        .col_expr(Column::UpdatedAt, Expr::value(now))
                        .filter(Column::Address.eq(address))
                        .exec(tx)
                        .await?;
                    Ok(())
                })
            })
            .await
    }
}

/// How long to wait after so many failures in a row: nothing at first, then doubled each time.
fn wait_after(failures: i32) -> Millis {
    match u32::try_from(failures - FREE_ATTEMPTS) {
        Ok(over) => LONGEST_WAIT_MS.min(1_000 << over.min(20)),
        Err(_) => 0,
    }
}

/// The workspace to open: the named one, or the oldest membership.
async fn workspace_for(db: &impl ConnectionTrait, user: &users::Model, slug: Option<&str>) -> Result<WorkspaceId> {
    let mut query = memberships::Entity::find().filter(memberships::Column::UserId.eq(user.id));
    if let Some(slug) = slug {
        let row = workspaces::Entity::find().filter(workspaces::Column::Slug.eq(slug)).one(db).await?;
        let row = row.ok_or_else(|| Error::not_found("workspace", slug))?;
        query = query.filter(memberships::Column::WorkspaceId.eq(row.id));
    }
    let member = query.order_by_asc(memberships::Column::Id).one(db).await?;
    match (member, slug) {
        (Some(member), _) => Ok(member.workspace_id.into()),
        // The same answer as for a workspace that does not exist.
        (None, Some(slug)) => Err(Error::not_found("workspace", slug)),
        (None, None) => {
            Err(Error::forbidden("you belong to no workspace").hint("ask an admin of a workspace to add you"))
        }
    }
}

async fn open_session(
    tx: &Tx,
    workspace: WorkspaceId,
    user: &users::Model,
    now: Millis,
    expires_at: Option<Millis>,
) -> Result<Login> {
    let wish = Wish {
        workspace,
        user: user.id.into(),
        kind: TokenKind::Session,
        name: "login".to_owned(),
        scopes: None,
        expires_at,
    };
    let session = issue(tx, now, wish).await?;
    let row = tokens::Entity::find_by_id(session.info.id.0).one(tx).await?;
    let row = row.ok_or_else(|| Error::internal("a row just written is gone"))?;
    let caller = caller_of(tx, &row).await?;
    Ok(Login { session, caller })
}

/// Sessions that ended a day ago are of no more use to anyone.
async fn forget_old_sessions(tx: &Tx, now: Millis) -> Result<()> {
    tokens::Entity::delete_many()
        .filter(tokens::Column::Kind.eq(TokenKind::Session.as_str()))
        .filter(tokens::Column::ExpiresAt.lt(now - FORGET_MS))
        .exec(tx)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_bounded() {
        assert_eq!(wait_after(1), 0);
        assert_eq!(wait_after(4), 0);
        assert_eq!(wait_after(5), 1_000);
        assert_eq!(wait_after(8), 8_000);
        assert_eq!(wait_after(i32::MAX), LONGEST_WAIT_MS);
    }
}
