//! Table `login_failures`.

use sea_orm::entity::prelude::*;

/// Failed logins in a row for one address, whether or not a user has it.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "login_failures")]
pub struct Model {
    /// SHA-256 of the lower-case address, so that no stranger's input is stored.
    #[sea_orm(primary_key, auto_increment = false)]
    pub address: Vec<u8>,
    /// Failures in a row.
    pub failures: i32,
    /// UTC milliseconds before which no attempt is looked at.
    pub blocked_until: i64,
    /// UTC milliseconds; rows that are a day old are forgotten.
    pub updated_at: i64,
}

/// Relations are followed by hand.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
