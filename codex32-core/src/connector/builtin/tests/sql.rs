use crate::connector::testing::Harness;
use crate::error::Code;
use crate::storage::testing;
use serde_json::{Value, json};

/// Runs `test` on an SQLite file and on a schema of PostgreSQL, each by a connection.
async fn on_each(test: impl AsyncFn(&Harness)) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/shop.db?mode=rwc", folder.path().display());
    test(&Harness::new().connected(json!({"url": url}))).await;
    if let Some(schema) = testing::postgres().await {
        test(&Harness::new().connected(json!({"url": schema.url}))).await;
    }
}

async fn code(harness: &Harness, action: &str, input: Value) -> Result<Value, Code> {
    harness.call(&format!("sql.{action}"), input).await.map_err(|e| e.code())
}

async fn orders(harness: &Harness) {
    let sql = "CREATE TABLE orders (id INTEGER PRIMARY KEY, status TEXT NOT NULL DEFAULT 'open', total REAL)";
    code(harness, "execute", json!({"sql": sql})).await.unwrap();
}

#[tokio::test]
async fn rows_are_inserted_counted_queried_and_changed() {
    on_each(async |db| {
        orders(db).await;
        let one = code(db, "insert", json!({"table": "orders", "row": {"id": 1, "total": 9.5}})).await.unwrap();
        assert_eq!(one, json!({"inserted": 1}));
        // Text as it comes from CSV, and rows with different columns.
        let rows = json!([{"id": "2", "status": "done"}, {"id": 3, "status": "open", "total": "7.25"}, {"id": 4, "status": "done"}]);
        assert_eq!(code(db, "insert", json!({"table": "orders", "rows": rows})).await.unwrap()["inserted"], 3);
        assert_eq!(code(db, "count", json!({"table": "orders"})).await.unwrap(), json!({"count": 4}));
        let open = json!({"table": "orders", "equals": {"status": "open"}});
        assert_eq!(code(db, "count", open).await.unwrap()["count"], 2);
        let none = json!({"table": "orders", "equals": {"status": "done", "total": null}});
        assert_eq!(code(db, "count", none).await.unwrap()["count"], 2);
        let query = json!({"sql": "SELECT id, total FROM orders WHERE status = $1 ORDER BY id; -- all", "params": ["open"]});
        let out = code(db, "query", query).await.unwrap();
        assert_eq!(out["rows"], json!([{"id": 1, "total": 9.5}, {"id": 3, "total": 7.25}]));
        assert_eq!((&out["count"], &out["truncated"]), (&json!(2), &json!(false)));
        let cut = code(db, "query", json!({"sql": "SELECT id FROM orders ORDER BY id", "limit": 3})).await.unwrap();
        assert_eq!((&cut["count"], &cut["truncated"]), (&json!(3), &json!(true)));
        let change = json!({"sql": "UPDATE orders SET total = $2 WHERE id > $1", "params": [2, 1.5]});
        assert_eq!(code(db, "execute", change).await.unwrap()["rows_affected"], 2);
        let returning = json!({"sql": "DELETE FROM orders WHERE id >= $1 RETURNING id", "params": [3]});
        let out = code(db, "execute", returning).await.unwrap();
        assert_eq!((&out["rows_affected"], out["rows"].as_array().unwrap().len()), (&json!(2), 2));
        let with = json!({"sql": "WITH x AS (SELECT 1 AS n) SELECT n FROM x"});
        assert_eq!(code(db, "query", with).await.unwrap()["rows"], json!([{"n": 1}]));
    })
    .await;
}

#[tokio::test]
async fn an_insert_is_all_or_nothing() {
    on_each(async |db| {
        orders(db).await;
        code(db, "insert", json!({"table": "orders", "row": {"id": 1}})).await.unwrap();
        let rows = json!([{"id": 2}, {"id": 3, "status": "x"}, {"id": 1}]);
        assert_eq!(code(db, "insert", json!({"table": "orders", "rows": rows})).await, Err(Code::Conflict));
        assert_eq!(code(db, "count", json!({"table": "orders"})).await.unwrap()["count"], 1);
        let ignore = json!({"table": "orders", "rows": rows, "on_conflict": "ignore"});
        assert_eq!(code(db, "insert", ignore).await.unwrap()["inserted"], 2);
        let unknown = json!({"table": "orders", "row": {"id": 9, "nope": 1}});
        assert_eq!(code(db, "insert", unknown).await, Err(Code::Failed));
        assert_eq!(code(db, "insert", json!({"table": "orders", "rows": []})).await.unwrap()["inserted"], 0);
        for wrong in [
            json!({"table": "orders"}),
            json!({"table": "orders", "row": {}}),
            json!({"table": "a.b.c", "row": {"a": 1}}),
        ] {
            assert_eq!(code(db, "insert", wrong.clone()).await, Err(Code::Invalid), "{wrong}");
        }
    })
    .await;
}

