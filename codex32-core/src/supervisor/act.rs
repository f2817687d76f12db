//! What is due: starts, restarts, ends, and bots that should have succeeded by now.

use super::state::{self, Effect, RUNNING, STARTING, STOPPING};
use super::store::Outbox;
use super::{RETRY_MS, Supervisor, store};
use crate::clock::{Clock, Millis};
use crate::error::{Error, Result};
use crate::execution::Start;
use crate::id::{BotId, DeploymentId, ExecutionId, VersionId, WorkspaceId};
use crate::storage::Tx;
use crate::storage::entity::supervised::{self, Column};
use crate::trigger::{Starter, may_pass, rfc3339};
use serde_json::{Value, json};
use uuid::Uuid;

impl Supervisor {
    /// Does all that is due; returns when something is due next.
    pub(super) async fn act_on_due(&self) -> Result<Option<Millis>> {
        loop {
            let now = self.parts.clock.now();
            let looks = store::due(self.parts.db.read(), Column::LookAt, now).await?;
            let overdue = store::due(self.parts.db.read(), Column::OverdueAt, now).await?;
            if looks.is_empty() && overdue.is_empty() {
                let look = store::next(self.parts.db.read(), Column::LookAt).await?;
                let overdue = store::next(self.parts.db.read(), Column::OverdueAt).await?;
                return Ok(look.into_iter().chain(overdue).min());
            }
            for deployment in looks {
                self.look(deployment, now).await?;
            }
            for deployment in overdue {
                self.call_overdue(deployment, now).await?;
            }
            self.parts.bus.wake();
        }
    }

    async fn look(&self, deployment: Uuid, now: Millis) -> Result<()> {
        if let Err(error) = self.prepare(deployment, now).await {
            return self.refused(deployment, error, now).await;
        }
        let (starter, clock) = (self.parts.starter.clone(), self.parts.clock.clone());
        let looked = self
            .parts
            .db
            .write(move |tx| Box::pin(async move { look(tx, &*clock, &*starter, deployment, now).await }))
            .await;
        match looked {
            Ok(Looked::Started { again }) => {
                if again {
                    metrics::counter!("codex32_supervisor_restarts_total").increment(1);
                }
                self.parts.starter.wake();
                Ok(())
            }
            Ok(Looked::Else) => Ok(()),
            Err(error) => self.refused(deployment, error, now).await,
        }
    }

    /// What must not be done within the transaction: checking a start, cancelling.
    async fn prepare(&self, deployment: Uuid, now: Millis) -> Result<()> {
        let Some(row) = store::find(self.parts.db.read(), deployment).await? else { return Ok(()) };
        match (row.state.as_str(), row.execution_id) {
            (STARTING, _) => self.parts.starter.check(&start(&row, now)).await,
            // What is to end is cancelled first: a crash in between only cancels it again.
            (STOPPING, Some(execution)) => {
                self.parts.stopper.stop(WorkspaceId(row.workspace_id), ExecutionId(execution)).await
            }
            _ => Ok(()),
        }
    }

    async fn refused(&self, deployment: Uuid, error: Error, now: Millis) -> Result<()> {
        tracing::warn!(%deployment, %error, "a supervised bot could not be started or stopped");
        let clock = self.parts.clock.clone();
        self.parts
            .db
            .write(move |tx| {
                Box::pin(async move {
                    let Some(mut row) = store::locked(tx, deployment).await? else { return Ok(()) };
                    if row.state != STARTING {
                        row.look_at = Some(now + RETRY_MS);
                        return store::save(tx, row, now).await;
                    }
                    let effects = state::refused(&mut row, error.message(), may_pass(&error), now);
                    let mut outbox = Outbox::default();
                    store::apply(tx, &*clock, &mut outbox, &mut row, effects).await?;
                    store::save(tx, row, now).await?;
                    outbox.publish(tx, &*clock).await
                })
            })
            .await
    }

    async fn call_overdue(&self, deployment: Uuid, now: Millis) -> Result<()> {
        let clock = self.parts.clock.clone();
        self.parts
            .db
            .write(move |tx| {
                Box::pin(async move {
                    let due =
                        |row: &supervised::Model| row.overdue_at.is_some_and(|at| at <= now) && row.state != STOPPING;
                    let Some(mut row) = store::locked(tx, deployment).await?.filter(due) else { return Ok(()) };
                    let effects = state::overdue(&mut row);
                    let mut outbox = Outbox::default();
                    store::apply(tx, &*clock, &mut outbox, &mut row, effects).await?;
                    store::save(tx, row, now).await?;
                    outbox.publish(tx, &*clock).await
                })
            })
            .await
    }
}

enum Looked {
    Started { again: bool },
    Else,
}

async fn look(tx: &Tx, clock: &dyn Clock, starter: &dyn Starter, deployment: Uuid, now: Millis) -> Result<Looked> {
    let mut outbox = Outbox::default();
    let due = |row: &supervised::Model| row.look_at.is_some_and(|at| at <= now);
    let Some(mut row) = store::locked(tx, deployment).await?.filter(due) else { return Ok(Looked::Else) };
    match row.state.as_str() {
        STARTING => {
            let again = row.run > 0;
            let started = starter.start_in(tx, start(&row, now)).await?;
            state::started(&mut row, started.id.0, now);
            store::save(tx, row, now).await?;
            Ok(Looked::Started { again })
        }
        RUNNING => {
            let effects = state::runs_well(&mut row);
            store::apply(tx, clock, &mut outbox, &mut row, effects).await?;
            store::save(tx, row, now).await?;
            outbox.publish(tx, clock).await?;
            Ok(Looked::Else)
        }
        STOPPING => {
            let over = Effect::Close { text: "its deployment has ended".to_owned() };
            store::apply(tx, clock, &mut outbox, &mut row, vec![over]).await?;
            store::remove(tx, deployment).await?;
            outbox.publish(tx, clock).await?;
            Ok(Looked::Else)
        }
        _ => {
            row.look_at = None;
            store::save(tx, row, now).await?;
            Ok(Looked::Else)
        }
    }
}

fn start(row: &supervised::Model, now: Millis) -> Start {
    Start {
        workspace: WorkspaceId(row.workspace_id),
        bot: BotId(row.bot_id),
        bot_name: row.bot_name.clone(),
        version: VersionId(row.version_id),
        deployment: Some(DeploymentId(row.deployment_id)),
        environment: row.environment.clone(),
        input: Value::Object(serde_json::Map::new()),
        trigger: json!({"type": "supervisor", "at": rfc3339(now), "depth": 0, "run": row.run + 1}),
        // The time keeps a deployment that was armed anew apart from its earlier life.
        idempotency_key: Some(format!("restart:{}:{}:{now}", row.deployment_id, row.run + 1)),
        parent: None,
        caller: "supervisor".to_owned(),
    }
}
