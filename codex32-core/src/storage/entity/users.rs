//! Table `users`.

use sea_orm::entity::prelude::*;

/// A person. Users stand above workspaces: one person may be a member of several.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    /// Identity.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Lower-case address; unique among users that are not deleted.
    pub email: String,
    /// Name for people.
    pub name: String,
    /// Argon2id hash in PHC form; without it there is no login by password.
    pub password: Option<String>,
    /// UTC milliseconds.
    pub created_at: i64,
    /// UTC milliseconds.
    pub updated_at: i64,
    /// UTC milliseconds; a deleted user is refused everywhere.
    pub deleted_at: Option<i64>,
}

/// Relations are followed by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
