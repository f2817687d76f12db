//! The store on both databases: leases and fencing.

use super::blueprints::{bot, step};
use super::world::World;
use crate::execution::entry::Event;
use crate::execution::store::{Commit, Parked, Store};
use crate::execution::types::Status;
use crate::id::ExecutionId;
use crate::storage::Db;
use crate::storage::testing::on_each;
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

async fn queued(db: &Db, world: &World) -> (Store, ExecutionId) {
    world.bot("b", bot(vec![step("a")]));
    let still = world.still(db.clone(), None).await;
    let id = still.start("b", json!({})).await;
    (Store::new(db.clone(), Arc::new(world.clock.clone())), id)
}

/// The workspace of the world, whose turn it is.
fn ours() -> Vec<Uuid> {
    vec![Uuid::from_u128(1)]
}

fn commit(world: &World, id: ExecutionId, token: i64, seq: i64) -> Arc<Commit> {
    Arc::new(Commit {
        id,
        workspace: world.workspace,
        token,
        last_seq: seq,
        entries: vec![(seq, 1, Event::Paused { by: "ann".into() })],
        lines: vec![],
        taken: vec![],
        status: None,
        asked: vec![],
        tokens: vec![],
        waits: vec![],
        forget: vec![],
        close: vec![],
        children: vec![],
        cancel: vec![],
        ended: None,
        successor: None,
        version: None,
    })
}

#[tokio::test]
async fn a_stale_fencing_token_is_refused() {
    on_each(async |db| {
        let world = World::new();
        let (store, id) = queued(&db, &world).await;
        let (first, second) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let claimed = store.claim(first, 0, 10, ours()).await.unwrap();
        assert_eq!((claimed.len(), claimed[0].row.lease_token), (1, 1));
        assert!(store.claim(second, 0, 10, ours()).await.unwrap().is_empty(), "it is taken");
        assert!(store.commit(commit(&world, id, 1, 2)).await.unwrap());
        assert_eq!(store.adopt(second, false).await.unwrap(), 1, "its lease has ended");
        assert!(!store.commit(commit(&world, id, 1, 3)).await.unwrap(), "nobody holds it");
        let claimed = store.claim(second, i64::MAX, 10, ours()).await.unwrap();
        assert_eq!(claimed[0].row.lease_token, 2);
        assert!(!store.commit(commit(&world, id, 1, 3)).await.unwrap(), "the old holder comes late");
        assert!(store.commit(commit(&world, id, 2, 3)).await.unwrap());
        let parked = Parked { id, workspace: world.workspace, token: 1, paused: false, due: None, announce: None };
        assert!(!store.park(parked).await.unwrap());
        let seqs: Vec<i64> = store.entries(id, 0, 10).await.unwrap().iter().map(|e| e.seq).collect();
        assert_eq!(seqs, [1, 2, 3]);
    })
    .await;
}

#[tokio::test]
async fn a_number_is_given_once() {
    on_each(async |db| {
        let world = World::new();
        let (store, id) = queued(&db, &world).await;
        store.claim(Uuid::from_u128(1), 0, 10, ours()).await.unwrap();
        let error = store.commit(commit(&world, id, 1, 1)).await.unwrap_err();
        assert_eq!(error.code(), crate::error::Code::Conflict);
        assert_eq!(store.entries(id, 0, 10).await.unwrap().len(), 1);
        assert_eq!(store.row(world.workspace, id).await.unwrap().last_seq, 1, "nothing of it was written");
    })
    .await;
}

#[tokio::test]
async fn a_lease_that_is_kept_is_not_taken() {
    on_each(async |db| {
        let world = World::new();
        let (store, id) = queued(&db, &world).await;
        let (first, second) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let now = 1_700_000_000_000;
        store.claim(first, now + 10, 10, ours()).await.unwrap();
        store.keep(first, now + 1_000).await.unwrap();
        world.clock.advance(500);
        assert_eq!(store.adopt(second, false).await.unwrap(), 0);
        assert_eq!(store.adopt(first, true).await.unwrap(), 0, "one's own is not lost");
        assert_eq!(store.adopt(second, true).await.unwrap(), 1, "who is alone takes what is left");
        assert_eq!(store.get(world.workspace, id).await.unwrap().status, Status::Queued);
    })
    .await;
}

#[tokio::test]
async fn an_execution_is_not_parked_over_a_signal() {
    on_each(async |db| {
        let world = World::new();
        let (store, id) = queued(&db, &world).await;
        store.claim(Uuid::from_u128(1), 0, 10, ours()).await.unwrap();
        let fact = crate::execution::decide::Fact::Pause { by: "ann".into() };
        store.send(world.workspace, id, fact).await.unwrap();
        let parked = Parked {
            id,
            workspace: world.workspace,
            token: 1,
            paused: false,
            due: Some((5, "a".into())),
            announce: None,
        };
        assert!(!store.park(parked.clone()).await.unwrap());
        let sent = store.inbox(id, 0, 10).await.unwrap();
        let mut taking = (*commit(&world, id, 1, 2)).clone();
        taking.taken = vec![sent[0].id];
        assert!(store.commit(Arc::new(taking)).await.unwrap());
        assert!(store.park(parked).await.unwrap());
        assert_eq!(store.next_timer().await.unwrap(), Some(5));
        assert_eq!(store.fire().await.unwrap(), (1, Vec::new()));
        assert_eq!(store.get(world.workspace, id).await.unwrap().status, Status::Queued);
        assert_eq!(store.next_timer().await.unwrap(), None);
    })
    .await;
}
