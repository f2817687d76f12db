//! Executions that go on as new ones.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::uuid_null;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in ["continues", "continued_as"] {
            let table = Table::alter().table("executions").add_column(uuid_null(column)).to_owned();
            manager.alter_table(table).await?;
        }
        Ok(())
    }
}
