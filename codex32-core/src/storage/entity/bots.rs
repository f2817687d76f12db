//! Table `bots`.

use sea_orm::entity::prelude::*;

/// A named automation.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "bots")]
pub struct Model {
    /// Identity.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant.
    pub workspace_id: Uuid,
    /// Unique in the workspace among bots that are not deleted.
    pub name: String,
    /// What it is for, from its latest version.
    pub description: Option<String>,
    /// Number of its latest version.
    pub latest: i32,
    /// The user who made it.
    pub created_by: Option<Uuid>,
    /// UTC milliseconds.
    pub created_at: i64,
    /// UTC milliseconds.
    pub updated_at: i64,
    /// Whether it was last written by an apply: a later one may prune only such bots.
    pub applied: bool,
    /// How long its finished executions are kept, in milliseconds, from its latest version.
    pub keep_ms: Option<i64>,
    /// How many of its executions are kept, from its latest version.
    pub keep_count: Option<i64>,
    /// Whether executions are archived before they are removed, from its latest version.
    pub archived: bool,
    /// UTC milliseconds; it can be restored until it is purged.
    pub deleted_at: Option<i64>,
    /// UTC milliseconds at which its purge began; from then on it cannot be restored.
    pub purged_at: Option<i64>,
}

/// Relations are followed by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
