//! What bots remember.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, text, text_null, uuid};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut values = Table::create();
        values.table("kv_values").col(uuid("workspace_id")).col(uuid("bot_id")).col(text("key"));
        values.col(text_null("value")).col(big_integer("updated_at"));
        values.primary_key(Index::create().col("workspace_id").col("bot_id").col("key"));
        manager.create_table(values.take()).await?;

        let mut changes = Table::create();
        changes.table("kv_changes").col(uuid("workspace_id")).col(text("idempotency_key")).col(text("key"));
        changes.col(uuid("bot_id")).col(text("result")).col(big_integer("created_at"));
        changes.primary_key(Index::create().col("workspace_id").col("idempotency_key").col("key"));
        manager.create_table(changes.take()).await?;

        let mut age = Index::create();
        age.name("kv_changes_age").table("kv_changes").col("created_at");
        manager.create_index(age.take()).await
    }
}
