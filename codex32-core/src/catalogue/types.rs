//! Shape of a catalogue entry.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A connector: a named family of actions and triggers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConnectorSpec {
    /// Name in a blueprint: `http`.
    pub name: String,
    /// Name for people: `HTTP`.
    pub title: String,
    /// What it is for, in a sentence.
    pub summary: String,
    /// Other words people use for it, for retrieval.
    #[serde(default)]
    pub synonyms: Vec<String>,
    /// JSON Schema of its connection (credentials and addresses), where it has one.
    /// Fields with `"writeOnly": true` are secret.
    #[serde(default)]
    pub connection: Option<Value>,
    /// Whether its actions also work without a connection, by what stands in their input.
    #[serde(default)]
    pub connection_optional: bool,
    /// What it can do.
    #[serde(default)]
    pub actions: Vec<ActionSpec>,
    /// What it can watch.
    #[serde(default)]
    pub triggers: Vec<TriggerSpec>,
}

impl ConnectorSpec {
    /// Whether it cannot work without a connection: its schema demands something.
    #[must_use]
    pub fn needs_connection(&self) -> bool {
        let demands = |schema: &Value| {
            schema.get("anyOf").is_some()
                || schema.get("required").and_then(Value::as_array).is_some_and(|r| !r.is_empty())
        };
        !self.connection_optional && self.connection.as_ref().is_some_and(demands)
    }

    /// Whether it can use a connection.
    #[must_use]
    pub fn takes_connection(&self) -> bool {
        self.connection.is_some()
    }
}

/// One action of a connector.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActionSpec {
    /// Name after the dot: `get`.
    pub name: String,
    /// Name for people: `Get a page`.
    pub title: String,
    /// What it does, in a sentence.
    pub summary: String,
    /// Other words for it, for retrieval.
    #[serde(default)]
    pub synonyms: Vec<String>,
    /// JSON Schema of its input.
    pub input: Value,
    /// JSON Schema of its output.
    pub output: Value,
    /// A sentence for the read-back, a template over the input: `get {url}`.
    pub phrase: String,
    /// Whether doing it twice equals doing it once.
    #[serde(default)]
    pub idempotent: bool,
    /// An input that works.
    pub example: Value,
}

/// One trigger of a connector: something that it looks for again and again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TriggerSpec {
    /// Name after the dot: `new_item`.
    pub name: String,
    /// Name for people.
    pub title: String,
    /// What it sees, in a sentence.
    pub summary: String,
    /// Other words for it, for retrieval.
    #[serde(default)]
    pub synonyms: Vec<String>,
    /// JSON Schema of its settings.
    pub input: Value,
    /// JSON Schema of each event.
    pub event: Value,
    /// A sentence for the read-back: `a new item appears in {url}`.
    pub phrase: String,
    /// How often to look where the blueprint does not say, in milliseconds.
    pub every_ms: u64,
    /// Settings that work.
    pub example: Value,
}
