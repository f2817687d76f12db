//! PostgreSQL. Rows become JSON, and JSON becomes rows, in the database itself, so
//! that every type it has works.

use super::statement::{lone, name};
use super::{Ask, LIMIT_MS, Rows, failure, limit_ms, postgres_value};
use crate::connector::ActionContext;
use crate::connector::net::{Guard, Net, within};
use crate::error::{Error, Result};
use crate::id::WorkspaceId;
use futures::TryStreamExt as _;
use sea_orm::sqlx;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{AssertSqlSafe, Executor as _, PgConnection, PgPool, Row as _, SqlSafeStr as _, Statement as _};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::str::FromStr as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Pools that are kept.
const MAX_POOLS: usize = 64;

type Key = (WorkspaceId, String, SocketAddr);

/// Open databases, by the address that was checked.
pub(super) struct Pools {
    net: Arc<Net>,
    pools: Mutex<HashMap<Key, PgPool>>,
}

impl Pools {
    pub(super) fn new(net: Arc<Net>) -> Pools {
        Pools { net, pools: Mutex::default() }
    }

    /// Does what is asked, in one transaction.
    pub(super) async fn run(&self, cx: &ActionContext, url: &str, ask: Ask) -> Result<Value> {
        let (pool, at) = self.pool(cx, url).await?;
        within(cx, LIMIT_MS, "the database", async {
            // The pool would try again and again; whether anybody is there is told at once.
            if pool.size() == 0 {
                let tried = tokio::net::TcpStream::connect(at).await;
                tried.map_err(|e| Error::unavailable(format!("the database cannot be reached: {e}")))?;
            }
            let mut tx = pool.begin().await.map_err(|e| failure(&e))?;
            if matches!(ask, Ask::Query { .. } | Ask::Count { .. }) {
                tx.execute("SET TRANSACTION READ ONLY").await.map_err(|e| failure(&e))?;
            }
            // So that the server stops, too, when nobody waits any more.
            let limit = limit_ms(cx).to_string();
            let set = sqlx::query("SELECT set_config('statement_timeout', $1, true)").bind(limit);
            set.execute(&mut *tx).await.map_err(|e| failure(&e))?;
            let done = answer(&mut tx, ask).await?;
            tx.commit().await.map_err(|e| failure(&e))?;
            Ok(done)
        })
        .await
    }

    async fn pool(&self, cx: &ActionContext, url: &str) -> Result<(PgPool, SocketAddr)> {
        let options = PgConnectOptions::from_str(url).map_err(|e| failure(&e))?;
        if options.get_socket().is_some() || options.get_host().starts_with('/') {
            return Err(Error::invalid("the address of the database names no host")
                .hint("write it as postgres://user:password@host:5432/database"));
        }
        let host = options.get_host().to_owned();
        let found = self.net.addresses(&Guard::of(cx), &host, options.get_port()).await?;
        let at = *found.first().ok_or_else(|| Error::unavailable("the host of the database has no address"))?;
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (cx.workspace, url.to_owned(), at);
        if let Some(pool) = pools.get(&key) {
            return Ok((pool.clone(), at));
        }
        // The checked address is connected to; only a full check of the certificate needs
        // the name, and then no other host can stand in for it.
        let options = match options.get_ssl_mode() {
            PgSslMode::VerifyFull => options,
            _ => options.host(&at.ip().to_string()),
        };
        let pool = PgPoolOptions::new()
            .max_connections(5)
            .idle_timeout(Duration::from_secs(60))
            .acquire_timeout(Duration::from_secs(20))
            .connect_lazy_with(options.application_name("codex32"));
        if pools.len() >= MAX_POOLS {
            pools.clear();
        }
        pools.insert(key, pool.clone());
        Ok((pool, at))
    }
}

async fn answer(connection: &mut PgConnection, ask: Ask) -> Result<Value> {
    match ask {
        Ask::Query { sql, params, limit } => {
            let statement = lone(&sql)?.text;
            let fetched = i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1;
            // On lines of its own, so that a comment at its end ends there.
            let sql = format!("SELECT to_jsonb(q)::text FROM (\n{statement}\n) AS q LIMIT {fetched}"); // identifiers only
            Ok(rows(connection, &sql, &params, limit).await?.queried())
        }
        Ask::Execute { sql, params } => execute(connection, &sql, &params).await,
        Ask::Insert { table, groups, ignore } => {
            let mut inserted = 0;
            for (columns, rows) in groups {
                let names: Vec<String> = columns.iter().map(|c| name(c)).collect::<Result<_>>()?;
                let (names, conflict) = (names.join(", "), if ignore { " ON CONFLICT DO NOTHING" } else { "" });
                let sql = format!(
                    "INSERT INTO {table} ({names}) SELECT {names} FROM jsonb_populate_recordset(NULL::{table}, $1::text::jsonb){conflict}"
                );
                let query = sqlx::query(AssertSqlSafe(sql)).bind(Value::Array(rows).to_string());
                inserted += query.execute(&mut *connection).await.map_err(|e| failure(&e))?.rows_affected();
            }
            Ok(json!({"inserted": inserted}))
        }
        Ask::Count { table, equals } => {
            let mut sql = format!("SELECT count(*)::text FROM {table}"); // identifiers only
            for (n, column) in equals.keys().enumerate() {
                let word = if n == 0 { "WHERE" } else { "AND" };
                sql = format!("{sql} {word} {} IS NOT DISTINCT FROM ${}", name(column)?, n + 1);
            }
            let values: Vec<Value> = equals.into_iter().map(|(_, value)| value).collect();
            let counted = rows(connection, &sql, &values, 1).await?;
            Ok(json!({"count": counted.rows.first()}))
        }
    }
}

async fn execute(connection: &mut PgConnection, sql: &str, params: &[Value]) -> Result<Value> {
    let sql = lone(sql)?.text;
    let plain = (&mut *connection).prepare(AssertSqlSafe(sql).into_sql_str()).await.map_err(|e| failure(&e))?;
    if plain.columns().is_empty() {
        let arguments = postgres_value::arguments(&plain, params)?;
        let done = plain.query_with(arguments).execute(connection).await.map_err(|e| failure(&e))?;
        return Ok(json!({"rows_affected": done.rows_affected(), "rows": []}));
    }
    let sql = format!("WITH q AS (\n{sql}\n) SELECT to_jsonb(q)::text FROM q");
    let returned = rows(connection, &sql, params, usize::MAX).await?.rows;
    Ok(json!({"rows_affected": returned.len(), "rows": returned}))
}

/// The rows of a statement whose one column is JSON as text.
async fn rows(connection: &mut PgConnection, sql: &str, params: &[Value], limit: usize) -> Result<Rows> {
    let statement = (&mut *connection).prepare(AssertSqlSafe(sql).into_sql_str()).await.map_err(|e| failure(&e))?;
    let arguments = postgres_value::arguments(&statement, params)?;
    let mut rows = Rows::new(limit);
    let mut stream = statement.query_with(arguments).fetch(connection);
    while let Some(row) = stream.try_next().await.map_err(|e| failure(&e))? {
        let text: &str = row.try_get(0).map_err(|e| failure(&e))?;
        let value =
            serde_json::from_str(text).map_err(|_| Error::unavailable("the database did not answer with JSON"))?;
        if !rows.push(value, text.len())? {
            break;
        }
    }
    Ok(rows)
}
