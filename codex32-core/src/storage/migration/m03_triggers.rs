//! What starts bots and watches them: events, triggers, webhook replies, queue
//! messages, supervised deployments, incidents.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, big_integer_null, boolean, integer, text, text_null, uuid, uuid_null};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [events(), starts(), queue(), supervision()].concat() {
            manager.create_table(table).await?;
        }
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

fn table(name: &'static str, columns: impl IntoIterator<Item = ColumnDef>) -> TableCreateStatement {
    let mut table = Table::create();
    table.table(name);
    for column in columns {
        table.col(column);
    }
    table
}

fn id() -> ColumnDef {
    uuid("id").primary_key().take()
}

fn events() -> Vec<TableCreateStatement> {
    vec![
        table(
            "events",
            [
                big_integer("seq").auto_increment().primary_key().take(),
                uuid("workspace_id"),
                big_integer("at"),
                text("name"),
                text("data"),
                integer("depth"),
            ],
        ),
        // A consumer of the engine reads all workspaces, so its offset belongs to none.
        table("event_offsets", [text("consumer").primary_key().take(), big_integer("seq"), big_integer("updated_at")]),
    ]
}

fn starts() -> Vec<TableCreateStatement> {
    vec![
        table(
            "triggers",
            [
                id(),
                uuid("workspace_id"),
                uuid("bot_id"),
                text("bot_name"),
                uuid("version_id"),
                uuid("deployment_id"),
                text("environment"),
                integer("position"),
                text("kind"),
                text("spec"),
                text("timezone"),
                boolean("active"),
                boolean("enabled"),
                text_null("path"),
                text_null("topic"),
                big_integer("after_seq"),
                big_integer_null("next_due"),
                big_integer_null("wake_at"),
                text_null("cursor"),
                uuid_null("lease"),
                big_integer_null("lease_until"),
                integer("failures"),
                text_null("last_error"),
                big_integer_null("last_fired"),
                big_integer("created_at"),
                big_integer("updated_at"),
            ],
        ),
        table(
            "webhook_replies",
            [
                uuid("execution_id").primary_key().take(),
                uuid("workspace_id"),
                integer("status"),
                text("headers"),
                text("body"),
                big_integer("at"),
            ],
        ),
    ]
}

fn queue() -> Vec<TableCreateStatement> {
    vec![table(
        "queue_messages",
        [
            id(),
            uuid("workspace_id"),
            text("queue"),
            text("body"),
            text_null("dedup"),
            text("status"),
            integer("attempts"),
            big_integer("visible_at"),
            uuid_null("lease"),
            text_null("last_error"),
            big_integer("created_at"),
        ],
    )]
}

fn supervision() -> Vec<TableCreateStatement> {
    vec![
        table(
            "supervised",
            [
                uuid("deployment_id").primary_key().take(),
                uuid("workspace_id"),
                uuid("bot_id"),
                text("bot_name"),
                uuid("version_id"),
                text("environment"),
                text("restart"),
                integer("max_failures"),
                big_integer_null("succeed_within"),
                text("state"),
                text("health"),
                uuid_null("execution_id"),
                integer("run"),
                integer("backoffs"),
                big_integer_null("started_at"),
                big_integer_null("look_at"),
                big_integer_null("overdue_at"),
                integer("failures"),
                big_integer_null("last_success"),
                uuid_null("incident_id"),
                big_integer("after_seq"),
                big_integer("updated_at"),
            ],
        ),
        table(
            "incidents",
            [
                id(),
                uuid("workspace_id"),
                uuid("bot_id"),
                text("bot_name"),
                uuid_null("deployment_id"),
                text("environment"),
                text("kind"),
                text("status"),
                text("title"),
                big_integer("opened_at"),
                big_integer("updated_at"),
                big_integer_null("closed_at"),
            ],
        ),
        table(
            "incident_entries",
            [
                id(),
                uuid("workspace_id"),
                uuid("incident_id"),
                big_integer("at"),
                text("kind"),
                text("author"),
                text("text"),
                uuid_null("execution_id"),
            ],
        ),
    ]
}

fn index(name: &'static str, table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(name).table(table);
    for column in columns {
        index.col(*column);
    }
    index
}

fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        index("events_by_workspace", "events", &["workspace_id", "seq"]),
        // Null paths do not collide, so only armed webhooks do.
        index("triggers_by_path", "triggers", &["workspace_id", "path"]).unique().take(),
        index("triggers_by_wake", "triggers", &["kind", "wake_at"]),
        index("triggers_by_topic", "triggers", &["workspace_id", "topic"]),
        index("triggers_by_bot", "triggers", &["workspace_id", "bot_id"]),
        index("triggers_by_deployment", "triggers", &["deployment_id"]),
        index("queue_messages_by_dedup", "queue_messages", &["workspace_id", "queue", "dedup"]).unique().take(),
        index("queue_messages_by_turn", "queue_messages", &["workspace_id", "queue", "status", "visible_at", "id"]),
        index("supervised_by_look", "supervised", &["look_at"]),
        index("supervised_by_overdue", "supervised", &["overdue_at"]),
        index("supervised_by_bot", "supervised", &["workspace_id", "bot_id"]),
        index("incidents_by_workspace", "incidents", &["workspace_id", "status", "id"]),
        index("incident_entries_by_incident", "incident_entries", &["incident_id", "id"]),
    ]
}
