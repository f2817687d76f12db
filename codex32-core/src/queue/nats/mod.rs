//! Queues in a stream of NATS JetStream.
//!
//! There is one stream for a cluster (streams are dear to the server, workspaces and queues
//! are many), and in it one subject for each message:
//! `codex32.CLUSTER.queues.WORKSPACE.QUEUE.KEY`. What stands there is the message's state. A
//! state is replaced or removed in one step and only as long as it stands; its number in the
//! stream is the lease, which is therefore good once.
//!
//! - The server hands each state out once, by a consumer of the queue. Where it comes a second
//!   time its holder was lost: it is put in again with one try more, which ends the old lease,
//!   and then handed out.
//! - A message with a delay has the time in its state. It is put in again when that has come;
//!   until then the server is asked to deliver it later, which only saves looking.
//! - A `dedup` key is the last word of the subject, at which something must not yet stand. One
//!   write does both, so that there is nothing between them to crash in.
//! - A dead message stands where it stood, and keeps its key. A note at
//!   `codex32.CLUSTER.dead.…` counts it; a note that was not written is written when the dead
//!   state is delivered, one too many goes at the next [`Queue::revive`].
//!
//! What a server lost of its consumers when it was killed (it writes their places with a
//! delay) is handed out again; what was acknowledged is not, since it is gone from the stream.

mod record;
mod store;

use super::{
    Depth, HOLDER_LOST, Lease, Limits, MAX_BATCH, Message, Proof, Queue, SendOptions, check_body, lost, shorten,
};
use crate::clock::{Clock, Millis};
use crate::error::{Error, Result};
use crate::id::{TriggerId, WorkspaceId};
use crate::storage::Nats;
use async_nats::jetstream;
use async_nats::jetstream::message::AckKind;
use record::{Place, Record, dead_of, key, message_of, workspace_prefix};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use store::{LEASE, Store};
use uuid::Uuid;

/// How often it is looked for more in one call.
const ROUNDS: usize = 8;
/// How often a key is tried that is freed and taken again meanwhile.
const SENDS: usize = 10;

/// Queues in NATS JetStream. Cheap to clone.
#[derive(Clone)]
pub struct NatsQueue {
    store: Store,
    clock: Arc<dyn Clock>,
    limits: Limits,
}

impl std::fmt::Debug for NatsQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NatsQueue").field("cluster", &self.store.cluster()).finish_non_exhaustive()
    }
}

/// What became of a delivery.
enum Seen {
    Held(Message),
    /// It was put in again and is delivered once more.
    Again,
    NotNow,
}

/// A delivery, as far as it matters here.
struct Delivery {
    subject: String,
    answer: String,
    seq: u64,
    first: bool,
    record: Record,
}

impl NatsQueue {
    /// Queues over `nats`. Nothing is asked of it yet.
    #[must_use]
    pub fn new(nats: Nats, clock: Arc<dyn Clock>, limits: Limits) -> NatsQueue {
        NatsQueue { store: Store::new(nats), clock, limits }
    }

    fn after(&self, ms: u64) -> Millis {
        self.clock.now().saturating_add(i64::try_from(ms).unwrap_or(i64::MAX))
    }

    fn due(&self, delay_ms: u64) -> Option<Millis> {
        (delay_ms > 0).then(|| self.after(delay_ms))
    }

    /// Decides what becomes of a delivery.
    async fn see(&self, delivery: jetstream::Message, lease: Duration) -> Result<Seen> {
        let delivery = match read(&delivery) {
            Ok(delivery) => delivery,
            Err(error) => {
                tracing::error!(subject = %delivery.subject, %error, "what stands in a queue is no message; it is left there");
                self.store.answer(delivery.reply.as_deref().unwrap_or_default(), AckKind::Term).await;
                return Ok(Seen::NotNow);
            }
        };
        let Delivery { record, seq, .. } = &delivery;
        if record.dead {
            self.note_dead(&delivery.subject, *seq, record).await?;
            self.store.answer(&delivery.answer, AckKind::Ack).await;
            return Ok(Seen::NotNow);
        }
        if let Some(due) = record.due {
            return self.wait_or_release(&delivery, due).await;
        }
        if delivery.first {
            if lease != LEASE {
                // Delivered again after that, if it is not answered otherwise before.
                self.store.answer(&delivery.answer, AckKind::Nak(Some(lease))).await;
            }
            return Ok(Seen::Held(held(delivery)));
        }
        let tries = record.tries.saturating_add(1);
        let next = Record { tries, error: Some(HOLDER_LOST.to_owned()), ..record.clone() };
        self.put_next(&delivery.subject, *seq, next).await?;
        self.store.answer(&delivery.answer, AckKind::Ack).await;
        Ok(Seen::Again)
    }

