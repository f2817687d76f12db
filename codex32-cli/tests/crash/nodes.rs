//! Several processes on one store: who runs what, how one leaves, how they wake each other.

use crate::load::{Load, held_bot};
use crate::node::{Node, command, wait_until};
use crate::{Scene, postgres};
use serde_json::{Value, json};

/// A lease that no test outlives: what is taken over within it was given back.
const LONG: [&str; 2] = ["--lease-ms", "3600000"];

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_asked_to_end_hands_over_at_once() {
    let Some(store) = postgres::schema().await else { return };
    let scene = Scene::new("drain").await;
    let more = [["--store", &store].as_slice(), &LONG].concat();
    let mut up = Node::up(scene.root(), "up", &more);
    let api = scene.open(&mut up, "").await;
    api.deploy(&[held_bot(&scene.counterpart.address)]).await;
    let labelled = [more.as_slice(), &["--labels", "work", "--drain", "1"]].concat();
    let mut leaving = Node::worker(scene.root(), "leaving", &labelled);
    leaving.start().await;
    let id = api.start("held", "held", json!({})).await;
    wait_until("the step is under way", async || (scene.counterpart.asked_held() == 1).then_some(())).await;
    let mut staying = Node::worker(scene.root(), "staying", &labelled);
    staying.start().await;
    leaving.terminate().await;
    wait_until("the other one makes the attempt again", async || (scene.counterpart.asked_held() == 2).then_some(()))
        .await;
    scene.counterpart.release();
    let done = wait_until("it ends", async || {
        let execution = api.get(&format!("/executions/{id}")).await;
        (!execution["finished_at"].is_null()).then_some(execution)
    })
    .await;
    assert_eq!(done["status"], "succeeded", "{done}");
    let deeds = scene.counterpart.deeds();
    assert_eq!((deeds.len(), deeds[&format!("{id}:held")].done), (1, 1), "one key, one deed");
    // Who has left is not in the list any more.
    let workers = api.get("/workers").await;
    assert_eq!(workers["items"].as_array().unwrap().len(), 2, "{workers}");
    for node in [&mut staying, &mut up] {
        node.terminate().await;
    }
    postgres::drop_schema(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_waits_for_a_worker_with_its_labels() {
    let Some(store) = postgres::schema().await else { return };
    let scene = Scene::new("labels").await;
    let more = [["--store", &store].as_slice(), &LONG].concat();
    let mut up = Node::up(scene.root(), "up", &more);
    let api = scene.open(&mut up, "runs_on: [eu, gpu]\n").await;
    let mut near = Node::worker(scene.root(), "near", &[more.as_slice(), &["--labels", "eu"]].concat());
    near.start().await;
    let id = api.start("leaf", "one", json!({ "n": 1 })).await;
    // The nearest worker lacks one of them.
    let execution = wait_until("it is known what is missing", async || {
        let execution = api.get(&format!("/executions/{id}")).await;
        (execution["missing_labels"] == json!(["gpu"])).then_some(execution)
    })
    .await;
    assert_eq!(execution["status"], "queued", "{execution}");
    assert_eq!(execution["runs_on"], json!(["eu", "gpu"]));
    let mut right = Node::worker(scene.root(), "right", &[more.as_slice(), &["--labels", "gpu,eu,big"]].concat());
    right.start().await;
    let ended = wait_until("the right worker runs it", async || {
        let execution = api.get(&format!("/executions/{id}")).await;
        (execution["status"] == "succeeded").then_some(execution)
    })
    .await;
    assert_eq!(ended["missing_labels"], Value::Null);
    // A command of another process on the same store drives nothing itself where others do.
    let run = ["run", "leaf", "--input", "{\"n\": 2}", "--wait", "--store", &store];
    assert_eq!(command(scene.root(), &run).await["status"], "succeeded");
    let workers = api.get("/workers").await;
    let labels: Vec<&Value> = workers["items"].as_array().unwrap().iter().map(|worker| &worker["labels"]).collect();
    assert_eq!(labels, [&json!([]), &json!(["eu"]), &json!(["big", "eu", "gpu"])]);
    for node in [&mut near, &mut right, &mut up] {
        node.terminate().await;
    }
    postgres::drop_schema(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_another_key_is_turned_away() {
    let Some(store) = postgres::schema().await else { return };
    let scene = Scene::new("key").await;
    let mut up = Node::up(scene.root(), "up", &["--store", &store]);
    up.start().await;
    std::fs::write(scene.root().join("key"), "OTg3NjU0MzIxMDk4NzY1NDMyMTA5ODc2NTQzMjEwOTg=\n").unwrap();
    let mut stranger = Node::worker(scene.root(), "stranger", &["--store", &store]);
    let child = stranger.spawn();
    let status = child.wait().await.unwrap();
    assert!(!status.success());
    let log = stranger.log();
    assert!(log.contains("is not at hand") && log.contains("--key-file"), "{log}");
    up.terminate().await;
    postgres::drop_schema(&store).await;
}

/// Both ways of waking: a step that waits on a worker is signalled through the API node.
async fn wake(test: &str, more: &[&str]) {
    let Some(store) = postgres::schema().await else { return };
    let scene = Scene::new(test).await;
    let more = [["--store", &store].as_slice(), more].concat();
    let mut up = Node::up(scene.root(), "up", &more);
    let api = scene.open(&mut up, "runs_on: [work]\n").await;
    let mut worker = Node::worker(scene.root(), "worker", &[more.as_slice(), &["--labels", "work"]].concat());
    worker.start().await;
    let load = Load::start(&api);
    wait_until("the worker hears", async || {
        (worker.metric("codex32_wakes_total{way=\"heard\"}").await > 5.0 && load.count() > 20).then_some(())
    })
    .await;
    scene.check(&api, load).await;
    for node in [&mut worker, &mut up] {
        node.terminate().await;
    }
    postgres::drop_schema(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_wake_each_other_by_the_database() {
    wake("notify", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_wake_each_other_by_nats() {
    let url = std::env::var("CODEX32_TEST_NATS").unwrap_or_else(|_| "nats://127.0.0.1:4222".to_owned());
    let server = url.trim_start_matches("nats://").to_owned();
    if tokio::net::TcpStream::connect(&server).await.is_err() {
        assert!(std::env::var("CODEX32_TEST_NATS").is_err(), "no NATS at {url}");
        return eprintln!("skipped: no NATS at {url}");
    }
    wake("nats", &["--nats", &url]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_fires_schedules_and_another_takes_over() {
    let Some(store) = postgres::schema().await else { return };
    let scene = Scene::new("leader").await;
    let more = ["--store", &store];
    let mut first = Node::up(scene.root(), "first", &more);
    let api = scene.open(&mut first, "").await;
    let mut second = Node::up(scene.root(), "second", &more);
    second.start().await;
    let tick = "codex32: v1\nname: tick\non: [{schedule: \"* * * * * *\", missed: all}]\nsteps: [{wait: 1ms}]\n";
    api.deploy(&[tick.to_owned()]).await;
    let token = api.clone();
    let fired = async |node: &Node| -> Vec<Value> {
        let page = token.at(&node.address).get("/executions?bot=tick&limit=200").await;
        page["items"].as_array().unwrap().clone()
    };
    let before = wait_until("it fires", async || Some(fired(&first).await).filter(|all| all.len() >= 3)).await.len();
    assert!(first.log().contains("this node leads") && !second.log().contains("this node leads"));
    first.kill().await;
    let after =
        wait_until("the other fires", async || Some(fired(&second).await).filter(|all| all.len() >= before + 4)).await;
    assert!(second.log().contains("this node leads"));
    // Every second that was due fired once, whoever led.
    let mut due = Vec::new();
    for execution in &after {
        let id = execution["id"].as_str().unwrap();
        let detail = token.at(&second.address).get(&format!("/executions/{id}")).await;
        due.push(detail["trigger"]["at"].as_str().unwrap().to_owned());
    }
    due.sort();
    let times: Vec<i64> = due.iter().map(|at| chrono::DateTime::parse_from_rfc3339(at).unwrap().timestamp()).collect();
    assert!(times.windows(2).all(|pair| pair[1] == pair[0] + 1), "each second once: {due:?}");
    second.terminate().await;
    postgres::drop_schema(&store).await;
}
