//! Table `event_waits`.

use sea_orm::entity::prelude::*;

/// Which executions wait for an event on the bus.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "event_waits")]
pub struct Model {
    /// The execution.
    #[sea_orm(primary_key, auto_increment = false)]
    pub execution_id: Uuid,
    /// The step that waits.
    #[sea_orm(primary_key, auto_increment = false)]
    pub path: String,
    /// The tenant.
    pub workspace_id: Uuid,
    /// Name of the event.
    pub event: String,
    /// CEL over `event` and what else is in `scope`.
    pub filter: Option<String>,
    /// JSON: the values that the filter refers to.
    pub scope: String,
    /// Events up to this one do not count.
    pub after_seq: i64,
}

/// Relations are followed by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
