//! How long the executions of a bot are kept.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer_null, boolean};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns =
            [big_integer_null("keep_ms"), big_integer_null("keep_count"), boolean("archived").default(true).to_owned()];
        for column in columns {
            let table = Table::alter().table("bots").add_column(column).to_owned();
            manager.alter_table(table).await?;
        }
        Ok(())
    }
}