#[tokio::test]
async fn values_and_names_are_never_read_as_sql() {
    on_each(async |db| {
        orders(db).await;
        let evil = "x'; DROP TABLE orders; --";
        code(db, "insert", json!({"table": "orders", "row": {"id": 1, "status": evil}})).await.unwrap();
        let found = json!({"table": "orders", "equals": {"status": evil}});
        assert_eq!(code(db, "count", found).await.unwrap()["count"], 1);
        for table in ["orders; DROP TABLE orders", "orders\" WHERE 1=1; --", "orders\"; DROP TABLE orders; --"] {
            assert_eq!(code(db, "count", json!({"table": table})).await, Err(Code::Failed), "{table}");
        }
        let column = json!({"table": "orders", "row": {"id\") VALUES (5); DROP TABLE orders; --": 1}});
        assert_eq!(code(db, "insert", column).await, Err(Code::Failed));
        let two = json!({"sql": "SELECT 1; DROP TABLE orders"});
        assert_eq!(code(db, "query", two.clone()).await, Err(Code::Invalid));
        assert_eq!(code(db, "execute", two).await, Err(Code::Invalid));
        assert_eq!(code(db, "count", json!({"table": "orders"})).await.unwrap()["count"], 1);
    })
    .await;
}

#[tokio::test]
async fn a_query_changes_nothing() {
    on_each(async |db| {
        orders(db).await;
        code(db, "insert", json!({"table": "orders", "row": {"id": 1}})).await.unwrap();
        for sql in [
            "DELETE FROM orders",
            "DELETE FROM orders RETURNING id",
            "WITH x AS (SELECT 1) DELETE FROM orders RETURNING id",
            "SELECT 1) q; DELETE FROM orders; --",
            "DROP TABLE orders",
            "",
            "-- nothing",
        ] {
            let outcome = code(db, "query", json!({"sql": sql})).await;
            assert!(matches!(outcome, Err(Code::Failed | Code::Invalid)), "{sql}: {outcome:?}");
        }
        assert_eq!(code(db, "count", json!({"table": "orders"})).await.unwrap()["count"], 1);
    })
    .await;
}

#[tokio::test]
async fn a_statement_without_end_is_ended() {
    on_each(async |db| {
        let mut hurried =
            Harness { connectors: crate::connector::Connectors::default(), cx: db.cx.clone(), done: db.done.clone() };
        hurried.cx.deadline = Some(hurried.cx.clock.now() + 200);
        let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
        assert_eq!(code(&hurried, "query", json!({"sql": sql})).await, Err(Code::Timeout));
        let big = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n";
        let cut = code(db, "query", json!({"sql": big, "limit": 5})).await.unwrap();
        assert_eq!((&cut["count"], &cut["truncated"]), (&json!(5), &json!(true)));
    })
    .await;
}

#[tokio::test]
async fn an_sqlite_statement_stays_in_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let inside = folder.path().join("in");
    std::fs::create_dir(&inside).unwrap();
    let harness = Harness::new().touching(&[&inside]);
    let (own, other) = (inside.join("own.db"), folder.path().join("other.db"));
    let run = |action: &'static str, database: &std::path::Path, sql: String| {
        let input = json!({"database": database, "sql": sql});
        let harness = &harness;
        async move { code(harness, action, input).await }
    };
    assert_eq!(run("query", &own, "SELECT 1".into()).await, Err(Code::NotFound));
    run("execute", &own, "CREATE TABLE t (a)".into()).await.unwrap();
    assert_eq!(run("query", &own, "SELECT count(*) AS n FROM t".into()).await.unwrap()["rows"], json!([{"n": 0}]));
    for sql in [
        format!("ATTACH '{}' AS o", other.display()),
        format!("/* */ attach database '{}' as o", other.display()),
        format!("VACUUM INTO '{}'", other.display()),
        "PRAGMA journal_mode = DELETE".into(),
        "SELECT load_extension('x')".into(),
    ] {
        assert!(run("execute", &own, sql.clone()).await.is_err(), "{sql}");
        assert!(run("query", &own, sql.clone()).await.is_err(), "{sql}");
    }
    assert!(!other.exists());
    assert_eq!(run("execute", &other, "CREATE TABLE t (a)".into()).await, Err(Code::Forbidden));
    std::os::unix::fs::symlink(&other, inside.join("link.db")).unwrap();
    assert_eq!(run("execute", &inside.join("link.db"), "CREATE TABLE t (a)".into()).await, Err(Code::Forbidden));
    assert!(!other.exists());
}

#[tokio::test]
async fn sqlite_values_keep_their_types() {
    let folder = tempfile::tempdir().unwrap();
    let db = Harness::new().touching(&[folder.path()]);
    let database = folder.path().join("a.db");
    let run = |action: &'static str, sql: &str, params: Value| {
        let input = json!({"database": database, "sql": sql, "params": params});
        let db = &db;
        async move { code(db, action, input).await.unwrap() }
    };
    run("execute", "CREATE TABLE t (i INTEGER, r REAL, t TEXT, b BLOB, o BOOLEAN, j, z)", json!([])).await;
    let params = json!([9_007_199_254_740_993_i64, 0.5, "ä", true, {"a": [1]}, null]);
    run("execute", "INSERT INTO t VALUES ($1, $2, $3, x'00ff', $4, $5, $6)", params).await;
    let row = run("query", "SELECT *, count(*) AS n FROM t", json!([])).await["rows"][0].clone();
    let expected = json!({"i": 9_007_199_254_740_993_i64, "r": 0.5, "t": "ä", "b": "AP8=", "o": true, "j": "{\"a\":[1]}", "z": null, "n": 1});
    // SQLite stores a truth value as a number; either is right.
    let mut row = row;
    if row["o"] == 1 {
        row["o"] = json!(true);
    }
    assert_eq!(row, expected);
}

