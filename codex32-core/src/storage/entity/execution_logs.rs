//! Table `execution_logs`.

use sea_orm::entity::prelude::*;

/// Lines that scripts, connectors and the engine wrote.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "execution_logs")]
pub struct Model {
    /// The execution.
    #[sea_orm(primary_key, auto_increment = false)]
    pub execution_id: Uuid,
    /// Counts within the execution, journal entries included.
    #[sea_orm(primary_key, auto_increment = false)]
    pub seq: i64,
    /// The tenant.
    pub workspace_id: Uuid,
    /// UTC milliseconds.
    pub at: i64,
    /// Path of the step, or empty.
    pub step: String,
    /// `stdout`, `stderr`, `system`.
    pub stream: String,
    /// The line.
    pub text: String,
}

/// Relations are followed by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
