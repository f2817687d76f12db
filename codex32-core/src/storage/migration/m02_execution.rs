//! Executions, their journal and logs, and what they wait for.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, big_pk_auto, boolean, integer, text, text_null, uuid, uuid_null,
};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [records(), waits()].concat() {
            manager.create_table(table).await?;
        }
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

/// A table whose key is `key`.
fn table(name: &'static str, key: &[&'static str], columns: Vec<ColumnDef>) -> TableCreateStatement {
    let mut table = Table::create();
    table.table(name);
    for column in columns {
        table.col(column);
    }
    if !key.is_empty() {
        let mut primary = Index::create();
        for column in key {
            primary.col(*column);
        }
        table.primary_key(&mut primary);
    }
    table
}

fn records() -> Vec<TableCreateStatement> {
    vec![
        table(
            "executions",
            &["id"],
            vec![
                uuid("id"),
                uuid("workspace_id"),
                uuid("bot_id"),
                text("bot_name"),
                uuid("version_id"),
                uuid_null("deployment_id"),
                text("environment"),
                text("status"),
                text("input"),
                text_null("output"),
                text_null("error"),
                text("trigger"),
                text("caller"),
                uuid_null("parent_id"),
                text_null("parent_path"),
                boolean("parent_waits"),
                integer("depth"),
                uuid_null("retry_of"),
                text_null("idempotency_key"),
                big_integer("created_at"),
                big_integer_null("started_at"),
                big_integer_null("finished_at"),
                big_integer("last_seq"),
                big_integer("signals_pending"),
                uuid_null("lease_owner"),
                big_integer("lease_token"),
                big_integer_null("lease_until"),
            ],
        ),
        table(
            "journal",
            &["execution_id", "seq"],
            vec![
                uuid("execution_id"),
                big_integer("seq"),
                uuid("workspace_id"),
                big_integer("at"),
                text("kind"),
                text("path"),
                integer("attempt"),
                text("data"),
            ],
        ),
        table(
            "execution_logs",
            &["execution_id", "seq"],
            vec![
                uuid("execution_id"),
                big_integer("seq"),
                uuid("workspace_id"),
                big_integer("at"),
                text("step"),
                text("stream"),
                text("text"),
            ],
        ),
    ]
}

fn waits() -> Vec<TableCreateStatement> {
    vec![
        table(
            "timers",
            &["execution_id"],
            vec![uuid("execution_id"), uuid("workspace_id"), big_integer("due"), text("path")],
        ),
        table(
            "signals",
            &[],
            vec![big_pk_auto("id"), uuid("workspace_id"), uuid("execution_id"), big_integer("at"), text("data")],
        ),
        table(
            "approvals",
            &["execution_id", "path"],
            vec![
                uuid("execution_id"),
                text("path"),
                uuid("workspace_id"),
                text("bot_name"),
                text("message"),
                text("status"),
                big_integer("created_at"),
                big_integer_null("expires_at"),
                text_null("answer"),
            ],
        ),
        table(
            "approval_tokens",
            &["hash"],
            vec![text("hash"), uuid("workspace_id"), uuid("execution_id"), text("path"), big_integer("created_at")],
        ),
        table(
            "event_waits",
            &["execution_id", "path"],
            vec![
                uuid("execution_id"),
                text("path"),
                uuid("workspace_id"),
                text("event"),
                text_null("filter"),
                text("scope"),
                big_integer("after_seq"),
            ],
        ),
    ]
}

fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        index("executions_key", "executions", &["workspace_id", "bot_id", "idempotency_key"]).unique().to_owned(),
        index("executions_time", "executions", &["workspace_id", "id"]),
        index("executions_bot", "executions", &["workspace_id", "bot_name", "id"]),
        index("executions_status", "executions", &["workspace_id", "status", "id"]),
        index("executions_parent", "executions", &["parent_id"]),
        // What is to be driven: few rows, whatever is stored.
        index("executions_active", "executions", &["status", "id"])
            .and_where(Expr::col("status").is_in(["queued", "running", "paused"]))
            .to_owned(),
        index("timers_due", "timers", &["due"]),
        index("signals_order", "signals", &["execution_id", "id"]),
        index("approvals_open", "approvals", &["workspace_id", "status", "execution_id"]),
        index("approval_tokens_step", "approval_tokens", &["execution_id", "path"]),
        index("event_waits_event", "event_waits", &["workspace_id", "event"]),
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
