//! Which executions begin when: what rules remember, who waits for them, and whose turn it is.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, boolean, integer, text, text_null, uuid, uuid_null};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in [integer("priority").default(0).take(), boolean("flow").default(false).take()] {
            let table = Table::alter().table("executions").add_column(column).to_owned();
            manager.alter_table(table).await?;
        }
        for table in tables() {
            manager.create_table(table).await?;
        }
        // What is ready is taken by workspace, and in each by priority, then age; the bot
        // stands there so that it can be counted without a look at the rows.
        manager.drop_index(Index::drop().name("executions_queued").table("executions").to_owned()).await?;
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

fn tables() -> Vec<TableCreateStatement> {
    let mut slots = Table::create();
    slots.table("flow_slots").col(uuid("bot_id")).col(text("environment")).col(text("name"));
    slots.col(uuid("workspace_id")).col(big_integer("taken")).col(big_integer("room")).col(big_integer("at"));
    slots.col(uuid_null("execution_id")).col(big_integer_null("expires_at"));
    slots.primary_key(Index::create().col("bot_id").col("environment").col("name"));

    let mut tickets = Table::create();
    tickets.table("flow_tickets").col(uuid("execution_id").primary_key().take()).col(uuid("workspace_id"));
    tickets.col(uuid("bot_id")).col(text("environment")).col(integer("stage")).col(text_null("waits_for"));
    tickets.col(integer("priority")).col(big_integer_null("due")).col(big_integer_null("deadline"));
    tickets.col(text("rules"));

    let mut items = Table::create();
    items.table("flow_items").col(uuid("execution_id")).col(big_integer("n")).col(uuid("workspace_id"));
    items.col(text("input"));
    items.primary_key(Index::create().col("execution_id").col("n"));
    vec![slots.take(), tickets.take(), items.take()]
}

fn indexes() -> Vec<IndexCreateStatement> {
    let queued = Index::create()
        .name("executions_queued")
        .table("executions")
        .col("workspace_id")
        .col(("priority", IndexOrder::Desc))
        .col("id")
        .col("bot_id")
        .and_where(Expr::col("status").eq(Expr::Constant("queued".into())))
        .to_owned();
    let held = Index::create()
        .name("executions_held")
        .table("executions")
        .col("workspace_id")
        .col("bot_id")
        .and_where(Expr::col("status").eq(Expr::Constant("held".into())))
        .to_owned();
    let waiting = Index::create()
        .name("flow_tickets_bot")
        .table("flow_tickets")
        .col("bot_id")
        .col("environment")
        .col("waits_for")
        .col(("priority", IndexOrder::Desc))
        .col("execution_id")
        .to_owned();
    let expires = Index::create()
        .name("flow_slots_expires")
        .table("flow_slots")
        .col("expires_at")
        .and_where(Expr::col("expires_at").is_not_null())
        .to_owned();
    vec![queued, held, waiting, expires]
}
