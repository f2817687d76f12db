//! A `continue` step: the execution that goes on where this one ends. It is stored with
//! the end.

use super::{Driver, Outcome};
use crate::error::{Code, Error, Result};
use crate::execution::control::Inner;
use crate::execution::decide::{Fact, Work, expression_failure};
use crate::execution::entry::Failure;
use crate::execution::plan::{Kind, SharedBlueprint};
use crate::execution::ports::Target;
use crate::execution::store::New;
use crate::execution::types::Start;
use crate::execution::{MAX_INPUT, size};
use crate::id::{BotId, DeploymentId, ExecutionId, VersionId, WorkspaceId};
use crate::storage::entity::executions;
use serde_json::{Value, json};
use std::sync::Arc;

impl Driver {
    /// What prepares the execution that goes on.
    pub(super) fn continuing(&self, work: Work) -> impl Future<Output = Outcome> + Send + 'static {
        let (inner, row, plan) = (self.inner.clone(), self.row.clone(), self.inner_plan());
        async move {
            match prepare(&inner, &row, &plan, &work).await {
                Ok(new) => {
                    let fact = Fact::Continued { path: work.path, attempt: work.attempt, id: new.id };
                    Outcome::Child(Box::new(new), fact)
                }
                Err(error) => Outcome::Fact(Fact::Failed { path: work.path, attempt: work.attempt, error, ms: 0 }),
            }
        }
    }

    /// The execution that goes on, with the signals that nobody has taken here.
    pub(super) fn succeeding(&self, new: New) -> New {
        New { copied: self.state.kept_signals(), ..new }
    }
}

async fn prepare(
    inner: &Arc<Inner>,
    row: &executions::Model,
    plan: &SharedBlueprint,
    work: &Work,
) -> Result<New, Failure> {
    let Kind::Continue { input } = &plan.node(work.node).kind else {
        return Err(Failure::at(&work.path, &Error::internal("the step does not go on as another execution")));
    };
    if !input.needs.secrets.is_empty() || input.needs.all_secrets {
        let error = Error::new(Code::Forbidden, "a secret cannot be part of an execution's input")
            .hint("let the steps that need it read it themselves");
        return Err(expression_failure(&work.path, input.place, error));
    }
    let value = input.template.render(&work.scope);
    let value = value.map_err(|e| expression_failure(&work.path, input.place, e.into()))?;
    next(inner, row, value).await.map_err(|error| Failure::at(&work.path, &error))
}

async fn next(inner: &Arc<Inner>, row: &executions::Model, input: Value) -> Result<New> {
    let workspace = WorkspaceId(row.workspace_id);
    let input = if input.is_null() { json!({}) } else { input };
    let bytes = size(&input);
    if bytes > MAX_INPUT {
        return Err(Error::new(Code::TooLarge, format!("the input has {bytes} bytes; the limit is {MAX_INPUT}"))
            .hint("store what was gathered elsewhere and hand over where it is"));
    }
    let target = target(inner, row).await?;
    let ready = inner.answered(|| inner.versions.get(workspace, target.version)).await?;
    ready.check(&input)?;
    let now = inner.clock.now();
    Ok(New {
        id: ExecutionId::at(now),
        at: now,
        start: Start {
            workspace,
            bot: target.bot,
            bot_name: row.bot_name.clone(),
            version: target.version,
            deployment: target.deployment,
            environment: row.environment.clone(),
            input,
            trigger: serde_json::from_str(&row.trigger)
                .map_err(|e| Error::internal(format!("read the trigger of {}: {e}", row.id)))?,
            idempotency_key: None,
            parent: row.parent_id.map(|id| (ExecutionId(id), row.parent_path.clone().unwrap_or_default())),
            caller: row.caller.clone(),
        },
        depth: row.depth,
        parent_waits: row.parent_waits,
        retry_of: None,
        copied: Vec::new(),
        first: Vec::new(),
        lease: None,
        runs_on: ready.runs_on().to_owned(),
        priority: row.priority,
        // It is let in by what the one before it holds.
        ticket: None,
    })
}

/// What goes on: what is deployed now, where a deployment has started it; else the same version.
async fn target(inner: &Arc<Inner>, row: &executions::Model) -> Result<Target> {
    let same = Target {
        bot: BotId(row.bot_id),
        version: VersionId(row.version_id),
        deployment: row.deployment_id.map(DeploymentId),
    };
    if row.deployment_id.is_none() {
        return Ok(same);
    }
    let workspace = WorkspaceId(row.workspace_id);
    let deployed = inner.answered(|| inner.bots.deployed(workspace, &row.bot_name, &row.environment)).await?;
    if deployed.bot != same.bot {
        return Err(Error::precondition(format!("the bot \"{}\" is another one by now", row.bot_name)));
    }
    Ok(deployed)
}
