//! A start before the rules of its bot: it is stored, held or ready; or it goes into another
//! execution; or it is refused.

use super::holders::Holder;
use super::{Keeper, Whose};
use crate::blueprint::Span;
use crate::clock::Millis;
use crate::error::{Code, Error, Result};
use crate::event::Announcement;
use crate::execution::decide::Fact;
use crate::execution::entry::{Event, Failure};
use crate::execution::flow::{Gathering, Pace, Stage, Ticket};
use crate::execution::store::start::{self, New};
use crate::execution::store::{row, signals};
use crate::execution::types::{Passed, Started, Status};
use crate::id::{ExecutionId, WorkspaceId};
use crate::storage::Tx;
use crate::storage::entity::{executions, journal};
use sea_orm::{ActiveValue::Set, EntityTrait, QuerySelect};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// How long it is remembered into which execution a start with an idempotency key went, in
/// milliseconds.
const REMEMBERED: Millis = 24 * 60 * 60 * 1_000;

/// What came of a start.
pub(in crate::execution::store) enum Entered {
    /// It is stored; its entries and the word about it are not yet.
    Stored { started: Started, entries: Vec<journal::ActiveModel>, told: Announcement },
    /// It is part of another execution, or there was one already.
    Went(Started),
    /// It comes too often.
    Refused(Error),
}

/// Brings `new` before the rules. The caller holds its bot.
pub(in crate::execution::store) async fn enter(tx: &Tx, new: &New, ticket: &Ticket) -> Result<Entered> {
    let whose = Whose::of_new(new).ok_or_else(|| Error::internal("a start without a ticket has no rules"))?;
    let mut keeper = Keeper::new(tx, whose, new.at);
    let entered = keeper.enter(new, ticket).await?;
    keeper.finish().await?;
    Ok(entered)
}