    async fn wait_or_release(&self, delivery: &Delivery, due: Millis) -> Result<Seen> {
        let left = u64::try_from(due.saturating_sub(self.clock.now())).unwrap_or(0);
        if left > 0 {
            self.store.answer(&delivery.answer, AckKind::Nak(Some(Duration::from_millis(left)))).await;
            return Ok(Seen::NotNow);
        }
        let ready = Record { due: None, ..delivery.record.clone() };
        self.store.put(&delivery.subject, &ready, Some(delivery.seq)).await?;
        self.store.answer(&delivery.answer, AckKind::Ack).await;
        Ok(Seen::Again)
    }

    /// Puts a state in the place of state `seq`, as a dead one where it was tried often
    /// enough; tells whether `seq` still stood there.
    async fn put_next(&self, subject: &str, seq: u64, mut next: Record) -> Result<bool> {
        next.dead = next.tries >= self.limits.attempts;
        if next.dead {
            next.due = None;
        }
        let Some(now) = self.store.put(subject, &next, Some(seq)).await? else { return Ok(false) };
        if next.dead {
            self.note_dead(subject, now, &next).await?;
        }
        Ok(true)
    }

    /// Notes that the message at `subject` is dead, if it still is when that is done.
    async fn note_dead(&self, subject: &str, seq: u64, record: &Record) -> Result<()> {
        let note = dead_of(self.store.cluster(), subject);
        let text = Record { body: Value::Null, ..record.clone() };
        if let Some(noted) = self.store.put(&note, &text, None).await?
            && !self.store.stands(seq).await?
        {
            self.store.remove(noted).await?;
        }
        Ok(())
    }

    /// Where and under which number a message is held.
    fn proof<'a>(&self, workspace: WorkspaceId, message: &'a Message) -> Result<(u64, &'a str, &'a str)> {
        match &message.lease.0 {
            Proof::Stream { seq, subject, answer }
                if subject.starts_with(&workspace_prefix(self.store.cluster(), workspace)) =>
            {
                Ok((*seq, subject, answer))
            }
            _ => Err(lost(message.id)),
        }
    }

    /// Puts the next state of a message in that is held.
    async fn give_back(&self, workspace: WorkspaceId, message: &Message, next: Record) -> Result<()> {
        let (seq, subject, answer) = self.proof(workspace, message)?;
        if !self.put_next(subject, seq, next).await? {
            return Err(lost(message.id));
        }
        self.store.answer(answer, AckKind::Ack).await;
        Ok(())
    }
}

#[async_trait::async_trait]
impl Queue for NatsQueue {
    async fn send(&self, workspace: WorkspaceId, queue: &str, body: Value, options: SendOptions) -> Result<Uuid> {
        let place = Place::new(self.store.cluster(), workspace, queue)?;
        check_body(&body, self.limits)?;
        let now = self.clock.now();
        let id = TriggerId::at(now).0;
        let due = self.due(options.delay_ms);
        let record = Record { id, sent_at: now, tries: 0, due, dead: false, error: None, body };
        let subject = place.message(&key(id, options.dedup.as_deref()));
        for _ in 0..SENDS {
            if self.store.put(&subject, &record, Some(0)).await?.is_some() {
                return Ok(id);
            }
            if let Some((_, first)) = self.store.at(&subject).await? {
                return Ok(first.id);
            }
        }
        Err(Error::unavailable(format!("the key of a message in the queue {queue} changes too often")))
    }

