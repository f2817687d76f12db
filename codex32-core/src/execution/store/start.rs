//! A new execution: its row, its first entries, and the word about it, in one transaction.

use super::super::entry::{Entry, Event};
use super::super::flow::Ticket;
use super::super::types::{Start, Started, Status};
use super::batch::{Write, Written};
use super::flow::{self, Entered};
use super::{ROWS, Store, row};
use crate::clock::{Clock, Millis};
use crate::error::{Code, Error, Result};
use crate::event::{Announcement, Bus};
use crate::id::ExecutionId;
use crate::storage::Tx;
use crate::storage::entity::{executions, journal};
use crate::trigger::depth_of;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, TryIntoModel as _};
use serde_json::json;
use std::sync::Arc;
use uuid::Uuid;

/// Longest chain of bots that call each other.
pub(crate) const MAX_CALLS: i32 = 32;

/// Fencing token of whoever drives an execution from its start.
pub(crate) const FIRST_TOKEN: i64 = 1;

/// Who drives an execution from its start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lease {
    pub(crate) owner: Uuid,
    pub(crate) until: Millis,
}

/// An execution to be stored.
#[derive(Debug, Clone)]
pub(crate) struct New {
    pub(crate) id: ExecutionId,
    /// When it is created, UTC milliseconds.
    pub(crate) at: Millis,
    pub(crate) start: Start,
    /// How many callers stand above it.
    pub(crate) depth: i32,
    /// Whether its parent is told of its end.
    pub(crate) parent_waits: bool,
    pub(crate) retry_of: Option<ExecutionId>,
    /// Results taken over, and signals that came along, as entries.
    pub(crate) copied: Vec<Event>,
    /// What it does first, where that was decided before it is stored.
    pub(crate) first: Vec<Event>,
    /// Driven by whoever stores it, from the start.
    pub(crate) lease: Option<Lease>,
    /// The labels that it asks for, as they are stored.
    pub(crate) runs_on: String,
    /// Of what is ready in a workspace, the higher is taken first.
    pub(crate) priority: i32,
    /// What the rules of its bot say of it, where there are any.
    pub(crate) ticket: Option<Arc<Ticket>>,
}

impl New {
    /// Its journal at the start.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> {
        // Signals that come along are no results.
        let results = self.copied.iter().filter(|event| !matches!(event, Event::SignalReceived { .. })).count();
        let copied = u32::try_from(results).unwrap_or(u32::MAX);
        let then = self.copied.iter().chain(&self.first).cloned();
        let events = std::iter::once(Event::Started { copied }).chain(then);
        (1_i64..).zip(events).map(|(seq, event)| Entry { seq, at: self.at, event })
    }

    /// Its journal while `rule` keeps it from beginning.
    pub(crate) fn held_entries(&self, rule: &str) -> Vec<Entry> {
        let held = std::iter::once(Event::Held { rule: rule.to_owned() });
        let events = held.chain(self.copied.iter().cloned());
        (1_i64..).zip(events).map(|(seq, event)| Entry { seq, at: self.at, event }).collect()
    }

    /// Its row, as it is stored.
    pub(crate) fn row(&self) -> Result<executions::Model> {
        Ok(execution_row(self)?.try_into_model()?)
    }
}

impl Store {
    /// Stores `new`, or finds the execution that its idempotency key has started before.
    pub(crate) async fn start(&self, new: Arc<New>) -> Result<Started> {
        match self.group("start", Write::Start(new)).await? {
            Written::Started(started) => Ok(started),
            _ => Err(Error::internal("a start was answered as something else")),
        }
    }
}

/// Stores `new`, or finds the execution that its idempotency key has started before.
pub(crate) async fn insert(tx: &Tx, clock: &dyn Clock, new: &New) -> Result<Started> {
    let (started, told) = insert_untold(tx, new).await?;
    Bus::announce_in(tx, clock, told).await?;
    Ok(started)
}

/// The same, with the word about it left to the caller. Where the rules of its bot do not
/// let it be an execution of its own, a call, which waits for one, has one that is over.
pub(super) async fn insert_untold(tx: &Tx, new: &New) -> Result<(Started, Vec<Announcement>)> {
    check(new)?;
    if let Some(ticket) = &new.ticket {
        return match flow::enter(tx, new, ticket).await? {
            Entered::Stored { started, entries, told } => {
                write_entries(tx, &entries).await?;
                Ok((started, vec![told]))
            }
            Entered::Went(started) if new.start.parent.is_none() => Ok((started, Vec::new())),
            Entered::Went(started) => flow::stillborn(tx, new, &Entered::elsewhere(started)).await,
            Entered::Refused(error) => flow::stillborn(tx, new, &error).await,
        };
    }
    let inserted =
        executions::Entity::insert(execution_row(new)?).on_conflict(once()).exec_without_returning(tx).await?;
    if inserted == 0 {
        return Ok((existing(tx, &new.start).await?, Vec::new()));
    }
    write_entries(tx, &journal_rows(new, None)?).await?;
    Ok((Started::plain(new.id, false), vec![announcement(new)]))
}

