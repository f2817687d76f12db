//! Flow control on both databases: places, and what they survive.

use super::blueprints::{act, bot, call, named, sleep, step};
use super::world::{Life, World};
use crate::blueprint::{Blueprint, Concurrency, Flow, Span, Step, StepKind};
use crate::execution::{Filter, Passed, Status};
use crate::id::ExecutionId;
use crate::storage::Db;
use crate::storage::entity::{flow_items, flow_slots, flow_tickets};
use crate::storage::testing::on_each;
use sea_orm::{EntityTrait, PaginatorTrait};
use serde_json::{Value, json};

/// A bot with rules.
pub(super) fn ruled(flow: Flow, steps: Vec<Step>) -> Blueprint {
    Blueprint { flow, ..bot(steps) }
}

/// At most `limit` at a time, for each `input.key`.
pub(super) fn places(limit: u32) -> Flow {
    let concurrency = Some(Concurrency { limit, key: Some("default(input.key, '')".to_owned()) });
    Flow { concurrency, ..Flow::default() }
}

/// Stays until it is released.
pub(super) fn held() -> Step {
    act("a", json!({"hold": true, "value": "{{ default(input.n, 0) }}"}))
}

impl Life {
    /// Executions with this status.
    pub(super) async fn with_status(&self, status: Status) -> Vec<ExecutionId> {
        let filter = Filter { status: Some(status), ..Filter::default() };
        let page = self.executor.list(self.world.workspace, &filter, None, 200).await.unwrap();
        page.items.into_iter().map(|execution| execution.id).collect()
    }

    /// Until so many are being performed.
    pub(super) async fn performing_so_many(&self, count: usize) {
        let effects = self.world.effects.clone();
        self.until("so many steps", async || (effects.calls().len() == count).then_some(())).await;
    }
}

