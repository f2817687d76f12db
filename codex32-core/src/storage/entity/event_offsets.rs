//! Table `event_offsets`.

use sea_orm::entity::prelude::*;

/// How far a consumer of the engine has read the bus.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event_offsets")]
pub struct Model {
    /// Its name.
    #[sea_orm(primary_key, auto_increment = false)]
    pub consumer: String,
    /// The last event that it is done with.
    pub seq: i64,
    /// UTC milliseconds.
    pub updated_at: i64,
}

/// Relations are followed by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
