//! What the bus tells the supervisor.

use super::incident::IncidentKind;
use super::state::{self, End, Status};
use super::store::Outbox;
use super::{Supervisor, store};
use crate::clock::Clock;
use crate::error::Result;
use crate::event::{Bus, Consumer, Event};
use crate::id::WorkspaceId;
use crate::storage::Tx;
use crate::storage::entity::supervised;
use crate::trigger::MAX_DEPTH;
use serde_json::Value;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use uuid::Uuid;

pub(super) const CONSUMER: &str = "supervisor";

/// What of an event concerns the supervisor.
enum News {
    Ended {
        deployment: Uuid,
        end: End,
    },
    /// An execution goes on as another.
    Continued {
        deployment: Uuid,
        execution: Uuid,
        next: Uuid,
    },
    Stopped,
}

impl Supervisor {
    /// Handles one page of events; tells whether there was one.
    pub(super) async fn read_on(&self, consumer: &mut Consumer) -> Result<bool> {
        let page = consumer.page().await?;
        let Some(last) = page.last().map(|event| event.seq) else { return Ok(false) };
        let concerning: Vec<(Arc<Event>, News)> =
            page.into_iter().filter_map(|event| news(&event).map(|news| (event, news))).collect();
        let stored = !concerning.is_empty();
        if stored {
            let clock = self.parts.clock.clone();
            self.parts.db.append(move |tx| Box::pin(async move { take(tx, &*clock, concerning, last).await })).await?;
            self.parts.bus.wake();
        }
        consumer.done(last, stored);
        consumer.save(false).await?;
        Ok(true)
    }
}

fn news(event: &Event) -> Option<News> {
    let id = |name: &str| event.data.get(name).and_then(Value::as_str).and_then(|text| text.parse().ok());
    match event.name.as_str() {
        "execution.continued" => Some(News::Continued {
            deployment: id("deployment")?,
            execution: id("execution")?,
            next: id("continued_as")?,
        }),
        "execution.finished" => {
            let status = match event.data.get("status").and_then(Value::as_str)? {
                "succeeded" => Status::Succeeded,
                "failed" => Status::Failed,
                "cancelled" => Status::Cancelled,
                _ => return None,
            };
            let end = End { execution: id("execution"), status, at: event.at, error: error_text(&event.data) };
            // An execution that no deployment started is nobody's health.
            Some(News::Ended { deployment: id("deployment")?, end })
        }
        "trigger.stopped" => Some(News::Stopped),
        _ => None,
    }
}

fn error_text(data: &Value) -> String {
    let error = data.get("error").unwrap_or(&Value::Null);
    let text = |name: &str| error.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    match (text("step"), text("message")) {
        (Some(step), Some(message)) => format!("step {step}: {message}"),
        (None, Some(message)) => message.to_owned(),
        _ => error.as_str().unwrap_or("it failed").to_owned(),
    }
}

/// A row that events of this page are about.
struct Seen {
    row: supervised::Model,
    changed: bool,
}

async fn take(tx: &Tx, clock: &dyn Clock, page: Vec<(Arc<Event>, News)>, last: i64) -> Result<()> {
    let mut outbox = Outbox::default();
    // A busy deployment has many ends in a page; its row is read and written once.
    let mut rows: HashMap<Uuid, Option<Seen>> = HashMap::new();
    // Two nodes may read the same page for a moment; a failure counts once.
    let read = Bus::hold_offset_in(tx, clock, CONSUMER).await?;
    for (event, news) in page.into_iter().filter(|(event, _)| event.seq > read) {
        let deployment = match &news {
            News::Ended { deployment, .. } | News::Continued { deployment, .. } => *deployment,
            News::Stopped => {
                stopped(tx, clock, &mut outbox, &event).await?;
                continue;
            }
        };
        let row = match rows.entry(deployment) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let row = store::locked(tx, deployment).await?;
                new.insert(row.map(|row| Seen { row, changed: false }))
            }
        };
        let Some(seen) = row.as_mut().filter(|seen| is_concerned(&seen.row, &event)) else { continue };
        match news {
            News::Ended { end, .. } => {
                seen.changed = true;
                let effects = state::ended(&mut seen.row, &end, clock.now());
                store::apply(tx, clock, &mut outbox, &mut seen.row, effects).await?;
            }
            News::Continued { execution, next, .. } => seen.changed |= state::continued(&mut seen.row, execution, next),
            News::Stopped => {}
        }
    }
    for seen in rows.into_values().flatten().filter(|seen| seen.changed) {
        store::save(tx, seen.row, clock.now()).await?;
    }
    Bus::advance_in(tx, clock, CONSUMER, last).await?;
    outbox.publish(tx, clock).await
}

fn is_concerned(row: &supervised::Model, event: &Event) -> bool {
    row.workspace_id == event.workspace.0 && row.after_seq < event.seq && row.state != state::STOPPING
}

/// A loop of bots was cut.
async fn stopped(tx: &Tx, clock: &dyn Clock, outbox: &mut Outbox, event: &Event) -> Result<()> {
    let text = |name: &str| event.data.get(name).and_then(Value::as_str).unwrap_or_default();
    let id = |name: &str| text(name).parse::<Uuid>().ok();
    let Some(bot) = id("bot") else { return Ok(()) };
    let told =
        format!("{MAX_DEPTH} triggers in a row led to the event \"{}\"; nothing more was started", text("event"));
    let workspace: WorkspaceId = event.workspace;
    if let Some(open) = store::find_open(tx, workspace, IncidentKind::Loop, id("deployment")).await? {
        return store::note(tx, clock, workspace, open.id, "failure", &told, None).await;
    }
    let title = format!("{} and other bots start each other without end", text("bot_name"));
    let about = store::About { kind: IncidentKind::Loop, title, deployment: id("deployment") };
    let whose = store::Whose { workspace, bot, bot_name: text("bot_name"), environment: text("environment") };
    store::open(tx, clock, outbox, whose, about, &told, None).await?;
    Ok(())
}
