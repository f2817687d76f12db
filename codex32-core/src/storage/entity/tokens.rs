//! Table `tokens`.

use sea_orm::entity::prelude::*;

/// An API token or a session. The token itself is not stored.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tokens")]
pub struct Model {
    /// Identity.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant that it opens.
    pub workspace_id: Uuid,
    /// Its owner, in whose name it acts.
    pub user_id: Uuid,
    /// `api` or `session`.
    pub kind: String,
    /// Name for people.
    pub name: String,
    /// Its first characters, unique, by which it is found and shown.
    pub prefix: String,
    /// SHA-256 of the whole token.
    pub hash: Vec<u8>,
    /// JSON list of permission names that narrow the owner's role; null: no narrowing.
    pub scopes: Option<String>,
    /// UTC milliseconds.
    pub created_at: i64,
    /// UTC milliseconds; null: never.
    pub expires_at: Option<i64>,
    /// UTC milliseconds, to about ten minutes.
    pub last_used_at: Option<i64>,
    /// UTC milliseconds.
    pub revoked_at: Option<i64>,
}

/// Relations are followed by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
