//! Table `timers`.

use sea_orm::entity::prelude::*;

/// When an execution that waits goes on by itself.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "timers")]
pub struct Model {
    /// The execution.
    #[sea_orm(primary_key, auto_increment = false)]
    pub execution_id: Uuid,
    /// The tenant.
    pub workspace_id: Uuid,
    /// UTC milliseconds.
    pub due: i64,
    /// The step that waits, or empty.
    pub path: String,
}

/// Relations are followed by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
