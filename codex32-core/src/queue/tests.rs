//! What every queue must do, on every database.

use super::*;
use crate::clock::SimulatedClock;
use crate::error::Code;
use crate::storage::testing::on_each;
use serde_json::json;
use std::sync::Arc;

fn queue(db: crate::storage::Db, clock: &SimulatedClock, attempts: u32) -> DbQueue {
    DbQueue::new(db, Arc::new(clock.clone()), Limits { attempts, ..Limits::default() })
}

#[tokio::test]
async fn a_message_goes_to_one_holder_and_back_when_the_lease_ends() {
    on_each(async |db| {
        let clock = SimulatedClock::at(1_000);
        let (queue, ws) = (queue(db, &clock, 3), WorkspaceId::at(1));
        let id = queue.send(ws, "mail", json!({"n": 1}), SendOptions::default()).await.unwrap();
        let first = queue.receive(ws, "mail", 10, 500).await.unwrap();
        assert_eq!((first.len(), first[0].id, first[0].attempt, &first[0].body), (1, id, 1, &json!({"n": 1})));
        assert!(queue.receive(ws, "mail", 10, 500).await.unwrap().is_empty());
        clock.advance(500);
        let second = queue.receive(ws, "mail", 10, 500).await.unwrap();
        assert_eq!(second[0].attempt, 2);
        // The first holder comes too late.
        assert_eq!(queue.ack(ws, &first[0]).await.unwrap_err().code(), Code::Conflict);
        queue.ack(ws, &second[0]).await.unwrap();
        assert_eq!(queue.depth(ws, "mail").await.unwrap(), Depth::default());
    })
    .await;
}

#[tokio::test]
async fn a_message_that_keeps_failing_is_set_aside_and_can_be_revived() {
    on_each(async |db| {
        let clock = SimulatedClock::at(0);
        let (queue, ws) = (queue(db, &clock, 2), WorkspaceId::at(1));
        queue.send(ws, "q", json!(1), SendOptions::default()).await.unwrap();
        let message = queue.receive(ws, "q", 1, 100).await.unwrap().remove(0);
        queue.nack(ws, &message, 50, "no").await.unwrap();
        assert!(queue.receive(ws, "q", 1, 100).await.unwrap().is_empty());
        clock.advance(50);
        // The second holder dies.
        assert_eq!(queue.receive(ws, "q", 1, 100).await.unwrap().len(), 1);
        clock.advance(100);
        assert!(queue.receive(ws, "q", 1, 100).await.unwrap().is_empty());
        assert_eq!(queue.depth(ws, "q").await.unwrap(), Depth { open: 0, dead: 1 });
        assert_eq!(queue.revive(ws, "q").await.unwrap(), 1);
        assert_eq!(queue.receive(ws, "q", 1, 100).await.unwrap()[0].attempt, 1);
    })
    .await;
}

#[tokio::test]
async fn a_key_is_held_once_and_workspaces_are_apart() {
    on_each(async |db| {
        let clock = SimulatedClock::at(0);
        let queue = queue(db, &clock, 3);
        let (ours, theirs) = (WorkspaceId::at(1), WorkspaceId::at(1));
        let once = SendOptions { dedup: Some("k".into()), delay_ms: 10 };
        let first = queue.send(ours, "q", json!(1), once.clone()).await.unwrap();
        assert_eq!(queue.send(ours, "q", json!(2), once.clone()).await.unwrap(), first);
        assert_ne!(queue.send(theirs, "q", json!(3), once).await.unwrap(), first);
        clock.advance(10);
        let got = queue.receive(ours, "q", 10, 100).await.unwrap();
        assert_eq!(got.iter().map(|m| m.body.clone()).collect::<Vec<_>>(), [json!(1)]);
        assert_eq!(queue.ack(theirs, &got[0]).await.unwrap_err().code(), Code::Conflict);
    })
    .await;
}

#[tokio::test]
async fn holders_at_once_share_the_messages_without_overlap() {
    on_each(async |db| {
        let clock = SimulatedClock::at(0);
        let (queue, ws) = (queue(db, &clock, 3), WorkspaceId::at(1));
        for n in 0..40 {
            queue.send(ws, "q", json!(n), SendOptions::default()).await.unwrap();
        }
        let holders = (0..8).map(|_| queue.receive(ws, "q", 5, 1_000));
        let mut seen: Vec<i64> = futures::future::join_all(holders)
            .await
            .into_iter()
            .flat_map(Result::unwrap)
            .map(|message| message.body.as_i64().unwrap())
            .collect();
        seen.sort_unstable();
        seen.dedup();
        let rest = queue.receive(ws, "q", 100, 1_000).await.unwrap().len();
        assert_eq!(seen.len() + rest, 40);
    })
    .await;
}

#[tokio::test]
async fn bad_names_and_large_bodies_are_refused() {
    let db = crate::storage::testing::sqlite().await;
    let clock = SimulatedClock::at(0);
    let (queue, ws) = (queue(db.db.clone(), &clock, 3), WorkspaceId::at(1));
    for bad in ["", "a b", "ü", &"x".repeat(101)] {
        assert_eq!(queue.send(ws, bad, json!(1), SendOptions::default()).await.unwrap_err().code(), Code::Invalid);
    }
    let large = json!("x".repeat(Limits::default().body));
    assert_eq!(queue.send(ws, "q", large, SendOptions::default()).await.unwrap_err().code(), Code::TooLarge);
}
