//! Schedules: start what is due and move on, in one transaction.

use super::dispatcher::{Dispatcher, may_pass};
use super::firing::{Cause, firing};
use super::spec::{Kind, Spec};
use super::starter::Starter;
use super::store::{self, Due};
use crate::clock::Millis;
use crate::error::Result;
use crate::execution::Start;
use crate::schedule::{Timetable, jitter, plan};
use crate::storage::Tx;
use crate::storage::entity::triggers;
use serde_json::{Value, json};
use uuid::Uuid;

const BATCH: u64 = 100;

impl Dispatcher {
    /// Fires all schedules that are due; returns when the next one is.
    pub(super) async fn fire_due_schedules(&self) -> Result<Option<Millis>> {
        loop {
            let now = self.parts.clock.now();
            let due = store::due(self.parts.db.read(), Kind::Schedule, now, BATCH).await?;
            if due.is_empty() {
                return store::next_wake(self.parts.db.read(), Kind::Schedule).await;
            }
            for id in due {
                self.fire_schedule(id, now).await?;
            }
        }
    }

    async fn fire_schedule(&self, id: Uuid, now: Millis) -> Result<()> {
        let starter = self.parts.starter.clone();
        let fired = match self.check_schedule(id, now).await {
            Ok(()) => self.parts.db.write(move |tx| Box::pin(async move { fire(tx, &*starter, id, now).await })).await,
            Err(error) => Err(error),
        };
        match fired {
            Ok(0) => Ok(()),
            Ok(runs) => {
                metrics::counter!("codex32_trigger_fired_total", "kind" => "schedule").increment(runs);
                self.parts.starter.wake();
                Ok(())
            }
            Err(error) if may_pass(&error) => self.note_failure(id, &error, None).await,
            Err(error) => {
                // The same start would fail again, so this run is given up and the next one awaited.
                let next = self.next_of(id, now).await?;
                self.note_failure(id, &error, Some(next)).await
            }
        }
    }

    /// Checks what all runs of a schedule have in common: the bot and the input.
    async fn check_schedule(&self, id: Uuid, now: Millis) -> Result<()> {
        let Some(row) = store::find(self.parts.db.read(), id).await? else { return Ok(()) };
        let Spec::Schedule { schedule, input, .. } = Spec::from_text(&row.spec)? else { return Ok(()) };
        self.parts.starter.check(&run(&row, &schedule, input, now)).await
    }

    async fn next_of(&self, id: Uuid, now: Millis) -> Result<Due> {
        let Some(row) = store::find(self.parts.db.read(), id).await? else { return Ok(Due::default()) };
        // Settings that cannot be read any more leave the trigger waiting for its next deployment.
        let next = || -> Result<Due> {
            let Spec::Schedule { schedule, jitter_ms, .. } = Spec::from_text(&row.spec)? else {
                return Ok(Due::default());
            };
            let table = Timetable::parse(&schedule, &row.timezone, row.created_at)?;
            Ok(Due::with_jitter(row.id, table.next(now), jitter_ms))
        };
        Ok(next().unwrap_or_default())
    }
}

/// The run that is due at `due`.
fn run(row: &triggers::Model, schedule: &str, input: Value, due: Millis) -> Start {
    let key = format!("schedule:{}:{due}", row.id);
    let more = json!({"schedule": schedule});
    firing(row, Cause { kind: Kind::Schedule, at: due, depth: 0, more, key }, input)
}

/// Starts the runs that are owed; returns how many.
async fn fire(tx: &Tx, starter: &dyn Starter, id: Uuid, now: Millis) -> Result<u64> {
    // Another node may have been faster, or people may have turned it off.
    let Some(row) = store::locked(tx, id).await? else { return Ok(0) };
    let (Some(due), true) = (row.next_due, row.enabled && row.wake_at.is_some_and(|at| at <= now)) else {
        return Ok(0);
    };
    let Spec::Schedule { schedule, missed, jitter_ms, input } = Spec::from_text(&row.spec)? else { return Ok(0) };
    let table = Timetable::parse(&schedule, &row.timezone, row.created_at)?;
    let plan = plan(&table, missed.into(), due, now - jitter(row.id, due, jitter_ms));
    for due in &plan.runs {
        starter.start_in(tx, run(&row, &schedule, input.clone(), *due)).await?;
    }
    if plan.dropped {
        tracing::warn!(trigger = %id, bot = %row.bot_name, "more runs were missed than are made up for; the rest is dropped");
    }
    let runs = u64::try_from(plan.runs.len()).unwrap_or(u64::MAX);
    store::succeed(tx, &row, Due::with_jitter(row.id, plan.next, jitter_ms), None, runs > 0, now).await?;
    Ok(runs)
}
