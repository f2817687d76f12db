//! Table `versions`.

use sea_orm::entity::prelude::*;

/// One immutable blueprint of a bot.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "versions")]
pub struct Model {
    /// Identity.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant.
    pub workspace_id: Uuid,
    /// The bot.
    pub bot_id: Uuid,
    /// 1 at first, one more for each.
    pub number: i32,
    /// SHA-256 over blueprint and files, in hex.
    pub digest: String,
    /// The text as it was handed in.
    pub blueprint: String,
    /// Why, in the words of who made it.
    pub note: Option<String>,
    /// The user who made it.
    pub created_by: Option<Uuid>,
    /// UTC milliseconds.
    pub created_at: i64,
}

/// Relations are followed by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
