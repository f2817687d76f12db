//! Queues on each of their stores, and raw JetStream.

use crate::{Failure, raw};
use async_nats::jetstream::consumer::{PullConsumer, pull};
use async_nats::jetstream::{self, Context, stream};
use codex32_core::clock::SystemClock;
use codex32_core::id::WorkspaceId;
use codex32_core::queue::{DbQueue, Limits, NatsQueue, Queue, SendOptions};
use codex32_core::storage::{Db, Nats};
use futures::{StreamExt as _, TryStreamExt as _, stream as futures_stream};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use uuid::Uuid;

/// Messages of one round.
pub const MESSAGES: usize = 5_000;
/// Length of a message.
pub const BYTES: usize = 200;
/// Sends, or acknowledgements, that wait for their answer at once.
pub const AT_ONCE: usize = 64;
/// Messages of which each is sent, received and acknowledged before the next.
const ALONE: usize = 200;
/// Messages received at once.
const BATCH: usize = 100;
const LEASE_MS: u64 = 30_000;

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// Messages sent each second, each durable.
    pub sent_per_second: f64,
    /// Messages received and acknowledged each second.
    pub done_per_second: f64,
    /// One message by itself: sent, received and acknowledged, in milliseconds.
    pub alone_p50_ms: f64,
    /// The same, of the slowest hundredth.
    pub alone_p99_ms: f64,
}

/// Something that takes messages.
pub enum Place {
    /// A queue of the engine.
    Queue {
        /// What it is called.
        name: String,
        /// The queue.
        queue: Arc<dyn Queue>,
        /// The server and the stream that it made there.
        stream: Option<(Context, String)>,
    },
    /// A stream and a consumer that acknowledges, without an engine.
    Raw {
        /// The server.
        context: Context,
        /// Name of the stream, which is its subject.
        stream: String,
        /// The consumer.
        consumer: Box<PullConsumer>,
    },
}

/// All places that can be measured here: SQLite, and those whose server answers.
///
/// # Errors
/// Where one cannot be made.
pub async fn places(folder: &Path) -> Result<Vec<Place>, Failure> {
    let clock = Arc::new(SystemClock);
    let mut places = Vec::new();
    for store in raw::stores(folder).await? {
        let queue = DbQueue::new(Db::open(&store.url).await?, clock.clone(), Limits::default());
        places.push(Place::Queue { name: store.name, queue: Arc::new(queue), stream: None });
    }
    let server = std::env::var("CODEX32_TEST_NATS").unwrap_or_else(|_| "nats://127.0.0.1:4222".to_owned());
    let client = match async_nats::connect(&server).await {
        Ok(client) => client,
        Err(error) => {
            eprintln!("NATS is left out: {error}");
            return Ok(places);
        }
    };
    let (context, cluster) = (jetstream::new(client), format!("bench_{}", Uuid::now_v7().simple()));
    let nats = Nats::connect(&server, &cluster).await?;
    let queue = NatsQueue::new(nats, clock, Limits::default());
    let made = (context.clone(), format!("CODEX32-QUEUES_{cluster}"));
    places.push(Place::Queue { name: "NATS JetStream".to_owned(), queue: Arc::new(queue), stream: Some(made) });
    places.push(bare(context, cluster).await?);
    Ok(places)
}

async fn bare(context: Context, name: String) -> Result<Place, Failure> {
    let config = stream::Config {
        name: name.clone(),
        subjects: vec![name.clone()],
        retention: stream::RetentionPolicy::WorkQueue,
        ..Default::default()
    };
    let stream = context.create_stream(config).await?;
    let config = pull::Config { durable_name: Some("bench".to_owned()), max_ack_pending: -1, ..Default::default() };
    let consumer = stream.create_consumer(config).await?;
    Ok(Place::Raw { context, stream: name, consumer: Box::new(consumer) })
}

/// Measures one place.
///
/// # Errors
/// Those of the place.
pub async fn measure(place: &Place) -> Result<Figures, Failure> {
    let begun = Instant::now();
    let sends = (0..MESSAGES).map(|_| place.send());
    futures_stream::iter(sends).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    let sent_per_second = MESSAGES as f64 / begun.elapsed().as_secs_f64();
    let (begun, mut done) = (Instant::now(), 0);
    while done < MESSAGES {
        done += place.work(BATCH).await?;
    }
    let done_per_second = MESSAGES as f64 / begun.elapsed().as_secs_f64();
    let mut alone = Vec::with_capacity(ALONE);
    for _ in 0..ALONE {
        let begun = Instant::now();
        place.send().await?;
        while place.work(1).await? == 0 {}
        alone.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    alone.sort_by(f64::total_cmp);
    let at = |share: usize| alone.get(alone.len() * share / 100).copied().unwrap_or(f64::NAN);
    Ok(Figures { sent_per_second, done_per_second, alone_p50_ms: at(50), alone_p99_ms: at(99) })
}

impl Place {
    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Place::Queue { name, .. } => name,
            Place::Raw { .. } => "raw JetStream, published and acknowledged",
        }
    }

    /// Leaves nothing on a server.
    pub async fn remove(&self) {
        let (context, stream) = match self {
            Place::Queue { stream: None, .. } => return,
            Place::Queue { stream: Some((context, stream)), .. } | Place::Raw { context, stream, .. } => {
                (context, stream)
            }
        };
        if let Err(error) = context.delete_stream(stream).await {
            eprintln!("the stream {stream} is left: {error}");
        }
    }

    async fn send(&self) -> Result<(), Failure> {
        let body = "x".repeat(BYTES);
        match self {
            Place::Queue { queue, .. } => {
                queue.send(workspace(), "bench", json!(body), SendOptions::default()).await?;
            }
            Place::Raw { context, stream, .. } => {
                context.publish(stream.clone(), body.into()).await?.await?;
            }
        }
        Ok(())
    }

    /// Receives and acknowledges up to `limit`.
    async fn work(&self, limit: usize) -> Result<usize, Failure> {
        match self {
            Place::Queue { queue, .. } => {
                let messages = queue.receive(workspace(), "bench", limit as u64, LEASE_MS).await?;
                let acks = messages.iter().map(|message| queue.ack(workspace(), message));
                futures_stream::iter(acks).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
                Ok(messages.len())
            }
            Place::Raw { consumer, .. } => {
                let messages: Vec<jetstream::Message> =
                    consumer.fetch().max_messages(limit).messages().await?.try_collect().await?;
                let acks = messages.iter().map(jetstream::Message::double_ack);
                futures_stream::iter(acks).buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
                Ok(messages.len())
            }
        }
    }
}

fn workspace() -> WorkspaceId {
    WorkspaceId(Uuid::from_u128(1))
}
