//! Handing events of the bus to the steps that wait for them.

use super::Inner;
use crate::error::Result;
use crate::event::Event;
use crate::execution::decide::Fact;
use crate::execution::store::{CONSUMER, EventWait};
use crate::expr::{Program, Scope};
use crate::id::WorkspaceId;
use serde_json::Value;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Events that are looked at together.
const BATCH: usize = 500;
/// Events that may be read again after a crash, since they concerned nobody.
const UNNOTED: i64 = 1_000;

impl Inner {
    /// Reads the bus and puts an event into the inbox of whoever waits for it. How far it
    /// has read is written with that, so that no wait misses an event and none gets two.
    pub(super) async fn event_loop(self: Arc<Self>, stop: CancellationToken) {
        let mut ear = self.bus.ear();
        let mut place: Option<(i64, i64)> = None;
        loop {
            ear.looks();
            let read = match place {
                Some(place) => self.read_events(place).await,
                None => self.bus.offset(CONSUMER).await.map(|offset| ((offset, offset), true)),
            };
            let more = match read {
                Ok((read, more)) => {
                    place = Some(read);
                    more
                }
                Err(error) => {
                    tracing::warn!(%error, "events cannot be read now");
                    self.pause_before_retry().await;
                    false
                }
            };
            if stop.is_cancelled() {
                return;
            }
            if !more {
                tokio::select! {
                    () = ear.news() => {}
                    () = stop.cancelled() => return,
                }
            }
        }
    }

    /// Reads on from `(read, noted)`. Tells whether there may be more.
    async fn read_events(&self, (read, noted): (i64, i64)) -> Result<((i64, i64), bool)> {
        let events = self.bus.all_after(read, BATCH).await?;
        let Some(last) = events.last().map(|event| event.seq) else { return Ok(((read, noted), false)) };
        let mut hits = Vec::new();
        if self.store.anyone_waits().await? {
            for event in &events {
                for wait in self.store.waiting_for(event).await? {
                    if wants(&wait, event) {
                        hits.push(hit(event, wait));
                    }
                }
            }
        }
        let noted = if !hits.is_empty() || last - noted >= UNNOTED {
            for id in self.store.deliver(hits, last).await? {
                self.wake(id);
            }
            last
        } else {
            noted
        };
        Ok(((last, noted), true))
    }
}

fn hit(event: &Event, wait: EventWait) -> (WorkspaceId, EventWait, Fact) {
    let fact = Fact::Event { path: wait.path.clone(), name: event.name.clone(), payload: event.data.clone() };
    (event.workspace, wait, fact)
}

/// Whether the filter of a wait is satisfied. One that cannot be evaluated is not: it may
/// speak of fields that this event does not have.
fn wants(wait: &EventWait, event: &Event) -> bool {
    let Some(filter) = &wait.filter else { return true };
    let mut scope = Scope::new();
    if let Value::Object(variables) = &wait.scope {
        for (name, value) in variables {
            scope.set(name, value.clone());
        }
    }
    scope.set("event", event.data.clone());
    Program::compile(filter).and_then(|program| program.condition(&scope)).unwrap_or(false)
}
