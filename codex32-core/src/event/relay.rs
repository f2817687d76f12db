//! The bus, copied to a NATS JetStream stream for programs beside the engine.
//!
//! The stream is `CODEX32_CLUSTER`, its subjects `codex32.CLUSTER.events.WORKSPACE.NAME`.
//! Each event is sent once it is committed and until the stream has acknowledged it, with
//! its number as message id, by which the stream drops a second copy.
//!
//! Events are kept until they are copied, but not for ever: NATS may have been taken out of
//! the deployment. [`Bus::give_up_relay`] forgets a copy that has come no further for long.

use super::{Bus, Consumer, Event, store};
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::storage::Nats;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, context::Context, stream};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const CONSUMER: &str = "nats";
/// How long the stream keeps events.
const KEEP: Duration = Duration::from_secs(7 * 24 * 3_600);
/// How long the stream remembers the number of an event, to drop a second copy.
const REMEMBER: Duration = Duration::from_secs(2 * 60);
/// Until it is tried again after a failure, in milliseconds.
const RETRY: Millis = 2_000;
/// What the stream has not acknowledged by then is sent again.
const ACKNOWLEDGE: Duration = Duration::from_secs(10);

impl Bus {
    /// Copies every event to a stream of `nats`, until `stop`. One of all processes on a
    /// database does this.
    pub(crate) async fn relay(&self, nats: &Nats, stop: CancellationToken) {
        let context = jetstream::new(nats.client().clone());
        let mut consumer = Consumer::new(self, CONSUMER);
        let mut open = false;
        while !stop.is_cancelled() {
            let sent = tokio::select! {
                sent = copy(&context, nats.cluster(), &mut consumer, &mut open) => sent,
                () = stop.cancelled() => break,
            };
            match sent {
                Ok(true) => {}
                Ok(false) => tokio::select! { () = consumer.news() => {}, () = stop.cancelled() => {} },
                Err(error) => {
                    tracing::warn!(%error, "events cannot be copied to NATS now; they are sent later");
                    open = false;
                    // What was read and not acknowledged is read again.
                    consumer = Consumer::new(self, CONSUMER);
                    let again = self.clock.now() + RETRY;
                    tokio::select! { () = self.clock.sleep_until(again) => {}, () = stop.cancelled() => {} }
                }
            }
        }
    }
}

impl Bus {
    /// Forgets how far the copy is where it has not come past an event from before `cutoff`;
    /// tells whether it has. What is on the bus then is copied when NATS answers again.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn give_up_relay(&self, cutoff: Millis) -> Result<bool> {
        self.db.write(move |tx| Box::pin(async move { store::give_up(tx, CONSUMER, cutoff).await })).await
    }
}

/// Sends one page; tells whether there was one.
async fn copy(context: &Context, cluster: &str, consumer: &mut Consumer, open: &mut bool) -> Result<bool> {
    if !*open {
        make(context, cluster).await?;
        *open = true;
    }
    let page = consumer.page().await?;
    let Some(last) = page.last().map(|event| event.seq) else { return Ok(false) };
    let mut sent = Vec::with_capacity(page.len());
    for event in &page {
        let publish = PublishMessage::build().message_id(event.seq.to_string()).payload(text(event)?.into());
        let subject = format!("codex32.{cluster}.events.{}.{}", event.workspace, event.name);
        let sending = tokio::time::timeout(ACKNOWLEDGE, context.send_publish(subject, publish)).await;
        sent.push(sending.map_err(|_| slow())?.map_err(|e| lost(&e))?);
    }
    for acknowledged in sent {
        let acknowledged = tokio::time::timeout(ACKNOWLEDGE, acknowledged).await;
        acknowledged.map_err(|_| slow())?.map_err(|e| lost(&e))?;
    }
    consumer.done(last, false);
    consumer.save(true).await?;
    Ok(true)
}

async fn make(context: &Context, cluster: &str) -> Result<()> {
    let config = stream::Config {
        name: format!("CODEX32_{cluster}"),
        subjects: vec![format!("codex32.{cluster}.events.>")],
        max_age: KEEP,
        duplicate_window: REMEMBER,
        ..Default::default()
    };
    let made = tokio::time::timeout(ACKNOWLEDGE, context.get_or_create_stream(config)).await;
    made.map_err(|_| slow())?.map_err(|e| lost(&e))?;
    Ok(())
}

fn text(event: &Event) -> Result<String> {
    serde_json::to_string(event).map_err(|e| Error::internal(format!("write an event: {e}")))
}

fn lost(error: &dyn std::fmt::Display) -> Error {
    Error::unavailable(format!("send to NATS: {error}"))
}

fn slow() -> Error {
    Error::unavailable("NATS does not acknowledge")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, SystemClock};
    use crate::id::WorkspaceId;
    use crate::storage::testing;
    use futures::StreamExt as _;
    use serde_json::{Value, json};
    use std::sync::Arc;

    #[tokio::test]
    async fn every_event_is_in_the_stream_once_and_in_order() {
        let Some(url) = testing::nats().await else { return };
        testing::on_each(async |db| {
            let cluster = format!("test_{}", uuid::Uuid::now_v7().simple());
            let nats = Nats::connect(&url, &cluster).await.unwrap();
            let clock: Arc<dyn Clock> = Arc::new(SystemClock);
            let bus = Bus::new(db, clock);
            let ws = WorkspaceId(uuid::Uuid::from_u128(1));
            bus.emit(ws, "order.made", json!({ "n": 0 }), 0).await.unwrap();
            // Two relays, as where two nodes lead for a moment, and one that is stopped early.
            for life in 1..=3 {
                let stop = CancellationToken::new();
                let relays = async { tokio::join!(bus.relay(&nats, stop.clone()), bus.relay(&nats, stop.clone())) };
                let scene = async {
                    bus.emit(ws, "order.made", json!({ "n": life }), 0).await.unwrap();
                    while bus.offset(CONSUMER).await.unwrap() < bus.last().await.unwrap() {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    stop.cancel();
                };
                tokio::time::timeout(Duration::from_secs(30), async { tokio::join!(relays, scene) }).await.unwrap();
            }
            let context = jetstream::new(nats.client().clone());
            let stream = context.get_stream(format!("CODEX32_{cluster}")).await.unwrap();
            let reader = stream.create_consumer(jetstream::consumer::pull::Config::default()).await.unwrap();
            let messages = reader.fetch().max_messages(100).messages().await.unwrap();
            let read: Vec<(String, Value)> = messages
                .map(|message| {
                    let message = message.unwrap();
                    let event: Event = serde_json::from_slice(&message.payload).unwrap();
                    (message.subject.to_string(), event.data["n"].clone())
                })
                .collect()
                .await;
            context.delete_stream(format!("CODEX32_{cluster}")).await.unwrap();
            let subject = format!("codex32.{cluster}.events.{ws}.order.made");
            assert_eq!(read, (0..4).map(|n| (subject.clone(), json!(n))).collect::<Vec<_>>());
        })
        .await;
    }
}
