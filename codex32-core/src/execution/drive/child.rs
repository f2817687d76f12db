//! A `call` step: which execution it starts. The row is stored with the entry that records it.

use super::{Driver, Outcome};
use crate::error::{Code, Error, Result};
use crate::execution::control::Inner;
use crate::execution::decide::native::NativeWork;
use crate::execution::decide::{Fact, Work, expression_failure};
use crate::execution::entry::Failure;
use crate::execution::plan::{Kind, SharedBlueprint};
use crate::execution::store::{MAX_CALLS, New};
use crate::execution::types::Start;
use crate::execution::{MAX_INPUT, size};
use crate::id::{ExecutionId, WorkspaceId};
use crate::storage::entity::executions;
use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};
use std::sync::Arc;

/// Where a bot is called from: a step, and which attempt of it.
struct From {
    path: String,
    attempt: u32,
    idempotency_key: String,
}

impl Driver {
    /// What stores the child that a native function asks for.
    pub(super) fn calling_native(
        &self,
        work: NativeWork,
        bot: String,
        input: Value,
    ) -> impl Future<Output = Outcome> + Send + 'static {
        let (inner, row) = (self.inner.clone(), self.row.clone());
        let from = From { path: work.path, attempt: work.attempt, idempotency_key: work.idempotency_key };
        async move {
            let new = start(&inner, &row, &bot, input, &from, true).await;
            outcome(new.map_err(|error| Failure::at(&from.path, &error)), from)
        }
    }

    /// What resolves the call of `work`.
    pub(super) fn calling(&self, work: Work) -> impl Future<Output = Outcome> + Send + 'static {
        let (inner, row, plan) = (self.inner.clone(), self.row.clone(), self.inner_plan());
        async move {
            let new = prepare(&inner, &row, &plan, &work).await;
            outcome(new, from(work))
        }
    }
}

fn from(work: Work) -> From {
    From { path: work.path, attempt: work.attempt, idempotency_key: work.idempotency_key }
}

fn outcome(new: Result<New, Failure>, from: From) -> Outcome {
    match new {
        Ok(new) => {
            let fact = Fact::ChildStarted { path: from.path, attempt: from.attempt, id: new.id };
            Outcome::Child(Box::new(new), fact)
        }
        Err(error) => Outcome::Fact(Fact::Failed { path: from.path, attempt: from.attempt, error, ms: 0 }),
    }
}

async fn prepare(
    inner: &Arc<Inner>,
    row: &executions::Model,
    plan: &SharedBlueprint,
    work: &Work,
) -> Result<New, Failure> {
    let Kind::Call { bot, with, wait } = &plan.node(work.node).kind else {
        return Err(Failure::at(&work.path, &Error::internal("the step calls no bot")));
    };
    if !with.needs.secrets.is_empty() || with.needs.all_secrets {
        let error = Error::new(Code::Forbidden, "a secret cannot be handed to another bot")
            .hint("let the called bot use the secret itself");
        return Err(expression_failure(&work.path, with.place, error));
    }
    let input = with.template.render(&work.scope).map_err(|e| expression_failure(&work.path, with.place, e.into()))?;
    start(inner, row, bot, input, &from(work.clone()), *wait).await.map_err(|error| Failure::at(&work.path, &error))
}

async fn start(
    inner: &Arc<Inner>,
    row: &executions::Model,
    bot: &str,
    input: Value,
    from: &From,
    wait: bool,
) -> Result<New> {
    let workspace = WorkspaceId(row.workspace_id);
    let input = if input.is_null() { json!({}) } else { input };
    let bytes = size(&input);
    if bytes > MAX_INPUT {
        return Err(Error::new(Code::TooLarge, format!("the input has {bytes} bytes; the limit is {MAX_INPUT}")));
    }
    if row.depth >= MAX_CALLS {
        return Err(Error::new(Code::TooLarge, format!("bots call each other more than {MAX_CALLS} levels deep"))
            .hint("look for a bot that calls itself without end"));
    }
    let target = inner.answered(|| inner.bots.deployed(workspace, bot, &row.environment)).await?;
    let loaded = inner.answered(|| inner.versions.get(workspace, target.version)).await?;
    loaded.check(&input)?;
    let now = inner.clock.now();
    let at = DateTime::from_timestamp_millis(now).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true);
    let trigger: Value = serde_json::from_str(&row.trigger).unwrap_or_default();
    let caller = format!("bot:{}", row.bot_name);
    let trigger = json!({
        "type": "call", "at": at, "bot": row.bot_name, "execution": row.id,
        "depth": crate::trigger::depth_of(&trigger),
    });
    let ticket = loaded.ticket(&input, &trigger)?;
    Ok(New {
        id: ExecutionId::at(now),
        at: now,
        start: Start {
            workspace,
            bot: target.bot,
            bot_name: bot.to_owned(),
            version: target.version,
            deployment: target.deployment,
            environment: row.environment.clone(),
            input,
            trigger,
            idempotency_key: Some(format!("{}:{}", from.idempotency_key, from.attempt)),
            parent: Some((ExecutionId(row.id), from.path.clone())),
            caller,
        },
        depth: row.depth + 1,
        parent_waits: wait,
        retry_of: None,
        copied: Vec::new(),
        first: Vec::new(),
        lease: None,
        runs_on: loaded.runs_on().to_owned(),
        priority: ticket.as_ref().map_or(0, |ticket| ticket.priority),
        ticket,
    })
}
