//! Opening a database and writing to it.

use super::group::Group;
use super::wake::{PostgresCarrier, Wakes};
use super::writer::{Job, Writer};
use crate::error::{Code, Error, Result};
use futures::future::BoxFuture;
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseExecutor, DatabaseTransaction, DbBackend,
    Statement, TransactionTrait,
};
use sea_orm_migration::MigratorTrait;
use sha2::{Digest as _, Sha256};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Mutex;

/// The server ends a transaction in which nothing was asked for so long.
const SILENT: &str = "5s";

/// A transaction.
pub type Tx = DatabaseTransaction;

/// Which database stands behind a [`Db`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// Embedded.
    Sqlite,
    /// By URL.
    Postgres,
}

/// A database, migrated and ready. Cheap to clone.
///
/// SQLite has one writer: writes take turns on a connection of their own, so that
/// they queue here in order and not in SQLite's busy handler; reads go on beside them.
#[derive(Clone)]
pub struct Db {
    read: DatabaseConnection,
    write: Way,
    /// Batches go this way, from a thread of their own.
    batches: Way,
    together: Group<Job, ()>,
    writer: Arc<Writer>,
    /// Counts the writes that may have changed what is kept of the database.
    generation: Arc<AtomicU64>,
    backend: Backend,
    /// Names the database and schema among all of all servers, where others may work on it, too.
    cluster: Option<Arc<str>>,
    wakes: Wakes,
}

/// A way to write.
#[derive(Clone)]
struct Way {
    connection: DatabaseConnection,
    /// SQLite has one writer: whoever writes has the turn.
    turn: Option<Arc<Mutex<()>>>,
}

impl Way {
    async fn transaction<T, F>(&self, work: F) -> Result<T>
    where
        T: Send,
        F: for<'t> FnOnce(&'t Tx) -> BoxFuture<'t, Result<T>> + Send,
    {
        let _turn = self.turn().await;
        let tx = match self.turn {
            // A deferred transaction that reads before it writes would fail under a second process.
            Some(_) => self.connection.begin_with_options(immediate()).await?,
            None => self.connection.begin().await?,
        };
        match work(&tx).await {
            Ok(value) => {
                tx.commit().await?;
                Ok(value)
            }
            Err(error) => {
                // The work's own error is what the caller wants; a failed rollback ends with the connection.
                let _ = tx.rollback().await;
                Err(error)
            }
        }
    }

    async fn turn(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        match &self.turn {
            Some(turn) => Some(turn.lock().await),
            None => None,
        }
    }

    /// Does all of `jobs` in one transaction. Where that fails because of one of them, each
    /// is done in one of its own, so that none suffers for another.
    async fn together(self, jobs: Vec<Job>) -> Vec<Result<()>> {
        if let [job] = jobs.as_slice() {
            return vec![self.alone(job).await];
        }
        let all = jobs.clone();
        let done = self.transaction(move |tx| {
            Box::pin(async move {
                for job in all {
                    (job.work)(DatabaseExecutor::Transaction(tx)).await?;
                }
                Ok(())
            })
        });
        let mut done = vec![match done.await {
            Ok(()) => return vec![Ok(()); jobs.len()],
            Err(error) if matches!(error.code(), Code::Unavailable | Code::Busy) => {
                return vec![Err(error); jobs.len()];
            }
            Err(_) => self.alone(&jobs[0]).await,
        }];
        for job in &jobs[1..] {
            done.push(self.alone(job).await);
        }
        done
    }

    async fn alone(&self, job: &Job) -> Result<()> {
        if job.single {
            let _turn = self.turn().await;
            return (job.work)(DatabaseExecutor::Connection(&self.connection)).await;
        }
        let work = job.work.clone();
        self.transaction(move |tx| Box::pin(async move { work(DatabaseExecutor::Transaction(tx)).await })).await
    }
}

/// Counts a write when it is over, however it ends: also one that nobody waited for.
struct Counted<'a>(&'a AtomicU64);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Db").field("backend", &self.backend).finish_non_exhaustive()
    }
}

