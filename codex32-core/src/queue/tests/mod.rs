//! Queues on each of their stores.

mod crash;
mod every;
mod server;
mod stream;

use super::*;
use crate::clock::{Clock, SimulatedClock, SystemClock};
use crate::storage::{Nats, testing};
use serde_json::json;
use server::Server;
use std::sync::Arc;
use std::time::Duration;

/// A store with queues. Time stands still on a database and goes on by itself on NATS.
struct Site {
    limits: Limits,
    clock: Option<SimulatedClock>,
    make: Box<dyn Fn(Limits) -> Arc<dyn Queue>>,
}

impl Site {
    /// What another process would have.
    fn queue(&self) -> Arc<dyn Queue> {
        (self.make)(self.limits)
    }

    /// Until then it may have to be waited for.
    fn pass(&self, ms: i64) {
        if let Some(clock) = &self.clock {
            clock.advance(ms);
        }
    }
}

/// Runs `test` on SQLite, PostgreSQL and JetStream.
async fn on_each(attempts: u32, test: impl AsyncFn(Site)) {
    let limits = Limits { attempts, ..Limits::default() };
    testing::on_each(async |db| {
        let clock = SimulatedClock::at(1_000);
        let time: Arc<dyn Clock> = Arc::new(clock.clone());
        let make = move |limits| Arc::new(DbQueue::new(db.clone(), time.clone(), limits)) as Arc<dyn Queue>;
        test(Site { limits, clock: Some(clock), make: Box::new(make) }).await;
    })
    .await;
    let Some(url) = testing::nats().await else { return };
    let nats = nats(&url).await;
    let mine = nats.clone();
    let make = move |limits| Arc::new(NatsQueue::new(mine.clone(), Arc::new(SystemClock), limits)) as Arc<dyn Queue>;
    test(Site { limits, clock: None, make: Box::new(make) }).await;
    remove(&nats).await;
}

/// A connection for a cluster of its own.
async fn nats(url: &str) -> Nats {
    let nats = Nats::connect(url, &format!("test_{}", Uuid::now_v7().simple())).await.unwrap();
    until(async || (nats.client().connection_state() == async_nats::connection::State::Connected).then_some(())).await;
    nats
}

async fn remove(nats: &Nats) {
    let context = async_nats::jetstream::new(nats.client().clone());
    let _ = context.delete_stream(super::nats::stream_name(nats.cluster())).await;
}

/// Asks again and again until there is something.
async fn until<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), asking).await.expect("waited for too long")
}

/// The next messages, which may be due in a moment.
async fn soon(queue: &dyn Queue, ws: WorkspaceId, name: &str) -> Vec<Message> {
    until(async || Some(queue.receive(ws, name, 100, LONG).await.unwrap()).filter(|some| !some.is_empty())).await
}

/// Longer than any test.
const LONG: u64 = 3_600_000;

fn numbers(messages: &[Message]) -> Vec<i64> {
    messages.iter().map(|message| message.body.as_i64().unwrap()).collect()
}
