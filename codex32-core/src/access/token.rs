//! API tokens and sessions.

use super::{Access, Caller, Permission};
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::id::{TokenId, UserId, WorkspaceId};
use crate::storage::Tx;
use crate::storage::entity::tokens;
use crate::storage::page::{self, Page};
use rand::RngExt as _;
use schemars::JsonSchema;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// Every token starts with this, so that scanners for leaked credentials find it.
pub const TOKEN_MARK: &str = "c32_";
/// Random characters by which a token is found and shown.
const ID_LENGTH: usize = 12;
/// Random characters that prove it: 43 of 62 are 256 bits.
const PROOF_LENGTH: usize = 43;
/// How long a login lasts, in milliseconds.
pub const SESSION_MS: Millis = 12 * 60 * 60 * 1_000;
/// Tokens that one user may hold in a workspace.
const MAX_TOKENS: u64 = 100;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TokenKind {
    /// Made by hand, for programs.
    Api,
    /// Made by a login, for twelve hours.
    Session,
}

impl TokenKind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            TokenKind::Api => "api",
            TokenKind::Session => "session",
        }
    }
}

/// A token as it is listed: everything but the token itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Token {
    /// Identity.
    pub id: TokenId,
    /// Its owner.
    pub user: UserId,
    /// What it is for.
    pub kind: TokenKind,
    /// Name for people.
    pub name: String,
    /// Its first characters.
    pub prefix: String,
    /// What it narrows the owner's role to; none: nothing.
    pub scopes: Option<BTreeSet<Permission>>,
    /// UTC milliseconds.
    pub created_at: Millis,
    /// UTC milliseconds; none: never.
    pub expires_at: Option<Millis>,
    /// UTC milliseconds, to about ten minutes.
    pub last_used_at: Option<Millis>,
}

/// A token that was just made. The text is shown once and not stored.
#[derive(Clone, Serialize, JsonSchema)]
pub struct Issued {
    /// The token itself.
    pub token: String,
    /// What is stored of it.
    pub info: Token,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").field("info", &self.info).finish_non_exhaustive()
    }
}

/// A wish for a token.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
pub struct TokenSpec {
    /// Name for people.
    pub name: String,
    /// Permissions (`bots.read`, `bots.*`); none: as many as the caller has.
    pub scopes: Option<Vec<String>>,
    /// UTC milliseconds; none: never.
    pub expires_at: Option<Millis>,
}

