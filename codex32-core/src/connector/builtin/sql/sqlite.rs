//! SQLite.

use super::statement::{lone, name};
use super::{Ask, LIMIT_MS, Rows, failure};
use crate::connector::ActionContext;
use crate::connector::net::within;
use crate::error::{Error, Result};
use crate::id::WorkspaceId;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::TryStreamExt as _;
use sea_orm::sqlx;
use serde_json::{Map, Value, json};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqlitePoolOptions, SqliteRow};
use sqlx::{
    AssertSqlSafe, Column as _, Executor as _, Row as _, SqlSafeStr as _, Sqlite, SqliteConnection, SqlitePool,
    Statement as _, TypeInfo as _, ValueRef as _,
};
use std::collections::HashMap;
use std::path::Path;
use std::str::FromStr as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Pools that are kept.
const MAX_POOLS: usize = 64;
/// Statements that read.
const READS: [&str; 4] = ["SELECT", "WITH", "VALUES", "EXPLAIN"];
/// Statements that change. All others reach beyond the database's own file.
const WRITES: [&str; 8] = ["INSERT", "REPLACE", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "WITH"];

type Key = (WorkspaceId, String, bool);

/// Open databases. Those for queries cannot change anything.
#[derive(Default)]
pub(super) struct Pools(Mutex<HashMap<Key, SqlitePool>>);

impl Pools {
    /// Does what is asked, on the database of a connection's URL or of a file.
    pub(super) async fn run(&self, cx: &ActionContext, url: &str, file: Option<&Path>, ask: Ask) -> Result<Value> {
        check(&ask)?;
        let reads = matches!(ask, Ask::Query { .. } | Ask::Count { .. });
        let pool = self.pool(cx.workspace, url, file, reads)?;
        within(cx, LIMIT_MS, "the database", async {
            let mut connection = pool.acquire().await.map_err(|e| failure(&e))?;
            let stop = Stop::default();
            let stopped = stop.0.clone();
            // A statement goes on in its thread when nobody waits for it any more; this ends it.
            let mut handle = connection.lock_handle().await.map_err(|e| failure(&e))?;
            handle.set_progress_handler(10_000, move || !stopped.load(Ordering::Relaxed));
            drop(handle);
            let done = answer(&mut connection, ask).await;
            if let Ok(mut handle) = connection.lock_handle().await {
                handle.remove_progress_handler();
            }
            done
        })
        .await
    }

    fn pool(&self, workspace: WorkspaceId, url: &str, file: Option<&Path>, reads: bool) -> Result<SqlitePool> {
        let mut pools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (workspace, url.to_owned(), reads);
        if let Some(pool) = pools.get(&key) {
            return Ok(pool.clone());
        }
        let options = match file {
            Some(path) => SqliteConnectOptions::new().filename(path),
            None => SqliteConnectOptions::from_str(url).map_err(|e| failure(&e))?,
        };
        let options = options.busy_timeout(Duration::from_secs(10)).foreign_keys(true);
        let options = if reads { options.pragma("query_only", "ON") } else { options };
        let pool = SqlitePoolOptions::new()
            .max_connections(if reads { 4 } else { 1 })
            .idle_timeout(Duration::from_secs(60))
            .acquire_timeout(Duration::from_secs(30))
            .connect_lazy_with(options);
        if pools.len() >= MAX_POOLS {
            // Those in use live on with whoever uses them.
            pools.clear();
        }
        pools.insert(key, pool.clone());
        Ok(pool)
    }
}

/// Tells the running statement to end when it is dropped.
#[derive(Default)]
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn check(ask: &Ask) -> Result<()> {
    let (sql, allowed, hint) = match ask {
        Ask::Query { sql, .. } => (sql, &READS[..], "use sql.execute for statements that change data"),
        Ask::Execute { sql, .. } => (sql, &WRITES[..], "use sql.query for statements that read"),
        _ => return Ok(()),
    };
    let first = lone(sql)?.first;
    if allowed.contains(&first.as_str()) {
        return Ok(());
    }
    let why = format!("{first} statements are not allowed here; there are {}", allowed.join(", "));
    Err(Error::invalid(why.clone()).at("/sql", why).hint(hint))
}

