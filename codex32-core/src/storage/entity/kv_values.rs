//! Table `kv_values`.

use sea_orm::entity::prelude::*;

/// What a bot remembers under a name.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "kv_values")]
pub struct Model {
    /// The tenant.
    #[sea_orm(primary_key, auto_increment = false)]
    pub workspace_id: Uuid,
    /// The bot; nil for calls without one.
    #[sea_orm(primary_key, auto_increment = false)]
    pub bot_id: Uuid,
    /// The name.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    /// The value as JSON; absent only inside the transaction that makes the row.
    pub value: Option<String>,
    /// UTC milliseconds.
    pub updated_at: i64,
}

/// Relations are followed by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
