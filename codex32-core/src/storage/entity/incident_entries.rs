//! Table `incident_entries`.

use sea_orm::entity::prelude::*;

/// One entry of an incident's timeline.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "incident_entries")]
pub struct Model {
    /// Identity.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The tenant.
    pub workspace_id: Uuid,
    /// The incident.
    pub incident_id: Uuid,
    /// UTC milliseconds.
    pub at: i64,
    /// `opened`, `failure`, `restart`, `acknowledged`, `note` or `closed`.
    pub kind: String,
    /// Who did it; `supervisor` for the engine.
    pub author: String,
    /// What happened.
    pub text: String,
    /// The execution that it is about.
    pub execution_id: Option<Uuid>,
}

/// Relations are followed by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
