//! Events and the ends of bots: a durable consumer of the bus.
//!
//! Each event is handled at least once; the idempotency key `event:{trigger}:{seq}`
//! makes that exactly once for what it starts. Starts and the consumer's offset are
//! committed together.

use super::chain::next_depth;
use super::dispatcher::{Dispatcher, may_pass};
use super::firing::{Cause, firing};
use super::matching::{self, Match};
use super::spec::Kind;
use super::starter::Starter;
use super::store;
use crate::clock::Clock;
use crate::error::{Code, Error, Result};
use crate::event::{Bus, Consumer, Event, is_reserved};
use crate::execution::Start;
use crate::storage::Tx;
use crate::storage::entity::triggers;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const CONSUMER: &str = "triggers";
const RETRY_MS: i64 = 1_000;

impl Dispatcher {
    pub(super) async fn run_listener(&self, token: &CancellationToken) {
        let mut consumer = Consumer::new(&self.parts.bus, CONSUMER);
        while !token.is_cancelled() {
            match self.read_on(&mut consumer, token).await {
                Ok(true) => {}
                Ok(false) => tokio::select! { () = consumer.news() => {}, () = token.cancelled() => {} },
                Err(error) => {
                    tracing::warn!(%error, "events could not be handled; they are tried again");
                    let again = self.parts.clock.now() + RETRY_MS;
                    tokio::select! { () = self.parts.clock.sleep_until(again) => {}, () = token.cancelled() => {} }
                }
            }
        }
        if let Err(error) = consumer.save(true).await {
            tracing::warn!(%error, "the place on the bus was not stored; events are read again");
        }
    }

    /// Handles one page; tells whether there was one.
    async fn read_on(&self, consumer: &mut Consumer, token: &CancellationToken) -> Result<bool> {
        let page = consumer.page().await?;
        if page.is_empty() {
            consumer.save(false).await?;
            return Ok(false);
        }
        let workspaces = page.iter().map(|event| event.workspace.0).collect();
        let listening = matching::listening(self.parts.db.read(), workspaces).await?;
        for event in page {
            if token.is_cancelled() {
                return Ok(false);
            }
            if matches!(event.name.as_str(), "deployment.changed" | "trigger.changed") {
                self.nudge();
            }
            let seq = event.seq;
            let stored = listening.contains(&event.workspace.0) && self.handle(&event).await?;
            consumer.done(seq, stored);
        }
        consumer.save(false).await?;
        Ok(true)
    }

    /// Starts what the event starts; tells whether the offset was stored with it.
    async fn handle(&self, event: &Arc<Event>) -> Result<bool> {
        let matches = matching::find(self.parts.db.read(), event).await?;
        if matches.is_empty() {
            return Ok(false);
        }
        let mut wishes = Vec::with_capacity(matches.len());
        for found in matches {
            let id = found.row.id;
            wishes.push((id, self.wish(found, event).await?));
        }
        let (starter, clock, event) = (self.parts.starter.clone(), self.parts.clock.clone(), event.clone());
        let fired = self
            .parts
            .db
            .write(move |tx| Box::pin(async move { fulfil(tx, &*starter, &*clock, &event, wishes).await }))
            .await?;
        if fired > 0 {
            metrics::counter!("codex32_trigger_fired_total", "kind" => "event").increment(fired);
            self.parts.starter.wake();
        }
        Ok(true)
    }

    /// What is to be done about one trigger. An error makes the whole event be handled again.
    async fn wish(&self, found: Match, event: &Event) -> Result<Wish> {
        if let Err(error) = found.passes {
            return Ok(Wish::Note(error));
        }
        let of_engine = found.row.kind == Kind::Event.as_str() && is_reserved(&event.name);
        let Some(depth) = next_depth(event.depth, of_engine) else { return Ok(Wish::Stop) };
        let start = start(&found.row, event, depth);
        match self.parts.starter.check(&start).await {
            Ok(()) => Ok(Wish::Start(Box::new(start))),
            // Its bot has enough to do: other bots' events do not wait for that.
            Err(error) if error.code() == Code::RateLimited => Ok(Wish::Note(error)),
            Err(error) if may_pass(&error) => Err(error),
            Err(error) => Ok(Wish::Note(error)),
        }
    }
}

/// What is to be done about a trigger that an event concerns.
enum Wish {
    Start(Box<Start>),
    /// It cannot be started; its people are told.
    Note(Error),
    /// The chain is too long.
    Stop,
}

async fn fulfil(
    tx: &Tx,
    starter: &dyn Starter,
    clock: &dyn Clock,
    event: &Event,
    wishes: Vec<(Uuid, Wish)>,
) -> Result<u64> {
    // All rows are held before anything is published: on PostgreSQL that holds the bus.
    let (mut starts, mut stopped) = (Vec::new(), Vec::new());
    for (id, wish) in wishes {
        let Some(row) = store::locked(tx, id).await?.filter(|row| row.enabled) else { continue };
        match wish {
            Wish::Start(start) => {
                store::fired(tx, &row, clock.now()).await?;
                starts.push(*start);
            }
            Wish::Note(error) => store::note_error(tx, row.id, &error, clock.now()).await?,
            Wish::Stop => {
                store::note_error(tx, row.id, &too_long(event), clock.now()).await?;
                stopped.push(row);
            }
        }
    }
    if starts.len() > 1 {
        starter.hold_in(tx, &starts).await?;
    }
    Bus::advance_in(tx, clock, CONSUMER, event.seq).await?;
    let mut fired = 0;
    for start in starts {
        starter.start_in(tx, start).await?;
        fired += 1;
    }
    for row in stopped {
        tell_loop(tx, clock, event, &row).await?;
    }
    Ok(fired)
}

fn start(row: &triggers::Model, event: &Event, depth: u32) -> Start {
    let key = format!("event:{}:{}", row.id, event.seq);
    if row.kind == Kind::Bot.as_str() {
        let (name, field) = (matching::bot_name(event), |name: &str| event.data.get(name).cloned());
        let end = [("execution", field("execution")), ("status", field("status")), ("output", field("output"))];
        let end: Map<String, Value> = end
            .into_iter()
            .chain([("error", field("error"))])
            .map(|(name, value)| (name.to_owned(), value.unwrap_or(Value::Null)))
            .collect();
        let with = |key: &str| {
            let mut all = Map::from_iter([(key.to_owned(), json!(name))]);
            all.extend(end.clone());
            Value::Object(all)
        };
        let cause = Cause { kind: Kind::Bot, at: event.at, depth, more: with("name"), key };
        return firing(row, cause, with("bot"));
    }
    let more = json!({"name": event.name, "data": event.data, "seq": event.seq});
    firing(row, Cause { kind: Kind::Event, at: event.at, depth, more, key }, event.data.clone())
}

fn too_long(event: &Event) -> Error {
    Error::precondition(format!("{} triggers in a row led here; taken for a loop and stopped", event.depth))
        .hint("let one of the bots not start the other")
}

/// A chain that is too long: nothing was started, people are told.
async fn tell_loop(tx: &Tx, clock: &dyn Clock, event: &Event, row: &triggers::Model) -> Result<()> {
    tracing::warn!(trigger = %row.id, bot = %row.bot_name, event = %event.name, depth = event.depth, "a loop of bots was stopped");
    let data = json!({
        "trigger": row.id, "bot": row.bot_id, "bot_name": row.bot_name, "deployment": row.deployment_id,
        "environment": row.environment, "event": event.name, "depth": event.depth,
    });
    Bus::publish_in(tx, clock, event.workspace, "trigger.stopped", data).await?;
    Ok(())
}