impl Keeper<'_> {
    async fn enter(&mut self, new: &New, ticket: &Ticket) -> Result<Entered> {
        let mut names = ticket.names();
        names.extend(remembered_as(new, ticket));
        self.slots.read(self.tx, &self.whose, names).await?;
        if let Some(started) = self.same(new, ticket).await? {
            return Ok(Entered::Went(started));
        }
        if let Some(rule) = ticket.singleton.as_ref().filter(|rule| !rule.cancel) {
            let slot = self.slots.get(self.tx, &self.whose, &rule.name).await?;
            if let Some(id) = slot.execution.filter(|_| slot.taken > 0) {
                return Ok(Entered::Went(went(id, Passed::Skipped)));
            }
        }
        if let Some(error) = self.too_often(ticket).await? {
            return Ok(Entered::Refused(error));
        }
        if let Some(rule) = &ticket.gather
            && let Some(id) = self.join(new, ticket, rule).await?
        {
            self.remember(new, ticket, id).await?;
            let passed = if matches!(rule, Gathering::Last { .. }) { Passed::Debounced } else { Passed::Batched };
            return Ok(Entered::Went(went(id, passed)));
        }
        self.store(new, ticket).await
    }

    /// The execution that the same start has led to before.
    async fn same(&mut self, new: &New, ticket: &Ticket) -> Result<Option<Started>> {
        if new.start.idempotency_key.is_some()
            && let Some(id) = start::find_existing(self.tx, &new.start).await?
        {
            return Ok(Some(Started::plain(ExecutionId(id), true)));
        }
        if let Some(name) = remembered_as(new, ticket)
            && let Some(id) = self.remembered(&name).await?
        {
            return Ok(Some(Started::plain(ExecutionId(id), true)));
        }
        let Some(rule) = &ticket.idempotency else { return Ok(None) };
        Ok(self.remembered(&rule.name).await?.map(|id| went(id, Passed::Repeated)))
    }

    /// The execution that is noted under `name`, unless that has expired or it was removed.
    async fn remembered(&mut self, name: &str) -> Result<Option<Uuid>> {
        let slot = self.slots.get(self.tx, &self.whose, name).await?;
        let Some(id) = slot.execution.filter(|_| slot.expires_at > Some(self.now)) else { return Ok(None) };
        Ok(executions::Entity::find_by_id(id)
            .select_only()
            .column(executions::Column::Id)
            .into_tuple()
            .one(self.tx)
            .await?)
    }

    async fn too_often(&mut self, ticket: &Ticket) -> Result<Option<Error>> {
        let Some(rule) = &ticket.rate else { return Ok(None) };
        let now = self.now;
        let slot = self.slots.get(self.tx, &self.whose, &rule.name).await?;
        let turn = rule.pace.turn(slot.at, now);
        if turn.at > now {
            let Pace { limit, per } = rule.pace;
            let per = Span(u64::try_from(per).unwrap_or(0));
            let message = format!("the bot is started more than {limit} times in {per}");
            let again = u64::try_from(turn.at - now).unwrap_or(0);
            return Ok(Some(Error::new(Code::RateLimited, message).retry_after_ms(again)));
        }
        slot.at = turn.next;
        slot.expires_at = Some(Pace::forgotten(turn.next));
        Ok(None)
    }

    /// Notes that the start went into `id`.
    async fn remember(&mut self, new: &New, ticket: &Ticket, id: Uuid) -> Result<()> {
        let names = remembered_as(new, ticket).map(|name| (name, REMEMBERED));
        let rule = ticket.idempotency.as_ref().map(|rule| (rule.name.clone(), rule.window));
        for (name, window) in names.into_iter().chain(rule) {
            let expires_at = Some(self.now.saturating_add(window));
            let slot = self.slots.get(self.tx, &self.whose, &name).await?;
            (slot.execution, slot.expires_at) = (Some(id), expires_at);
        }
        Ok(())
    }

    async fn store(&mut self, new: &New, ticket: &Ticket) -> Result<Entered> {
        let mut holder = Holder::new(new.id.0, ticket, self.now);
        let mut replaced = None;
        if let Some(rule) = &ticket.singleton {
            replaced = self.succeed(new, &rule.name).await?;
        }
        if let Some(rule) = &ticket.concurrency {
            let slot = self.slots.get(self.tx, &self.whose, &rule.name).await?;
            let before = std::mem::replace(&mut slot.room, rule.limit);
            if before > 0 && before < rule.limit {
                // The bot allows more than it did: those who wait go first.
                self.promote(&rule.name).await?;
            }
        }
        match &ticket.gather {
            Some(Gathering::All { size: 1, .. }) | None => {
                holder.stage = Stage::Singleton;
                self.advance(&mut holder).await?;
            }
            Some(rule) => self.begin_gathering(new, &mut holder, rule).await?,
        }
        self.remember(new, ticket, new.id.0).await?;
        let held = holder.stage != Stage::In;
        self.insert(new, &holder).await?;
        let passed = match replaced {
            Some(_) => Some(Passed::Replaced),
            None => held.then_some(Passed::Held),
        };
        Ok(Entered::Stored {
            started: Started { passed, replaced, ..Started::plain(new.id, false) },
            entries: start::journal_rows(new, held.then(|| new.held_entries(holder.stage.rule())))?,
            told: start::announcement(new),
        })
    }

    /// The start is the one of its key from now on; the older one is told to end.
    async fn succeed(&mut self, new: &New, name: &str) -> Result<Option<ExecutionId>> {
        let now = self.now;
        let slot = self.slots.get(self.tx, &self.whose, name).await?;
        let older = slot.execution.replace(new.id.0).filter(|_| slot.taken > 0);
        let Some(older) = older else { return Ok(None) };
        let by = format!("bot:{}", new.start.bot_name);
        let fact = Fact::Cancel { by, reason: Some(format!("{} was started (singleton)", new.id)) };
        let posted = signals::post(self.tx, now, WorkspaceId(self.whose.workspace), ExecutionId(older), &fact).await?;
        Ok(posted.then_some(ExecutionId(older)))
    }

    async fn insert(&self, new: &New, holder: &Holder) -> Result<()> {
        let mut row = start::execution_row(new)?;
        row.flow = Set(holder.matters());
        if holder.stage != Stage::In {
            row.status = Set(Status::Held.as_str().to_owned());
        }
        match &holder.ticket.gather {
            Some(Gathering::All { size: 1, .. }) => {
                row.input = Set(row::write("input", &json!({"items": [new.start.input]}))?);
            }
            Some(Gathering::All { .. }) => row.input = Set(row::write("input", &json!({"items": []}))?),
            _ => {}
        }
        let inserted =
            executions::Entity::insert(row).on_conflict(start::once()).exec_without_returning(self.tx).await?;
        if inserted == 0 {
            // Another has stored it at this moment, in another environment; a second look finds it.
            return Err(Error::conflict("the execution exists already"));
        }
        if holder.matters() {
            holder.insert(self.tx, &self.whose).await?;
        }
        Ok(())
    }
}

