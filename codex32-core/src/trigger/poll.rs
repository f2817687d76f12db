//! Polls: ask a connector for news, start an execution for each, and keep the cursor,
//! all in one transaction. A lease keeps a second poller away meanwhile.

use super::dispatcher::{Dispatcher, may_pass};
use super::firing::{Cause, firing};
use super::spec::{Kind, Spec};
use super::store::{self, Due};
use crate::blueprint::Permissions;
use crate::clock::Millis;
use crate::connector::{Network, Polled};
use crate::error::{Code, Error, Result};
use crate::execution::Start;
use crate::id::{BotId, TriggerId, WorkspaceId};
use crate::storage::Tx;
use crate::storage::entity::triggers;
use crate::trigger::Starter;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Polls under way at once.
const MAX_LOOKS: usize = 16;
/// Longest time for one look.
const LOOK_MS: Millis = 120_000;
/// After this a poll counts as lost; longer than [`LOOK_MS`], so that two never overlap.
const LEASE_MS: Millis = 180_000;
/// Shortest time between looks.
const MIN_EVERY_MS: u64 = 1_000;

/// One look for news.
#[derive(Debug, Clone)]
pub struct Look {
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The bot.
    pub bot: BotId,
    /// Its name.
    pub bot_name: String,
    /// The trigger.
    pub trigger: TriggerId,
    /// `connector.trigger`.
    pub source: String,
    /// Settings; templates over `secrets` only.
    pub with: Value,
    /// Name of the connection; by default the connector's name.
    pub connection: Option<String>,
    /// Names of the secrets that it may use.
    pub secrets: Vec<String>,
    /// What it may reach.
    pub network: Network,
    /// Where the last look ended.
    pub cursor: Option<Value>,
    /// When it must be done, UTC milliseconds.
    pub deadline: Millis,
    /// Ends when the engine shuts down or the time is up.
    pub cancel: CancellationToken,
}

/// Asks connectors for news.
#[async_trait::async_trait]
pub trait Poller: Send + Sync {
    /// Looks once. The text of an error is stored, so it must be free of secrets.
    ///
    /// # Errors
    /// Those of the connector.
    async fn poll(&self, look: Look) -> Result<Polled>;
}

impl Dispatcher {
    /// Begins the polls that are due, as far as there are places; returns when the next is.
    pub(super) async fn begin_due_polls(
        &self,
        looks: &mut JoinSet<()>,
        token: &CancellationToken,
    ) -> Result<Option<Millis>> {
        while looks.try_join_next().is_some() {}
        let now = self.parts.clock.now();
        let places = u64::try_from(MAX_LOOKS.saturating_sub(looks.len())).unwrap_or(0);
        if places == 0 {
            // A finished look makes the caller come back.
            return Ok(Some(now + LEASE_MS));
        }
        for id in store::due(self.parts.db.read(), Kind::Poll, now, places).await? {
            let lease = TriggerId::at(now).0;
            let claimed =
                self.parts.db.write(move |tx| Box::pin(store::claim(tx, id, lease, now, now + LEASE_MS))).await?;
            if let Some(row) = claimed {
                let (dispatcher, cancel) = (self.clone(), token.child_token());
                looks.spawn(async move { dispatcher.look(row, lease, cancel).await });
            }
        }
        store::next_wake(self.parts.db.read(), Kind::Poll).await
    }

    async fn look(&self, row: triggers::Model, lease: Uuid, cancel: CancellationToken) {
        let id = row.id;
        let found = match &row.topic {
            // A poll's topic is its queue.
            Some(queue) => self.take_messages(&row, lease, queue).await,
            None => match self.ask(&row, &cancel).await {
                Ok(polled) => self.take(row, lease, polled).await,
                Err(error) => Err(error),
            },
        };
        let done = match found {
            Ok(()) => Ok(()),
            // The engine shuts down; the next one looks at once.
            Err(_) if cancel.is_cancelled() => self.release(id, lease).await,
            Err(error) => self.note_failure(id, &error, None).await,
        };
        if let Err(error) = done
            && let Err(error) = self.note_failure(id, &error, None).await
        {
            tracing::error!(trigger = %id, %error, "a poll's failure could not be stored");
        }
    }

