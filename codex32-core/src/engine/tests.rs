//! The engine as a whole, where no frontend is needed to see it.

use super::{Config, Engine};
use serde_json::{Value, json};
use std::time::Duration;

const BOT: &str = "
codex32: v1
name: chatty
retention: {count: 2}
steps:
  - use: log.write
    with: {message: hello}
";

async fn call(engine: &Engine, name: &str, input: Value) -> Value {
    let owner = engine.local_owner().await.unwrap();
    engine.call(Some(&owner), name, input).await.unwrap()
}

async fn executions(engine: &Engine) -> usize {
    call(engine, "executions.list", json!({})).await["items"].as_array().map_or(0, Vec::len)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_bot_does_not_keep_is_archived_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(Config::in_folder(folder.path())).await.unwrap();
    call(&engine, "bots.create", json!({"blueprint": BOT})).await;
    for _ in 0..5 {
        call(&engine, "executions.start", json!({"bot": "chatty", "version": 1, "wait": true})).await;
    }
    assert_eq!(executions(&engine).await, 5);
    engine.start().await.unwrap();
    let gone = async {
        while executions(&engine).await != 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone).await.unwrap();
    let workspaces = std::fs::read_dir(folder.path().join("archive")).unwrap();
    assert_eq!(workspaces.count(), 1);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purged_bot_leaves_no_execution() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(Config::in_folder(folder.path())).await.unwrap();
    call(&engine, "bots.create", json!({"blueprint": BOT})).await;
    call(&engine, "executions.start", json!({"bot": "chatty", "version": 1, "wait": true})).await;
    call(&engine, "bots.delete", json!({"bot": "chatty"})).await;
    assert_eq!(executions(&engine).await, 1);
    call(&engine, "bots.purge", json!({"bot": "chatty"})).await;
    assert_eq!(executions(&engine).await, 0);
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_shut_down_holds_no_connection() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(Config::in_folder(folder.path())).await.unwrap();
    engine.start().await.unwrap();
    let clone = engine.clone();
    clone.db().ping().await.unwrap();
    engine.shutdown().await;
    assert!(clone.db().ping().await.is_err());
}
