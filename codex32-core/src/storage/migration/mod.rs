//! Migrations, one file for each room that stores things. Once released a file is never changed.

mod m01_people;
mod m02_execution;
mod m03_triggers;
mod m04_kv;
mod m06_chain;
mod m07_workers;
mod m08_active;
mod m09_flow;
mod m10_retention;

use sea_orm_migration::{MigrationTrait, MigratorTrait};

/// All migrations in order.
pub(crate) struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m01_people::Migration),
            Box::new(m02_execution::Migration),
            Box::new(m03_triggers::Migration),
            Box::new(m04_kv::Migration),
            Box::new(m06_chain::Migration),
            Box::new(m07_workers::Migration),
            Box::new(m08_active::Migration),
            Box::new(m09_flow::Migration),
            Box::new(m10_retention::Migration),
        ]
    }
}
