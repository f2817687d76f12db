//! The answer that a bot gives to its request.

use super::{Outcome, Webhooks};
use crate::error::{Code, Error, Result};
use crate::id::{ExecutionId, WorkspaceId};
use crate::storage::entity::webhook_replies;
use crate::storage::{Db, Group, Only as _, Tx, Word};
use futures::future::BoxFuture;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use serde_json::{Value, json};
use std::sync::{Arc, PoisonError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Largest body of an answer in bytes of JSON.
const MAX_BODY: usize = 1024 * 1024;
/// Another node may give the answer without waking this one.
const LOOK_AGAIN_MS: i64 = 1_000;
/// Headers that an answer must not set: they belong to the connection or to the server.
const KEPT: [&str; 7] = [
    "connection",
    "content-length",
    "keep-alive",
    "set-cookie",
    "strict-transport-security",
    "transfer-encoding",
    "upgrade",
];

/// Stores answers; those that come at the same time share a transaction.
pub(super) type Replies = Group<(ExecutionId, webhook_replies::ActiveModel), ()>;

pub(super) fn replies(db: Db) -> Replies {
    let to = db.clone();
    db.group(move |given: Vec<(ExecutionId, webhook_replies::ActiveModel)>| -> BoxFuture<'static, Vec<Result<()>>> {
        let (db, count) = (to.clone(), given.len());
        Box::pin(async move {
            let stored = db.batch(move |tx| Box::pin(store_all(tx, given.clone())));
            stored.await.unwrap_or_else(|error| vec![Err(error); count])
        })
    })
}

/// An answer for each: a refusal of one is no failure of the transaction.
async fn store_all(tx: &Tx, given: Vec<(ExecutionId, webhook_replies::ActiveModel)>) -> Result<Vec<Result<()>>> {
    let mut stored = Vec::with_capacity(given.len());
    for (execution, row) in given {
        match store(tx, execution, row).await {
            Err(error) if error.code() != Code::Conflict => return Err(error),
            result => stored.push(result),
        }
    }
    Ok(stored)
}

impl Webhooks {
    /// Gives the answer of the request that started `execution`; durable when it returns.
    /// A repetition of the same answer changes nothing. Where nobody waits, it is kept for
    /// a repeated request.
    ///
    /// # Errors
    /// `invalid` for a status outside 200 to 599 or malformed headers, `too_large` for the
    /// body, `conflict` where another answer was given before.
    pub async fn reply(
        &self,
        workspace: WorkspaceId,
        execution: ExecutionId,
        status: u16,
        headers: Value,
        body: Value,
    ) -> Result<()> {
        let row = row(workspace, execution, status, &headers, &body, self.parts.clock.now())?;
        self.replies.submit((execution, row)).await?;
        if !self.given(execution) {
            // The request may wait at another node.
            self.parts.db.wakes().tell(Word { answered: vec![execution.0], ..Word::default() });
        }
        Ok(())
    }

    /// Wakes who waits here for the answer; false where nobody does.
    fn given(&self, execution: ExecutionId) -> bool {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.get(&execution).map(|waiting| waiting.notify_waiters()).is_some()
    }

    /// Hears of answers that were given at other nodes, until `stop`.
    pub async fn hear(&self, stop: CancellationToken) {
        let mut hearing = self.parts.db.wakes().hear();
        loop {
            let word = tokio::select! {
                word = hearing.next() => word,
                () = stop.cancelled() => return,
            };
            for id in &word.answered {
                self.given((*id).into());
            }
        }
    }

    /// Waits for the answer, the end of the execution or the time limit.
    pub(super) async fn answer(
        &self,
        workspace: WorkspaceId,
        execution: ExecutionId,
        existing: bool,
    ) -> Result<Outcome> {
        let given = Waiting::new(self, execution);
        let clock = &self.parts.clock;
        let until = clock.now() + self.parts.config.reply_ms;
        let ended = self.parts.ends.ended(workspace, execution);
        tokio::pin!(ended);
        loop {
            // Registered before the look, so that an answer given meanwhile is not missed.
            let notified = given.notify.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if let Some(outcome) = find(self.parts.db.read(), workspace, execution).await? {
                return Ok(outcome);
            }
            let now = clock.now();
            if now >= until {
                return Ok(Outcome::Accepted { execution, existing });
            }
            tokio::select! {
                () = notified => {}
                () = clock.sleep_until(until.min(now + LOOK_AGAIN_MS)) => {}
                end = &mut ended => {
                    let end = end?;
                    // The answer may have been given just before the end.
                    if let Some(outcome) = find(self.parts.db.read(), workspace, execution).await? {
                        return Ok(outcome);
                    }
                    return Ok(at_end(execution, end));
                }
            }
        }
    }
}

