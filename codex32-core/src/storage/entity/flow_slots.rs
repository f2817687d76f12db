//! Table `flow_slots`.

use sea_orm::entity::prelude::*;

/// What one rule of a bot's `flow` remembers for one key.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "flow_slots")]
pub struct Model {
    /// The bot.
    #[sea_orm(primary_key, auto_increment = false)]
    pub bot_id: Uuid,
    /// `dev`, `staging`, `prod`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub environment: String,
    /// The rule, and behind a colon the key where it has one.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// The tenant.
    pub workspace_id: Uuid,
    /// Executions that hold a place; items that are gathered.
    pub taken: i64,
    /// Places, as the latest start said.
    pub room: i64,
    /// Of a pace: the theoretical arrival time of the next, UTC microseconds. Of what is
    /// debounced: when it begins at the latest, UTC milliseconds. Of a batch: its bytes.
    pub at: i64,
    /// The execution that it is about.
    pub execution_id: Option<Uuid>,
    /// When it may be forgotten, UTC milliseconds; absent where an end does that.
    pub expires_at: Option<i64>,
}

/// Relations are followed by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
