//! Table `approvals`.

use sea_orm::entity::prelude::*;

/// What people were asked to approve.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "approvals")]
pub struct Model {
    /// The execution.
    #[sea_orm(primary_key, auto_increment = false)]
    pub execution_id: Uuid,
    /// The step that waits for the answer.
    #[sea_orm(primary_key, auto_increment = false)]
    pub path: String,
    /// The tenant.
    pub workspace_id: Uuid,
    /// The bot.
    pub bot_name: String,
    /// What is to be approved.
    pub message: String,
    /// `open`, `answered`, `closed`.
    pub status: String,
    /// UTC milliseconds.
    pub created_at: i64,
    /// UTC milliseconds.
    pub expires_at: Option<i64>,
    /// JSON, once it was answered.
    pub answer: Option<String>,
}

/// Relations are followed by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