/// Stores a start that nobody can be told of otherwise as an execution that is over:
/// it went into another execution, or came too often.
pub(in crate::execution::store) async fn stillborn(
    tx: &Tx,
    new: &New,
    why: &Error,
) -> Result<(Started, Vec<Announcement>)> {
    let failure = Failure::at("", why);
    let finished = Event::Finished { status: Status::Cancelled, output: None, error: Some(failure.clone()) };
    let new = &New { first: vec![finished], ticket: None, ..new.clone() };
    let mut row = start::execution_row(new)?;
    row.status = Set(Status::Cancelled.as_str().to_owned());
    row.error = Set(Some(row::write("error", &failure)?));
    row.finished_at = Set(Some(new.at));
    let inserted = executions::Entity::insert(row).on_conflict(start::once()).exec_without_returning(tx).await?;
    if inserted == 0 {
        return Ok((start::existing(tx, &new.start).await?, Vec::new()));
    }
    journal::Entity::insert_many(start::journal_rows(new, None)?).exec_without_returning(tx).await?;
    if let Some((parent, _)) = new.start.parent.as_ref().filter(|_| new.parent_waits) {
        let fact =
            Fact::ChildFinished { id: new.id, status: Status::Cancelled, output: None, error: Some(failure.clone()) };
        signals::post(tx, new.at, new.start.workspace, *parent, &fact).await?;
    }
    let started = start::announcement(new);
    let mut data = started.data.clone();
    data["status"] = json!(Status::Cancelled);
    data["output"] = serde_json::Value::Null;
    data["error"] = json!(failure);
    data["trigger"] = new.start.trigger.clone();
    data["created_at"] = json!(new.at);
    let over = Announcement { name: "execution.finished", data, ..start::announcement(new) };
    Ok((Started::plain(new.id, false), vec![started, over]))
}

impl Entered {
    /// Why a start that went elsewhere is not an execution of its own.
    pub(in crate::execution::store) fn elsewhere(started: Started) -> Error {
        let why = match started.passed {
            Some(Passed::Skipped) => "is not over (singleton)",
            Some(Passed::Debounced) => "stands for it (debounce)",
            Some(Passed::Batched) => "has it among its items (batch)",
            _ => "was started by the same key (idempotency)",
        };
        Error::new(Code::Cancelled, format!("the execution {} {why}", started.id))
    }
}

fn went(id: Uuid, passed: Passed) -> Started {
    Started { passed: Some(passed), ..Started::plain(ExecutionId(id), true) }
}

/// Under which name it is noted into which execution the start went; `None` where the
/// execution says it itself.
fn remembered_as(new: &New, ticket: &Ticket) -> Option<String> {
    ticket.gather.as_ref()?;
    let key = new.start.idempotency_key.as_ref()?;
    Some(format!("start:{}", hex::encode(Sha256::digest(key))))
}