impl Db {
    /// Opens `url` (`sqlite:///path/file.db`, `sqlite::memory:` or `postgres://...`),
    /// creating an SQLite file where there is none, and migrates it.
    ///
    /// # Errors
    /// `invalid` for an unknown scheme, `unavailable` where it cannot be opened.
    pub async fn open(url: &str) -> Result<Db> {
        let db = if url.starts_with("sqlite:") {
            Self::open_sqlite(url).await?
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            Self::open_postgres(url).await?
        } else {
            return Err(Error::invalid("the store URL has an unknown scheme")
                .hint("use sqlite:///path/to/file.db or postgres://user@host/database"));
        };
        db.migrate().await.map_err(|e| Error::unavailable(format!("migrate the database: {e}")))?;
        Ok(db)
    }

    async fn migrate(&self) -> std::result::Result<(), sea_orm::DbErr> {
        if self.backend == Backend::Sqlite {
            return super::migration::Migrator::up(&self.write.connection, None).await;
        }
        // Nodes that are started together take turns.
        let turn = self.read.begin().await?;
        // A long migration is no silence of the one who waits for it here.
        turn.execute_unprepared("SET LOCAL idle_in_transaction_session_timeout = 0").await?;
        self.alone_in(&turn, "migrate").await?;
        super::migration::Migrator::up(&self.write.connection, None).await?;
        turn.commit().await
    }

