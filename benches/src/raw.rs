//! What a database takes without an engine: batched inserts of rows like the journal's,
//! and single commits.

use crate::Failure;
use codex32_core::storage::Db;
use codex32_core::storage::entity::journal;
use sea_orm::ActiveValue::Set;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, EntityTrait};
use std::path::Path;
use std::time::{Duration, Instant};
use uuid::Uuid;

const SECONDS: u64 = 2;
/// Rows of one statement, which is one transaction.
const BATCH: i64 = 128;
const COMMITS: usize = 200;

/// A database for the engine and one of its kind for the raw measure.
#[derive(Debug)]
pub struct Store {
    /// What it is called.
    pub name: String,
    /// The engine's.
    pub url: String,
    /// The raw one.
    pub raw: DatabaseConnection,
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// Rows each second, in batches from one connection.
    pub rows_per_second: f64,
    /// One row in a transaction of its own, in milliseconds.
    pub commit_p50_ms: f64,
}

/// The stores that can be measured here: SQLite, and PostgreSQL where a server answers.
///
/// # Errors
/// Where a database cannot be made.
pub async fn stores(folder: &Path) -> Result<Vec<Store>, Failure> {
    let mut stores = vec![];
    let file = |name: &str| format!("sqlite://{}?mode=rwc", folder.join(name).display());
    stores.push(Store {
        name: "SQLite, WAL, synchronous=FULL".to_owned(),
        url: file("engine.db"),
        raw: migrated(&file("raw.db")).await?,
    });
    let server = std::env::var("CODEX32_TEST_POSTGRES");
    let server = server.unwrap_or_else(|_| "postgres://postgres@127.0.0.1/test".to_owned());
    match Database::connect(ConnectOptions::new(&server)).await {
        Ok(admin) => {
            let mut urls = Vec::new();
            for kind in ["engine", "raw"] {
                let name = format!("codex32_bench_{kind}");
                let quoted = |verb: &str| [verb, " \"", &name, "\""].concat();
                admin.execute_unprepared(&quoted("DROP DATABASE IF EXISTS")).await?;
                admin.execute_unprepared(&quoted("CREATE DATABASE")).await?;
                let (base, _) = server.rsplit_once('/').ok_or("the address of PostgreSQL names no database")?;
                urls.push(format!("{base}/{name}"));
            }
            stores.push(Store {
                name: "PostgreSQL, fsync=on".to_owned(),
                raw: migrated(&urls[1]).await?,
                url: urls.swap_remove(0),
            });
        }
        Err(error) => eprintln!("PostgreSQL is left out: {error}"),
    }
    Ok(stores)
}

/// A database with the engine's tables.
async fn migrated(url: &str) -> Result<DatabaseConnection, Failure> {
    Db::open(url).await?.close().await;
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false).map_sqlx_sqlite_opts(|sqlite| {
        sqlite.pragma("journal_mode", "WAL").pragma("synchronous", "FULL").pragma("wal_autocheckpoint", "4000")
    });
    Ok(Database::connect(options).await?)
}

/// Measures one database.
///
/// # Errors
/// Those of the database.
pub async fn measure(raw: &DatabaseConnection) -> Result<Figures, Failure> {
    let mut commits = Vec::with_capacity(COMMITS);
    for _ in 0..COMMITS {
        let begun = Instant::now();
        journal::Entity::insert_many(rows(1)).exec_without_returning(raw).await?;
        commits.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    let begun = Instant::now();
    let mut inserted = 0;
    while begun.elapsed() < Duration::from_secs(SECONDS) {
        journal::Entity::insert_many(rows(BATCH)).exec_without_returning(raw).await?;
        inserted += BATCH;
    }
    let rows_per_second = inserted as f64 / begun.elapsed().as_secs_f64();
    Ok(Figures { rows_per_second, commit_p50_ms: crate::median(commits) })
}

/// Rows of an execution, as the engine writes them.
fn rows(count: i64) -> Vec<journal::ActiveModel> {
    let execution = Uuid::now_v7();
    let row = |seq| journal::ActiveModel {
        execution_id: Set(execution),
        seq: Set(seq),
        workspace_id: Set(execution),
        at: Set(1_767_607_650_000),
        kind: Set("step_succeeded".to_owned()),
        path: Set("a".to_owned()),
        attempt: Set(1),
        data: Set(r#"{"output":42,"ms":1}"#.to_owned()),
    };
    (1..=count).map(row).collect()
}
