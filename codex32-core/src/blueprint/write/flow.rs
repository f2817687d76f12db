//! The block `flow` as JSON.

use super::{Fields, text};
use crate::blueprint::flow::{Flow, OnConflict, Pace};
use serde_json::Value;

pub(super) fn flow(flow: &Flow) -> Value {
    let mut out = Fields::default();
    out.some(
        "concurrency",
        flow.concurrency.as_ref().map(|rule| {
            let mut out = Fields::default();
            out.put("limit", rule.limit);
            out.some("key", rule.key.as_deref());
            out.done()
        }),
    );
    out.some("rate", flow.rate.as_ref().map(pace));
    out.some("throttle", flow.throttle.as_ref().map(pace));
    out.some(
        "debounce",
        flow.debounce.as_ref().map(|rule| {
            let mut out = Fields::default();
            out.put("wait", text(rule.wait));
            out.some("at_most", rule.at_most.map(text));
            out.some("key", rule.key.as_deref());
            out.done()
        }),
    );
    out.some(
        "batch",
        flow.batch.as_ref().map(|rule| {
            let mut out = Fields::default();
            out.put("size", rule.size);
            out.put("wait", text(rule.wait));
            out.some("key", rule.key.as_deref());
            out.done()
        }),
    );
    out.some("priority", flow.priority.as_deref());
    out.some(
        "singleton",
        flow.singleton.as_ref().map(|rule| {
            let mut out = Fields::default();
            out.some("key", rule.key.as_deref());
            if rule.on_conflict == OnConflict::Cancel {
                out.put("on_conflict", "cancel");
            }
            out.done()
        }),
    );
    out.some(
        "idempotency",
        flow.idempotency.as_ref().map(|rule| {
            let mut out = Fields::default();
            out.put("key", rule.key.as_str());
            out.put("window", text(rule.window));
            out.done()
        }),
    );
    out.some("start_within", flow.start_within.map(text));
    out.done()
}

fn pace(rule: &Pace) -> Value {
    let mut out = Fields::default();
    out.put("limit", rule.limit);
    out.put("per", text(rule.per));
    out.some("key", rule.key.as_deref());
    out.done()
}
