//! The stream behind the queues, by the few calls that they need of it.
//!
//! It holds one message for each subject (`max_msgs_per_subject` 1): a new state of a
//! message takes the place of the one before, and is only taken where that one still
//! stands there ("expected last sequence per subject"). A message is removed by the number
//! of its state, which the server does for the first who asks.

use super::record::{Place, Record, subjects};
use crate::error::{Error, Result};
use crate::storage::Nats;
use async_nats::connection::State;
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::{AckKind, PublishMessage};
use async_nats::jetstream::stream::{
    self, DeleteMessageErrorKind, DiscardPolicy, RawMessageErrorKind, RetentionPolicy,
};
use async_nats::jetstream::{self, Context, ErrorCode};
use futures::{StreamExt as _, TryStreamExt as _};
use moka::future::Cache;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// What the server does not answer by then has failed.
const ANSWER: Duration = Duration::from_secs(5);
/// How long a message stays with a process that was given it and did not say for how long.
pub(super) const LEASE: Duration = Duration::from_secs(30);
/// A queue that nobody has asked for so long is forgotten by the server; its messages are not.
const UNUSED: Duration = Duration::from_secs(30 * 24 * 3_600);
/// A look at how much there is does not last longer.
const COUNTING: Duration = Duration::from_secs(30);
/// Queues whose consumers are remembered.
const REMEMBERED: u64 = 1_000;

/// The stream of one cluster. Cheap to clone.
#[derive(Clone)]
pub(super) struct Store {
    nats: Nats,
    context: Context,
    open: Arc<Mutex<Option<Arc<stream::Stream>>>>,
    hands: Cache<String, PullConsumer>,
}

impl Store {
    pub(super) fn new(nats: Nats) -> Store {
        let mut context = jetstream::new(nats.client().clone());
        context.set_timeout(ANSWER);
        Store { nats, context, open: Arc::default(), hands: Cache::new(REMEMBERED) }
    }

    pub(super) fn cluster(&self) -> &str {
        self.nats.cluster()
    }

    /// Puts a state of a message in; its number, or `None` where not `expected` stands there
    /// (0: nothing).
    pub(super) async fn put(&self, subject: &str, record: &Record, expected: Option<u64>) -> Result<Option<u64>> {
        self.stream().await?;
        let mut publish =
            PublishMessage::build().payload(record.to_bytes()?.into()).expected_stream(name(self.cluster()));
        if let Some(expected) = expected {
            publish = publish.expected_last_subject_sequence(expected);
        }
        let sent = match self.context.send_publish(subject.to_owned(), publish).await {
            Ok(sent) => sent.await,
            Err(error) => Err(error),
        };
        match sent {
            Ok(stored) => Ok(Some(stored.sequence)),
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Ok(None),
            Err(error) => Err(self.away("store a message", &error).await),
        }
    }

    /// Removes a state; tells whether it stood there until now.
    pub(super) async fn remove(&self, seq: u64) -> Result<bool> {
        let error = match self.stream().await?.delete_message(seq).await {
            Ok(removed) => return Ok(removed),
            Err(error) => error,
        };
        if let DeleteMessageErrorKind::JetStream(told) = error.kind()
            && (told.error_code() == ErrorCode::SEQUENCE_NOT_FOUND || !self.stands(seq).await?)
        {
            return Ok(false);
        }
        Err(self.away("remove a message", &error).await)
    }

