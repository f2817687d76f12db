//! Flow control on both databases: many starts that are one execution.

use super::blueprints::{act, bot, call};
use super::flow::{nothing_is_left, ruled};
use super::world::World;
use crate::blueprint::{Blueprint, Flow, Gather, Idempotency, Span};
use crate::error::Code;
use crate::execution::{Passed, Status};
use crate::storage::entity::flow_slots;
use crate::storage::testing::on_each;
use sea_orm::{EntityTrait, PaginatorTrait};
use serde_json::json;

fn batches(size: u32, wait: u64) -> Blueprint {
    let key = Some("default(input.key, '')".to_owned());
    let flow = Flow { batch: Some(Gather { size, wait: Span(wait), key }), ..Flow::default() };
    ruled(flow, vec![act("a", json!({"value": "{{ input.items.map(i, i.n) }}"}))])
}

#[tokio::test(flavor = "multi_thread")]
async fn starts_are_gathered_until_there_are_enough_or_the_time_has_come() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", batches(3, 10_000));
        let life = world.live(db.clone()).await;
        let mut ids = Vec::new();
        for n in 0..5 {
            let started = life.started("b", json!({"n": n})).await.unwrap();
            let first = n == 0 || n == 3;
            assert_eq!(started.passed, Some(if first { Passed::Held } else { Passed::Batched }), "{n}");
            assert_eq!(started.existing, !first);
            ids.push(started.id);
        }
        let other = life.start("b", json!({"n": 7, "key": "y"})).await;
        assert_eq!((ids[0] == ids[1], ids[1] == ids[2], ids[2] == ids[3], ids[3] == ids[4]), (true, true, false, true));
        assert_eq!(life.end(ids[0]).await.output, Some(json!([0, 1, 2])), "there were enough");
        assert_eq!(life.with_status(Status::Held).await.len(), 2);
        life.pass(10_000, 0).await;
        assert_eq!(life.end(ids[3]).await.output, Some(json!([3, 4])), "the time has come");
        assert_eq!(life.end(other).await.input, json!({"items": [{"n": 7, "key": "y"}]}));
        assert_eq!(world.effects.count("a"), 3);
        nothing_is_left(&db).await;
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_item_is_checked_and_counted_once() {
    on_each(async |db| {
        let world = World::new();
        let inputs = json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}});
        world.bot("b", Blueprint { inputs: Some(inputs), ..batches(2, 10_000) });
        world.bot("one", batches(1, 10_000));
        let life = world.live(db.clone()).await;
        assert_eq!(life.started("b", json!({"n": "x"})).await.unwrap_err().code(), Code::Invalid);
        let mut start = world.start("b", json!({"n": 1}));
        start.idempotency_key = Some("first".into());
        let first = life.executor.start(start.clone()).await.unwrap().id;
        assert_eq!(life.executor.start(start).await.unwrap().passed, None, "it is known");
        let last = life.started("b", json!({"n": 2})).await.unwrap();
        assert_eq!(last.id, first);
        assert_eq!(life.end(first).await.output, Some(json!([1, 2])));
        assert_eq!(life.run_to_end("one", json!({"n": 5})).await.output, Some(json!([5])));
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_the_size_of_an_input_at_most() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", batches(100, 10_000));
        let life = world.live(db.clone()).await;
        let large = |n: i64| json!({"n": n, "text": "x".repeat(400_000)});
        let mut ids = Vec::new();
        for n in 0..3 {
            ids.push(life.start("b", large(n)).await);
        }
        assert!(ids[0] == ids[1] && ids[1] != ids[2]);
        assert_eq!(life.end(ids[0]).await.output, Some(json!([0, 1])), "the third did not fit");
        life.pass(10_000, 0).await;
        assert_eq!(life.end(ids[2]).await.output, Some(json!([2])));
        nothing_is_left(&db).await;
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_cancelled_takes_its_items_along() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", batches(2, 10_000));
        let life = world.live(db.clone()).await;
        let gone = life.start("b", json!({"n": 1})).await;
        life.executor.cancel(world.workspace, gone, "ann", None).await.unwrap();
        let next = life.start("b", json!({"n": 2})).await;
        assert_ne!(next, gone);
        life.start("b", json!({"n": 3})).await;
        assert_eq!(life.end(next).await.output, Some(json!([2, 3])));
        assert_eq!(life.end(gone).await.status, Status::Cancelled);
        nothing_is_left(&db).await;
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_into_a_batch_says_where_it_went() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", batches(2, 10_000));
        world.bot("p", bot(vec![call("c", "b", json!({"n": "{{ input.n }}"}), true)]));
        let life = world.live(db.clone()).await;
        let first = life.start("p", json!({"n": 1})).await;
        life.reach(first, Status::Waiting).await;
        let batch = life.with_status(Status::Held).await[0];
        let second = life.run_to_end("p", json!({"n": 2})).await;
        let error = second.error.unwrap();
        assert_eq!(error.code, Code::Cancelled);
        assert!(error.message.contains(&batch.to_string()), "{}", error.message);
        assert_eq!(life.end(first).await.output, Some(json!([1, 2])), "who began it has its end");
        nothing_is_left(&db).await;
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_start_within_its_window_is_one() {
    on_each(async |db| {
        let world = World::new();
        let idempotency = Some(Idempotency { key: "input.order".into(), window: Span(60_000) });
        world.bot("b", ruled(Flow { idempotency, ..Flow::default() }, vec![act("a", json!({}))]));
        let life = world.live(db.clone()).await;
        let first = life.run_to_end("b", json!({"order": 1})).await.id;
        let other = life.run_to_end("b", json!({"order": 2})).await.id;
        world.clock.advance(59_999);
        let again = life.started("b", json!({"order": 1})).await.unwrap();
        assert_eq!((again.id, again.existing, again.passed), (first, true, Some(Passed::Repeated)));
        world.clock.advance(1);
        let late = life.started("b", json!({"order": 1})).await.unwrap();
        assert!(!late.existing && late.id != other);
        life.end(late.id).await;
        // What has expired is forgotten by whoever tends, the rest is kept.
        world.clock.advance(1_000);
        assert_eq!(life.executor.forget_flow().await.unwrap(), 1);
        assert_eq!(flow_slots::Entity::find().count(db.read()).await.unwrap(), 1);
        life.stop().await;
    })
    .await;
}
