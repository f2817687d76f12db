//! People and what they own: workspaces, users, memberships, tokens, audit,
//! secrets, bots, versions, deployments.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, blob, boolean, integer, text, text_null, uuid, uuid_null,
};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [people(), work()].concat() {
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

fn people() -> Vec<TableCreateStatement> {
    vec![
        table(
            "workspaces",
            [
                uuid("id").primary_key().take(),
                text("slug"),
                text("name"),
                boolean("home"),
                text("timezone"),
                text("environment"),
                big_integer("created_at"),
                big_integer("updated_at"),
            ],
        ),
        table(
            "users",
            [
                uuid("id").primary_key().take(),
                text("email"),
                text("name"),
                text_null("password"),
                big_integer("created_at"),
                big_integer("updated_at"),
                big_integer_null("deleted_at"),
            ],
        ),
        table(
            "memberships",
            [
                uuid("id").primary_key().take(),
                uuid("workspace_id"),
                uuid("user_id"),
                text("role"),
                big_integer("created_at"),
            ],
        ),
        table(
            "tokens",
            [
                uuid("id").primary_key().take(),
                uuid("workspace_id"),
                uuid("user_id"),
                text("kind"),
                text("name"),
                text("prefix"),
                blob("hash"),
                text_null("scopes"),
                big_integer("created_at"),
                big_integer_null("expires_at"),
                big_integer_null("last_used_at"),
                big_integer_null("revoked_at"),
            ],
        ),
        table(
            "login_failures",
            [
                blob("address").primary_key().take(),
                integer("failures"),
                big_integer("blocked_until"),
                big_integer("updated_at"),
            ],
        ),
        table(
            "audit",
            [
                uuid("id").primary_key().take(),
                uuid("workspace_id"),
                big_integer("at"),
                uuid_null("user_id"),
                text("actor"),
                uuid_null("token_id"),
                text("operation"),
                text("subject"),
                text("detail"),
                text("outcome"),
            ],
        ),
    ]
}

fn work() -> Vec<TableCreateStatement> {
    vec![
        table(
            "data_keys",
            [
                uuid("workspace_id").primary_key().take(),
                text("master"),
                blob("wrapped"),
                big_integer("revision"),
                big_integer("created_at"),
                big_integer("updated_at"),
            ],
        ),
        table(
            "secrets",
            [
                uuid("id").primary_key().take(),
                uuid("workspace_id"),
                text("name"),
                big_integer("version"),
                big_integer("size"),
                blob("ciphertext"),
                big_integer("created_at"),
                big_integer("updated_at"),
            ],
        ),
        table(
            "bots",
            [
                uuid("id").primary_key().take(),
                uuid("workspace_id"),
                text("name"),
                text_null("description"),
                integer("latest"),
                uuid_null("created_by"),
                big_integer("created_at"),
                big_integer("updated_at"),
                boolean("applied"),
                big_integer_null("deleted_at"),
                big_integer_null("purged_at"),
            ],
        ),
        table(
            "versions",
            [
                uuid("id").primary_key().take(),
                uuid("workspace_id"),
                uuid("bot_id"),
                integer("number"),
                text("digest"),
                text("blueprint"),
                text_null("note"),
                uuid_null("created_by"),
                big_integer("created_at"),
            ],
        ),
        table(
            "version_files",
            [uuid("id").primary_key().take(), uuid("workspace_id"), uuid("version_id"), text("path"), text("content")],
        ),
        table(
            "deployments",
            [
                uuid("id").primary_key().take(),
                uuid("workspace_id"),
                uuid("bot_id"),
                uuid("version_id"),
                text("environment"),
                text("status"),
                boolean("private_allowed"),
                uuid_null("created_by"),
                big_integer("created_at"),
                big_integer("updated_at"),
                big_integer_null("ended_at"),
            ],
        ),
    ]
}

fn indexes() -> Vec<IndexCreateStatement> {
    vec![
        unique("workspaces_slug", "workspaces", &["slug"]),
        // Two that both find no workspace cannot both make the first one.
        among("workspaces_home", "workspaces", &["home"], Expr::col("home").eq(true)),
        among("users_email", "users", &["email"], Expr::col("deleted_at").is_null()),
        unique("memberships_user", "memberships", &["user_id", "workspace_id"]),
        index("memberships_workspace", "memberships", &["workspace_id", "id"]),
        unique("tokens_prefix", "tokens", &["prefix"]),
        index("tokens_owner", "tokens", &["workspace_id", "user_id", "id"]),
        index("tokens_expiry", "tokens", &["expires_at"]),
        index("login_failures_age", "login_failures", &["updated_at"]),
        index("audit_time", "audit", &["workspace_id", "id"]),
        unique("secrets_name", "secrets", &["workspace_id", "name"]),
        among("bots_name", "bots", &["workspace_id", "name"], Expr::col("deleted_at").is_null()),
        index("bots_time", "bots", &["workspace_id", "id"]),
        unique("versions_number", "versions", &["bot_id", "number"]),
        unique("version_files_path", "version_files", &["version_id", "path"]),
        index("deployments_bot", "deployments", &["bot_id", "id"]),
        index("deployments_version", "deployments", &["version_id"]),
        // An environment has one present deployment of a bot.
        among("deployments_present", "deployments", &["bot_id", "environment"], Expr::col("ended_at").is_null()),
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

fn unique(name: &'static str, table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    index(name, table, columns).unique().to_owned()
}

/// Unique among the rows that satisfy `rows`.
fn among(name: &'static str, table: &'static str, columns: &[&'static str], rows: SimpleExpr) -> IndexCreateStatement {
    unique(name, table, columns).and_where(rows).to_owned()
}
