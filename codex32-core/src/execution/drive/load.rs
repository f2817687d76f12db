//! From rows to a driver: the journal is read back and folded.

use super::interpreter::Interpreter;
use super::log::LogBuffer;
use super::{Driver, Exit};
use crate::error::{Code, Error, Result};
use crate::execution::control::Inner;
use crate::execution::decide::{About, Fact};
use crate::execution::entry::{Event, Failure};
use crate::execution::ports::LoadedVersion;
use crate::execution::types::Status;
use crate::expr::Scope;
use crate::id::{ExecutionId, VersionId, WorkspaceId};
use crate::storage::entity::executions;
use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The driver of a claimed execution, whose journal is read back. `Err` tells how it ended
/// where it cannot be driven.
pub(crate) async fn load(
    inner: Arc<Inner>,
    row: executions::Model,
    bell: Arc<Notify>,
) -> std::result::Result<Driver, Exit> {
    let (id, token) = (ExecutionId(row.id), row.lease_token);
    match try_load(inner.clone(), &row, bell).await {
        Ok(driver) => Ok(driver),
        Err(error) if matches!(error.code(), Code::NotFound | Code::Invalid) => {
            Err(Box::pin(super::write::give_up(&inner, &row, error)).await)
        }
        Err(error) => {
            tracing::warn!(execution = %id, %error, "the execution cannot be loaded now; it is tried again");
            inner.pause_before_retry().await;
            match inner.store.requeue(id, token).await {
                Ok(()) => Err(Exit::Requeued),
                Err(_) => Err(Exit::Lost),
            }
        }
    }
}

async fn try_load(inner: Arc<Inner>, row: &executions::Model, bell: Arc<Notify>) -> Result<Driver> {
    let id = ExecutionId(row.id);
    let ready = inner.versions.get(WorkspaceId(row.workspace_id), VersionId(row.version_id)).await?;
    let entries = inner.store.whole_journal(id).await?;
    let lines = inner.store.last_line(id).await?;
    let seq = entries.last().map_or(0, |entry| entry.seq).max(lines.seq);
    let held = entries.first().is_some_and(|entry| matches!(entry.event, Event::Held { .. }));
    let mut state = Interpreter::fold(ready.plan.clone(), about(row, ready.version.number)?, entries);
    if !state.is_started() && !held {
        return Err(Error::internal(format!("the execution {id} has no journal")));
    }
    let dispatch = state.in_flight();
    let log = Arc::new(LogBuffer::new(inner.clock.clone(), lines.count));
    let version = ready.version.clone();
    Ok(Driver { seq, dispatch, ..Driver::new(inner, Arc::new(row.clone()), version, state, log, bell) })
}

impl Driver {
    pub(super) fn new(
        inner: Arc<Inner>,
        row: Arc<executions::Model>,
        version: Arc<LoadedVersion>,
        state: Interpreter,
        log: Arc<LogBuffer>,
        bell: Arc<Notify>,
    ) -> Driver {
        // The lease was given for so long from then on.
        let held_at = row.lease_until.unwrap_or(0).saturating_sub(inner.config.lease_ms);
        Driver {
            held_at,
            seq: row.last_seq,
            inner,
            row,
            version,
            state,
            log,
            bell,
            tasks: JoinSet::new(),
            running: HashMap::new(),
            outcomes: Vec::new(),
            dispatch: Vec::new(),
            draining: false,
            left: CancellationToken::new(),
            look: true,
            more: false,
            fiber: None,
            permit: None,
            history: None,
        }
    }
}

/// What expressions see from the start to the end.
pub(crate) fn about(row: &executions::Model, number: u32) -> Result<About> {
    let read = |what: &str, text: &str| -> Result<Value> {
        serde_json::from_str(text).map_err(|e| Error::internal(format!("read the {what} of {}: {e}", row.id)))
    };
    let started = DateTime::from_timestamp_millis(row.created_at).unwrap_or_default();
    let mut constants = Scope::new();
    constants
        .set("input", read("input", &row.input)?)
        .set("trigger", read("trigger", &row.trigger)?)
        .set("bot", json!({"name": row.bot_name, "workspace": row.workspace_id, "version": number}))
        .set(
            "execution",
            json!({
                "id": row.id, "started_at": started.to_rfc3339_opts(SecondsFormat::Millis, true),
                "environment": row.environment,
            }),
        );
    Ok(About { id: ExecutionId(row.id), constants })
}

/// A failure of an execution that has no state to fail by itself.
pub(super) fn failure(error: &Error) -> (Status, Failure) {
    (Status::Failed, Failure::at("", error))
}

impl Driver {
    /// What was sent to the execution and is not taken.
    pub(super) async fn inbox(&self) -> (Vec<i64>, Vec<Fact>) {
        match self.inner.store.inbox(ExecutionId(self.row.id), 0, super::run::INBOX).await {
            Ok(sent) => sent.into_iter().map(|sent| (sent.id, sent.fact)).unzip(),
            Err(error) => {
                // The bell rings again when the pending signals are looked for.
                tracing::warn!(execution = %self.row.id, %error, "the inbox cannot be read now");
                (Vec::new(), Vec::new())
            }
        }
    }
}
