//! What the rules of a bot say of one start.

use super::{Pace, Stage};
use crate::clock::Millis;
use serde::{Deserialize, Serialize};

/// What the rules say of one start. `name`s are rows of `flow_slots`: the rule, and behind
/// a colon the key.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Ticket {
    #[serde(skip)]
    pub(crate) idempotency: Option<Remembered>,
    #[serde(skip)]
    pub(crate) rate: Option<Paced>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) gather: Option<Gathering>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) singleton: Option<Single>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) throttle: Option<Paced>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) concurrency: Option<Room>,
    /// The higher goes first.
    pub(crate) priority: i32,
    /// How long after its start it must have begun, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) start_within: Option<Millis>,
}

/// `idempotency`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remembered {
    pub(crate) name: String,
    /// In milliseconds.
    pub(crate) window: Millis,
}

/// `rate` or `throttle`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Paced {
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) pace: Pace,
}

/// `debounce` or `batch`, times in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Gathering {
    /// The last start counts.
    Last { name: String, wait: Millis, at_most: Option<Millis> },
    /// All of them.
    All { name: String, size: i64, wait: Millis },
}

impl Gathering {
    pub(crate) fn name(&self) -> &str {
        match self {
            Gathering::Last { name, .. } | Gathering::All { name, .. } => name,
        }
    }
}

/// `singleton`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Single {
    pub(crate) name: String,
    /// Whether a start cancels the older one.
    pub(crate) cancel: bool,
}

/// `concurrency`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Room {
    pub(crate) name: String,
    pub(crate) limit: i64,
}

impl Ticket {
    /// The rows that it looks at.
    pub(crate) fn names(&self) -> Vec<String> {
        let Ticket { idempotency, rate, gather, singleton, throttle, concurrency, .. } = self;
        let names = [
            idempotency.as_ref().map(|rule| &*rule.name),
            rate.as_ref().map(|rule| &*rule.name),
            gather.as_ref().map(Gathering::name),
            singleton.as_ref().map(|rule| &*rule.name),
            throttle.as_ref().map(|rule| &*rule.name),
            concurrency.as_ref().map(|rule| &*rule.name),
        ];
        names.into_iter().flatten().map(str::to_owned).collect()
    }

    /// For an execution that takes up another again: it is wanted, and what it is given is
    /// what the other was given.
    pub(crate) fn again(self) -> Ticket {
        Ticket { idempotency: None, rate: None, gather: None, ..self }
    }

    /// The rows that an execution at `stage` holds a place of.
    pub(crate) fn held(&self, stage: Stage) -> Vec<String> {
        let singleton = self.singleton.as_ref().filter(|_| stage > Stage::Singleton).map(|rule| &rule.name);
        let concurrency = self.concurrency.as_ref().filter(|_| stage > Stage::Concurrency).map(|rule| &rule.name);
        singleton.into_iter().chain(concurrency).cloned().collect()
    }
}
