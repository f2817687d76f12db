//! Table `audit`.

use sea_orm::entity::prelude::*;

/// Who did what. Rows are only ever added.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "audit")]
pub struct Model {
    /// Identity; sorts by time.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant.
    pub workspace_id: Uuid,
    /// UTC milliseconds.
    pub at: i64,
    /// Who; null for the one who opened the data directory and for the engine itself.
    pub user_id: Option<Uuid>,
    /// Who, for people, as they were called then.
    pub actor: String,
    /// The token that was used.
    pub token_id: Option<Uuid>,
    /// What: `bots.create`.
    pub operation: String,
    /// To what: a name or an id, or empty.
    pub subject: String,
    /// JSON; never holds a secret.
    pub detail: String,
    /// `ok` or the code of the error.
    pub outcome: String,
}

/// Relations are followed by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
