//! The database: entities, migrations, transactions. SQLite (WAL) by default,
//! PostgreSQL by URL; the same entities and migrations on both.
//!
//! Invariants: every table has a `workspace_id`; ids are UUIDv7; times are UTC
//! milliseconds; JSON is stored as text; lists are keyset-paged ([`page`]);
//! values are only ever bound, never formatted into SQL. Several processes may work on
//! one PostgreSQL: they wake each other by [`Wakes`] and agree by [`Leadership`] on who
//! does what one of them should do.

mod archive;
mod db;
pub mod entity;
mod fault;
mod given;
mod group;
mod leader;
mod migration;
mod nodelay;
mod only;
pub mod page;
mod recent;
mod script;
#[cfg(test)]
pub(crate) mod testing;
mod wake;
mod writer;

pub use archive::Archive;
pub use db::{Backend, Db, Tx};
pub(crate) use given::{GIVEN, given, insert_all, padded, repeated};
pub(crate) use group::Group;
pub use leader::Leadership;
pub(crate) use only::Only;
pub(crate) use recent::Recent;
pub(crate) use script::Script;
pub(crate) use wake::Word;
pub use wake::{Carrier, Ear, Nats, Wakes};