    /// Whether this state is the message's last.
    pub(super) async fn stands(&self, seq: u64) -> Result<bool> {
        match self.stream().await?.get_raw_message(seq).await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(false),
            Err(error) => Err(self.away("look for a message", &error).await),
        }
    }

    /// What stands at `subject`, with its number.
    pub(super) async fn at(&self, subject: &str) -> Result<Option<(u64, Record)>> {
        match self.stream().await?.get_last_raw_message_by_subject(subject).await {
            Ok(found) => Ok(Some((found.sequence, Record::from_bytes(&found.payload)?))),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(self.away("look for a message", &error).await),
        }
    }

    /// Removes whatever stands at `subject`.
    pub(super) async fn clear(&self, subject: &str) -> Result<()> {
        match self.stream().await?.purge().filter(subject).await {
            Ok(_) => Ok(()),
            Err(error) => Err(self.away("remove a message", &error).await),
        }
    }

    /// The subjects at which something stands, in order.
    pub(super) async fn list(&self, filter: &str) -> Result<Vec<String>> {
        let all = match self.stream().await?.info_with_subjects(filter).await {
            Ok(pages) => pages.map_ok(|(subject, _)| subject).try_collect::<Vec<String>>().await,
            Err(error) => Err(error),
        };
        match all {
            Ok(mut all) => {
                all.sort_unstable();
                Ok(all)
            }
            Err(error) => Err(self.away("list messages", &error).await),
        }
    }

    /// At how many subjects something stands. A list of them could be long; a consumer is
    /// told their number when it is made.
    pub(super) async fn count(&self, filter: String) -> Result<u64> {
        let stream = self.stream().await?;
        let config = pull::Config {
            filter_subject: filter,
            ack_policy: AckPolicy::None,
            memory_storage: true,
            inactive_threshold: COUNTING,
            ..Default::default()
        };
        match stream.create_consumer(config).await {
            Ok(made) => {
                let info = made.cached_info();
                // Where this fails it goes by itself.
                let _ = stream.delete_consumer(&info.name).await;
                Ok(info.num_pending)
            }
            Err(error) => Err(self.away("count messages", &error).await),
        }
    }

    /// Up to `limit` messages that the server gives this process alone, oldest first.
    pub(super) async fn take(&self, place: &Place, limit: usize) -> Result<Vec<jetstream::Message>> {
        let hand = self.hand(place).await?;
        let mut taken = Vec::new();
        let mut batch = match hand.fetch().max_messages(limit).messages().await {
            Ok(batch) => batch,
            Err(error) => return Err(self.away("receive messages", &error).await),
        };
        loop {
            let error: Box<dyn Display + Send + Sync> = match tokio::time::timeout(ANSWER, batch.next()).await {
                Ok(Some(Ok(message))) => {
                    taken.push(message);
                    continue;
                }
                Ok(None) => return Ok(taken),
                Ok(Some(Err(error))) => Box::new(error),
                Err(_) => Box::new("it does not answer"),
            };
            // The consumer may be gone; it is made again at the next call.
            self.hands.invalidate(&place.consumer).await;
            let error = self.away("receive messages", &error).await;
            return if taken.is_empty() { Err(error) } else { Ok(taken) };
        }
    }

    /// Answers a delivery without waiting: where the word is lost the message is delivered
    /// again, and found to be changed.
    pub(super) async fn answer(&self, to: &str, kind: AckKind) {
        if let Err(error) = self.nats.client().publish(to.to_owned(), kind.into()).await {
            tracing::debug!(%error, "a delivery was not answered");
        }
    }

    /// Answers a delivery and waits until the server knows.
    pub(super) async fn answer_surely(&self, to: &str, kind: AckKind) -> Result<()> {
        self.connected()?;
        let asked = self.nats.client().request(to.to_owned(), kind.into());
        match tokio::time::timeout(ANSWER, asked).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(self.away("hold a message", &error).await),
            Err(_) => Err(self.away("hold a message", &"it does not answer").await),
        }
    }

    async fn hand(&self, place: &Place) -> Result<PullConsumer> {
        if let Some(hand) = self.hands.get(&place.consumer).await {
            self.connected()?;
            return Ok(hand);
        }
        let config = pull::Config {
            durable_name: Some(place.consumer.clone()),
            filter_subject: place.all(),
            ack_policy: AckPolicy::Explicit,
            ack_wait: LEASE,
            // Tries are counted in the message, and those that wait are not to keep others back.
            max_deliver: -1,
            max_ack_pending: -1,
            inactive_threshold: UNUSED,
            ..Default::default()
        };
        match self.stream().await?.get_or_create_consumer(&place.consumer, config).await {
            Ok(hand) => {
                self.hands.insert(place.consumer.clone(), hand.clone()).await;
                Ok(hand)
            }
            Err(error) => Err(self.away("open a queue", &error).await),
        }
    }

    async fn stream(&self) -> Result<Arc<stream::Stream>> {
        self.connected()?;
        let mut open = self.open.lock().await;
        if let Some(stream) = &*open {
            return Ok(stream.clone());
        }
        let made = tokio::time::timeout(ANSWER, self.context.get_or_create_stream(config(self.cluster()))).await;
        let made = made.map_err(|_| unavailable("open the stream", &"it does not answer"))?;
        let stream = Arc::new(made.map_err(|error| unavailable("open the stream", &error))?);
        check(&stream.cached_info().config)?;
        *open = Some(stream.clone());
        Ok(stream)
    }

    /// Without it the client would keep what is sent, and send it later though it has failed.
    fn connected(&self) -> Result<()> {
        match self.nats.client().connection_state() {
            State::Connected => Ok(()),
            _ => Err(unavailable("reach it", &"the connection is lost")),
        }
    }

    /// Something failed; what was opened may be gone and is opened again.
    async fn away(&self, what: &str, error: &(dyn Display + Sync)) -> Error {
        *self.open.lock().await = None;
        unavailable(what, error)
    }
}

fn unavailable(what: &str, error: &dyn Display) -> Error {
    Error::unavailable(format!("{what} in a queue of NATS: {error}"))
        .hint("queues need a NATS server with JetStream; the engine goes on when it answers again")
}

/// A cluster's name has no hyphen, so that no stream of events is called the same.
pub(super) fn name(cluster: &str) -> String {
    format!("CODEX32-QUEUES_{cluster}")
}

fn config(cluster: &str) -> stream::Config {
    stream::Config {
        name: name(cluster),
        subjects: subjects(cluster),
        max_messages_per_subject: 1,
        // Where somebody sets a limit to it, sending fails; nothing is dropped.
        discard: DiscardPolicy::New,
        ..Default::default()
    }
}

/// Whether an existing stream keeps what it is given.
fn check(found: &stream::Config) -> Result<()> {
    let keeps = found.max_messages_per_subject == 1
        && found.discard == DiscardPolicy::New
        && !found.discard_new_per_subject
        && found.retention == RetentionPolicy::Limits
        && found.max_age.is_zero();
    if keeps {
        return Ok(());
    }
    Err(Error::precondition(format!("the stream {} is configured so that it would lose messages", found.name)).hint(
        "one message per subject, discard new, retention by limits, no greatest age; replicas and limits on size are free",
    ))
}
