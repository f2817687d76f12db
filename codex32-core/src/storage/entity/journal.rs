//! Table `journal`.

use sea_orm::entity::prelude::*;

/// What happened in an execution. Rows are only ever added.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "journal")]
pub struct Model {
    /// The execution.
    #[sea_orm(primary_key, auto_increment = false)]
    pub execution_id: Uuid,
    /// Counts within the execution, log lines included.
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i64,
    /// The tenant.
    pub workspace_id: Uuid,
    /// UTC milliseconds.
    pub at: i64,
    /// `started`, `step_succeeded`, ...
    pub kind: String,
    /// Path of the step, or empty.
    pub path: String,
    /// Attempt of the step, or 0.
    pub attempt: i32,
    /// JSON: what else there is to this kind.
    pub data: String,
}

/// Relations are followed by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
