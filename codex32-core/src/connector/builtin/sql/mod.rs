//! `sql`: PostgreSQL and SQLite.
//!
//! Invariants: values are only bound; names of tables and columns are quoted; a
//! `query` runs where nothing can be changed; what an SQLite statement may do besides
//! reading and writing its own file (attach others, vacuum into files) is refused.

mod postgres;
mod postgres_value;
mod sqlite;
mod statement;

use crate::connector::beneath::Place;
use crate::connector::input::{no_action, read};
use crate::connector::net::{MAX_ANSWER, Net};
use crate::connector::{ActionContext, Connector};
use crate::error::{Code, Error, Result};
use indexmap::IndexMap;
use rustix::fs::{Mode, OFlags};
use sea_orm::sqlx;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::sync::Arc;

/// Longest time for a statement, in milliseconds; a step's timeout may be shorter.
const LIMIT_MS: u64 = 60_000;

pub(super) struct Sql {
    postgres: postgres::Pools,
    sqlite: sqlite::Pools,
}

impl Sql {
    pub(super) fn new(net: Arc<Net>) -> Sql {
        Sql { postgres: postgres::Pools::new(net), sqlite: sqlite::Pools::default() }
    }
}

#[derive(Deserialize)]
struct Input {
    database: Option<String>,
    #[serde(default)]
    sql: String,
    #[serde(default)]
    params: Vec<Value>,
    #[serde(default)]
    limit: usize,
    #[serde(default)]
    table: String,
    row: Option<Map<String, Value>>,
    rows: Option<Vec<Map<String, Value>>>,
    #[serde(default)]
    on_conflict: String,
    #[serde(default)]
    equals: Map<String, Value>,
}

/// What is asked of a database.
pub(super) enum Ask {
    Query {
        sql: String,
        params: Vec<Value>,
        limit: usize,
    },
    Execute {
        sql: String,
        params: Vec<Value>,
    },
    /// Rows in groups with the same columns.
    Insert {
        table: String,
        groups: IndexMap<Vec<String>, Vec<Value>>,
        ignore: bool,
    },
    Count {
        table: String,
        equals: Map<String, Value>,
    },
}

/// Where the database is.
enum Target {
    Postgres(String),
    /// The URL or path, and whether it is a URL of a connection.
    SqliteUrl(String),
    SqliteFile(PathBuf),
}

#[async_trait::async_trait]
impl Connector for Sql {
    fn name(&self) -> &str {
        "sql"
    }

    async fn call(&self, action: &str, cx: &ActionContext, input: Value) -> Result<Value> {
        let mut input: Input = read(input)?;
        let database = input.database.take();
        let ask = ask(action, input)?;
        match target(cx, database.as_deref(), &ask)? {
            Target::Postgres(url) => self.postgres.run(cx, &url, ask).await,
            Target::SqliteUrl(url) => self.sqlite.run(cx, &url, None, ask).await,
            Target::SqliteFile(path) => self.sqlite.run(cx, &path.to_string_lossy(), Some(&path), ask).await,
        }
    }
}

fn ask(action: &str, input: Input) -> Result<Ask> {
    Ok(match action {
        "query" => Ask::Query { sql: input.sql, params: input.params, limit: input.limit },
        "execute" => Ask::Execute { sql: input.sql, params: input.params },
        "count" => Ask::Count { table: statement::table(&input.table)?, equals: input.equals },
        "insert" => {
            let rows = match (input.row, input.rows) {
                (Some(row), None) => vec![row],
                (None, Some(rows)) => rows,
                _ => return Err(Error::invalid("one of `row` and `rows` must be given, not both")),
            };
            let mut groups: IndexMap<Vec<String>, Vec<Value>> = IndexMap::new();
            for row in rows {
                if row.is_empty() {
                    return Err(Error::invalid("a row has no columns").at("/row", "must not be empty"));
                }
                groups.entry(row.keys().cloned().collect()).or_default().push(Value::Object(row));
            }
            Ask::Insert { table: statement::table(&input.table)?, groups, ignore: input.on_conflict == "ignore" }
        }
        other => return Err(no_action("sql", other)),
    })
}

