//! Flow control on both databases: who goes first, who goes alone, and who is too late.

use super::blueprints::{act, bot, call, step};
use super::flow::{held, nothing_is_left, places, ruled};
use super::world::World;
use crate::blueprint::{Flow, OnConflict, Pace, Singleton, Span};
use crate::error::Code;
use crate::execution::store::Store;
use crate::execution::{Passed, Start, Status};
use crate::id::WorkspaceId;
use crate::storage::testing::on_each;
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

fn alone(on_conflict: OnConflict) -> Flow {
    let singleton = Some(Singleton { key: Some("default(input.key, '')".to_owned()), on_conflict });
    Flow { singleton, ..Flow::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_higher_priority_goes_first_and_then_the_older() {
    on_each(async |db| {
        let world = World::new();
        let flow = Flow { priority: Some("default(input.p, 0)".into()), ..places(1) };
        world.bot("b", ruled(flow, vec![held()]));
        let life = world.live(db.clone()).await;
        let mut ids = vec![life.start("b", json!({"n": 0})).await];
        life.performing("a").await;
        for (n, p) in [(1, 0), (2, 5), (3, -2), (4, 5), (5, 0)] {
            world.clock.advance(1);
            ids.push(life.start("b", json!({"n": n, "p": p})).await);
        }
        world.effects.release();
        for id in ids {
            life.end(id).await;
        }
        // One at a time: the order of the calls is that of the beginnings.
        let order: Vec<_> =
            world.effects.inputs.lock().unwrap().iter().map(|(_, input)| input["value"].clone()).collect();
        assert_eq!(order, [0, 2, 4, 1, 5, 3].map(|n| json!(n)));
        nothing_is_left(&db).await;
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_ready_is_taken_by_priority_too() {
    on_each(async |db| {
        let mut world = World::new();
        world.config.concurrency = 1;
        let flow = Flow { priority: Some("input.p".into()), ..Flow::default() };
        world.bot("b", ruled(flow, vec![act("a", json!({"value": "{{ input.p }}"}))]));
        let still = world.still(db.clone(), None).await;
        let mut ids = Vec::new();
        for p in [0, 3, 1, 2] {
            ids.push(still.start("b", json!({"p": p})).await);
        }
        let life = still.run();
        for id in ids {
            life.end(id).await;
        }
        let order: Vec<_> =
            world.effects.inputs.lock().unwrap().iter().map(|(_, input)| input["value"].clone()).collect();
        assert_eq!(order, [3, 2, 1, 0].map(|n| json!(n)));
        nothing_is_left(&db).await;
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_singleton_skips_what_comes_while_it_goes() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", ruled(alone(OnConflict::Skip), vec![held()]));
        let life = world.live(db.clone()).await;
        let first = life.start("b", json!({"key": "x"})).await;
        let second = life.started("b", json!({"key": "x"})).await.unwrap();
        assert_eq!((second.id, second.existing, second.passed), (first, true, Some(Passed::Skipped)));
        let other = life.started("b", json!({"key": "y"})).await.unwrap();
        assert_eq!(other.passed, None);
        world.effects.release();
        life.end(first).await;
        let third = life.started("b", json!({"key": "x"})).await.unwrap();
        assert!(!third.existing && third.id != first);
        for id in [other.id, third.id] {
            life.end(id).await;
        }
        nothing_is_left(&db).await;
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_singleton_cancels_the_older_and_begins_when_that_is_over() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", ruled(alone(OnConflict::Cancel), vec![held()]));
        let life = world.live(db.clone()).await;
        let first = life.start("b", json!({"n": 1})).await;
        life.performing("a").await;
        let second = life.started("b", json!({"n": 2})).await.unwrap();
        assert_eq!((second.passed, second.replaced), (Some(Passed::Replaced), Some(first)));
        assert_eq!(life.end(first).await.status, Status::Cancelled);
        life.performing_so_many(2).await;
        assert_eq!(*world.effects.stopped.lock().unwrap(), ["a"]);
        let third = life.started("b", json!({"n": 3})).await.unwrap();
        assert_eq!(life.end(second.id).await.status, Status::Cancelled);
        world.effects.release();
        assert_eq!(life.end(third.id).await.output, Some(json!(3)));
        nothing_is_left(&db).await;
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_that_come_at_once_the_last_one_is_left() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", ruled(alone(OnConflict::Cancel), vec![step("a")]));
        let still = world.still(db.clone(), None).await;
        let mut ids = Vec::new();
        for n in 0..4 {
            ids.push(still.start("b", json!({"n": n})).await);
        }
        let life = still.run();
        for (n, id) in ids.iter().enumerate() {
            let status = if n == 3 { Status::Succeeded } else { Status::Cancelled };
            assert_eq!(life.end(*id).await.status, status, "{n}");
        }
        assert_eq!(world.effects.count("a"), 1);
        nothing_is_left(&db).await;
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_begun_in_time_is_cancelled() {
    on_each(async |db| {
        let mut world = World::new();
        world.config.concurrency = 1;
        world.bot("b", ruled(Flow { start_within: Some(Span(60_000)), ..places(1) }, vec![held()]));
        let life = world.live(db.clone()).await;
        let first = life.start("b", json!({})).await;
        life.performing("a").await;
        // One waits for a place, the other, of another key, for somebody who drives it.
        let (late, unlucky) = (life.start("b", json!({})).await, life.start("b", json!({"key": "y"})).await);
        assert_eq!(life.get(unlucky).await.status, Status::Queued);
        world.clock.advance(60_000);
        for id in [late, unlucky] {
            let end = life.end(id).await;
            let error = end.error.unwrap();
            assert_eq!(end.status, Status::Cancelled);
            assert!(error.message.contains("not begun within 1m"), "{}", error.message);
        }
        world.effects.release();
        assert_eq!(life.end(first).await.status, Status::Succeeded, "it had begun");
        nothing_is_left(&db).await;
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workspaces_take_turns() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", bot(vec![step("a")]));
        let still = world.still(db.clone(), None).await;
        let workspaces = [1, 2, 3].map(Uuid::from_u128);
        for (workspace, count) in workspaces.into_iter().zip([20, 1, 4]) {
            for _ in 0..count {
                let start = Start { workspace: WorkspaceId(workspace), ..world.start("b", json!({})) };
                still.executor.start(start).await.unwrap();
            }
        }
        let store = Store::new(db, Arc::new(world.clock.clone()));
        let owner = Uuid::from_u128(9);
        assert_eq!(store.turns(None, 10).await.unwrap(), workspaces);
        assert_eq!(store.turns(Some(workspaces[0]), 10).await.unwrap(), [2, 3, 1].map(Uuid::from_u128));
        assert_eq!(store.turns(Some(workspaces[2]), 2).await.unwrap(), [1, 2].map(Uuid::from_u128));
        // Each has its share, and what one does not need is for the others.
        let claimed = store.claim(owner, i64::MAX, 9, workspaces.to_vec()).await.unwrap();
        let of = |workspace: Uuid| claimed.iter().filter(|one| one.row.workspace_id == workspace).count();
        assert_eq!(workspaces.map(of), [4, 1, 4]);
        let (mut last, mut order) = (None, Vec::new());
        for _ in 0..3 {
            let turns = store.turns(last, 1).await.unwrap();
            let claimed = store.claim(owner, i64::MAX, 1, turns).await.unwrap();
            last = Some(claimed[0].row.workspace_id);
            order.push(claimed[0].row.workspace_id.as_u128());
        }
        assert_eq!(order, [1, 1, 1], "nobody else has anything left");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_too_much_waits_no_more_is_taken() {
    on_each(async |db| {
        let mut world = World::new();
        (world.config.waiting_bot, world.config.concurrency) = (3, 1);
        world.bot("b", ruled(places(1), vec![held()]));
        world.bot("p", bot(vec![call("c", "b", json!({}), true)]));
        let life = world.live(db.clone()).await;
        let first = life.start("b", json!({})).await;
        life.performing("a").await;
        let mut ids = vec![first];
        // What was stored is counted at once, and counted anew once a second.
        let refused = loop {
            match life.started("b", json!({})).await {
                Ok(started) => ids.push(started.id),
                Err(error) => break error,
            }
            assert!(ids.len() < 10, "there is an end to it");
        };
        assert_eq!(refused.code(), Code::RateLimited);
        assert!(refused.retry_after() > Some(0));
        life.executor.check(&world.start("b", json!({}))).await.unwrap_err();
        // Another bot has its own, and what it calls is let in.
        let parent = life.start("p", json!({})).await;
        world.effects.release();
        for id in ids.into_iter().chain([parent]) {
            assert_eq!(life.end(id).await.status, Status::Succeeded);
        }
        life.until("there is room again", async || {
            world.clock.advance(1_000);
            life.executor.check(&world.start("b", json!({}))).await.ok()
        })
        .await;
        nothing_is_left(&db).await;
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_rules_do_can_be_looked_at() {
    on_each(async |db| {
        let world = World::new();
        let throttle = Some(Pace { limit: 3, per: Span(60_000), key: None });
        world.bot("b", ruled(Flow { throttle, start_within: Some(Span(90_000)), ..places(1) }, vec![held()]));
        let life = world.live(db.clone()).await;
        let mut ids = Vec::new();
        for key in ["x", "x", "y", "y"] {
            ids.push(life.start("b", json!({"key": key})).await);
            world.clock.advance(1);
        }
        let bot = world.start("b", json!({})).bot;
        let (counts, tickets) = life.executor.flow(world.workspace, bot).await.unwrap();
        let seen: Vec<_> = counts.iter().map(|c| (&*c.rule, c.key.as_deref(), c.taken, c.room, c.waiting)).collect();
        let place = |key, waiting| ("concurrency", Some(key), 1, Some(1), waiting);
        assert_eq!(seen, [place("x", 1), place("y", 0), ("throttle", None, 0, None, 0)]);
        let seen: Vec<_> = tickets
            .iter()
            .map(|t| (t.execution, t.waits_for.as_deref(), t.key.as_deref(), t.until.is_some()))
            .collect();
        let wanted = [
            (ids[0], None, None, false),
            (ids[2], None, None, false),
            (ids[1], Some("concurrency"), Some("x"), false),
            (ids[3], Some("throttle"), None, true),
        ];
        assert_eq!(seen, wanted);
        assert!(tickets.iter().all(|ticket| ticket.deadline.is_some()));
        let (counts, tickets) = life.executor.flow(WorkspaceId(Uuid::from_u128(2)), bot).await.unwrap();
        assert!(counts.is_empty() && tickets.is_empty(), "it is another workspace");
        life.stop().await;
    })
    .await;
}
