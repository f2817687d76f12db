//! Table `webhook_replies`.

use sea_orm::entity::prelude::*;

/// The answer that an execution gave to its webhook request.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "webhook_replies")]
pub struct Model {
    /// The execution.
    #[sea_orm(primary_key, auto_increment = false)]
    pub execution_id: Uuid,
    /// The tenant.
    pub workspace_id: Uuid,
    /// HTTP status.
    pub status: i32,
    /// JSON object of headers.
    pub headers: String,
    /// JSON of the body.
    pub body: String,
    /// UTC milliseconds.
    pub at: i64,
}

/// Relations are followed by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
