//! Table `signals`.

use sea_orm::entity::prelude::*;

/// What was sent to an execution and not taken by it yet.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "signals")]
pub struct Model {
    /// Order of arrival.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The tenant.
    pub workspace_id: Uuid,
    /// The execution.
    pub execution_id: Uuid,
    /// UTC milliseconds.
    pub at: i64,
    /// JSON: what it is.
    pub data: String,
}

/// Relations are followed by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
