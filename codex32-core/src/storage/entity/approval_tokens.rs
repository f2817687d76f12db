//! Table `approval_tokens`.

use sea_orm::entity::prelude::*;

/// Who holds one of these may answer. An approval can have several: one for each time that it was asked.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "approval_tokens")]
pub struct Model {
    /// SHA-256 of the token, in hexadecimal.
    #[sea_orm(primary_key, auto_increment = false)]
    pub hash: String,
    /// The tenant.
    pub workspace_id: Uuid,
    /// The execution.
    pub execution_id: Uuid,
    /// The step that waits for the answer.
    pub path: String,
    /// UTC milliseconds.
    pub created_at: i64,
}

/// Relations are followed by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
