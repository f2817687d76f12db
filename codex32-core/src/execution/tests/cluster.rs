//! Several executors on one database: who may drive what, leaving, hearing of each other.

use super::blueprints::{act, await_event, bot, call, step};
use super::world::{Life, World};
use crate::blueprint::Blueprint;
use crate::execution::Status;
use crate::storage::testing::{self, on_each};
use crate::storage::{Backend, Db};
use serde_json::json;
use tokio_util::sync::CancellationToken;

fn labels(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn asks_for(asked: &str, mut blueprint: Blueprint) -> Blueprint {
    blueprint.runs_on = labels(asked);
    blueprint
}

/// The same world seen by a worker with these labels.
fn with_labels(world: &World, has: &str) -> World {
    let mut world = world.clone();
    world.config.labels = labels(has);
    world.config.alone = false;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_is_claimed_by_who_has_all_its_labels() {
    on_each(async |db| {
        let world = World::new();
        world.bot("gpu", asks_for("gpu eu", bot(vec![step("a")])));
        world.bot("any", bot(vec![call("c", "gpu", json!({}), true)]));
        let plain = with_labels(&world, "eu").live(db.clone()).await;
        let parent = plain.start("any", json!({})).await;
        // The child is anybody's who has its labels, and this one has not.
        plain.reach(parent, Status::Waiting).await;
        let page = plain.executor.list(world.workspace, &Default::default(), None, 10).await.unwrap();
        let child = page.items.iter().find(|e| e.parent == Some(parent)).unwrap();
        assert_eq!((child.status, child.runs_on.clone()), (Status::Queued, labels("eu gpu")));
        plain
            .until("the worker is listed with what it has", async || {
                (plain.executor.missing_labels(child).await.unwrap() == labels("gpu")).then_some(())
            })
            .await;
        let direct = plain.start("gpu", json!({})).await;
        assert_eq!(plain.get(direct).await.status, Status::Queued, "it is not driven from its start either");
        let right = with_labels(&world, "gpu big eu").live(db).await;
        right
            .until("it is known that someone can", async || {
                right.executor.missing_labels(child).await.unwrap().is_empty().then_some(())
            })
            .await;
        for id in [direct, child.id] {
            assert_eq!(right.end(id).await.status, Status::Succeeded);
        }
        // The two share no way to wake each other here, so the time of the regular look is moved.
        plain
            .until("the parent ends", async || {
                world.clock.advance(1_000);
                plain.get(parent).await.status.is_finished().then_some(())
            })
            .await;
        right.stop().await;
        plain.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn executors_are_listed_while_they_run() {
    on_each(async |db| {
        let world = World::new();
        let one = with_labels(&world, "gpu").live(db.clone()).await;
        let other = with_labels(&world, "").live(db.clone()).await;
        let seen = one
            .until("both are there", async || {
                let workers = one.executor.workers().await.unwrap();
                (workers.len() == 2).then_some(workers)
            })
            .await;
        assert!(seen.iter().all(|worker| worker.alive && !worker.draining && worker.active == 0));
        assert_eq!(seen.iter().map(|worker| worker.labels.len()).sum::<usize>(), 1);
        other.stop().await;
        assert_eq!(one.executor.workers().await.unwrap().len(), 1, "who ends says so");
        one.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_gives_back_what_it_holds() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", bot(vec![act("a", json!({"hold": true}))]));
        let leaving = with_labels(&world, "").live(db.clone()).await;
        let id = leaving.start("b", json!({})).await;
        leaving.performing("a").await;
        leaving.stop().await;
        // The clock has not moved: no lease has ended.
        let staying = with_labels(&world, "").live(db).await;
        staying.until("the attempt is made again", async || (world.effects.calls().len() == 2).then_some(())).await;
        world.effects.release();
        assert_eq!(staying.end(id).await.status, Status::Succeeded);
        staying.stop().await;
    })
    .await;
}

/// A life whose wake-ups go and come.
async fn awake(world: &World, url: &str) -> (Life, CancellationToken, tokio::task::JoinHandle<()>) {
    let db = Db::open(url).await.unwrap();
    let life = world.live(db.clone()).await;
    let stop = CancellationToken::new();
    let token = stop.clone();
    (life, stop, tokio::spawn(async move { db.wakes().run(token).await }))
}

/// The clock stands still, so that nobody looks by themselves: only words wake.
#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_sends_wakes_the_node_that_drives() {
    let Some(test) = testing::postgres().await else { return };
    assert_eq!(test.db.backend(), Backend::Postgres);
    let world = World::new();
    world.bot("b", asks_for("work", bot(vec![await_event("w", "order.go", None, None), step("after")])));
    let (caller, stop, run) = awake(&with_labels(&world, ""), &test.url).await;
    let (worker, worker_stop, worker_run) = awake(&with_labels(&world, "work"), &test.url).await;
    let ids = [caller.start("b", json!({})).await, caller.start("b", json!({})).await];
    for id in ids {
        caller.reach(id, Status::Waiting).await;
    }
    caller.executor.signal(world.workspace, ids[0], "order.go", json!(1)).await.unwrap();
    assert_eq!(caller.end(ids[0]).await.status, Status::Succeeded, "a signal");
    caller.bus.emit(world.workspace, "order.go", json!(1), 0).await.unwrap();
    assert_eq!(caller.end(ids[1]).await.status, Status::Succeeded, "an event");
    assert_eq!(world.effects.count("after"), 2);
    for (life, stop, run) in [(caller, stop, run), (worker, worker_stop, worker_run)] {
        life.stop().await;
        stop.cancel();
        run.await.unwrap();
    }
}
