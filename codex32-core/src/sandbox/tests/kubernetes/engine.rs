//! A bot whose script is a Job, from the door to its end.

use super::*;
use crate::engine::{Config, Engine};

const BOT: &str = r#"
codex32: v1
name: pricing
runs_on: [kubernetes]
permissions: {secrets: [api_key]}
inputs: {type: object, properties: {n: {type: integer}}}
steps:
  - id: price
    run: python
    code: |
      import os
      def main(n):
          print('key of', len(os.environ['KEY']))
          return {"double": n * 2}
    with: {n: "{{ input.n }}"}
    env: {KEY: "{{ secrets.api_key }}"}
output: {double: "{{ steps.price.double }}"}
"#;

async fn open(cluster: &Cluster, folder: &TempDir) -> Engine {
    let config = Config { drain_ms: 0, ..Config::in_folder(folder.path()) };
    let engine = Engine::open(config.with_kubernetes(cluster.config())).await.unwrap();
    engine.start().await.unwrap();
    engine
}

async fn call(engine: &Engine, name: &str, input: Value) -> Value {
    let owner = engine.local_owner().await.unwrap();
    engine.call(Some(&owner), name, input).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_asks_for_the_cluster_runs_there() {
    let (cluster, folder) = (Cluster::start().await, tempfile::tempdir().unwrap());
    let engine = open(&cluster, &folder).await;
    call(&engine, "secrets.set", json!({"name": "api_key", "value": "hunter2-hunter2"})).await;
    call(&engine, "bots.create", json!({"blueprint": BOT})).await;
    let ask = json!({"bot": "pricing", "version": 1, "wait": true, "input": {"n": 21}});
    let ended = call(&engine, "executions.start", ask).await;
    assert_eq!((&ended["status"], &ended["output"]), (&json!("succeeded"), &json!({"double": 42})), "{ended}");
    assert_eq!(cluster.jobs_made(), 1);
    let logs = call(&engine, "executions.logs", json!({"id": ended["id"]})).await.to_string();
    assert!(logs.contains("key of 15"), "{logs}");

    let here = BOT.replace("runs_on: [kubernetes]\n", "").replace("name: pricing", "name: here");
    call(&engine, "bots.create", json!({"blueprint": here})).await;
    let ask = json!({"bot": "here", "version": 1, "wait": true, "input": {"n": 4}});
    let ended = call(&engine, "executions.start", ask).await;
    assert_eq!(ended["output"], json!({"double": 8}), "{ended}");
    assert_eq!(cluster.jobs_made(), 1, "others run on this machine");
    cluster.assert_right();
    engine.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_outlives_the_engine_that_began_it() {
    let (cluster, folder) = (Cluster::start().await, tempfile::tempdir().unwrap());
    let bot = "codex32: v1\nname: patient\nruns_on: [kubernetes]\nsteps:\n  - id: wait\n    run: shell\n    code: |\n      \
               mkfifo gate\n      echo \"at $PWD/gate\" >&2\n      read -r word < gate\n      echo \"\\\"$word\\\"\"\n\
               output: \"{{ steps.wait }}\"\n";
    let engine = open(&cluster, &folder).await;
    call(&engine, "bots.create", json!({"blueprint": bot})).await;
    let started = call(&engine, "executions.start", json!({"bot": "patient", "version": 1})).await;
    let gate = super::lives::gate(&cluster).await;
    engine.shutdown().await;
    drop(engine);
    super::lives::open(gate).await;

    let engine = open(&cluster, &folder).await;
    let id: crate::id::ExecutionId = serde_json::from_value(started["id"].clone()).unwrap();
    let owner = engine.local_owner().await.unwrap();
    let ended = engine.executor().wait(owner.workspace, id, Duration::from_secs(60)).await.unwrap();
    assert_eq!(ended.output, Some(json!("go")), "{:?}", ended.error);
    assert_eq!(cluster.jobs_made(), 1);
    cluster.assert_right();
    engine.shutdown().await;
}
