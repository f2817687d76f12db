//! Table `events`.

use sea_orm::entity::prelude::*;

/// One event of the outbox.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "events")]
pub struct Model {
    /// Position on the bus.
    #[sea_orm(primary_key)]
    pub seq: i64,
    /// The tenant.
    pub workspace_id: Uuid,
    /// UTC milliseconds.
    pub at: i64,
    /// Name, such as `order.created`.
    pub name: String,
    /// JSON.
    pub data: String,
    /// How many triggers led here, one after the other.
    pub depth: i32,
}

/// Relations are followed by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
