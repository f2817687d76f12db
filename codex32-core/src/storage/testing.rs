//! Databases for tests: each test has its own, on SQLite and on PostgreSQL.
//!
//! ```ignore
//! #[tokio::test]
//! async fn a_name_is_kept() {
//!     storage::testing::on_each(async |db| { ... }).await;
//! }
//! ```

use super::Db;
use sea_orm::{ConnectionTrait, Database};

/// PostgreSQL for tests; another can be named in this variable.
const POSTGRES_VARIABLE: &str = "CODEX32_TEST_POSTGRES";
const POSTGRES_DEFAULT: &str = "postgres://postgres@127.0.0.1/test";

/// NATS with JetStream for tests; another can be named in this variable.
const NATS_VARIABLE: &str = "CODEX32_TEST_NATS";
const NATS_DEFAULT: &str = "nats://127.0.0.1:4222";

/// A database that goes away with the test.
pub(crate) struct TestDb {
    /// The database, migrated.
    pub(crate) db: Db,
    /// Its URL, to open it a second time.
    pub(crate) url: String,
    _place: Place,
}

enum Place {
    Folder { _folder: tempfile::TempDir },
    Schema { server: String, name: String },
}

/// A fresh SQLite file.
pub(crate) async fn sqlite() -> TestDb {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/test.db", folder.path().display());
    let db = Db::open(&url).await.unwrap();
    TestDb { db, url, _place: Place::Folder { _folder: folder } }
}

/// A fresh schema on the PostgreSQL server for tests. `None` where there is no
/// server, which is only allowed outside continuous integration.
pub(crate) async fn postgres() -> Option<TestDb> {
    let server = std::env::var(POSTGRES_VARIABLE).unwrap_or_else(|_| POSTGRES_DEFAULT.to_owned());
    let admin = match Database::connect(&server).await {
        Ok(admin) => admin,
        Err(e) => {
            let must = std::env::var("CI").is_ok_and(|ci| ci == "true") || std::env::var(POSTGRES_VARIABLE).is_ok();
            assert!(!must, "no PostgreSQL at {server}: {e}");
            eprintln!("skipped on PostgreSQL: none at {server}");
            return None;
        }
    };
    let name = format!("test_{}", uuid::Uuid::now_v7().simple());
    admin.execute_unprepared(&format!("CREATE SCHEMA {name}")).await.unwrap();
    admin.close().await.unwrap();
    let mark = if server.contains('?') { '&' } else { '?' };
    let url = format!("{server}{mark}options[search_path]={name}");
    let db = Db::open(&url).await.unwrap();
    Some(TestDb { db, url, _place: Place::Schema { server, name } })
}

/// Address of the NATS server for tests. `None` where there is none, which is only
/// allowed outside continuous integration.
pub(crate) async fn nats() -> Option<String> {
    let url = std::env::var(NATS_VARIABLE).unwrap_or_else(|_| NATS_DEFAULT.to_owned());
    let server = url.trim_start_matches("nats://");
    if tokio::net::TcpStream::connect(server).await.is_err() {
        let must = std::env::var("CI").is_ok_and(|ci| ci == "true") || std::env::var(NATS_VARIABLE).is_ok();
        assert!(!must, "no NATS at {url}");
        eprintln!("skipped: no NATS at {url}");
        return None;
    }
    Some(url)
}

/// Runs `test` on SQLite, then on PostgreSQL where there is one.
pub(crate) async fn on_each(test: impl AsyncFn(Db)) {
    let file = sqlite().await;
    test(file.db.clone()).await;
    if let Some(schema) = postgres().await {
        test(schema.db.clone()).await;
        schema.db.clone().close().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Place::Schema { server, name } = self else { return };
        let (server, drop) = (server.clone(), format!("DROP SCHEMA {name} CASCADE"));
        // A drop cannot wait in the test's own runtime.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                if let Ok(admin) = Database::connect(&server).await {
                    let _ = admin.execute_unprepared("SET lock_timeout = '5s'").await;
                    let _ = admin.execute_unprepared(&drop).await;
                }
            });
        });
        let _ = thread.join();
    }
}

mod tests {
    use super::*;

    #[tokio::test]
    async fn every_test_has_a_database_of_its_own() {
        on_each(async |db| {
            let other = match db.backend() {
                super::super::Backend::Sqlite => sqlite().await,
                super::super::Backend::Postgres => postgres().await.unwrap(),
            };
            db.read().execute_unprepared("CREATE TABLE only_here (n INTEGER)").await.unwrap();
            db.read().execute_unprepared("INSERT INTO only_here VALUES (1)").await.unwrap();
            let again = Db::open(&other.url).await.unwrap();
            assert!(again.read().execute_unprepared("INSERT INTO only_here VALUES (2)").await.is_err());
            assert!(other.db.read().execute_unprepared("INSERT INTO only_here VALUES (2)").await.is_err());
        })
        .await;
    }
}