impl Access {
    /// Makes a token for the caller, never wider nor longer than the one that the caller uses.
    ///
    /// # Errors
    /// `invalid` for a bad name, scope or expiry; `forbidden` for a scope beyond one's own.
    pub async fn create_token(&self, caller: &Caller, spec: TokenSpec) -> Result<Issued> {
        let user = caller.require_user()?;
        let now = self.now();
        let name = super::name("/name", &spec.name)?;
        let scopes = narrowed(caller, spec.scopes.as_deref())?;
        if spec.expires_at.is_some_and(|at| at <= now) {
            return Err(Error::invalid("the token would have expired already").at("/expires_at", "lies in the past"));
        }
        let (workspace, caller) = (caller.workspace, caller.clone());
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    let held = tokens::Entity::find()
                        .filter(tokens::Column::WorkspaceId.eq(workspace.0))
                        .filter(tokens::Column::UserId.eq(user.0))
                        .filter(tokens::Column::RevokedAt.is_null())
                        .filter(tokens::Column::Kind.eq(TokenKind::Api.as_str()))
                        .limit(MAX_TOKENS)
                        .all(tx)
                        .await?;
                    if held.len() as u64 >= MAX_TOKENS {
                        return Err(Error::precondition(format!("you hold {MAX_TOKENS} tokens already"))
                            .hint("revoke one that is no longer needed"));
                    }
                    // What an API token makes must not outlive it; a person who logged in may make lasting ones.
                    let bound = match in_use(tx, &caller).await? {
                        Some((TokenKind::Api, end)) => end,
                        _ => None,
                    };
                    let expires_at = earlier(spec.expires_at, bound);
                    let wish = Wish { workspace, user, kind: TokenKind::Api, name, scopes, expires_at };
                    issue(tx, now, wish).await
                })
            })
            .await
    }

    /// Tokens of `user` (by default the caller) in the workspace, newest first.
    ///
    /// # Errors
    /// `forbidden` for another's tokens without `members.write`.
    pub async fn list_tokens(
        &self,
        caller: &Caller,
        user: Option<UserId>,
        cursor: Option<&str>,
        limit: u64,
    ) -> Result<Page<Token>> {
        let user = self.tokens_owner(caller, user)?;
        let limit = limit.clamp(1, page::MAX_LIMIT);
        let mut query = tokens::Entity::find()
            .filter(tokens::Column::WorkspaceId.eq(caller.workspace.0))
            .filter(tokens::Column::UserId.eq(user.0))
            .filter(tokens::Column::RevokedAt.is_null());
        if let Some(cursor) = cursor {
            query = query.filter(tokens::Column::Id.lt(page::decode(cursor)?));
        }
        let rows = query.order_by_desc(tokens::Column::Id).limit(limit + 1).all(self.db.read()).await?;
        let page = Page::cut(rows, limit, |row| row.id);
        let items = page.items.into_iter().map(from_row).collect::<Result<_>>()?;
        Ok(Page { items, next: page.next })
    }

    fn tokens_owner(&self, caller: &Caller, user: Option<UserId>) -> Result<UserId> {
        match user {
            Some(user) if Some(user) != caller.user => {
                caller.require(Permission::MembersWrite)?;
                Ok(user)
            }
            _ => caller.require_user(),
        }
    }

    /// Ends a token at once: one's own, or with `members.write` any of the workspace.
    ///
    /// # Errors
    /// `not_found` where the caller sees no such token.
    pub async fn revoke_token(&self, caller: &Caller, id: TokenId) -> Result<()> {
        let now = self.now();
        let mut change = tokens::Entity::update_many()
            .col_expr(tokens::Column::RevokedAt, Expr::value(now))
            .filter(tokens::Column::Id.eq(id.0))
            .filter(tokens::Column::WorkspaceId.eq(caller.workspace.0))
            .filter(tokens::Column::RevokedAt.is_null());
        if !caller.may(Permission::MembersWrite) {
            change = change.filter(tokens::Column::UserId.eq(caller.require_user()?.0));
        }
        let changed =
            self.db.write(move |tx| Box::pin(async move { Ok(change.exec(tx).await?.rows_affected) })).await?;
        if changed == 0 { Err(Error::not_found("token", id)) } else { Ok(()) }
    }
}

/// Everything that a token row needs.
pub(super) struct Wish {
    pub(super) workspace: WorkspaceId,
    pub(super) user: UserId,
    pub(super) kind: TokenKind,
    pub(super) name: String,
    pub(super) scopes: Option<BTreeSet<Permission>>,
    pub(super) expires_at: Option<Millis>,
}

/// Makes a token and stores its hash.
pub(super) async fn issue(tx: &Tx, now: Millis, wish: Wish) -> Result<Issued> {
    let prefix = format!("{TOKEN_MARK}{}", random_text(ID_LENGTH));
    let text = format!("{prefix}_{}", random_text(PROOF_LENGTH));
    let scopes = match &wish.scopes {
        Some(scopes) => Some(serde_json::to_string(scopes).map_err(|_| Error::internal("scopes are not JSON"))?),
        None => None,
    };
    let row = tokens::ActiveModel {
        id: Set(TokenId::at(now).0),
        workspace_id: Set(wish.workspace.0),
        user_id: Set(wish.user.0),
        kind: Set(wish.kind.as_str().to_owned()),
        name: Set(wish.name),
        prefix: Set(prefix),
        hash: Set(hash(&text)),
        scopes: Set(scopes),
        created_at: Set(now),
        expires_at: Set(wish.expires_at),
        last_used_at: Set(None),
        revoked_at: Set(None),
    };
    let row = tokens::Entity::insert(row).exec_with_returning(tx).await?;
    Ok(Issued { token: text, info: from_row(row)? })
}

/// The prefix by which `text` is found, where it has the shape of a token.
pub(super) fn prefix_of(text: &str) -> Option<&str> {
    let rest = text.strip_prefix(TOKEN_MARK)?;
    let (id, proof) = rest.split_once('_')?;
    let good = |s: &str, length| s.len() == length && s.bytes().all(|b| b.is_ascii_alphanumeric());
    (good(id, ID_LENGTH) && good(proof, PROOF_LENGTH)).then(|| &text[..TOKEN_MARK.len() + ID_LENGTH])
}

