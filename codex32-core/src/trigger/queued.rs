//! Messages of queues: each starts one execution and is acknowledged once that is committed.
//!
//! The message's id is the idempotency key of its start. Where the process ends between the
//! commit and the acknowledgement the message is handed out again, starts nothing and is
//! acknowledged then. That holds across bots, too: who starts from a queue locks the triggers
//! on it first and looks for what the other bots have started.

use super::dispatcher::{Dispatcher, backoff, may_pass};
use super::firing::{Cause, firing, rfc3339};
use super::spec::Kind;
use super::starter::Starter;
use super::store::{self, Due};
use crate::clock::Millis;
use crate::error::{Code, Error, Result};
use crate::execution::Start;
use crate::id::WorkspaceId;
use crate::queue::Message;
use crate::storage::Tx;
use crate::storage::entity::{executions, triggers};
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::{Value, json};
use std::collections::HashSet;
use uuid::Uuid;

/// The trigger's name in a blueprint.
const SOURCE: &str = "queue.message";
/// Messages that are started from in one transaction.
const BATCH: u64 = 50;
/// How long they are held for that.
const HOLD_MS: u64 = 30_000;

/// The queue that a trigger takes messages of.
pub(super) fn queue_of(source: &str, with: &Value) -> Option<String> {
    (source == SOURCE).then(|| with["queue"].as_str().unwrap_or_default().to_owned())
}

/// Time between two looks at a queue that was found empty.
const EVERY_MS: Millis = 1_000;

/// What becomes of the messages.
struct Plan {
    queue: String,
    starts: Vec<Start>,
    refused: Option<Error>,
    every: Millis,
}

impl Dispatcher {
    /// Starts an execution for each message that waits, up to [`BATCH`].
    pub(super) async fn take_messages(&self, row: &triggers::Model, lease: Uuid, queue: &str) -> Result<()> {
        let workspace = WorkspaceId(row.workspace_id);
        let messages = self.parts.queues.receive(workspace, queue, BATCH, HOLD_MS).await?;
        // Where there were so many there may be more. `every` is for what is far away: a
        // look at a queue costs little, and who sends does not want to wait.
        let every = if messages.len() as u64 >= BATCH { 0 } else { EVERY_MS };
        let mut plan = Plan { queue: queue.to_owned(), starts: Vec::new(), refused: None, every };
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for message in &messages {
            let start = start(row, queue, message);
            match self.parts.starter.check(&start).await {
                Ok(()) => {
                    plan.starts.push(start);
                    good.push(message);
                }
                Err(error) if may_pass(&error) => return self.put_back(workspace, &messages, error).await,
                Err(error) => {
                    plan.refused = Some(error.clone());
                    bad.push((message, error));
                }
            }
        }
        let (starter, clock, row) = (self.parts.starter.clone(), self.parts.clock.clone(), row.clone());
        let stored = self
            .parts
            .db
            .write(move |tx| Box::pin(async move { store_starts(tx, &*starter, &row, lease, plan, clock.now()).await }))
            .await;
        let started = match stored {
            Ok(Some(started)) => started,
            Ok(None) => {
                let gone = Error::new(Code::Cancelled, "the trigger was taken away meanwhile");
                // It is the other's; nothing of it is a failure of this trigger.
                return self.put_back(workspace, &messages, gone).await.or(Ok(()));
            }
            Err(error) => return self.put_back(workspace, &messages, error).await,
        };
        for message in good {
            self.settle(message, self.parts.queues.ack(workspace, message).await);
        }
        for (message, error) in bad {
            let wait = backoff(i32::try_from(message.attempt.saturating_sub(1)).unwrap_or(i32::MAX));
            let wait = u64::try_from(wait).unwrap_or(0);
            let text = format!("{}: {error}", error.code());
            self.settle(message, self.parts.queues.nack(workspace, message, wait, &text).await);
        }
        if started > 0 {
            metrics::counter!("codex32_trigger_fired_total", "kind" => "queue").increment(started);
            self.parts.starter.wake();
        }
        Ok(())
    }