fn at_end(execution: ExecutionId, end: super::End) -> Outcome {
    let (status, body) = match end.succeeded {
        true => (200, end.output),
        // What went wrong inside is for the bot's people, not for the sender.
        false => (502, json!({"code": Code::Failed, "message": "the bot failed", "execution": execution})),
    };
    Outcome::Answer { execution, status, headers: Vec::new(), body }
}

/// A place in the list of those who wait, given up when dropped.
struct Waiting<'w> {
    webhooks: &'w Webhooks,
    execution: ExecutionId,
    notify: Arc<Notify>,
}

impl<'w> Waiting<'w> {
    fn new(webhooks: &'w Webhooks, execution: ExecutionId) -> Waiting<'w> {
        let mut waiting = webhooks.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let notify = waiting.entry(execution).or_default().clone();
        Waiting { webhooks, execution, notify }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waiting = self.webhooks.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // Two: the list's and this one's.
        if waiting.get(&self.execution).is_some_and(|notify| Arc::strong_count(notify) <= 2) {
            waiting.remove(&self.execution);
        }
    }
}

fn row(
    workspace: WorkspaceId,
    execution: ExecutionId,
    status: u16,
    headers: &Value,
    body: &Value,
    now: i64,
) -> Result<webhook_replies::ActiveModel> {
    if !(200..=599).contains(&status) {
        return Err(Error::invalid(format!("{status} is not the status of an answer"))
            .at("/status", "must be between 200 and 599"));
    }
    check_headers(headers)?;
    let body = body.to_string();
    if body.len() > MAX_BODY {
        return Err(Error::new(Code::TooLarge, format!("the answer has {} bytes, more than {MAX_BODY}", body.len())));
    }
    Ok(webhook_replies::ActiveModel {
        execution_id: Set(execution.0),
        workspace_id: Set(workspace.0),
        status: Set(i32::from(status)),
        headers: Set(if headers.is_null() { "{}".to_owned() } else { headers.to_string() }),
        body: Set(body),
        at: Set(now),
    })
}

fn check_headers(headers: &Value) -> Result<()> {
    let all = match headers {
        Value::Null => return Ok(()),
        Value::Object(all) => all,
        _ => return Err(Error::invalid("the headers of the answer are not an object").at("/headers", "not an object")),
    };
    for (name, value) in all {
        let pointer = format!("/headers/{}", name.replace('~', "~0").replace('/', "~1"));
        let named =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
        if !named || KEPT.contains(&name.to_ascii_lowercase().as_str()) {
            return Err(Error::invalid("the answer sets a header that it may not set").at(pointer, "not allowed"));
        }
        let printable = |text: &str| text.chars().all(|c| c == '\t' || (c >= ' ' && c != '\u{7f}' && c.is_ascii()));
        if !value.as_str().is_some_and(printable) {
            return Err(Error::invalid("a header of the answer is not a line of ASCII text").at(pointer, "not a line"));
        }
    }
    Ok(())
}

async fn store(tx: &Tx, execution: ExecutionId, row: webhook_replies::ActiveModel) -> Result<()> {
    let (status, headers, body) = (row.status.clone(), row.headers.clone(), row.body.clone());
    let keep = OnConflict::column(webhook_replies::Column::ExecutionId).do_nothing().to_owned();
    if webhook_replies::Entity::insert(row).on_conflict(keep).exec_without_returning(tx).await? > 0 {
        return Ok(());
    }
    let first = webhook_replies::Entity::find_by_id(execution.0).one(tx).await?;
    let same = first
        .is_some_and(|first| Set(first.status) == status && Set(first.headers) == headers && Set(first.body) == body);
    if same {
        return Ok(());
    }
    Err(Error::conflict("this execution has answered its request already")
        .hint("use webhook.reply once on each way through the bot"))
}

async fn find(db: &impl ConnectionTrait, workspace: WorkspaceId, execution: ExecutionId) -> Result<Option<Outcome>> {
    let row = webhook_replies::Entity::find_by_id(execution.0)
        .filter(webhook_replies::Column::WorkspaceId.eq(workspace.0))
        .only(db)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let unreadable = |e: serde_json::Error| Error::internal(format!("read a stored answer: {e}"));
    let headers: Value = serde_json::from_str(&row.headers).map_err(unreadable)?;
    let headers = headers.as_object().into_iter().flatten();
    Ok(Some(Outcome::Answer {
        execution,
        status: u16::try_from(row.status).unwrap_or(200),
        headers: headers.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect(),
        body: serde_json::from_str(&row.body).map_err(unreadable)?,
    }))
}
