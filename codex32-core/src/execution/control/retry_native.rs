//! Taking a finished execution of a native function up again.

use super::retry::{no_step, nothing_failed};
use crate::error::{Code, Result};
use crate::execution::entry::{Entry, Event};
use crate::execution::types::Execution;
use std::collections::HashMap;

/// The results that are taken over: of the calls that were first begun before `from`, by
/// default the one that it failed at.
pub(super) fn results(execution: &Execution, entries: Vec<Entry>, from: Option<&str>) -> Result<Vec<Event>> {
    if let Some(from) = from {
        return results_before(entries, from);
    }
    let places = places(&entries);
    let from = failed_at(execution, &entries, &places)?;
    Ok(kept(&entries, &places, from))
}

/// The results of the calls that were first begun before the one at `from`.
pub(super) fn results_before(entries: Vec<Entry>, from: &str) -> Result<Vec<Event>> {
    let places = places(&entries);
    let from = *places.get(from).ok_or_else(|| no_step(from))?;
    Ok(kept(&entries, &places, Some(from)))
}

fn kept(entries: &[Entry], places: &HashMap<String, usize>, from: Option<usize>) -> Vec<Event> {
    let before = |path: &str| from.is_none_or(|from| places.get(path).is_some_and(|place| *place < from));
    let kept = entries.iter().filter_map(|entry| match &entry.event {
        Event::StepSucceeded { path, attempt, output, ms, .. } if before(path) => Some(Event::StepSucceeded {
            path: path.clone(),
            attempt: *attempt,
            output: output.clone(),
            ms: *ms,
            copied: true,
        }),
        // It was caught: what came after it depends on that.
        Event::StepFailed { path, attempt, error, ms, retry_at: None, .. } if before(path) => Some(Event::StepFailed {
            path: path.clone(),
            attempt: *attempt,
            error: error.clone(),
            ms: *ms,
            retry_at: None,
            copied: true,
        }),
        _ => None,
    });
    kept.collect()
}

/// Which call came when, by path.
fn places(entries: &[Entry]) -> HashMap<String, usize> {
    let mut places = HashMap::new();
    for (place, entry) in entries.iter().enumerate().filter(|(_, entry)| !entry.event.path().is_empty()) {
        places.entry(entry.event.path().to_owned()).or_insert(place);
    }
    places
}

/// Where to go on; `None` where all results are taken over, since no call has failed.
fn failed_at(execution: &Execution, entries: &[Entry], places: &HashMap<String, usize>) -> Result<Option<usize>> {
    let Some(error) = &execution.error else { return Err(nothing_failed()) };
    if let Some(place) = places.get(&error.step) {
        return Ok(Some(*place));
    }
    let failed = entries.iter().rev().find_map(|entry| match &entry.event {
        Event::StepFailed { path, retry_at: None, .. } => places.get(path).copied(),
        _ => None,
    });
    let ended = |path: &str| {
        entries.iter().any(|entry| match &entry.event {
            Event::StepSucceeded { path: p, .. } => p == path,
            Event::StepFailed { path: p, retry_at, .. } => p == path && retry_at.is_none(),
            _ => false,
        })
    };
    let open = places.iter().filter(|(path, _)| !ended(path)).map(|(_, place)| *place).min();
    // Where it was ended from outside, what had failed before was dealt with.
    let from_outside = matches!(error.code, Code::Cancelled | Code::Timeout);
    Ok(if from_outside { open } else { failed.or(open) })
}