    async fn receive(&self, workspace: WorkspaceId, queue: &str, limit: u64, lease_ms: u64) -> Result<Vec<Message>> {
        let place = Place::new(self.store.cluster(), workspace, queue)?;
        let (limit, lease) = (usize::try_from(limit.clamp(1, MAX_BATCH)).unwrap_or(1), Duration::from_millis(lease_ms));
        let mut messages: Vec<Message> = Vec::new();
        for _ in 0..ROUNDS {
            let deliveries = match self.store.take(&place, limit - messages.len()).await {
                Ok(deliveries) => deliveries,
                Err(error) if messages.is_empty() => return Err(error),
                Err(_) => break,
            };
            if deliveries.is_empty() {
                break;
            }
            let mut again = false;
            let seen = deliveries.into_iter().map(|delivery| self.see(delivery, lease));
            for seen in futures::future::join_all(seen).await {
                match seen {
                    Ok(Seen::Held(message)) => messages.push(message),
                    Ok(Seen::Again) => again = true,
                    Ok(Seen::NotNow) => {}
                    // Nobody was given it: it is delivered again.
                    Err(error) => tracing::warn!(queue, %error, "a message could not be handed out now"),
                }
            }
            if messages.len() >= limit || (!messages.is_empty() && !again) {
                break;
            }
        }
        Ok(messages)
    }

    async fn ack(&self, workspace: WorkspaceId, message: &Message) -> Result<()> {
        let (seq, _, answer) = self.proof(workspace, message)?;
        if !self.store.remove(seq).await? {
            return Err(lost(message.id));
        }
        self.store.answer(answer, AckKind::Ack).await;
        Ok(())
    }

    async fn nack(&self, workspace: WorkspaceId, message: &Message, delay_ms: u64, error: &str) -> Result<()> {
        let (due, error) = (self.due(delay_ms), Some(shorten(error)));
        self.give_back(workspace, message, Record { due, error, ..Record::of(message, message.attempt) }).await
    }

    async fn extend(&self, workspace: WorkspaceId, message: &Message, lease_ms: u64) -> Result<()> {
        let (seq, _, answer) = self.proof(workspace, message)?;
        let lease = Duration::from_millis(lease_ms.max(1));
        self.store.answer_surely(answer, AckKind::Nak(Some(lease))).await?;
        if self.store.stands(seq).await? { Ok(()) } else { Err(lost(message.id)) }
    }

    async fn release(&self, workspace: WorkspaceId, message: &Message, delay_ms: u64) -> Result<()> {
        let next = Record { due: self.due(delay_ms), ..Record::of(message, message.attempt.saturating_sub(1)) };
        self.give_back(workspace, message, next).await
    }

    async fn depth(&self, workspace: WorkspaceId, queue: &str) -> Result<Depth> {
        let place = Place::new(self.store.cluster(), workspace, queue)?;
        let (all, dead) = tokio::join!(self.store.count(place.all()), self.store.count(place.all_dead()));
        let (all, dead) = (all?, dead?);
        Ok(Depth { open: all.saturating_sub(dead), dead })
    }

    async fn revive(&self, workspace: WorkspaceId, queue: &str) -> Result<u64> {
        let place = Place::new(self.store.cluster(), workspace, queue)?;
        let mut revived = 0;
        for note in self.store.list(&place.all_dead()).await? {
            let subject = message_of(self.store.cluster(), &note);
            if let Some((seq, record)) = self.store.at(&subject).await?
                && record.dead
            {
                let next = Record { tries: 0, dead: false, ..record };
                if self.store.put(&subject, &next, Some(seq)).await?.is_some() {
                    revived += 1;
                }
            }
            self.store.clear(&note).await?;
        }
        Ok(revived)
    }
}

fn read(message: &jetstream::Message) -> Result<Delivery> {
    let wrong = |e: async_nats::Error| Error::internal(format!("read a delivery: {e}"));
    let info = message.info().map_err(wrong)?;
    Ok(Delivery {
        subject: message.subject.to_string(),
        answer: message.reply.as_deref().unwrap_or_default().to_owned(),
        seq: info.stream_sequence,
        first: info.delivered <= 1,
        record: Record::from_bytes(&message.payload)?,
    })
}

fn held(delivery: Delivery) -> Message {
    let Delivery { subject, answer, seq, record, .. } = delivery;
    Message {
        id: record.id,
        lease: Lease(Proof::Stream { seq, subject, answer }),
        attempt: record.tries.saturating_add(1),
        body: record.body,
        sent_at: record.sent_at,
    }
}

/// Name of the stream of a cluster.
#[cfg(test)]
pub(super) fn stream_name(cluster: &str) -> String {
    store::name(cluster)
}
