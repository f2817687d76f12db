//! Taking a finished execution up again from a step.

use super::Executor;
use super::start::new;
use crate::error::{Error, Result};
use crate::execution::entry::{Entry, Event};
use crate::execution::plan::{CompiledBlueprint, is_before};
use crate::execution::types::{Execution, Start, Started};
use crate::id::{ExecutionId, WorkspaceId};

impl Executor {
    /// Runs a finished execution again from the step `from`, or from the one that it
    /// failed at, as a new execution of the same version with the same input. The results
    /// of everything before that step are taken over and not computed again.
    ///
    /// # Errors
    /// `not_found`; `precondition` where it is not finished, or succeeded and `from` is not
    /// given; `invalid` where there is no step `from`.
    pub async fn retry(
        &self,
        workspace: WorkspaceId,
        id: ExecutionId,
        from: Option<&str>,
        caller: &str,
    ) -> Result<Started> {
        let execution = self.get(workspace, id).await?;
        if !execution.status.is_finished() {
            return Err(Error::precondition(format!("the execution {id} is {}", execution.status))
                .hint("cancel it first, or wait for its end"));
        }
        let ready = self.inner.versions.get(workspace, execution.version).await?;
        let entries = self.inner.store.whole_journal(id).await?;
        let from = match from {
            Some(path) if ready.plan.has_path(path) => Some(path.to_owned()),
            Some(path) => {
                return Err(Error::invalid(format!("the bot has no step \"{path}\""))
                    .at("/from", "not a step")
                    .hint("the paths of its steps are shown with the execution"));
            }
            None => failed_at(&execution, &ready.plan, &entries)?,
        };
        let copied = from.map_or_else(Vec::new, |from| results_before(&ready.plan, entries, &from));
        let mut new = new(self.inner.clock.now(), start_of(execution, caller));
        new.retry_of = Some(id);
        new.copied = copied;
        self.store_and_drive(ready, new).await
    }
}

/// The step to go on from; `None` where nothing of it is to be taken over.
fn failed_at(execution: &Execution, plan: &CompiledBlueprint, entries: &[Entry]) -> Result<Option<String>> {
    let Some(error) = &execution.error else {
        return Err(Error::precondition("the execution succeeded: nothing failed that could be retried")
            .hint("name the step to run again from"));
    };
    if plan.has_path(&error.step) {
        return Ok(Some(error.step.clone()));
    }
    // Cancelled or out of time: go on with the first step that was begun and has no result.
    let ended = |path: &str| {
        entries.iter().any(|entry| match &entry.event {
            Event::StepSucceeded { path: p, .. } | Event::StepSkipped { path: p } => p == path,
            Event::StepFailed { path: p, retry_at, .. } => p == path && retry_at.is_none(),
            _ => false,
        })
    };
    let begun = entries.iter().find_map(|entry| match &entry.event {
        Event::StepScheduled { path, .. } | Event::TimerSet { path, .. } | Event::ApprovalAsked { path, .. }
            if !ended(path) && plan.has_path(path) =>
        {
            Some(path.clone())
        }
        _ => None,
    });
    Ok(begun)
}

/// Results that stay true, as entries of the new execution.
fn results_before(plan: &CompiledBlueprint, entries: Vec<Entry>, from: &str) -> Vec<Event> {
    let stays = |path: &str| is_before(plan, path, from);
    entries
        .into_iter()
        .filter_map(|entry| match entry.event {
            Event::StepSucceeded { path, attempt, output, ms, .. } if stays(&path) => {
                Some(Event::StepSucceeded { path, attempt, output, ms, copied: true })
            }
            // It was caught: what came after it depends on that.
            Event::StepFailed { path, attempt, error, ms, retry_at: None, .. } if stays(&path) => {
                Some(Event::StepFailed { path, attempt, error, ms, retry_at: None, copied: true })
            }
            _ => None,
        })
        .collect()
}

fn start_of(execution: Execution, caller: &str) -> Start {
    Start {
        workspace: execution.workspace,
        bot: execution.bot,
        bot_name: execution.bot_name,
        version: execution.version,
        deployment: execution.deployment,
        environment: execution.environment,
        input: execution.input,
        trigger: execution.trigger,
        idempotency_key: None,
        parent: None,
        caller: caller.to_owned(),
    }
}