#[tokio::test]
async fn every_postgres_type_is_bound_and_read() {
    let Some(schema) = testing::postgres().await else { return };
    let db = Harness::new().connected(json!({"url": schema.url}));
    code(&db, "execute", json!({"sql": "CREATE TYPE mood AS ENUM ('sad', 'happy')"})).await.unwrap();
    for (ty, given, read) in [
        ("bool", json!(true), json!(true)),
        ("int2", json!(-5), json!(-5)),
        ("int4", json!("7"), json!(7)),
        ("int8", json!(9_007_199_254_740_993_i64), json!(9_007_199_254_740_993_i64)),
        ("float4", json!(0.5), json!(0.5)),
        ("float8", json!("1e3"), json!(1000)),
        ("numeric", json!("-12345.6789"), json!(-12345.6789)),
        ("numeric", json!(0.0001), json!(0.0001)),
        ("numeric", json!(100_000_000), json!(100_000_000)),
        ("numeric", json!("1.50e2"), json!(150)),
        ("numeric(6,2)", json!("0.10"), json!(0.10)),
        ("text", json!("ä'"), json!("ä'")),
        ("varchar(5)", json!(12), json!("12")),
        ("char(3)", json!("ab"), json!("ab ")),
        ("uuid", json!("00000000-0000-0000-0000-00000000000a"), json!("00000000-0000-0000-0000-00000000000a")),
        ("json", json!({"a": [1]}), json!({"a": [1]})),
        ("jsonb", json!(["x", null]), json!(["x", null])),
        ("timestamptz", json!("2026-01-31T09:00:00+01:00"), json!("2026-01-31T08:00:00+00:00")),
        ("timestamp", json!("2026-01-31T09:00:00.25"), json!("2026-01-31T09:00:00.25")),
        ("timestamp", json!("1999-12-31 23:59:59"), json!("1999-12-31T23:59:59")),
        ("date", json!("1999-12-31"), json!("1999-12-31")),
        ("time", json!("09:30:00"), json!("09:30:00")),
        ("bytea", json!("AP8="), json!("\\x00ff")),
        ("mood", json!("happy"), json!("happy")),
        ("int4[]", json!([1, null, 3]), json!([1, null, 3])),
        ("text[]", json!([]), json!([])),
        ("int4", Value::Null, Value::Null),
    ] {
        let sql = format!("SELECT $1::{ty} AS v");
        let out =
            db.call("sql.query", json!({"sql": sql, "params": [given]})).await.unwrap_or_else(|e| panic!("{ty}: {e}"));
        let got = out["rows"][0]["v"].clone();
        let same = got == read || (got.is_number() && got.as_f64() == read.as_f64());
        assert!(same, "{ty}: {given} became {got}, not {read}");
    }
    for (ty, given) in [
        ("int4", json!("x")),
        ("int2", json!(70_000)),
        ("bool", json!("maybe")),
        ("date", json!("soon")),
        ("numeric", json!("1.2.3")),
        ("int4[]", json!(1)),
    ] {
        let e =
            db.call("sql.query", json!({"sql": format!("SELECT $1::{ty} AS v"), "params": [given]})).await.unwrap_err();
        assert_eq!((e.code(), e.faults()[0].pointer.as_str()), (Code::Invalid, "/params/0"), "{ty} {given}");
    }
    let any = json!({"sql": "SELECT 2 = ANY($1) AS v", "params": [[1, 2]]});
    assert_eq!(code(&db, "query", any).await.unwrap()["rows"][0]["v"], true);
    assert_eq!(code(&db, "query", json!({"sql": "SELECT 1", "params": [1]})).await, Err(Code::Invalid));
}

#[tokio::test]
async fn a_database_server_is_under_guard_too() {
    let query = json!({"sql": "SELECT 1"});
    for (url, code) in [
        ("postgres://x@169.254.169.254/db", Code::Forbidden),
        ("postgres://x@db.example/db?host=127.0.0.1", Code::Forbidden),
        ("postgres:///db?host=/var/run/postgresql", Code::Invalid),
        ("postgres://x@127.0.0.1:1/db", Code::Unavailable),
    ] {
        let harness = Harness::new().connected(json!({"url": url}));
        let e = harness.call("sql.query", query.clone()).await.unwrap_err();
        assert_eq!(e.code(), code, "{url}: {e}");
    }
    assert_eq!(Harness::new().call("sql.query", query).await.unwrap_err().code(), Code::Precondition);
}
