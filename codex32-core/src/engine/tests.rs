//! The engine as a whole, where no frontend is needed to see it.

use super::{Config, Engine};
use crate::queue::Depth;
use crate::storage::entity::queue_messages;
use sea_orm::{ActiveModelTrait as _, EntityTrait as _, IntoActiveModel as _};
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

const SENDS: &str = "
codex32: v1
name: sender
steps:
  - foreach: \"[1, 2, 3]\"
    as: n
    steps:
      - use: queue.send
        with: {queue: work, body: \"{{ n }}\"}
";

const TAKES: &str = "
codex32: v1
name: NAME
on: [{use: queue.message, with: {queue: work}}]
steps:
  - use: log.write
    with: {message: \"{{ input.body }}\"}
";

async fn deploy(engine: &Engine, name: &str) {
    call(engine, "bots.create", json!({"blueprint": TAKES.replace("NAME", name)})).await;
    call(engine, "deployments.create", json!({"bot": name})).await;
}

async fn bodies(engine: &Engine, bot: &str) -> Vec<i64> {
    let listed = call(engine, "executions.list", json!({"bot": bot})).await;
    let mut bodies = Vec::new();
    for item in listed["items"].as_array().unwrap() {
        let found = call(engine, "executions.get", json!({"id": item["id"]})).await;
        bodies.push(found["input"]["body"].as_i64().unwrap());
    }
    bodies.sort_unstable();
    bodies
}

async fn emptied(engine: &Engine) {
    let workspace = engine.local_owner().await.unwrap().workspace;
    let gone = async {
        while engine.queues().depth(workspace, "work").await.unwrap() != Depth::default() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(30), gone).await.is_err() {
        let depth = engine.queues().depth(workspace, "work").await;
        panic!("{depth:?}: {}", call(engine, "triggers.list", json!({})).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_comes_again_starts_no_bot_a_second_time() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(Config::in_folder(folder.path())).await.unwrap();
    deploy(&engine, "first").await;
    call(&engine, "bots.create", json!({"blueprint": SENDS})).await;
    call(&engine, "executions.start", json!({"bot": "sender", "version": 1, "wait": true})).await;
    let sent = queue_messages::Entity::find().all(engine.db().read()).await.unwrap();
    engine.start().await.unwrap();
    emptied(&engine).await;
    assert_eq!(bodies(&engine, "first").await, [1, 2, 3]);
    // As if the process had ended before it acknowledged them, for the same bot and for another.
    deploy(&engine, "second").await;
    for row in sent {
        let again = queue_messages::Entity::insert(row.into_active_model().reset_all());
        let put = engine.db().write(move |tx| Box::pin(async move { Ok(again.exec_without_returning(tx).await?) }));
        put.await.unwrap();
    }
    emptied(&engine).await;
    assert_eq!((bodies(&engine, "first").await.len(), bodies(&engine, "second").await.len()), (3, 0));
    engine.shutdown().await;
}