fn target(cx: &ActionContext, database: Option<&str>, ask: &Ask) -> Result<Target> {
    if let Some(path) = database {
        let place = Place::locate(&cx.network.permissions, path)?;
        // Opened once beneath its folder, so that a symlink that leads out is refused here.
        match place.open() {
            Ok(_) => {}
            Err(e) if e.code() == Code::NotFound && matches!(ask, Ask::Execute { .. } | Ask::Insert { .. }) => {
                place.open_with(OFlags::CREATE | OFlags::RDWR, Mode::from_raw_mode(0o644))?;
            }
            Err(e) => return Err(e),
        }
        return Ok(Target::SqliteFile(place.path().to_owned()));
    }
    let url = cx.connection.as_ref().and_then(|c| c["url"].as_str()).ok_or_else(|| {
        Error::precondition("the step names no database")
            .hint("store a connection as the secret `connection:sql` with a url, or give `database`")
    })?;
    Ok(if url.starts_with("sqlite:") { Target::SqliteUrl(url.to_owned()) } else { Target::Postgres(url.to_owned()) })
}

/// Collects rows up to a number and a size.
pub(super) struct Rows {
    rows: Vec<Value>,
    bytes: usize,
    limit: usize,
    truncated: bool,
}

impl Rows {
    fn new(limit: usize) -> Rows {
        Rows { rows: Vec::new(), bytes: 0, limit, truncated: false }
    }

    /// Takes a row; false when there is no room for more.
    fn push(&mut self, row: Value, bytes: usize) -> Result<bool> {
        if self.rows.len() >= self.limit {
            self.truncated = true;
            return Ok(false);
        }
        self.bytes += bytes;
        if self.bytes > MAX_ANSWER {
            return Err(Error::new(Code::TooLarge, format!("the rows are larger than {MAX_ANSWER} bytes"))
                .hint("select fewer columns or set `limit`"));
        }
        self.rows.push(row);
        Ok(true)
    }

    fn queried(self) -> Value {
        json!({"count": self.rows.len(), "rows": self.rows, "truncated": self.truncated})
    }
}

/// A database's error; its text names statements and columns, and no credentials.
fn failure(e: &sqlx::Error) -> Error {
    match e {
        sqlx::Error::Database(inner) => {
            let code = inner.code().unwrap_or_default();
            let message = inner.message().to_owned();
            match code.as_ref() {
                _ if inner.is_unique_violation() || inner.is_foreign_key_violation() => Error::conflict(message),
                "40001" | "40P01" | "53300" | "57P01" | "57P02" | "57P03" => Error::unavailable(message),
                "57014" => Error::new(Code::Timeout, message),
                // SQLite: busy, locked.
                "5" | "6" | "261" | "517" => Error::new(Code::Busy, message).retry_after_ms(500),
                // SQLite: interrupted.
                "9" => Error::new(Code::Cancelled, message),
                _ => Error::new(Code::Failed, format!("the database refused the statement: {message}")),
            }
        }
        sqlx::Error::Io(e) => Error::unavailable(format!("the database cannot be reached: {e}")),
        sqlx::Error::Tls(_) => Error::unavailable("no secure connection to the database could be made"),
        sqlx::Error::PoolTimedOut => {
            Error::new(Code::Busy, "the database has no free connection").retry_after_ms(1_000)
        }
        sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => Error::unavailable("the database was closed"),
        sqlx::Error::Configuration(_) => Error::invalid("the address of the database is not right"),
        sqlx::Error::Encode(e) => Error::invalid(format!("a parameter cannot be bound: {e}")),
        other => Error::new(Code::Failed, format!("the database did not answer properly: {other}")),
    }
}

fn limit_ms(cx: &ActionContext) -> u64 {
    let left = cx.deadline.map(|deadline| u64::try_from(deadline - cx.clock.now()).unwrap_or(0));
    left.map_or(LIMIT_MS, |left| left.clamp(1, LIMIT_MS))
}
