//! The block `flow` in words.

use super::{noun, span_words};
use crate::blueprint::flow::{Flow, OnConflict, Pace};

/// The rules of `flow` in plain English, a sentence for each.
#[must_use]
pub fn flow(flow: &Flow) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(rule) = &flow.concurrency {
        let each = each(rule.key.as_deref());
        lines.push(match rule.limit {
            1 => format!("One goes at a time{each}; the others wait."),
            limit => format!("At most {limit} go at the same time{each}; the others wait."),
        });
    }
    if let Some(rule) = &flow.rate {
        lines.push(format!("It is started at most {}; other starts are refused.", pace(rule)));
    }
    if let Some(rule) = &flow.throttle {
        lines.push(format!("It begins at most {}; the others wait their turn.", pace(rule)));
    }
    if let Some(rule) = &flow.debounce {
        let (wait, each) = (span_words(rule.wait), each(rule.key.as_deref()));
        let most = rule.at_most.map(|span| format!(" (at the latest {} after the first)", span_words(span)));
        let most = most.unwrap_or_default();
        lines.push(format!("Of its starts{each} only the last counts, once no other came for {wait}{most}."));
    }
    if let Some(rule) = &flow.batch {
        let (wait, each) = (span_words(rule.wait), each(rule.key.as_deref()));
        lines.push(format!("Up to {} starts within {wait} are one execution{each}.", rule.size));
    }
    if let Some(priority) = &flow.priority {
        lines.push(format!("Those with a higher priority ({}) go first.", noun(priority)));
    }
    if let Some(rule) = &flow.singleton {
        let then = match rule.on_conflict {
            OnConflict::Skip => "a start while there is one is skipped",
            OnConflict::Cancel => "a start cancels the older one",
        };
        lines.push(format!("There is only one at a time{}; {then}.", each(rule.key.as_deref())));
    }
    if let Some(rule) = &flow.idempotency {
        let (window, key) = (span_words(rule.window), noun(&rule.key));
        lines.push(format!("Starts with the same {key} within {window} are one."));
    }
    if let Some(span) = flow.start_within {
        lines.push(format!("What has not begun within {} is cancelled.", span_words(span)));
    }
    lines
}

fn pace(rule: &Pace) -> String {
    format!("{} in {}{}", times(rule.limit), span_words(rule.per), each(rule.key.as_deref()))
}

fn times(limit: u32) -> String {
    if limit == 1 { "once".to_owned() } else { format!("{limit} times") }
}

fn each(key: Option<&str>) -> String {
    key.map(|key| format!(" for each {}", noun(key))).unwrap_or_default()
}