/// Nothing is kept of executions that are over.
pub(super) async fn nothing_is_left(db: &Db) {
    assert_eq!(flow_tickets::Entity::find().count(db.read()).await.unwrap(), 0);
    assert_eq!(flow_items::Entity::find().count(db.read()).await.unwrap(), 0);
    let slots = flow_slots::Entity::find().all(db.read()).await.unwrap();
    assert!(slots.iter().all(|slot| slot.taken == 0 && slot.expires_at.is_some()), "{slots:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_go_at_a_time_than_there_are_places() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", ruled(places(2), vec![held()]));
        let life = world.live(db.clone()).await;
        let mut ids = Vec::new();
        for (n, key) in ["x", "x", "x", "y", "x"].into_iter().enumerate() {
            let started = life.started("b", json!({"n": n, "key": key})).await.unwrap();
            assert_eq!(started.passed, (n == 2 || n == 4).then_some(Passed::Held), "{n}");
            ids.push(started.id);
            world.clock.advance(1);
        }
        life.performing_so_many(3).await;
        assert_eq!(life.with_status(Status::Held).await, [ids[4], ids[2]]);
        assert_eq!(life.get(ids[2]).await.started_at, None);
        assert_eq!(life.kinds(ids[2]).await, ["held"]);
        world.effects.release();
        for (n, id) in ids.iter().enumerate() {
            assert_eq!(life.end(*id).await.output, Some(json!(n)));
        }
        assert_eq!(life.kinds(ids[2]).await[..2], ["held", "started"]);
        nothing_is_left(&db).await;
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn environments_and_bots_have_places_of_their_own() {
    on_each(async |db| {
        let world = World::new();
        for name in ["b", "c"] {
            world.bot(name, ruled(places(1), vec![held()]));
        }
        let life = world.live(db).await;
        let mut dev = world.start("b", json!({}));
        dev.environment = "dev".into();
        for start in [world.start("b", json!({})), world.start("c", json!({})), dev] {
            assert_eq!(life.executor.start(start).await.unwrap().passed, None);
        }
        assert_eq!(life.started("c", json!({})).await.unwrap().passed, Some(Passed::Held));
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_held_can_be_cancelled_paused_and_told_things() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", ruled(places(1), vec![held()]));
        let life = world.live(db.clone()).await;
        let first = life.start("b", json!({})).await;
        let [gone, paused, last] = [1, 2, 3].map(|n| json!({"n": n}));
        let (gone, paused) = (life.start("b", gone).await, life.start("b", paused).await);
        world.clock.advance(1);
        let last = life.start("b", last).await;
        life.executor.cancel(world.workspace, gone, "ann", Some("no")).await.unwrap();
        let cancelled = life.end(gone).await;
        assert_eq!((cancelled.status, cancelled.output), (Status::Cancelled, None));
        life.executor.pause(world.workspace, paused, "ann").await.unwrap();
        life.executor.signal(world.workspace, paused, "word", json!(1)).await.unwrap();
        assert_eq!(life.get(paused).await.status, Status::Held);
        life.performing("a").await;
        world.effects.release();
        life.end(first).await;
        // It has a place and stands still in it, so that the last one waits.
        life.reach(paused, Status::Paused).await;
        assert_eq!(life.get(last).await.status, Status::Held);
        life.executor.resume(world.workspace, paused, "ann").await.unwrap();
        for id in [paused, last] {
            assert_eq!(life.end(id).await.status, Status::Succeeded);
        }
        assert_eq!(world.effects.count("a"), 3, "the cancelled one did nothing");
        nothing_is_left(&db).await;
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_is_kept_while_waiting_and_by_what_goes_on() {
    on_each(async |db| {
        let world = World::new();
        let on = |input: Value| named("on", StepKind::Continue { input });
        let more = Step { guard: Some("input.n < 2".into()), ..on(json!({"n": "{{ input.n + 1 }}"})) };
        world.bot("b", ruled(places(1), vec![sleep("s", 1_000), more]));
        let life = world.live(db.clone()).await;
        let mut chain = life.start("b", json!({"n": 0})).await;
        let second = life.start("b", json!({"n": 9})).await;
        for _ in 0..2 {
            life.reach(chain, Status::Waiting).await;
            assert_eq!(life.get(second).await.status, Status::Held);
            world.clock.advance(1_000);
            chain = life.end(chain).await.continued_as.unwrap();
        }
        life.reach(chain, Status::Waiting).await;
        assert_eq!(life.get(second).await.status, Status::Held, "the chain has the place, to its end");
        world.clock.advance(1_000);
        life.end(chain).await;
        life.reach(second, Status::Waiting).await;
        world.clock.advance(1_000);
        life.end(second).await;
        nothing_is_left(&db).await;
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_an_execution_begins_when_it_does() {
    on_each(async |db| {
        let world = World::new();
        let timed = Blueprint { timeout: Some(Span(60_000)), ..ruled(places(1), vec![sleep("s", 30_000), step("z")]) };
        world.bot("b", timed);
        let life = world.live(db).await;
        let (first, second) = (life.start("b", json!({})).await, life.start("b", json!({})).await);
        for id in [first, second] {
            life.reach(id, Status::Waiting).await;
            world.clock.advance(31_000);
            assert_eq!(life.end(id).await.status, Status::Succeeded);
        }
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_and_retries_wait_for_a_place_too() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", ruled(places(1), vec![held(), act("f", json!({"fail": "failed", "value": "{{ steps.a }}"}))]));
        world.bot("p", bot(vec![call("c", "b", json!({"n": 7}), true)]));
        let life = world.live(db.clone()).await;
        let first = life.start("b", json!({"n": 1})).await;
        life.performing("a").await;
        let parent = life.start("p", json!({})).await;
        let child = life.until("the child", async || life.with_status(Status::Held).await.first().copied()).await;
        assert_eq!(life.get(child).await.parent, Some(parent));
        life.reach(parent, Status::Waiting).await;
        world.effects.release();
        assert_eq!(life.end(first).await.status, Status::Failed);
        assert_eq!(life.end(parent).await.status, Status::Failed, "as the child has");
        // What a retry takes over is there when it begins, and not before.
        let still = life.start("b", json!({"n": 2})).await;
        life.end(still).await;
        let again = life.executor.retry(world.workspace, first, None, "user:ann").await.unwrap();
        assert_eq!(life.end(again.id).await.status, Status::Failed);
        let steps = life.executor.steps(world.workspace, again.id).await.unwrap();
        assert!(steps[0].copied && !steps[1].copied, "{steps:?}");
        assert_eq!(world.effects.count("a"), 3, "the retry did not do it again");
        nothing_is_left(&db).await;
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_that_is_held_keeps_what_it_takes_over() {
    on_each(async |db| {
        let world = World::new();
        let fails = act("f", json!({"fail": "failed"}));
        world.bot("b", ruled(places(1), vec![act("a", json!({"value": 4})), fails, Step { id: "h".into(), ..held() }]));
        let life = world.live(db.clone()).await;
        let failed = life.run_to_end("b", json!({})).await.id;
        let busy = world.start("b", json!({}));
        world.redeploy("b", ruled(places(1), vec![held()]));
        let busy = crate::execution::Start { version: world.start("b", json!({})).version, ..busy };
        let busy = life.executor.start(busy).await.unwrap().id;
        life.reach(busy, Status::Running).await;
        let again = life.executor.retry(world.workspace, failed, None, "user:ann").await.unwrap();
        assert_eq!(again.passed, Some(Passed::Held));
        assert_eq!(life.kinds(again.id).await, ["held", "step_succeeded a"]);
        world.effects.release();
        assert_eq!(life.end(again.id).await.status, Status::Failed);
        assert_eq!(life.kinds(again.id).await[..4], ["held", "step_succeeded a", "started", "step_scheduled f"]);
        nothing_is_left(&db).await;
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_within_another_transaction_obeys_too() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", ruled(places(1), vec![held()]));
        let life = world.live(db.clone()).await;
        let mut ids = Vec::new();
        for n in 0..3 {
            let (executor, start) = (life.executor.clone(), world.start("b", json!({"n": n})));
            executor.check(&start).await.unwrap();
            let started = db.write(|tx| Box::pin(async move { executor.start_in(tx, start).await })).await.unwrap();
            life.executor.wake();
            ids.push(started.id);
            assert_eq!(started.passed, (n > 0).then_some(Passed::Held));
        }
        life.performing("a").await;
        assert_eq!(life.with_status(Status::Held).await.len(), 2);
        world.effects.release();
        for id in ids {
            assert_eq!(life.end(id).await.status, Status::Succeeded);
        }
        nothing_is_left(&db).await;
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_places_let_those_go_who_wait() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", ruled(places(1), vec![held()]));
        let life = world.live(db.clone()).await;
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(life.start("b", json!({})).await);
        }
        world.redeploy("b", ruled(places(3), vec![held()]));
        let last = life.started("b", json!({})).await.unwrap();
        assert_eq!(last.passed, Some(Passed::Held), "those who came before it go first");
        life.performing_so_many(3).await;
        assert_eq!(life.with_status(Status::Held).await, [last.id]);
        world.effects.release();
        for id in ids.into_iter().chain([last.id]) {
            life.end(id).await;
        }
        nothing_is_left(&db).await;
        life.stop().await;
    })
    .await;
}
