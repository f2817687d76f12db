//! A worker that is frozen beyond its lease, and goes on as if nothing had happened.

use crate::Scene;
use crate::load::{Load, held_bot};
use crate::node::{Node, wait_until};
use crate::postgres;
use rustix::process::Signal;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_worker_is_replaced_and_its_late_writes_are_refused() {
    let Some(store) = postgres::schema().await else { return };
    let scene = Scene::new("frozen").await;
    let more = ["--store", &store, "--lease-ms", "1000"];
    let mut up = Node::up(scene.root(), "up", &more);
    let api = scene.open(&mut up, "runs_on: [work]\n").await;
    let labelled = [more.as_slice(), &["--labels", "work"]].concat();
    let mut frozen = Node::worker(scene.root(), "frozen", &labelled);
    frozen.start().await;
    let load = Load::start(&api);
    api.deploy(&[held_bot(&scene.counterpart.address)]).await;
    for n in 0..3 {
        api.start("held", &format!("held-{n}"), json!({})).await;
    }
    // Steps are under way here, and nobody else can drive them.
    wait_until("the worker works", async || (scene.counterpart.asked_held() == 3).then_some(())).await;
    frozen.signal(Signal::STOP);
    let mut other = Node::worker(scene.root(), "other", &labelled);
    other.start().await;
    // What comes meanwhile is driven by the other, and so is what the frozen one has held.
    let before = load.count();
    wait_until("the other takes over", async || {
        let workers = api.get("/workers").await;
        let lost = workers["items"].as_array().unwrap().iter().any(|worker| worker["alive"] == false);
        let goes_on = load.count() > before + 15 && scene.counterpart.asked_held() >= 6;
        (lost && goes_on).then_some(())
    })
    .await;
    // Both are answered: the other at once, the frozen one when it goes on.
    scene.counterpart.release();
    frozen.signal(Signal::CONT);
    wait_until("a late write is refused", async || {
        (frozen.metric("codex32_fenced_writes_total").await > 0.0).then_some(())
    })
    .await;
    assert!(frozen.log().contains("someone else drives the execution"), "{}", frozen.log());
    scene.check(&api, load).await;
    // It is well again and takes work as before.
    wait_until("the frozen one is back", async || {
        let workers = api.get("/workers").await;
        workers["items"].as_array().unwrap().iter().all(|worker| worker["alive"] == true).then_some(())
    })
    .await;
    for node in [&mut frozen, &mut other, &mut up] {
        node.terminate().await;
    }
    postgres::drop_schema(&store).await;
}
