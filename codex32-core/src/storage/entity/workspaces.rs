//! Table `workspaces`.

use sea_orm::entity::prelude::*;

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "workspaces")]
pub struct Model {
    /// Identity; the tenant id of every other row.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Unique short name in URLs (`/hooks/{slug}/...`): lower case letters, digits, hyphens.
    pub slug: String,
    /// Name for people.
    pub name: String,
    /// Whether it is the first one, whose owners may administer the engine itself.
    pub home: bool,
    /// IANA zone of schedules that name none.
    pub timezone: String,
    /// Environment that deployments go to by default.
    pub environment: String,
    /// UTC milliseconds.
    pub created_at: i64,
    /// UTC milliseconds.
    pub updated_at: i64,
}

/// Relations are followed by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
