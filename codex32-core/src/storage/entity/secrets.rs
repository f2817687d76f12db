//! Table `secrets`.

use sea_orm::entity::prelude::*;

/// A secret, encrypted.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "secrets")]
pub struct Model {
    /// Identity.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant.
    pub workspace_id: Uuid,
    /// Unique in the workspace; `connection:NAME` holds the JSON of a connection.
    pub name: String,
    /// 1 at first, one more at each change; part of what the ciphertext is bound to.
    pub version: i64,
    /// Bytes of the value.
    pub size: i64,
    /// Nonce and XChaCha20-Poly1305 ciphertext.
    pub ciphertext: Vec<u8>,
    /// UTC milliseconds.
    pub created_at: i64,
    /// UTC milliseconds.
    pub updated_at: i64,
}

/// Relations are followed by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
