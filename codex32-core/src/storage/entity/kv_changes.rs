//! Table `kv_changes`.

use sea_orm::entity::prelude::*;

/// A change that was made, so that it is made once only.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "kv_changes")]
pub struct Model {
    /// The tenant.
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    /// Key of the step that made it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub idempotency_key: String,
    /// Name of the value that was changed.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    /// The bot; nil for calls without one.
    pub bot_id: Uuid,
    /// The result as JSON.
    pub result: String,
    /// UTC milliseconds.
    pub created_at: i64,
}

/// Relations are followed by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
