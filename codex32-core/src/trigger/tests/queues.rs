use crate::blueprint::{PollTrigger, Span, Trigger};
use crate::clock::{Clock as _, Millis, SystemClock};
use crate::error::{Code, Error, Result};
use crate::id::WorkspaceId;
use crate::queue::{Depth, Limits, Message, NatsQueue, Queue, SendOptions};
use crate::storage::testing::{self, on_each};
use crate::storage::{Db, Nats};
use crate::trigger::testing::{House, until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use uuid::Uuid;

const NOW: Millis = 1_700_000_000_000;

fn on_queue(queue: &str) -> Trigger {
    let with = json!({"queue": queue});
    Trigger::Poll(PollTrigger { source: "queue.message".into(), with, connection: None, every: Span(1_000) })
}

/// A queue of which some acknowledgements do not get through, as where the process ends before.
struct Deaf {
    queue: Arc<dyn Queue>,
    fails: AtomicUsize,
}

#[async_trait::async_trait]
impl Queue for Deaf {
    async fn send(&self, ws: WorkspaceId, queue: &str, body: Value, options: SendOptions) -> Result<Uuid> {
        self.queue.send(ws, queue, body, options).await
    }
    async fn receive(&self, ws: WorkspaceId, queue: &str, limit: u64, lease_ms: u64) -> Result<Vec<Message>> {
        self.queue.receive(ws, queue, limit, lease_ms).await
    }
    async fn ack(&self, ws: WorkspaceId, message: &Message) -> Result<()> {
        if self.fails.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
            // Its lease ends at once, so that the test need not wait.
            self.queue.extend(ws, message, 1).await?;
            return Err(Error::unavailable("the process has ended"));
        }
        self.queue.ack(ws, message).await
    }
    async fn nack(&self, ws: WorkspaceId, message: &Message, delay_ms: u64, error: &str) -> Result<()> {
        self.queue.nack(ws, message, delay_ms, error).await
    }
    async fn extend(&self, ws: WorkspaceId, message: &Message, lease_ms: u64) -> Result<()> {
        self.queue.extend(ws, message, lease_ms).await
    }
    async fn release(&self, ws: WorkspaceId, message: &Message, delay_ms: u64) -> Result<()> {
        self.queue.release(ws, message, delay_ms).await
    }
    async fn depth(&self, ws: WorkspaceId, queue: &str) -> Result<Depth> {
        self.queue.depth(ws, queue).await
    }
    async fn revive(&self, ws: WorkspaceId, queue: &str) -> Result<u64> {
        self.queue.revive(ws, queue).await
    }
}

/// Runs `test` with queues in the database and with queues in JetStream.
async fn on_each_queue(test: impl AsyncFn(House)) {
    on_each(async |db| test(House::new(db, NOW)).await).await;
    on_each(async |db: Db| {
        let Some(url) = testing::nats().await else { return };
        let cluster = format!("test_{}", Uuid::now_v7().simple());
        let nats = Nats::connect(&url, &cluster).await.unwrap();
        let mut house = House::new(db, NOW);
        house.queues = Arc::new(NatsQueue::new(nats.clone(), Arc::new(SystemClock), Limits::default()));
        until(async || house.queues.depth(house.workspace, "q").await.ok()).await;
        test(house).await;
        let context = async_nats::jetstream::new(nats.client().clone());
        context.delete_stream(format!("CODEX32-QUEUES_{cluster}")).await.unwrap();
    })
    .await;
}

async fn send(house: &House, bodies: std::ops::Range<i64>) {
    for n in bodies {
        house.queues.send(house.workspace, "q", json!(n), SendOptions::default()).await.unwrap();
        // Rows of one millisecond have no order.
        house.clock.advance(1);
    }
}

/// Time goes on where the trigger waits for it, and not while it holds messages.
async fn pass(house: &House) {
    let next = house.only_trigger().await.upcoming.first().copied();
    if next.is_some_and(|next| next > house.clock.now()) {
        house.clock.advance(1_000);
    }
}