    async fn ask(&self, row: &triggers::Model, cancel: &CancellationToken) -> Result<Polled> {
        let deadline = self.parts.clock.now() + LOOK_MS;
        let look = look_of(row, deadline, cancel.clone())?;
        tokio::select! {
            polled = self.parts.poller.poll(look) => polled,
            () = cancel.cancelled() => Err(Error::new(Code::Cancelled, "the engine shuts down")),
            () = self.parts.clock.sleep_until(deadline) => {
                Err(Error::new(Code::Timeout, format!("the look for news took more than {} s", LOOK_MS / 1_000)))
            }
        }
    }

    /// Starts an execution for each event and keeps the cursor.
    async fn take(&self, row: triggers::Model, lease: Uuid, polled: Polled) -> Result<()> {
        let clock = self.parts.clock.clone();
        let mut news = News { starts: Vec::new(), refused: None, cursor: polled.cursor };
        for (index, event) in polled.events.into_iter().enumerate() {
            let start = start(&row, lease, index, event, clock.now())?;
            match self.parts.starter.check(&start).await {
                Ok(()) => news.starts.push(start),
                Err(error) if may_pass(&error) => return Err(error),
                // It would be refused again; the news after it shall not wait for that.
                Err(error) => news.refused = Some(error),
            }
        }
        let starter = self.parts.starter.clone();
        let started = self
            .parts
            .db
            .write(move |tx| Box::pin(async move { store_news(tx, &*starter, row.id, lease, news, clock.now()).await }))
            .await?;
        if started > 0 {
            metrics::counter!("codex32_trigger_fired_total", "kind" => "poll").increment(started);
            self.parts.starter.wake();
        }
        Ok(())
    }

    async fn release(&self, id: Uuid, lease: Uuid) -> Result<()> {
        let now = self.parts.clock.now();
        self.parts.db.write(move |tx| Box::pin(store::release(tx, id, lease, now))).await
    }
}

fn look_of(row: &triggers::Model, deadline: Millis, cancel: CancellationToken) -> Result<Look> {
    let Spec::Poll { source, with, connection, network, secrets, files, private_allowed, .. } =
        Spec::from_text(&row.spec)?
    else {
        return Err(Error::internal("a poll's row has the settings of another kind"));
    };
    let cursor = row.cursor.as_deref().map(serde_json::from_str).transpose();
    let permissions = Permissions { network, secrets: secrets.clone(), files };
    Ok(Look {
        workspace: WorkspaceId(row.workspace_id),
        bot: BotId(row.bot_id),
        bot_name: row.bot_name.clone(),
        trigger: TriggerId(row.id),
        source,
        with,
        connection,
        secrets,
        network: Network { permissions: Arc::new(permissions), private_allowed },
        cursor: cursor.map_err(|e| Error::internal(format!("read a poll's cursor: {e}")))?,
        deadline,
        cancel,
    })
}

/// What a look found, checked.
struct News {
    starts: Vec<Start>,
    refused: Option<Error>,
    cursor: Value,
}

fn start(row: &triggers::Model, lease: Uuid, index: usize, event: Value, now: Millis) -> Result<Start> {
    let Spec::Poll { source, .. } = Spec::from_text(&row.spec)? else {
        return Err(Error::internal("a poll's row has the settings of another kind"));
    };
    let key = format!("poll:{}:{lease}:{index}", row.id);
    Ok(firing(row, Cause { kind: Kind::Poll, at: now, depth: 0, more: json!({"source": source}), key }, event))
}

async fn store_news(tx: &Tx, starter: &dyn Starter, id: Uuid, lease: Uuid, news: News, now: Millis) -> Result<u64> {
    // Without the lease the trigger was disarmed, turned off or taken over: the news is the other's.
    let Some(row) = store::locked(tx, id).await?.filter(|now| now.lease == Some(lease) && now.enabled) else {
        return Ok(0);
    };
    let Spec::Poll { every_ms, .. } = Spec::from_text(&row.spec)? else { return Ok(0) };
    let started = u64::try_from(news.starts.len()).unwrap_or(u64::MAX);
    for start in news.starts {
        starter.start_in(tx, start).await?;
    }
    let next = now.saturating_add(i64::try_from(every_ms.max(MIN_EVERY_MS)).unwrap_or(i64::MAX));
    let due = Due { next_due: Some(next), wake_at: Some(next) };
    store::succeed(tx, &row, due, Some(news.cursor.to_string()), started > 0, now).await?;
    if let Some(error) = news.refused {
        store::note_error(tx, row.id, &error, now).await?;
    }
    Ok(started)
}
