//! The bus on real databases.

use super::*;
use crate::clock::SimulatedClock;
use crate::storage::testing::{self, on_each};
use crate::trigger::testing::eventually;
use futures::StreamExt as _;
use sea_orm::TransactionTrait as _;
use serde_json::json;

fn bus(db: Db) -> (Bus, SimulatedClock) {
    let clock = SimulatedClock::at(1_000);
    (Bus::new(db, Arc::new(clock.clone())), clock)
}

#[tokio::test]
async fn a_subscriber_gets_the_past_and_then_the_present() {
    on_each(async |db| {
        let (bus, _) = bus(db);
        let (ws, other) = (WorkspaceId::at(1), WorkspaceId::at(1));
        let first = bus.publish(ws, "a.one", json!({"n": 1})).await.unwrap();
        bus.publish(other, "a.other", json!({})).await.unwrap();
        bus.publish(ws, "a.two", json!({"n": 2})).await.unwrap();
        let mut stream = bus.subscribe(ws, Some(first)).await.unwrap();
        assert_eq!(stream.next().await.unwrap().name, "a.two");
        let both = async { tokio::join!(stream.next(), bus.publish(ws, "a.three", json!({"n": 3}))) };
        let (next, _) = eventually(both).await;
        let next = next.unwrap();
        assert_eq!((next.name.as_str(), next.data["n"].as_i64(), next.at), ("a.three", Some(3), 1_000));
    })
    .await;
}

#[tokio::test]
async fn a_subscriber_from_now_on_gets_what_is_published_before_it_first_waits() {
    on_each(async |db| {
        let (bus, _) = bus(db);
        let ws = WorkspaceId::at(1);
        bus.publish(ws, "a.before", json!({})).await.unwrap();
        let mut stream = bus.subscribe(ws, None).await.unwrap();
        bus.publish(ws, "a.after", json!({})).await.unwrap();
        assert_eq!(eventually(stream.next()).await.unwrap().name, "a.after");
    })
    .await;
}

#[tokio::test]
async fn what_is_rolled_back_was_never_published() {
    on_each(async |db| {
        let (bus, clock) = bus(db.clone());
        let ws = WorkspaceId::at(1);
        let refused: Result<()> = db
            .write(move |tx| {
                Box::pin(async move {
                    Bus::publish_in(tx, &clock, ws, "a.never", json!({})).await?;
                    Err(crate::Error::conflict("no"))
                })
            })
            .await;
        assert!(refused.is_err());
        bus.publish(ws, "a.kept", json!({})).await.unwrap();
        let names: Vec<String> = bus.list(ws, 0, 10).await.unwrap().into_iter().map(|event| event.name).collect();
        assert_eq!(names, ["a.kept"]);
    })
    .await;
}

/// Many publish at once, each in a transaction of some length; a reader that always
/// goes on after the last number it saw must see all.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_misses_nothing_while_many_publish() {
    on_each(async |db| {
        const WRITERS: usize = 8;
        const EACH: usize = 25;
        let (bus, _) = bus(db);
        let ws = WorkspaceId::at(1);
        let reader = tokio::spawn({
            let mut stream = bus.subscribe(ws, Some(0)).await.unwrap();
            async move {
                let mut seen = Vec::new();
                while seen.len() < WRITERS * EACH {
                    seen.push(stream.next().await.unwrap());
                }
                seen
            }
        });
        let writers = (0..WRITERS).map(|writer| {
            let bus = bus.clone();
            tokio::spawn(async move {
                for n in 0..EACH {
                    bus.publish(ws, "a.b", json!([writer, n])).await.unwrap();
                }
            })
        });
        futures::future::join_all(writers).await;
        let seen = eventually(reader).await.unwrap();
        assert!(seen.windows(2).all(|pair| pair[0].seq < pair[1].seq));
        let mut all: Vec<String> = seen.iter().map(|event| event.data.to_string()).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), WRITERS * EACH);
    })
    .await;
}