async fn answer(connection: &mut SqliteConnection, ask: Ask) -> Result<Value> {
    match ask {
        Ask::Query { sql, params, limit } => {
            let mut rows = Rows::new(limit);
            let mut stream = bound(&sql, &params).fetch(connection);
            while let Some(row) = stream.try_next().await.map_err(|e| failure(&e))? {
                let (row, bytes) = json_of(&row)?;
                if !rows.push(row, bytes)? {
                    break;
                }
            }
            Ok(rows.queried())
        }
        Ask::Execute { sql, params } => {
            let text = AssertSqlSafe(sql.as_str()).into_sql_str();
            let statement = (&mut *connection).prepare(text).await.map_err(|e| failure(&e))?;
            if statement.columns().is_empty() {
                let done = bound(&sql, &params).execute(connection).await.map_err(|e| failure(&e))?;
                return Ok(json!({"rows_affected": done.rows_affected(), "rows": []}));
            }
            let mut rows = Rows::new(usize::MAX);
            let mut stream = bound(&sql, &params).fetch(connection);
            while let Some(row) = stream.try_next().await.map_err(|e| failure(&e))? {
                let (row, bytes) = json_of(&row)?;
                rows.push(row, bytes)?;
            }
            Ok(json!({"rows_affected": rows.rows.len(), "rows": rows.rows}))
        }
        Ask::Insert { table, groups, ignore } => {
            let mut tx = sqlx::Connection::begin(connection).await.map_err(|e| failure(&e))?;
            let mut inserted = 0;
            for (columns, rows) in groups {
                let names: Vec<String> = columns.iter().map(|c| name(c)).collect::<Result<_>>()?;
                let marks: Vec<String> = (1..=columns.len()).map(|n| format!("?{n}")).collect();
                let or = if ignore { "OR IGNORE " } else { "" };
                let sql = format!("INSERT {or}INTO {table} ({}) VALUES ({})", names.join(", "), marks.join(", ")); // identifiers only
                for row in rows {
                    let values: Vec<Value> = columns.iter().map(|c| row[c.as_str()].clone()).collect();
                    let done = bound(&sql, &values).execute(&mut *tx).await.map_err(|e| failure(&e))?;
                    inserted += done.rows_affected();
                }
            }
            tx.commit().await.map_err(|e| failure(&e))?;
            Ok(json!({"inserted": inserted}))
        }
        Ask::Count { table, equals } => {
            let mut sql = format!("SELECT count(*) FROM {table}"); // identifiers only
            for (n, column) in equals.keys().enumerate() {
                let word = if n == 0 { "WHERE" } else { "AND" };
                sql = format!("{sql} {word} {} IS ?{}", name(column)?, n + 1);
            }
            let values: Vec<Value> = equals.into_iter().map(|(_, value)| value).collect();
            let row = bound(&sql, &values).fetch_one(connection).await.map_err(|e| failure(&e))?;
            Ok(json!({"count": row.try_get::<i64, _>(0).map_err(|e| failure(&e))?}))
        }
    }
}

/// The statement with its values. Its text comes from the blueprint or holds only quoted names.
fn bound<'q>(sql: &str, params: &[Value]) -> Query<'q, Sqlite, SqliteArguments> {
    params.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, value| match value {
        Value::Null => query.bind(None::<String>),
        Value::Bool(b) => query.bind(*b),
        Value::Number(n) => match n.as_i64() {
            Some(whole) => query.bind(whole),
            None => query.bind(n.as_f64()),
        },
        Value::String(text) => query.bind(text.clone()),
        other => query.bind(other.to_string()),
    })
}

/// A row as JSON, and about how many bytes it takes.
fn json_of(row: &SqliteRow) -> Result<(Value, usize)> {
    let mut map = Map::new();
    let mut bytes = 0;
    for (at, column) in row.columns().iter().enumerate() {
        let raw = row.try_get_raw(at).map_err(|e| failure(&e))?;
        let kind = if raw.is_null() { "NULL".to_owned() } else { raw.type_info().name().to_owned() };
        let value = match kind.as_str() {
            "NULL" => Value::Null,
            "INTEGER" | "INT8" | "BIGINT" => json!(row.try_get_unchecked::<i64, _>(at).map_err(|e| failure(&e))?),
            "BOOLEAN" => json!(row.try_get_unchecked::<bool, _>(at).map_err(|e| failure(&e))?),
            "REAL" => json!(row.try_get_unchecked::<f64, _>(at).map_err(|e| failure(&e))?),
            "BLOB" => STANDARD.encode(row.try_get_unchecked::<Vec<u8>, _>(at).map_err(|e| failure(&e))?).into(),
            _ => row.try_get_unchecked::<String, _>(at).map_err(|e| failure(&e))?.into(),
        };
        bytes += column.name().len() + value.as_str().map_or(8, str::len);
        map.insert(column.name().to_owned(), value);
    }
    Ok((Value::Object(map), bytes))
}
