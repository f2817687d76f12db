//! Table `incidents`.

use sea_orm::entity::prelude::*;

/// Something the supervisor saw go wrong.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "incidents")]
pub struct Model {
    /// Identity.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant.
    pub workspace_id: Uuid,
    /// The bot.
    pub bot_id: Uuid,
    /// Its name.
    pub bot_name: String,
    /// The deployment, where it is about one.
    pub deployment_id: Option<Uuid>,
    /// Its environment.
    pub environment: String,
    /// `failing`, `overdue` or `loop`.
    pub kind: String,
    /// `open`, `acknowledged` or `closed`.
    pub status: String,
    /// What is wrong, in a line.
    pub title: String,
    /// UTC milliseconds.
    pub opened_at: i64,
    /// UTC milliseconds.
    pub updated_at: i64,
    /// UTC milliseconds.
    pub closed_at: Option<i64>,
}

/// Relations are followed by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
