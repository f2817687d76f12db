//! Table `queue_messages`.

use sea_orm::entity::prelude::*;

/// One message of a queue.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "queue_messages")]
pub struct Model {
    /// Identity.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant.
    pub workspace_id: Uuid,
    /// Name of the queue.
    pub queue: String,
    /// JSON.
    pub body: String,
    /// Key that a queue holds at most once.
    pub dedup: Option<String>,
    /// `ready` or `dead`.
    pub status: String,
    /// How often it was handed out.
    pub attempts: i32,
    /// Not handed out before, UTC milliseconds.
    pub visible_at: i64,
    /// Whoever holds it.
    pub lease: Option<Uuid>,
    /// Why it was given back.
    pub last_error: Option<String>,
    /// UTC milliseconds.
    pub created_at: i64,
}

/// Relations are followed by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
