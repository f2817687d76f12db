//! Steps that touch nothing outside. They are done while it is decided what comes next, so
//! that their intent, their result and what follows from it are one write. Their journal
//! is the same as if they had been performed; a crash leaves either none or all of it.

use super::log::Mask;
use super::perform::{fit, masked, measure};
use crate::execution::control::Inner;
use crate::execution::decide::{Command, Fact, Work, expression_failure};
use crate::execution::entry::Failure;
use crate::execution::plan::{Kind, SharedBlueprint};
use crate::id::WorkspaceId;
use serde_json::Value;

/// Entries after which a round is written though more could be decided: a transaction is
/// not to grow with the length of a loop.
pub(super) const MOST: usize = 500;

/// What came of the step that `command` runs, where it touches nothing outside. Append its
/// event first.
pub(super) async fn computed(
    inner: &Inner,
    plan: &SharedBlueprint,
    workspace: WorkspaceId,
    command: &Command,
) -> Option<Fact> {
    let Command::Run(work) = command else { return None };
    if !computes(inner, plan, work) {
        return None;
    }
    // Where it cannot be known now what is secret, it is an attempt like any other.
    let redactor = inner.secrets.redactor(workspace).await.ok()?;
    let mask = Mask { redactor, token: None };
    let began = inner.clock.now();
    let result = compute(inner, plan, work, &mask);
    let took = inner.clock.now() - began;
    measure(result.is_ok(), took);
    let (path, attempt, ms) = (work.path.clone(), work.attempt, u64::try_from(took).unwrap_or(0));
    Some(match result {
        Ok(output) => Fact::Succeeded { path, attempt, output, ms },
        Err(error) => Fact::Failed { path, attempt, error, ms },
    })
}

/// A step that is given a time, asks people or reads a secret is performed.
fn computes(inner: &Inner, plan: &SharedBlueprint, work: &Work) -> bool {
    let node = plan.node(work.node);
    let Kind::Use { action, with, .. } = &node.kind else { return false };
    let reads_secrets = with.needs.all_secrets || !with.needs.secrets.is_empty();
    node.timeout.is_none() && !work.asks && !reads_secrets && inner.actions.computes(action)
}

fn compute(inner: &Inner, plan: &SharedBlueprint, work: &Work, mask: &Mask) -> Result<Value, Failure> {
    let Kind::Use { action, with, .. } = &plan.node(work.node).kind else { return Ok(Value::Null) };
    let input = with.template.render(&work.scope);
    let input = input.map_err(|e| expression_failure(&work.path, with.place, e.into()));
    let output = input.and_then(|input| {
        let output = inner.actions.compute(action, input);
        output.map_err(|error| Failure::at(&work.path, &error))
    });
    fit(output.map_err(|failure| masked(failure, mask))?, &work.path, mask)
}
