//! Table `data_keys`.

use sea_orm::entity::prelude::*;

/// The key that encrypts a workspace's secrets, itself encrypted by the master key.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "data_keys")]
pub struct Model {
    /// The tenant.
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    /// Id of the master key that wraps it.
    pub master: String,
    /// The wrapped key.
    pub wrapped: Vec<u8>,
    /// One more at each change of the workspace's secrets, so that caches notice.
    pub revision: i64,
    /// UTC milliseconds.
    pub created_at: i64,
    /// UTC milliseconds.
    pub updated_at: i64,
}

/// Relations are followed by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
