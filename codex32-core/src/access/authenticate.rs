//! From a token to a caller.

use super::{Access, Caller, Role, token};
use crate::clock::Millis;
use crate::error::{Code, Error, Result};
use crate::storage::Only as _;
use crate::storage::entity::{memberships, tokens, users, workspaces};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter};
use subtle::ConstantTimeEq as _;

/// How coarse the time of last use is, in milliseconds: a write for each call would be dear.
const USED_MS: Millis = 10 * 60 * 1_000;

impl Access {
    /// Who the bearer of `text` is. Everything that the answer rests on is read anew, so
    /// a revoked token, a removed member or a changed role counts from the next call on.
    ///
    /// # Errors
    /// `unauthenticated` for any token that does not lead to a living user with a role.
    pub async fn authenticate(&self, text: &str) -> Result<Caller> {
        let prefix = token::prefix_of(text).ok_or_else(refused)?;
        let row = tokens::Entity::find()
            .filter(tokens::Column::Prefix.eq(prefix))
            .only(self.db.read())
            .await?
            .ok_or_else(refused)?;
        if !bool::from(row.hash.ct_eq(&token::hash(text))) {
            return Err(refused());
        }
        let now = self.now();
        if row.revoked_at.is_some() {
            return Err(unauthenticated("the token was revoked"));
        }
        if row.expires_at.is_some_and(|at| at <= now) {
            return Err(unauthenticated("the token has expired").hint("log in again, or make a new token"));
        }
        let caller = caller_of(self.db.read(), &row).await?;
        if row.last_used_at.is_none_or(|at| now - at >= USED_MS) {
            self.touch(row.id, now).await;
        }
        Ok(caller)
    }

    /// Notes the use of a token; the answer does not depend on it.
    async fn touch(&self, id: uuid::Uuid, now: Millis) {
        let change = tokens::Entity::update_many()
            .col_expr(tokens::Column::LastUsedAt, Expr::value(now))
            .filter(tokens::Column::Id.eq(id))
            .filter(
                Condition::any()
                    .add(tokens::Column::LastUsedAt.is_null())
                    .add(tokens::Column::LastUsedAt.lte(now - USED_MS)),
            );
        let done = self.db.write(move |tx| Box::pin(async move { Ok(change.exec(tx).await?) })).await;
        if let Err(error) = done {
            tracing::warn!(%error, "the use of a token could not be noted");
        }
    }
}

/// The caller behind a token row: its owner must live and belong to its workspace.
pub(super) async fn caller_of(db: &impl ConnectionTrait, row: &tokens::Model) -> Result<Caller> {
    let user = users::Entity::find_by_id(row.user_id)
        .filter(users::Column::DeletedAt.is_null())
        .only(db)
        .await?
        .ok_or_else(|| unauthenticated("the owner of the token no longer exists"))?;
    let member = memberships::Entity::find()
        .filter(memberships::Column::UserId.eq(row.user_id))
        .filter(memberships::Column::WorkspaceId.eq(row.workspace_id))
        .only(db)
        .await?
        .ok_or_else(|| unauthenticated("the owner of the token no longer belongs to the workspace"))?;
    let workspace = workspaces::Entity::find_by_id(row.workspace_id)
        .only(db)
        .await?
        .ok_or_else(|| unauthenticated("the workspace of the token no longer exists"))?;
    let role: Role = member.role.parse().map_err(|_| Error::internal("a stored role is damaged"))?;
    Ok(Caller {
        workspace: workspace.id.into(),
        workspace_slug: workspace.slug,
        home: workspace.home,
        user: Some(user.id.into()),
        name: user.name,
        email: user.email,
        role,
        scopes: token::scopes_of(row.scopes.as_deref())?,
        token: Some(row.id.into()),
    })
}

fn refused() -> Error {
    unauthenticated("the token is not valid").hint("pass a token as `Authorization: Bearer c32_...`")
}

pub(super) fn unauthenticated(message: &str) -> Error {
    Error::new(Code::Unauthenticated, message)
}