#[tokio::test]
async fn a_second_process_is_noticed_without_a_wake() {
    on_each(async |db| {
        let (ours, clock) = bus(db.clone());
        let theirs = Bus::new(db, Arc::new(clock.clone()));
        let ws = WorkspaceId::at(1);
        let mut stream = ours.subscribe(ws, None).await.unwrap();
        theirs.publish(ws, "a.b", json!({})).await.unwrap();
        let pass = async { clock.advance(1_000) };
        let (event, ()) = eventually(async { tokio::join!(stream.next(), pass) }).await;
        assert_eq!(event.unwrap().name, "a.b");
    })
    .await;
}

#[tokio::test]
async fn old_events_go_once_every_consumer_has_read_them() {
    on_each(async |db| {
        let (bus, clock) = bus(db.clone());
        let ws = WorkspaceId::at(1);
        let mut seqs = Vec::new();
        for _ in 0..4 {
            seqs.push(bus.publish(ws, "a.b", json!({})).await.unwrap());
            clock.advance(1_000);
        }
        let (done, at) = (seqs[1], clock.clone());
        db.write(move |tx| Box::pin(async move { Bus::advance_in(tx, &at, "slow", done).await })).await.unwrap();
        assert_eq!(bus.prune(1_000).await.unwrap(), 0);
        assert_eq!(bus.prune(4_000).await.unwrap(), 2);
        let left: Vec<i64> = bus.list(ws, 0, 10).await.unwrap().iter().map(|event| event.seq).collect();
        assert_eq!(left, seqs[2..]);
        let (done, at) = (seqs[3], clock.clone());
        db.write(move |tx| Box::pin(async move { Bus::advance_in(tx, &at, "slow", done).await })).await.unwrap();
        assert_eq!(bus.prune(4_000).await.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_copy_to_nats_that_comes_no_further_keeps_events_for_a_time_only() {
    on_each(async |db| {
        let (bus, clock) = bus(db.clone());
        let ws = WorkspaceId::at(1);
        let mut seqs = Vec::new();
        for _ in 0..3 {
            seqs.push(bus.publish(ws, "a.b", json!({})).await.unwrap());
            clock.advance(1_000);
        }
        assert!(!bus.give_up_relay(4_000).await.unwrap(), "there was never one");
        for consumer in ["nats", "triggers"] {
            let (done, at) = (seqs[0], clock.clone());
            db.write(move |tx| Box::pin(async move { Bus::advance_in(tx, &at, consumer, done).await })).await.unwrap();
        }
        assert_eq!(bus.prune(4_000).await.unwrap(), 1);
        // The first that was not copied is from 2,000.
        assert!(!bus.give_up_relay(2_000).await.unwrap());
        let (done, at) = (seqs[2], clock.clone());
        db.write(move |tx| Box::pin(async move { Bus::advance_in(tx, &at, "triggers", done).await })).await.unwrap();
        assert_eq!(bus.prune(4_000).await.unwrap(), 0);
        assert!(bus.give_up_relay(2_001).await.unwrap());
        assert!(!bus.give_up_relay(2_001).await.unwrap());
        assert_eq!(bus.prune(4_000).await.unwrap(), 2);
        assert_eq!(bus.offset("triggers").await.unwrap(), seqs[2], "those of the engine stay");
    })
    .await;
}

#[tokio::test]
async fn a_publisher_that_is_frozen_does_not_hold_the_bus_for_ever() {
    let Some(test) = testing::postgres().await else { return };
    let (bus, _) = bus(test.db.clone());
    let frozen = test.db.read().begin().await.unwrap();
    hold_in(&frozen).await.unwrap();
    // Nothing more is heard of it, and its connection stays open. The database ends it.
    let published = bus.publish(WorkspaceId::at(1), "a.b", json!({}));
    tokio::time::timeout(std::time::Duration::from_secs(60), published).await.unwrap().unwrap();
    assert!(frozen.commit().await.is_err(), "it learns of it when it goes on");
}
