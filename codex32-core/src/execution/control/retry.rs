//! Taking a finished execution up again from a step.

use super::start::new;
use super::{Executor, retry_native};
use crate::error::{Error, Result};
use crate::execution::entry::{Entry, Event};
use crate::execution::plan::{CompiledBlueprint, Redo};
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
        let copied = match ready.plan.native {
            Some(_) => retry_native::results(&execution, entries, from)?,
            None => results(&ready.plan, &execution, entries, from)?,
        };
        let start = start_of(execution, caller);
        let ticket = ready.ticket_again(&start.input, &start.trigger)?;
        let mut new = new(self.inner.clock.now(), start, ready.runs_on(), ticket);
        new.retry_of = Some(id);
        new.copied = copied;
        self.store_and_drive(ready, new).await
    }
}

/// What is taken over of an execution.
fn results(
    plan: &CompiledBlueprint,
    execution: &Execution,
    entries: Vec<Entry>,
    from: Option<&str>,
) -> Result<Vec<Event>> {
    let from = match from {
        Some(path) if plan.has_path(path) => Some(path.to_owned()),
        Some(path) => return Err(no_step(path)),
        None => failed_at(execution, plan, &entries)?,
    };
    Ok(from.map_or_else(Vec::new, |from| results_before(plan, entries, &from)))
}

/// There is no such step to begin with.
pub(super) fn no_step(path: &str) -> Error {
    Error::invalid(format!("the bot has no step \"{path}\""))
        .at("/from", "not a step")
        .hint("the paths of its steps are shown with the execution")
}

pub(super) fn nothing_failed() -> Error {
    Error::precondition("the execution succeeded: nothing failed that could be retried")
        .hint("name the step to run again from")
}

/// The step to go on from; `None` where nothing of it is to be taken over.
fn failed_at(execution: &Execution, plan: &CompiledBlueprint, entries: &[Entry]) -> Result<Option<String>> {
    let Some(error) = &execution.error else {
        return Err(nothing_failed());
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
///
/// What was undone at the end is to be done again, and so is everything behind it. What
/// was undone within a `try` whose failure was caught stays so, unless the `try` itself is
/// done again.
pub(super) fn results_before(plan: &CompiledBlueprint, entries: Vec<Entry>, from: &str) -> Vec<Event> {
    let mut redo = Redo::new(plan);
    redo.add(from);
    let mut caught = Vec::new();
    for (step, by) in undone(plan, &entries) {
        match by {
            Some(body) => caught.push((step, body)),
            None => redo.add(&step),
        }
    }
    // What is added can put an end to what seemed to stay.
    loop {
        let before = caught.len();
        caught.retain(|(step, body)| {
            let stays = redo.stays(body);
            if !stays {
                redo.add(step);
            }
            stays
        });
        if caught.len() == before {
            break;
        }
    }
    let at_the_end =
        entries.iter().rposition(|entry| matches!(&entry.event, Event::Undoing { path, .. } if path.is_empty()));
    let at_the_end = at_the_end.unwrap_or(entries.len());
    let stays = |place: usize, path: &str| match plan.undone_by(path) {
        Some(step) => place < at_the_end && redo.stays(step),
        None => redo.stays(path),
    };
    let kept = entries.into_iter().enumerate().filter_map(|(place, entry)| match entry.event {
        Event::StepSucceeded { path, attempt, output, ms, .. } if stays(place, &path) => {
            Some(Event::StepSucceeded { path, attempt, output, ms, copied: true })
        }
        // It was caught: what came after it depends on that.
        Event::StepFailed { path, attempt, error, ms, retry_at: None, .. } if stays(place, &path) => {
            Some(Event::StepFailed { path, attempt, error, ms, retry_at: None, copied: true })
        }
        _ => None,
    });
    kept.collect()
}

/// The steps that were undone, each with the body of the `try` that it was undone for;
/// `None` for those that were undone at the end.
fn undone(plan: &CompiledBlueprint, entries: &[Entry]) -> Vec<(String, Option<String>)> {
    let mut rollbacks: Vec<&str> = Vec::new();
    let mut undone = Vec::new();
    for entry in entries {
        match &entry.event {
            Event::Undoing { path, .. } => rollbacks.push(path),
            Event::StepSucceeded { path, .. } => {
                let Some(step) = plan.undone_by(path) else { continue };
                let around = |rollback: &&&str| rollback.is_empty() || is_below(step, rollback);
                let by = rollbacks.iter().rev().find(around).filter(|rollback| !rollback.is_empty());
                undone.push((step.to_owned(), by.map(|rollback| format!("{rollback}/body"))));
            }
            _ => {}
        }
    }
    undone
}

fn is_below(path: &str, group: &str) -> bool {
    path.strip_prefix(group).is_some_and(|rest| rest.starts_with(['/', '~']))
}

pub(super) fn start_of(execution: Execution, caller: &str) -> Start {
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
