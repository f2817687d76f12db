//! The database: entities, migrations, transactions. SQLite (WAL) by default,
//! PostgreSQL by URL; the same entities and migrations on both.
//!
//! Invariants: every table has a `workspace_id`; ids are UUIDv7; times are UTC
//! milliseconds; JSON is stored as text; lists are keyset-paged ([`page`]);
//! values are only ever bound, never formatted into SQL.

mod db;
pub mod entity;
mod given;
mod group;
mod migration;
mod nodelay;
mod only;
pub mod page;
mod recent;
#[cfg(test)]
pub(crate) mod testing;

pub use db::{Backend, Db, Tx};
pub(crate) use given::{GIVEN, given, insert_all, padded};
pub(crate) use group::Group;
pub(crate) use only::Only;
pub(crate) use recent::Recent;
