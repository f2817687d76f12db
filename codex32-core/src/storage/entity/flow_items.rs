//! Table `flow_items`.

use sea_orm::entity::prelude::*;

/// An input that is gathered for a batch, until that begins.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "flow_items")]
pub struct Model {
    /// The execution that gathers.
    #[sea_orm(primary_key, auto_increment = false)]
    pub execution_id: Uuid,
    /// Its place in the batch.
    #[sea_orm(primary_key, auto_increment = false)]
    pub n: i64,
    /// The tenant.
    pub workspace_id: Uuid,
    /// JSON.
    pub input: String,
}

/// Relations are followed by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