pub(super) fn hash(text: &str) -> Vec<u8> {
    Sha256::digest(text.as_bytes()).to_vec()
}

/// Unpredictable letters and digits.
pub(super) fn random_text(length: usize) -> String {
    rand::rng().sample_iter(rand::distr::Alphanumeric).take(length).map(char::from).collect()
}

pub(super) fn from_row(row: tokens::Model) -> Result<Token> {
    Ok(Token {
        id: row.id.into(),
        user: row.user_id.into(),
        kind: kind_of(&row.kind),
        name: row.name,
        prefix: row.prefix,
        scopes: scopes_of(row.scopes.as_deref())?,
        created_at: row.created_at,
        expires_at: row.expires_at,
        last_used_at: row.last_used_at,
    })
}

fn kind_of(stored: &str) -> TokenKind {
    if stored == TokenKind::Session.as_str() { TokenKind::Session } else { TokenKind::Api }
}

/// Stored scopes. A name that this build does not know gives nothing; it never widens.
pub(super) fn scopes_of(stored: Option<&str>) -> Result<Option<BTreeSet<Permission>>> {
    let Some(stored) = stored else { return Ok(None) };
    let names: Vec<String> =
        serde_json::from_str(stored).map_err(|_| Error::internal("the stored scopes of a token are damaged"))?;
    Ok(Some(names.iter().filter_map(|name| name.parse().ok()).collect()))
}

/// The scopes of a new token: within the caller's own.
fn narrowed(caller: &Caller, wished: Option<&[String]>) -> Result<Option<BTreeSet<Permission>>> {
    let Some(wished) = wished else { return Ok(caller.scopes.clone()) };
    let mut scopes = BTreeSet::new();
    for (place, scope) in wished.iter().enumerate() {
        let stands_for = Permission::expand(scope).map_err(|e| e.at(format!("/scopes/{place}"), "unknown"))?;
        let own: Vec<_> = stands_for.iter().copied().filter(|p| caller.may(*p)).collect();
        // A whole noun means "what I may of it"; a single permission is meant as it stands.
        if own.is_empty() {
            return Err(Error::forbidden(format!("the scope {scope} goes beyond your own permissions"))
                .hint("a token can only narrow what its maker may do"));
        }
        scopes.extend(own);
    }
    Ok(Some(scopes))
}

pub(super) fn earlier(a: Option<Millis>, b: Option<Millis>) -> Option<Millis> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// The kind and the end of the token in use.
pub(super) async fn in_use(tx: &Tx, caller: &Caller) -> Result<Option<(TokenKind, Option<Millis>)>> {
    let Some(used) = caller.token else { return Ok(None) };
    let row =
        tokens::Entity::find_by_id(used.0).filter(tokens::Column::WorkspaceId.eq(caller.workspace.0)).one(tx).await?;
    let row = row.ok_or_else(|| Error::conflict("the token in use was removed meanwhile"))?;
    Ok(Some((kind_of(&row.kind), row.expires_at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_shape_of_a_token_is_looked_up() {
        let text = format!("c32_{}_{}", random_text(ID_LENGTH), random_text(PROOF_LENGTH));
        assert_eq!(prefix_of(&text), Some(&text[..16]));
        for wrong in ["", "c32_", "c32__", &text[1..], &text[..59], &format!("{text}x"), &text.replace('_', "-")] {
            assert_eq!(prefix_of(wrong), None, "{wrong}");
        }
        assert_eq!(prefix_of(&format!("c32_{}_{}", "é".repeat(6), "x".repeat(43))), None);
    }

    #[test]
    fn stored_scopes_that_are_unknown_give_nothing() {
        assert_eq!(scopes_of(None).unwrap(), None);
        assert_eq!(scopes_of(Some("[\"bots.fly\"]")).unwrap(), Some(BTreeSet::new()));
        assert!(scopes_of(Some("bots.read")).is_err());
    }

    #[test]
    fn debug_does_not_show_the_token() {
        let info = Token {
            id: TokenId::at(1),
            user: UserId::at(1),
            kind: TokenKind::Api,
            name: "n".into(),
            prefix: "c32_p".into(),
            scopes: None,
            created_at: 1,
            expires_at: None,
            last_used_at: None,
        };
        assert!(!format!("{:?}", Issued { token: "c32_p_proof".into(), info }).contains("proof"));
    }
}
