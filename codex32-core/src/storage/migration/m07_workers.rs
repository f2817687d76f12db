//! The nodes that execute, and which of them an execution may run on.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, boolean, integer, text, uuid};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut workers = Table::create();
        workers.table("workers").col(uuid("id").primary_key().take());
        workers.col(text("host")).col(text("labels")).col(text("version"));
        workers.col(integer("concurrency")).col(integer("active")).col(boolean("draining"));
        workers.col(big_integer("since")).col(big_integer("seen_at")).col(big_integer("lease_ms"));
        manager.create_table(workers.take()).await?;

        let mut executions = Table::alter();
        executions.table("executions").add_column(text("runs_on").default("").take());
        manager.alter_table(executions.take()).await
    }
}
