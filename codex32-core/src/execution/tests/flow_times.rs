//! Flow control on both databases: how often something begins.

use super::blueprints::{act, bot, call, retried, step};
use super::flow::{nothing_is_left, places, ruled};
use super::world::{Life, World};
use crate::blueprint::{Debounce, Flow, Pace, Span};
use crate::error::Code;
use crate::execution::{Passed, Status};
use crate::storage::entity::flow_tickets;
use crate::storage::testing::on_each;
use sea_orm::EntityTrait;
use serde_json::{Value, json};

fn pace(limit: u32, ms: u64) -> Option<Pace> {
    Some(Pace { limit, per: Span(ms), key: Some("default(input.key, '')".to_owned()) })
}

fn quiet(wait: u64, at_most: Option<u64>) -> Flow {
    let key = Some("default(input.key, '')".to_owned());
    Flow { debounce: Some(Debounce { wait: Span(wait), at_most: at_most.map(Span), key }), ..Flow::default() }
}

impl Life {
    /// Moves the clock by one step and lets what is due happen; `held` are left.
    pub(super) async fn pass(&self, ms: i64, held: usize) {
        self.world.clock.advance(ms);
        self.until("so many to be held", async || (self.with_status(Status::Held).await.len() == held).then_some(()))
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_too_often_is_refused_and_told_when_to_come_again() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", ruled(Flow { rate: pace(2, 60_000), ..Flow::default() }, vec![step("a")]));
        let life = world.live(db.clone()).await;
        for key in ["x", "x", "y"] {
            let id = life.start("b", json!({"key": key})).await;
            life.end(id).await;
        }
        let refused = life.started("b", json!({"key": "x"})).await.unwrap_err();
        assert_eq!((refused.code(), refused.retry_after()), (Code::RateLimited, Some(30_000)));
        let mut start = world.start("b", json!({"key": "y"}));
        start.idempotency_key = Some("k".into());
        let first = life.executor.start(start.clone()).await.unwrap();
        assert_eq!(life.executor.start(start).await.unwrap().id, first.id, "the same start counts once");
        world.clock.advance(30_000);
        life.start("b", json!({"key": "x"})).await;
        assert!(life.started("b", json!({"key": "x"})).await.is_err());
        life.end(first.id).await;
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_be_told_has_an_execution_that_says_so() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", ruled(Flow { rate: pace(1, 60_000), ..Flow::default() }, vec![act("a", json!({"value": 1}))]));
        world.bot("p", bot(vec![retried(2, call("c", "b", json!({}), true))]));
        let life = world.live(db.clone()).await;
        let first = life.run_to_end("b", json!({})).await;
        assert_eq!(first.status, Status::Succeeded);
        // A trigger goes on: the next event must not wait for this one.
        let (executor, start) = (life.executor.clone(), world.start("b", json!({})));
        let started = db.write(|tx| Box::pin(async move { executor.start_in(tx, start).await })).await.unwrap();
        let refused = life.get(started.id).await;
        assert_eq!((refused.status, refused.error.as_ref().unwrap().code), (Status::Cancelled, Code::RateLimited));
        assert_eq!(life.kinds(started.id).await, ["started", "finished"]);
        // A call is tried again when it may be worth it.
        let parent = life.start("p", json!({})).await;
        life.reach(parent, Status::Waiting).await;
        world.clock.advance(61_000);
        assert_eq!(life.end(parent).await.output, Some(json!(1)));
        let names: Vec<_> =
            life.bus.list(world.workspace, 0, 100).await.unwrap().iter().map(|e| e.name.clone()).collect();
        assert_eq!(names.iter().filter(|name| *name == "execution.finished").count(), 5, "{names:?}");
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_too_often_waits_its_turn() {
    on_each(async |db| {
        let world = World::new();
        let flow = Flow { throttle: pace(1, 10_000), ..Flow::default() };
        world.bot("b", ruled(flow, vec![act("a", json!({"value": "{{ input.n }}"}))]));
        let life = world.live(db.clone()).await;
        let mut ids = Vec::new();
        for n in 0..4 {
            let started = life.started("b", json!({"n": n})).await.unwrap();
            assert_eq!(started.passed, (n > 0).then_some(Passed::Held));
            ids.push(started.id);
        }
        let other = life.started("b", json!({"n": 9, "key": "y"})).await.unwrap();
        assert_eq!(other.passed, None);
        for id in [ids[0], other.id] {
            life.end(id).await;
        }
        life.pass(9_999, 3).await;
        life.pass(1, 2).await;
        life.end(ids[1]).await;
        life.executor.cancel(world.workspace, ids[2], "ann", None).await.unwrap();
        life.end(ids[2]).await;
        life.pass(20_000, 0).await;
        assert_eq!(life.end(ids[3]).await.output, Some(json!(3)));
        nothing_is_left(&db).await;
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_and_a_place_are_waited_for_one_after_the_other() {
    on_each(async |db| {
        let world = World::new();
        let flow = Flow { throttle: pace(1, 10_000), ..places(1) };
        world.bot("b", ruled(flow, vec![super::flow::held()]));
        let life = world.live(db.clone()).await;
        let ids = [life.start("b", json!({})).await, life.start("b", json!({})).await];
        life.performing("a").await;
        world.clock.advance(10_000);
        life.until("it waits for a place", async || {
            let row = flow_tickets::Entity::find_by_id(ids[1].0).one(db.read()).await.unwrap();
            (row.unwrap().waits_for.as_deref() == Some("concurrency:")).then_some(())
        })
        .await;
        assert_eq!(life.get(ids[1]).await.status, Status::Held);
        world.effects.release();
        for id in ids {
            life.end(id).await;
        }
        nothing_is_left(&db).await;
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_starts_that_follow_closely_the_last_one_counts() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", ruled(quiet(10_000, Some(25_000)), vec![act("a", json!({"value": "{{ input.n }}"}))]));
        let life = world.live(db.clone()).await;
        let first = life.started("b", json!({"n": 0})).await.unwrap();
        assert_eq!(first.passed, Some(Passed::Held));
        for n in 1..4 {
            life.pass(7_000, 1).await;
            let next = life.started("b", json!({"n": n})).await.unwrap();
            assert_eq!((next.id, next.existing, next.passed), (first.id, true, Some(Passed::Debounced)));
        }
        // 21 seconds have passed: at 25 it begins, however many come.
        life.pass(3_999, 1).await;
        life.pass(1, 0).await;
        let end = life.end(first.id).await;
        assert_eq!((end.output, end.input), (Some(json!(3)), json!({"n": 3})));
        let next = life.started("b", json!({"n": 4})).await.unwrap();
        assert!(!next.existing);
        life.pass(10_000, 0).await;
        assert_eq!(life.end(next.id).await.output, Some(json!(4)));
        assert_eq!(world.effects.count("a"), 2);
        nothing_is_left(&db).await;
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_was_taken_into_another_is_known_again() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", ruled(quiet(10_000, None), vec![act("a", json!({"value": "{{ input.n }}"}))]));
        let life = world.live(db.clone()).await;
        let keyed = |n: i64| {
            let mut start = world.start("b", json!({"n": n}));
            start.idempotency_key = Some(format!("k{n}"));
            start
        };
        let first = life.executor.start(keyed(1)).await.unwrap();
        life.executor.start(keyed(2)).await.unwrap();
        // A sender that has had no answer sends again; that is no news.
        for n in [1, 2] {
            let again = life.executor.start(keyed(n)).await.unwrap();
            assert_eq!((again.id, again.existing, again.passed), (first.id, true, None));
        }
        life.pass(10_000, 0).await;
        assert_eq!(life.end(first.id).await.output, Some(json!(2)));
        let late = life.executor.start(keyed(2)).await.unwrap();
        assert_eq!((late.id, late.existing), (first.id, true), "also when it is over");
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_debounced_one_that_is_cancelled_takes_nothing_more() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", ruled(quiet(10_000, None), vec![act("a", json!({"value": "{{ input.n }}"}))]));
        let life = world.live(db.clone()).await;
        let first = life.start("b", json!({"n": 1})).await;
        life.executor.cancel(world.workspace, first, "ann", None).await.unwrap();
        let second = life.started("b", json!({"n": 2})).await.unwrap();
        assert!(!second.existing);
        assert_eq!(life.end(first).await.status, Status::Cancelled);
        life.pass(10_000, 0).await;
        assert_eq!(life.end(second.id).await.output, Some(json!(2)));
        nothing_is_left(&db).await;
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn times_come_also_where_nobody_ran_meanwhile() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", ruled(quiet(10_000, None), vec![act("a", json!({"value": 1}))]));
        let still = world.still(db.clone(), None).await;
        let id = still.start("b", Value::Object(Default::default())).await;
        world.clock.advance(3_600_000);
        let life = still.run();
        assert_eq!(life.end(id).await.status, Status::Succeeded);
        nothing_is_left(&db).await;
        life.stop().await;
    })
    .await;
}
