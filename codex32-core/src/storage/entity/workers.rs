//! Table `workers`.

use sea_orm::entity::prelude::*;

/// A process that executes, as long as it does. It is nobody's: it works for all workspaces.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "workers")]
pub struct Model {
    /// Identity; the holder of its leases.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Name of its machine.
    pub host: String,
    /// What it can do, as executions ask for it.
    pub labels: String,
    /// Version of the product.
    pub version: String,
    /// Executions that it drives at most at the same time.
    pub concurrency: i32,
    /// Executions that it drove when it was seen last.
    pub active: i32,
    /// Whether it takes no more, since it is about to end.
    pub draining: bool,
    /// When it began, UTC milliseconds.
    pub since: i64,
    /// When it was seen last, UTC milliseconds.
    pub seen_at: i64,
    /// How long after that it is taken for lost, in milliseconds.
    pub lease_ms: i64,
}

/// Relations are followed by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
