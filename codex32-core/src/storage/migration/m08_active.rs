//! What is to be driven, found without a look at what is over.
//!
//! SQLite uses a partial index only where the query says the very condition of the index
//! or compares what the condition calls not null. `executions_active` stood for a list of
//! states, which no query says: it was never used, and the claim walked over all that was
//! ever stored.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_index(Index::drop().name("executions_active").table("executions").to_owned()).await?;
        let queued = Index::create()
            .name("executions_queued")
            .table("executions")
            .col("id")
            .and_where(Expr::col("status").eq(Expr::Constant("queued".into())))
            .to_owned();
        let leased = Index::create()
            .name("executions_leased")
            .table("executions")
            .col("lease_owner")
            .and_where(Expr::col("lease_owner").is_not_null())
            .to_owned();
        for index in [queued, leased] {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}