async fn write_entries(tx: &Tx, entries: &[journal::ActiveModel]) -> Result<()> {
    for rows in entries.chunks(ROWS) {
        journal::Entity::insert_many(rows.to_vec()).exec_without_returning(tx).await?;
    }
    Ok(())
}

/// Whether `new` may be stored at all.
pub(super) fn check(new: &New) -> Result<()> {
    if new.depth > MAX_CALLS {
        return Err(Error::new(Code::TooLarge, format!("bots call each other more than {MAX_CALLS} levels deep"))
            .hint("look for a bot that calls itself without end"));
    }
    Ok(())
}

/// A second start with the same idempotency key stores nothing.
pub(super) fn once() -> OnConflict {
    let key = [executions::Column::WorkspaceId, executions::Column::BotId, executions::Column::IdempotencyKey];
    OnConflict::columns(key).do_nothing().to_owned()
}

/// The journal of `new` at its start; `held` where it cannot begin yet.
pub(super) fn journal_rows(new: &New, held: Option<Vec<Entry>>) -> Result<Vec<journal::ActiveModel>> {
    let row = |e: Entry| row::journal_row(new.start.workspace, new.id, e.seq, e.at, &e.event);
    match held {
        Some(entries) => entries.into_iter().map(row).collect(),
        None => new.entries().map(row).collect(),
    }
}

/// What the workspace is told of `new`.
pub(super) fn announcement(new: &New) -> Announcement {
    let start = &new.start;
    Announcement {
        workspace: start.workspace,
        name: "execution.started",
        data: json!({
            "execution": new.id, "bot": start.bot, "bot_name": start.bot_name, "version": start.version,
            "deployment": start.deployment, "environment": start.environment, "caller": start.caller,
            "parent": start.parent.as_ref().map(|(id, _)| id), "retry_of": new.retry_of,
        }),
        depth: depth_of(&start.trigger),
    }
}

pub(super) async fn existing(tx: &Tx, start: &Start) -> Result<Started> {
    let id = find_existing(tx, start).await?.ok_or_else(|| Error::conflict("the execution exists already"))?;
    Ok(Started::plain(ExecutionId(id), true))
}

/// The execution that the same idempotency key has started.
pub(super) async fn find_existing(tx: &Tx, start: &Start) -> Result<Option<Uuid>> {
    Ok(executions::Entity::find()
        .select_only()
        .column(executions::Column::Id)
        .filter(executions::Column::WorkspaceId.eq(start.workspace.0))
        .filter(executions::Column::BotId.eq(start.bot.0))
        .filter(executions::Column::IdempotencyKey.eq(start.idempotency_key.clone()))
        .into_tuple::<Uuid>()
        .one(tx)
        .await?)
}

pub(super) fn execution_row(new: &New) -> Result<executions::ActiveModel> {
    let start = &new.start;
    let driven = new.lease.is_some();
    Ok(executions::ActiveModel {
        id: Set(new.id.0),
        workspace_id: Set(start.workspace.0),
        bot_id: Set(start.bot.0),
        bot_name: Set(start.bot_name.clone()),
        version_id: Set(start.version.0),
        deployment_id: Set(start.deployment.map(|id| id.0)),
        environment: Set(start.environment.clone()),
        status: Set(if driven { Status::Running } else { Status::Queued }.as_str().to_owned()),
        input: Set(row::write("input", &start.input)?),
        output: Set(None),
        error: Set(None),
        trigger: Set(row::write("trigger", &start.trigger)?),
        caller: Set(start.caller.clone()),
        parent_id: Set(start.parent.as_ref().map(|(id, _)| id.0)),
        parent_path: Set(start.parent.as_ref().map(|(_, path)| path.clone())),
        parent_waits: Set(new.parent_waits),
        depth: Set(new.depth),
        retry_of: Set(new.retry_of.map(|id| id.0)),
        continues: Set(None),
        continued_as: Set(None),
        idempotency_key: Set(start.idempotency_key.clone()),
        created_at: Set(new.at),
        started_at: Set(driven.then_some(new.at)),
        finished_at: Set(None),
        last_seq: Set(1 + i64::try_from(new.copied.len() + new.first.len()).unwrap_or(0)),
        signals_pending: Set(0),
        lease_owner: Set(new.lease.map(|lease| lease.owner)),
        lease_token: Set(if driven { FIRST_TOKEN } else { 0 }),
        lease_until: Set(new.lease.map(|lease| lease.until)),
        runs_on: Set(new.runs_on.clone()),
        priority: Set(new.priority),
        flow: Set(false),
    })
}
