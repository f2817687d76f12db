//! The block `flow`: how many executions go at a time, and when.

use super::Reader;
use super::expressions::Place;
use super::fields::Fields;
use crate::blueprint::flow::{Concurrency, Debounce, Flow, Gather, Idempotency, OnConflict, Pace, Singleton};
use crate::blueprint::tree::Node;
use crate::blueprint::types::{Span, Step, StepKind};
use serde_json::{Value, json};

/// Keys of `flow` in their canonical order.
const KEYS: &[&str] =
    &["concurrency", "rate", "throttle", "debounce", "batch", "priority", "singleton", "idempotency", "start_within"];

/// Most executions at a time, and in a time.
const MAX_LIMIT: u32 = 1_000_000;
/// Most starts that become one execution.
const MAX_BATCH: u32 = 1_000;
/// Longest time of a rule: what it remembers is kept for so long.
const MAX_TIME: Span = Span(366 * 86_400_000);

/// Rules that cannot stand together, and why.
const APART: &[(&str, &str, &str)] = &[
    ("debounce", "batch", "one keeps the last of several starts, the other all of them"),
    (
        "debounce",
        "singleton",
        "a debounce has one of its key waiting already; `concurrency: {limit: 1}` keeps two from going at once",
    ),
    (
        "batch",
        "singleton",
        "a batch that is skipped or cancelled would lose all that was gathered; use `concurrency: {limit: 1}`",
    ),
];

impl Reader {
    /// `flow`.
    pub(super) fn flow(&mut self, node: &Node) -> Flow {
        let mut flow = Flow::default();
        let Some(fields) = self.fields(node, "`flow`", KEYS) else { return flow };
        flow.concurrency = fields.get("concurrency").and_then(|n| self.concurrency(n));
        flow.rate = fields.get("rate").and_then(|n| self.pace(n, "`rate`"));
        flow.throttle = fields.get("throttle").and_then(|n| self.pace(n, "`throttle`"));
        flow.debounce = fields.get("debounce").and_then(|n| self.debounce(n));
        flow.batch = fields.get("batch").and_then(|n| self.batch(n));
        flow.priority = fields.get("priority").and_then(|n| self.condition(n, &Place::FLOW));
        flow.singleton = fields.get("singleton").and_then(|n| self.singleton(n));
        flow.idempotency = fields.get("idempotency").and_then(|n| self.idempotency(n));
        flow.start_within = fields.get("start_within").and_then(|n| self.time(n));
        for (one, other, why) in APART {
            if let (Some(_), Some((_, node))) = (fields.get(one), fields.entry(other)) {
                self.error(node, format!("`{other}` cannot stand beside `{one}`"), Some((*why).to_owned()));
            }
        }
        flow
    }

    fn concurrency(&mut self, node: &Node) -> Option<Concurrency> {
        let fields = self.fields(node, "`concurrency`", &["limit", "key"])?;
        let limit = self.needed(node, fields, "limit", "limit: 5")?;
        let limit = self.count(limit, 1, MAX_LIMIT);
        let key = self.key(fields);
        Some(Concurrency { limit: limit?, key })
    }

    fn pace(&mut self, node: &Node, what: &'static str) -> Option<Pace> {
        let fields = self.fields(node, what, &["limit", "per", "key"])?;
        let limit = self.needed(node, fields, "limit", "limit: 100");
        let limit = limit.and_then(|n| self.count(n, 1, MAX_LIMIT));
        let per = self.needed(node, fields, "per", "per: 1m").and_then(|n| self.time(n));
        let key = self.key(fields);
        Some(Pace { limit: limit?, per: per?, key })
    }

    fn debounce(&mut self, node: &Node) -> Option<Debounce> {
        let fields = self.fields(node, "`debounce`", &["wait", "at_most", "key"])?;
        let wait = self.needed(node, fields, "wait", "wait: 10s").and_then(|n| self.time(n));
        let at_most = fields.get("at_most").and_then(|n| Some((n, self.time(n)?)));
        if let (Some(wait), Some((node, at_most))) = (wait, at_most)
            && at_most < wait
        {
            self.error(node, "`at_most` is shorter than `wait`", Some("leave it out, or make it longer".to_owned()));
        }
        let key = self.key(fields);
        Some(Debounce { wait: wait?, at_most: at_most.map(|(_, span)| span), key })
    }

    fn batch(&mut self, node: &Node) -> Option<Gather> {
        let fields = self.fields(node, "`batch`", &["size", "wait", "key"])?;
        let size = self.needed(node, fields, "size", "size: 100").and_then(|n| self.count(n, 1, MAX_BATCH));
        let wait = self.needed(node, fields, "wait", "wait: 30s").and_then(|n| self.time(n));
        let key = self.key(fields);
        Some(Gather { size: size?, wait: wait?, key })
    }

    fn singleton(&mut self, node: &Node) -> Option<Singleton> {
        let fields = self.fields(node, "`singleton`", &["key", "on_conflict"])?;
        let key = self.key(fields);
        let choices = [("skip", OnConflict::Skip), ("cancel", OnConflict::Cancel)];
        let on_conflict = fields.get("on_conflict").and_then(|n| self.choice(n, &choices)).unwrap_or_default();
        Some(Singleton { key, on_conflict })
    }

    fn idempotency(&mut self, node: &Node) -> Option<Idempotency> {
        let fields = self.fields(node, "`idempotency`", &["key", "window"])?;
        let key = self.needed(node, fields, "key", "key: input.order");
        let key = key.and_then(|n| self.condition(n, &Place::FLOW));
        let window = self.needed(node, fields, "window", "window: 24h").and_then(|n| self.time(n));
        Some(Idempotency { key: key?, window: window? })
    }

    fn key(&mut self, fields: Fields<'_>) -> Option<String> {
        fields.get("key").and_then(|n| self.condition(n, &Place::FLOW))
    }

    /// A length of time that a rule can have.
    fn time(&mut self, node: &Node) -> Option<Span> {
        let span = self.positive_span(node)?;
        if span > MAX_TIME {
            self.error(node, "the time must be at most 366 days", None);
            return None;
        }
        Some(span)
    }

    /// A field that must be there.
    fn needed<'n>(&mut self, node: &Node, fields: Fields<'n>, key: &str, example: &str) -> Option<&'n Node> {
        let found = fields.get(key);
        if found.is_none() {
            self.error(node, format!("the key `{key}` is missing"), Some(format!("add `{example}`")));
        }
        found
    }

    /// A batch cannot go on as a new execution: what that is given would be no item.
    pub(super) fn batch_ends(&mut self, node: &Node, steps: &[Step]) {
        if continues(steps) {
            let hint = "let another bot go on: `call: other` with `wait: false`".to_owned();
            self.error(node, "a bot with a `batch` has no step `continue`", Some(hint));
        }
    }
}

fn continues(steps: &[Step]) -> bool {
    steps.iter().any(|step| match &step.kind {
        StepKind::Continue { .. } => true,
        StepKind::If { then, otherwise, .. } => continues(then) || continues(otherwise),
        StepKind::Switch { cases, default, .. } => {
            cases.iter().any(|case| continues(&case.steps)) || continues(default)
        }
        // The others cannot hold one.
        _ => false,
    })
}

/// What the steps of a bot with a `batch` are given, where `inputs` says what each start is.
pub(super) fn gathered(item: Option<Value>) -> Value {
    json!({
        "type": "object", "required": ["items"], "additionalProperties": false,
        "properties": {"items": {"type": "array", "items": item.unwrap_or_else(|| json!({"type": "object"}))}},
    })
}
