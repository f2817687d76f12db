//! What things cost on SQLite when much is stored: copies of real executions, ended and
//! asleep, and then a start, a timer and pages of lists on top of them.

use crate::{Failure, median};
use codex32_core::access::Caller;
use codex32_core::engine::{Config, Engine};
use codex32_core::storage::entity::{executions, journal, timers};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, EntityName as _};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Samples of each figure; the median counts.
const SAMPLES: usize = 100;
/// How long the timer that is measured waits, in milliseconds.
const NAP_MS: f64 = 20.0;
/// Copies that one statement makes.
const PIECE: u64 = 50_000;

const BOTS: [&str; 3] = [
    "codex32: v1
name: three
steps:
  - {id: a, use: transform.value, with: {value: \"{{ input.n + 1 }}\"}}
  - {id: b, use: transform.value, with: {value: \"{{ steps.a + 1 }}\"}}
  - {id: c, use: transform.value, with: {value: \"{{ steps.b + 1 }}\"}}
",
    "codex32: v1
name: nap
steps:
  - {id: a, wait: 20ms}
",
    "codex32: v1
name: sleeper
steps:
  - {id: a, wait: 365d}
",
];

/// What it costs, in milliseconds but for the last.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// A lone execution of three steps, from its start to its end.
    pub three_ms: f64,
    /// A lone execution that waits for a timer, less what it waits.
    pub timer_ms: f64,
    /// The first page of all executions, 50 rows.
    pub list_ms: f64,
    /// The first page of one bot's.
    pub bot_ms: f64,
    /// The first page of those that wait.
    pub waiting_ms: f64,
    /// One execution with its steps.
    pub detail_ms: f64,
    /// Resident memory of this process, in MB.
    pub memory_mb: f64,
}

/// An engine over a file with as many executions as one wishes.
pub struct Store {
    file: PathBuf,
    folder: PathBuf,
    /// Copies that were made so far: of the one that ended, and of the one that sleeps.
    ended: u64,
    asleep: u64,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Store {
    /// A fresh file with one execution of each kind.
    ///
    /// # Errors
    /// Where the engine fails.
    pub async fn new(folder: &Path) -> Result<Store, Failure> {
        let store = Store { file: folder.join("scale.db"), folder: folder.join("engine"), ended: 0, asleep: 0 };
        let (engine, owner) = store.open().await?;
        for blueprint in BOTS {
            let made = engine.call(Some(&owner), "bots.create", json!({ "blueprint": blueprint })).await?;
            engine.call(Some(&owner), "deployments.create", json!({ "bot": made["bot"]["name"] })).await?;
        }
        run(&engine, &owner, "three", true).await?;
        let id = run(&engine, &owner, "sleeper", false).await?["id"].clone();
        loop {
            let seen = engine.call(Some(&owner), "executions.get", json!({ "id": id })).await?;
            if seen["status"] == "waiting" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        engine.shutdown().await;
        Ok(store)
    }

    async fn open(&self) -> Result<(Engine, Caller), Failure> {
        let config = Config::in_folder(&self.folder).with_store(format!("sqlite://{}", self.file.display()));
        let engine = Engine::open(config).await?;
        engine.bootstrap(None).await?;
        engine.start().await?;
        let owner = engine.local_owner().await?;
        Ok((engine, owner))
    }

    /// Copies until so many have ended and so many sleep. Journals and timers are copied, too.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn grow(&mut self, ended: u64, asleep: u64) -> Result<(), Failure> {
        let mut options = ConnectOptions::new(format!("sqlite://{}", self.file.display()));
        options.max_connections(1).sqlx_logging(false).map_sqlx_sqlite_opts(|sqlite| {
            // Nobody has been told of these rows: they may be lost.
            sqlite.pragma("journal_mode", "WAL").pragma("synchronous", "OFF").pragma("cache_size", "-500000")
        });
        let db = Database::connect(options).await?;
        for (bot, has, wanted) in [("three", &mut self.ended, ended), ("sleeper", &mut self.asleep, asleep)] {
            while *has < wanted {
                let piece = PIECE.min(wanted - *has);
                for copy in copies(bot, *has, piece) {
                    db.execute_unprepared(&copy).await?;
                }
                *has += piece;
            }
        }
        db.execute_unprepared("ANALYZE").await?;
        db.close().await?;
        Ok(())
    }

    /// Measures on what is stored now.
    ///
    /// # Errors
    /// Where the engine fails.
    pub async fn measure(&self) -> Result<Figures, Failure> {
        let (engine, owner) = self.open().await?;
        let one = run(&engine, &owner, "three", true).await?["id"].clone();
        let of = async |name: &str, input: Value| -> Result<f64, Failure> {
            let mut figures = Vec::with_capacity(SAMPLES);
            for _ in 0..SAMPLES {
                let begun = Instant::now();
                engine.call(Some(&owner), name, input.clone()).await?;
                figures.push(begun.elapsed().as_secs_f64() * 1e3);
            }
            Ok(median(figures))
        };
        let start = |bot: &str| json!({ "bot": bot, "input": { "n": 1 }, "wait": true });
        let figures = Figures {
            three_ms: of("executions.start", start("three")).await?,
            timer_ms: of("executions.start", start("nap")).await? - NAP_MS,
            list_ms: of("executions.list", json!({ "limit": 50 })).await?,
            bot_ms: of("executions.list", json!({ "limit": 50, "bot": "three" })).await?,
            waiting_ms: of("executions.list", json!({ "limit": 50, "status": "waiting" })).await?,
            detail_ms: of("executions.get", json!({ "id": one })).await?,
            memory_mb: resident()?,
        };
        engine.shutdown().await;
        Ok(figures)
    }

    /// Resident memory of this process with the engine at rest, in MB.
    ///
    /// # Errors
    /// Where the engine fails.
    pub async fn memory(&self) -> Result<f64, Failure> {
        let (engine, _) = self.open().await?;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let seen = resident()?;
        engine.shutdown().await;
        Ok(seen)
    }
}

async fn run(engine: &Engine, owner: &Caller, bot: &str, wait: bool) -> Result<Value, Failure> {
    let input = json!({ "bot": bot, "input": { "n": 1 }, "wait": wait });
    Ok(engine.call(Some(owner), "executions.start", input).await?)
}

/// Statements that copy the first execution of a bot `count` times, each copy older than
/// anything that is run later. Ids are UUIDv7, of the millisecond `first + n`.
fn copies(bot: &str, first: u64, count: u64) -> Vec<String> {
    let id = "unhex(printf('%012x7%03x8%015x', 1600000000000 + n.n, n.n & 4095, n.n + kind.k))";
    // Two kinds must not meet in one id.
    let kind = if bot == "three" { 0 } else { 1_u64 << 40 };
    let numbers = format!(
        "WITH RECURSIVE n(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM n WHERE n + 1 < {}), kind(k) AS (SELECT {kind}), \
         first(id) AS (SELECT min(id) FROM executions WHERE bot_name = '{bot}' AND created_at > 1650000000000)",
        first + count
    );
    let copy = |table: &str, key: &str, columns: Vec<String>| {
        let values: Vec<String> = columns
            .iter()
            .map(|column| match column.as_str() {
                name if name == key => id.to_owned(),
                "created_at" => "1600000000000 + n.n".to_owned(),
                name => format!("t.\"{name}\""),
            })
            .collect();
        let names = columns.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
        format!(
            "{numbers} INSERT INTO {table} ({names}) SELECT {} FROM n, kind, first JOIN {table} t ON t.{key} = first.id",
            values.join(", ")
        )
    };
    fn names<C: sea_orm::Iterable + sea_orm::Iden>() -> Vec<String> {
        C::iter().map(|column| column.to_string()).collect()
    }
    vec![
        copy(executions::Entity.table_name(), "id", names::<executions::Column>()),
        copy(journal::Entity.table_name(), "execution_id", names::<journal::Column>()),
        copy(timers::Entity.table_name(), "execution_id", names::<timers::Column>()),
    ]
}

/// Resident memory of this process, in MB.
fn resident() -> Result<f64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("there is no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1_024.0)
}
