//! Table `deployments`.

use sea_orm::entity::prelude::*;

/// A version put to work in an environment, now or once.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deployments")]
pub struct Model {
    /// Identity.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant.
    pub workspace_id: Uuid,
    /// The bot.
    pub bot_id: Uuid,
    /// The version.
    pub version_id: Uuid,
    /// `prod`, `staging`, ...
    pub environment: String,
    /// `active`, `stopped` or `replaced`.
    pub status: String,
    /// Whether an admin or owner deployed it: then declared private addresses are reachable.
    pub private_allowed: bool,
    /// The user who deployed it.
    pub created_by: Option<Uuid>,
    /// UTC milliseconds.
    pub created_at: i64,
    /// UTC milliseconds.
    pub updated_at: i64,
    /// UTC milliseconds; null while it is the environment's present deployment.
    pub ended_at: Option<i64>,
}

/// Relations are followed by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