    /// Until `tx` ends nobody else is past this line for the same work, on whatever node.
    /// On SQLite there is one writer at any rate.
    pub(crate) async fn alone_in(&self, tx: &Tx, what: &str) -> std::result::Result<(), sea_orm::DbErr> {
        if let Some(key) = self.lock_key(what) {
            let lock = "SELECT pg_advisory_xact_lock($1)";
            tx.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, lock, [key.into()])).await?;
        }
        Ok(())
    }

    async fn open_sqlite(url: &str) -> Result<Db> {
        let memory = url.contains(":memory:");
        // An in-memory database exists once per connection, so both ways share one.
        let write = Self::connect(sqlite_options(url, 1)).await?;
        let read = if memory { write.clone() } else { Self::connect(sqlite_options(url, 8)).await? };
        let write = Way { connection: write, turn: Some(Arc::default()) };
        let writer = Writer::start()?;
        Ok(Db {
            read,
            together: together(write.clone(), writer.handle()),
            batches: write.clone(),
            write,
            writer: Arc::new(writer),
            generation: Arc::default(),
            backend: Backend::Sqlite,
            cluster: None,
            wakes: Wakes::default(),
        })
    }

    async fn open_postgres(url: &str) -> Result<Db> {
        let mut options = ConnectOptions::new(url);
        options.max_connections(16).connect_timeout(Duration::from_secs(10)).sqlx_logging(false);
        // A connection that was just used is asked nothing: that would double the cost of a small read.
        options.test_before_acquire_if_idle_for(Duration::from_secs(1));
        let port = url::Url::parse(url).ok().and_then(|url| url.port()).unwrap_or(5432);
        options.map_sqlx_postgres_pool_opts(move |pool| {
            pool.after_connect(move |_, _| {
                super::nodelay::send_at_once(port);
                Box::pin(async { Ok(()) })
            })
        });
        // A process that is frozen within a transaction, or cut off without a word, must not
        // hold its locks for ever: one of them is the bus, for which all others wait.
        options.map_sqlx_postgres_opts(|o| o.options([("idle_in_transaction_session_timeout", SILENT)]));
        let read = Self::connect(options.clone()).await?;
        // A connection belongs to the runtime on which it was opened.
        let writer = Writer::start()?;
        options.max_connections(1).connect_lazy(true);
        let batches = writer.handle().spawn(Self::connect(options)).await;
        let batches = batches.map_err(|_| Error::internal("the thread that writes has ended"))??;
        let batches = Way { connection: batches, turn: None };
        let cluster =
            cluster_of(&read).await.map_err(|e| Error::unavailable(format!("ask the database for its name: {e}")))?;
        let channel = format!("codex32_{cluster}");
        Ok(Db {
            write: Way { connection: read.clone(), turn: None },
            together: together(batches.clone(), writer.handle()),
            batches,
            writer: Arc::new(writer),
            generation: Arc::default(),
            backend: Backend::Postgres,
            cluster: Some(cluster.into()),
            wakes: Wakes::by(Arc::new(PostgresCarrier::new(read.clone(), channel))),
            read,
        })
    }

    async fn connect(options: ConnectOptions) -> Result<DatabaseConnection> {
        Database::connect(options).await.map_err(|e| Error::unavailable(format!("open the database: {e}")))
    }

    /// The connection for reads outside a transaction.
    #[must_use]
    pub fn read(&self) -> &DatabaseConnection {
        &self.read
    }

    /// The wake-ups between the processes on this database.
    #[must_use]
    pub fn wakes(&self) -> &Wakes {
        &self.wakes
    }

    /// Has the wake-ups go another way than by the database.
    #[must_use]
    pub fn with_wakes(mut self, wakes: Wakes) -> Db {
        self.wakes = wakes;
        self
    }

    /// Names the database among all that others may work on, too; `None` for a file, on
    /// which one process works.
    #[must_use]
    pub fn cluster(&self) -> Option<&str> {
        self.cluster.as_deref()
    }

    /// Key of an advisory lock that the nodes on this database share, `None` where there is one node.
    pub(super) fn lock_key(&self, what: &str) -> Option<i64> {
        let digest = Sha256::digest(format!("codex32 {what} {}", self.cluster()?));
        let bytes: [u8; 8] = digest.get(..8)?.try_into().ok()?;
        Some(i64::from_be_bytes(bytes))
    }

    /// Which database this is.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Runs `work` in one transaction: committed where it returns `Ok`, else rolled back.
    /// The result is only given after the commit.
    ///
    /// ```ignore
    /// db.write(|tx| Box::pin(async move { store::insert(tx, row).await })).await?;
    /// ```
    pub async fn write<T, F>(&self, work: F) -> Result<T>
    where
        T: Send,
        F: for<'t> FnOnce(&'t Tx) -> BoxFuture<'t, Result<T>> + Send,
    {
        let _counted = Counted(&self.generation);
        self.append(work).await
    }

    /// How often [`Db::write`] was called. Where nobody else can write to the database (a
    /// file, which one process works on at a time), what is kept with this number is true
    /// as long as it is the same.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Like [`Db::write`], for work that only adds to what happened (journals, events, the
    /// audit trail) and changes nothing that is kept by [`Recent`](super::Recent).
    ///
    /// # Errors
    /// Those of the work and of the database.
    pub(crate) async fn append<T, F>(&self, work: F) -> Result<T>
    where
        T: Send,
        F: for<'t> FnOnce(&'t Tx) -> BoxFuture<'t, Result<T>> + Send,
    {
        self.write.transaction(work).await
    }

    /// Like [`Db::append`], for work that shares a transaction with what is given here at
    /// the same time. It may be done a second time, where that transaction fails.
    ///
    /// # Errors
    /// Those of the work and of the database.
    pub(crate) async fn batch<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> Fn(&'t Tx) -> BoxFuture<'t, Result<T>> + Send + Sync + 'static,
    {
        let work = Arc::new(work);
        self.submit(false, move |db| {
            let work = work.clone();
            Box::pin(async move {
                match db {
                    DatabaseExecutor::Transaction(tx) => work(tx).await,
                    _ => Err(Error::internal("a batch was begun without a transaction")),
                }
            })
        })
        .await
    }

    /// Like [`Db::batch`], for work that is one statement: it is a transaction by itself,
    /// which saves the beginning and the commit where nothing else is written.
    ///
    /// # Errors
    /// Those of the statement.
    pub(crate) async fn single<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> Fn(DatabaseExecutor<'c>) -> BoxFuture<'c, Result<T>> + Send + Sync + 'static,
    {
        self.submit(true, work).await
    }

    async fn submit<T, F>(&self, single: bool, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> Fn(DatabaseExecutor<'c>) -> BoxFuture<'c, Result<T>> + Send + Sync + 'static,
    {
        let answer = Arc::new(std::sync::Mutex::new(None));
        let (given, work) = (answer.clone(), Arc::new(work));
        let work: Arc<super::writer::Work> = Arc::new(move |db: DatabaseExecutor<'_>| {
            let (given, work) = (given.clone(), work.clone());
            Box::pin(async move {
                let value = work(db).await?;
                *given.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
                Ok(())
            })
        });
        self.together.submit(Job { work, single }).await?;
        let value = answer.lock().unwrap_or_else(PoisonError::into_inner).take();
        value.ok_or_else(|| Error::internal("a batch gave no answer"))
    }

    /// A group whose requests are written by `work`, under a load by the thread for that.
    pub(crate) fn group<R, A>(
        &self,
        work: impl Fn(Vec<R>) -> BoxFuture<'static, Vec<Result<A>>> + Send + Sync + 'static,
    ) -> Group<R, A>
    where
        R: Send + 'static,
        A: Send + 'static,
    {
        Group::new(self.writer.handle().clone(), work)
    }

    /// Asks the database for a sign of life.
    ///
    /// # Errors
    /// `unavailable` where it gives none.
    pub async fn ping(&self) -> Result<()> {
        self.read.ping().await.map_err(Error::from)
    }

    /// Closes all connections.
    pub async fn close(self) {
        let _ = self.read.close_by_ref().await;
        let _ = self.write.connection.close_by_ref().await;
        let _ = self.batches.connection.close_by_ref().await;
    }

    /// The sea-orm name of the backend.
    #[must_use]
    pub fn db_backend(&self) -> DbBackend {
        self.read.get_database_backend()
    }
}

/// What is written by batches at the same time is one transaction.
fn together(way: Way, thread: &Handle) -> Group<Job, ()> {
    Group::new(thread.clone(), move |jobs| Box::pin(way.clone().together(jobs)))
}

fn immediate() -> sea_orm::TransactionOptions {
    sea_orm::TransactionOptions {
        sqlite_transaction_mode: Some(sea_orm::SqliteTransactionMode::Immediate),
        ..Default::default()
    }
}

fn sqlite_options(url: &str, connections: u32) -> ConnectOptions {
    let url = if url.contains('?') || url.contains(":memory:") { url.to_owned() } else { format!("{url}?mode=rwc") };
    let mut options = ConnectOptions::new(url);
    options.max_connections(connections).min_connections(1).connect_timeout(Duration::from_secs(10));
    // A file does not go away; asking it each time would double the cost of a small read.
    options.test_before_acquire(false);
    options.sqlx_logging(false).map_sqlx_sqlite_opts(|o| {
        o.pragma("journal_mode", "WAL")
            .pragma("synchronous", "FULL")
            .pragma("busy_timeout", "10000")
            .pragma("foreign_keys", "ON")
            .pragma("wal_autocheckpoint", "4000")
            // 32 MiB: the upper pages of all indexes, so that a write need not read them again.
            .pragma("cache_size", "-32768")
    });
    options
}

/// Sixteen letters that are the same for all who work on the same schema, whatever way
/// they have taken to its server.
async fn cluster_of(db: &DatabaseConnection) -> std::result::Result<String, sea_orm::DbErr> {
    let ask = async |sql: &'static str| -> std::result::Result<String, sea_orm::DbErr> {
        let row = db.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
        Ok(row.and_then(|row| row.try_get_by_index::<Option<String>>(0).ok()).flatten().unwrap_or_default())
    };
    let schema = ask("SELECT current_database()::text || '/' || current_schema()::text").await?;
    // Servers that keep it to themselves keep it from every node.
    let server = ask("SELECT system_identifier::text FROM pg_control_system()").await.unwrap_or_default();
    Ok(hex::encode(Sha256::digest(format!("{server}/{schema}"))).chars().take(16).collect())
}