    /// Nothing was tried with these messages: others may have them.
    async fn put_back(&self, workspace: WorkspaceId, messages: &[Message], why: Error) -> Result<()> {
        for message in messages {
            self.settle(message, self.parts.queues.release(workspace, message, 0).await);
        }
        Err(why)
    }

    /// A message that could not be answered is handed out again, and its id is known then.
    fn settle(&self, message: &Message, answered: Result<()>) {
        if let Err(error) = answered {
            tracing::debug!(message = %message.id, %error, "a message was not answered; it comes again");
        }
    }
}

fn start(row: &triggers::Model, queue: &str, message: &Message) -> Start {
    let key = format!("queue:{}", message.id);
    let input = json!({
        "queue": queue, "id": message.id, "body": message.body,
        "sent_at": rfc3339(message.sent_at), "attempt": message.attempt,
    });
    let more = json!({"source": SOURCE, "queue": queue, "message": message.id});
    firing(row, Cause { kind: Kind::Poll, at: message.sent_at, depth: 0, more, key }, input)
}

/// `None` where the trigger is not this look's any more.
async fn store_starts(
    tx: &Tx,
    starter: &dyn Starter,
    row: &triggers::Model,
    lease: Uuid,
    plan: Plan,
    now: Millis,
) -> Result<Option<u64>> {
    lock(tx, row.workspace_id, &plan.queue).await?;
    let Some(row) = store::locked(tx, row.id).await?.filter(|now| now.lease == Some(lease) && now.enabled) else {
        return Ok(None);
    };
    let known = started_by_others(tx, &row, &plan.starts).await?;
    let mut started = 0;
    for start in plan.starts {
        if !start.idempotency_key.as_ref().is_some_and(|key| known.contains(key)) {
            starter.start_in(tx, start).await?;
            started += 1;
        }
    }
    let next = now.saturating_add(plan.every);
    let due = Due { next_due: Some(next), wake_at: Some(next) };
    store::succeed(tx, &row, due, row.cursor.clone(), started > 0, now).await?;
    if let Some(error) = plan.refused {
        store::note_error(tx, row.id, &error, now).await?;
    }
    Ok(Some(started))
}

/// Makes the bots on a queue start from it one after the other. SQLite has one writer at any rate.
async fn lock(tx: &Tx, workspace: Uuid, queue: &str) -> Result<()> {
    if tx.get_database_backend() == DbBackend::Postgres {
        let rows = triggers::Entity::find()
            .select_only()
            .column(triggers::Column::Id)
            .filter(triggers::Column::WorkspaceId.eq(workspace))
            .filter(triggers::Column::Kind.eq(Kind::Poll.as_str()))
            .filter(triggers::Column::Topic.eq(queue))
            .order_by_asc(triggers::Column::Id)
            .lock_exclusive();
        rows.into_tuple::<Uuid>().all(tx).await?;
    }
    Ok(())
}

/// Which of these starts other bots have made: the same key starts once for each bot by itself.
async fn started_by_others(tx: &Tx, row: &triggers::Model, starts: &[Start]) -> Result<HashSet<String>> {
    let bots: Vec<Uuid> = triggers::Entity::find()
        .select_only()
        .column(triggers::Column::BotId)
        .distinct()
        .filter(triggers::Column::WorkspaceId.eq(row.workspace_id))
        .filter(triggers::Column::Kind.eq(Kind::Poll.as_str()))
        .filter(triggers::Column::BotId.ne(row.bot_id))
        .filter(triggers::Column::Spec.contains(format!("\"source\":\"{SOURCE}\"")))
        .into_tuple()
        .all(tx)
        .await?;
    let keys: Vec<String> = starts.iter().filter_map(|start| start.idempotency_key.clone()).collect();
    if bots.is_empty() || keys.is_empty() {
        return Ok(HashSet::new());
    }
    let known = executions::Entity::find()
        .select_only()
        .column(executions::Column::IdempotencyKey)
        .filter(executions::Column::WorkspaceId.eq(row.workspace_id))
        .filter(executions::Column::BotId.is_in(bots))
        .filter(executions::Column::IdempotencyKey.is_in(keys))
        .into_tuple::<Option<String>>()
        .all(tx)
        .await?;
    Ok(known.into_iter().flatten().collect())
}
