//! A database that is far away, cut off, silent, stopped, or crashed.

use crate::Scene;
use crate::dice::Dice;
use crate::load::Load;
use crate::node::Node;
use crate::postgres::{self, Server};
use crate::proxy::Proxy;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn lines_to_the_database_may_be_cut_slow_and_silent() {
    let Some(store) = postgres::schema().await else { return };
    let scene = Scene::new("lines").await;
    let mut up = Node::up(scene.root(), "up", &["--store", &store, "--lease-ms", "1000"]);
    let api = scene.open(&mut up, "runs_on: [work]\n").await;
    let (near, far) = (Proxy::start(&postgres::address(&store)).await, Proxy::start(&postgres::address(&store)).await);
    let mut workers = Vec::new();
    for (name, proxy) in [("near", &near), ("far", &far)] {
        let by_proxy = postgres::by_port(&store, proxy.port);
        let args = ["--store", &by_proxy, "--lease-ms", "1000", "--labels", "work"];
        let mut worker = Node::worker(scene.root(), name, &args);
        worker.start().await;
        workers.push(worker);
    }
    let load = Load::start(&api);
    let mut dice = Dice::new(scene.seed);
    far.delay(10);
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(300 + dice.below(700))).await;
        match dice.below(3) {
            0 => near.cut(),
            1 => {
                near.cut();
                far.cut();
            }
            // Longer than a lease: nothing comes through, and nothing is closed either.
            _ => {
                near.hold(true);
                tokio::time::sleep(Duration::from_millis(1_500)).await;
                near.hold(false);
            }
        }
    }
    far.delay(0);
    scene.check(&api, load).await;
    for node in workers.iter_mut().chain([&mut up]) {
        node.terminate().await;
    }
    postgres::drop_schema(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_may_be_stopped_and_crash() {
    let Some(mut server) = Server::start().await else { return };
    let scene = Scene::new("server").await;
    let store = server.url();
    let args = ["--store", &store, "--lease-ms", "1000"];
    let mut up = Node::up(scene.root(), "up", &args);
    let api = scene.open(&mut up, "").await;
    let mut worker = Node::worker(scene.root(), "worker", &args);
    worker.start().await;
    let load = Load::start(&api);
    for crash in [false, true] {
        let before = load.count();
        crate::node::wait_until("the load goes on", async || (load.count() > before + 15).then_some(())).await;
        server.stop(crash).await;
        // Longer than a lease.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        server.resume().await;
    }
    scene.check(&api, load).await;
    for node in [&mut worker, &mut up] {
        node.terminate().await;
    }
}
