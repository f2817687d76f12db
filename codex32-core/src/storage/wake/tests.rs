//! Two nodes on one database hear each other, by either carrier.

use super::*;
use crate::storage::{Db, testing};
use std::future::Future;

/// A node whose loops run.
struct Node {
    wakes: Wakes,
    stop: CancellationToken,
    run: tokio::task::JoinHandle<()>,
}

impl Node {
    fn new(wakes: Wakes) -> Node {
        let (stop, running) = (CancellationToken::new(), wakes.clone());
        let token = stop.clone();
        Node { wakes, stop, run: tokio::spawn(async move { running.run(token).await }) }
    }

    async fn end(self) {
        self.stop.cancel();
        self.run.await.unwrap();
    }
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("in vain")
}

/// Until a word comes for which `wanted` holds.
async fn heard(hearing: &mut Hearing, wanted: impl Fn(&Word) -> bool) {
    soon(async { while !wanted(&*hearing.next().await) {} }).await;
}

/// What every carrier must do.
async fn conforms(one: Wakes, other: Wakes) {
    let (mut there, mut here) = (other.hear(), one.hear());
    let (one, other) = (Node::new(one), Node::new(other));
    heard(&mut there, |word| word.everything).await;
    heard(&mut here, |word| word.everything).await;
    let id = Uuid::from_u128(7);
    one.wakes.tell(Word { sent: vec![id], ..Word::default() });
    heard(&mut there, |word| word.sent == [id]).await;
    other.wakes.tell(Word::ready());
    // What comes back is the other's word, never one's own.
    let back = soon(here.next()).await;
    assert_eq!(*back, Word::ready());
    // The last word is sent before the end.
    one.wakes.tell(Word::events());
    one.end().await;
    heard(&mut there, |word| word.events).await;
    other.end().await;
}

#[tokio::test]
async fn nodes_hear_each_other_by_the_database() {
    let Some(test) = testing::postgres().await else { return };
    let other = Db::open(&test.url).await.unwrap();
    conforms(test.db.wakes().clone(), other.wakes().clone()).await;
}

#[tokio::test]
async fn nodes_on_another_schema_hear_nothing() {
    let (Some(test), Some(stranger)) = (testing::postgres().await, testing::postgres().await) else { return };
    let friend = Db::open(&test.url).await.unwrap();
    let nodes = [&test.db, &friend, &stranger.db].map(|db| (db.wakes().hear(), Node::new(db.wakes().clone())));
    let [(_h, one), (mut near, friend), (mut far, stranger)] = nodes;
    for hearing in [&mut near, &mut far] {
        heard(hearing, |word| word.everything).await;
    }
    one.wakes.tell(Word::ready());
    heard(&mut near, |word| word.ready).await;
    let heard_far = tokio::time::timeout(Duration::from_millis(300), far.next()).await;
    assert!(heard_far.is_err(), "{heard_far:?}");
    for node in [one, friend, stranger] {
        node.end().await;
    }
}

#[tokio::test]
async fn nodes_hear_each_other_by_nats() {
    let Some(url) = testing::nats().await else { return };
    let cluster = format!("test_{}", Uuid::now_v7().simple());
    let one = Nats::connect(&url, &cluster).await.unwrap();
    let other = Nats::connect(&url, &cluster).await.unwrap();
    conforms(Wakes::by(Arc::new(one)), Wakes::by(Arc::new(other))).await;
}

/// A carrier that is broken at first.
struct Flaky {
    fails: Mutex<u32>,
    words: broadcast::Sender<String>,
}

struct FlakyEar(broadcast::Receiver<String>);

#[async_trait::async_trait]
impl Carrier for Flaky {
    async fn send(&self, text: String) -> Result<()> {
        let _ = self.words.send(text);
        Ok(())
    }
    async fn listen(&self) -> Result<Box<dyn Ear>> {
        let mut fails = self.fails.lock().unwrap();
        if *fails > 0 {
            *fails -= 1;
            return Err(crate::Error::unavailable("not yet"));
        }
        Ok(Box::new(FlakyEar(self.words.subscribe())))
    }
}

#[async_trait::async_trait]
impl Ear for FlakyEar {
    async fn next(&mut self) -> Result<String> {
        match self.0.recv().await {
            Ok(text) if text == "cut" => Err(crate::Error::unavailable("cut")),
            Ok(text) => Ok(text),
            Err(_) => std::future::pending().await,
        }
    }
}

#[tokio::test]
async fn a_lost_line_is_made_anew_and_everything_looked_at() {
    let words = broadcast::Sender::new(16);
    let node = Node::new(Wakes::by(Arc::new(Flaky { fails: Mutex::new(2), words: words.clone() })));
    let mut hearing = node.wakes.hear();
    heard(&mut hearing, |word| word.everything).await;
    words.send(Word::ready().to_text(Uuid::from_u128(1))).unwrap();
    heard(&mut hearing, |word| word.ready && !word.everything).await;
    words.send("cut".into()).unwrap();
    heard(&mut hearing, |word| word.everything).await;
    words.send("from a later version".into()).unwrap();
    heard(&mut hearing, |word| word.everything).await;
    node.end().await;
}
