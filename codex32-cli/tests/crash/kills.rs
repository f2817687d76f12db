//! `kill -9` at random moments.

use crate::Scene;
use crate::dice::{Dice, kills};
use crate::load::Load;
use crate::node::Node;
use crate::postgres;
use std::time::Duration;

/// Shortest and longest life of a process, in milliseconds: the shortest ends before it serves.
const LIFE: (u64, u64) = (100, 2_500);

async fn live(dice: &mut Dice) {
    tokio::time::sleep(Duration::from_millis(LIFE.0 + dice.below(LIFE.1 - LIFE.0))).await;
}

/// One node, killed and started again.
async fn one_node(test: &str, more: &[&str], few: u32) {
    let scene = Scene::new(test).await;
    let mut node = Node::up(scene.root(), "up", more);
    let api = scene.open(&mut node, "").await;
    let load = Load::start(&api);
    let mut dice = Dice::new(scene.seed);
    for n in 0..kills(few) {
        live(&mut dice).await;
        assert!(node.kill().await, "it ended by itself before kill {n}:\n{}", node.log());
        node.spawn();
    }
    node.kill().await;
    node.start().await;
    scene.check(&api, load).await;
    node.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_nothing_is_lost_or_done_twice() {
    one_node("sqlite", &[], 8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres_nothing_is_lost_or_done_twice() {
    let Some(store) = postgres::schema().await else { return };
    one_node("postgres", &["--store", &store, "--lease-ms", "1500"], 6).await;
    postgres::drop_schema(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_three_workers_any_may_be_killed() {
    let Some(store) = postgres::schema().await else { return };
    let scene = Scene::new("workers").await;
    let more = ["--store", &store, "--lease-ms", "1500"];
    let mut up = Node::up(scene.root(), "up", &more);
    let header = "runs_on: [work]\n";
    let api = scene.open(&mut up, header).await;
    let labelled = [more.as_slice(), &["--labels", "work"]].concat();
    let mut workers: Vec<Node> =
        ["one", "two", "three"].iter().map(|name| Node::worker(scene.root(), name, &labelled)).collect();
    for worker in &mut workers {
        worker.start().await;
    }
    let load = Load::start(&api);
    let mut dice = Dice::new(scene.seed);
    for n in 0..kills(6) {
        live(&mut dice).await;
        let worker = &mut workers[dice.below(3) as usize];
        assert!(worker.kill().await, "it ended by itself before kill {n}:\n{}", worker.log());
        worker.spawn();
    }
    scene.check(&api, load).await;
    for node in workers.iter_mut().chain([&mut up]) {
        node.kill().await;
    }
    postgres::drop_schema(&store).await;
}
