//! Table `flow_tickets`.

use sea_orm::entity::prelude::*;

/// Where an execution stands before the rules of its bot's `flow`, until it is over.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "flow_tickets")]
pub struct Model {
    /// The execution.
    #[sea_orm(primary_key, auto_increment = false)]
    pub execution_id: Uuid,
    /// The tenant.
    pub workspace_id: Uuid,
    /// Its bot.
    pub bot_id: Uuid,
    /// `dev`, `staging`, `prod`.
    pub environment: String,
    /// The rule that is next, by number; behind the last it may begin.
    pub stage: i32,
    /// The row of `flow_slots` that it waits for a place of.
    pub waits_for: Option<String>,
    /// The higher goes first.
    pub priority: i32,
    /// Until when it waits for a time, UTC milliseconds.
    pub due: Option<i64>,
    /// When it must have begun, UTC milliseconds.
    pub deadline: Option<i64>,
    /// JSON: what the rules say of it.
    pub rules: String,
}

/// Relations are followed by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