/// Waits until the queue is empty.
async fn emptied(house: &House) {
    until(async || {
        pass(house).await;
        let depth = house.queues.depth(house.workspace, "q").await.unwrap();
        (depth == Depth::default()).then_some(())
    })
    .await;
}

/// What was started from, each once.
async fn started(house: &House) -> Vec<i64> {
    let all = house.starter.all().await;
    let mut bodies: Vec<i64> = all.iter().filter_map(|start| start.input["body"].as_i64()).collect();
    bodies.sort_unstable();
    assert_eq!(bodies.len(), bodies.iter().collect::<BTreeSet<_>>().len(), "none twice: {bodies:?}");
    bodies
}

#[tokio::test]
async fn each_message_starts_one_execution_also_where_its_acknowledgement_is_lost() {
    on_each_queue(async |mut house| {
        let deaf = Arc::new(Deaf { queue: house.queues.clone(), fails: AtomicUsize::new(60) });
        house.queues = deaf.clone();
        house.arm(&house.deployment("a"), vec![on_queue("q")]).await.unwrap();
        send(&house, 0..120).await;
        let running = house.run();
        until(async || {
            pass(&house).await;
            (deaf.fails.load(Ordering::SeqCst) == 0).then_some(())
        })
        .await;
        emptied(&house).await;
        running.end().await;
        assert_eq!(started(&house).await, (0..120).collect::<Vec<i64>>());
    })
    .await;
}

#[tokio::test]
async fn a_message_that_cannot_be_started_from_is_kept_and_the_rest_goes_on() {
    on_each_queue(async |house| {
        house.starter.refuse(Error::invalid("the input has no \"title\""));
        house.arm(&house.deployment("a"), vec![on_queue("q")]).await.unwrap();
        send(&house, 0..3).await;
        let running = house.run();
        until(async || {
            pass(&house).await;
            house.only_trigger().await.last_error.filter(|error| error.contains("title"))
        })
        .await;
        assert_eq!(started(&house).await, [1, 2]);
        // The others are acknowledged after their starts. It is tried again later, and may be by now.
        until(async || {
            let left = house.queues.depth(house.workspace, "q").await.unwrap();
            (left.open <= 1 && left.dead == 0).then_some(())
        })
        .await;
        running.end().await;
    })
    .await;
}

#[tokio::test]
async fn while_the_engine_is_full_messages_wait_and_none_is_given_up() {
    on_each_queue(async |house| {
        house.arm(&house.deployment("a"), vec![on_queue("q")]).await.unwrap();
        // More often than a message is tried.
        for _ in 0..12 {
            house.starter.refuse(Error::new(Code::Busy, "full"));
        }
        send(&house, 0..2).await;
        let running = house.run();
        for failures in 1..=12 {
            until(async || (house.only_trigger().await.failures == failures).then_some(())).await;
            house.clock.advance(300_000);
        }
        emptied(&house).await;
        running.end().await;
        assert_eq!(started(&house).await, [0, 1]);
    })
    .await;
}

#[tokio::test]
async fn a_trigger_takes_only_of_its_queue_and_its_workspace() {
    on_each_queue(async |house| {
        house.arm(&house.deployment("a"), vec![on_queue("q")]).await.unwrap();
        let other = WorkspaceId::at(NOW);
        house.queues.send(other, "q", json!(7), SendOptions::default()).await.unwrap();
        house.queues.send(house.workspace, "other", json!(8), SendOptions::default()).await.unwrap();
        send(&house, 0..1).await;
        let running = house.run();
        emptied(&house).await;
        running.end().await;
        assert_eq!(started(&house).await, [0]);
        assert_eq!(house.queues.depth(other, "q").await.unwrap().open, 1);
        assert_eq!(house.queues.depth(house.workspace, "other").await.unwrap().open, 1);
    })
    .await;
}
