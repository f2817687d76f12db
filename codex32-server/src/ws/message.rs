//! What is said over the WebSocket.

use crate::problem::{document, status_of};
use codex32_core::error::{Error, Result};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What a client names a call by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(untagged)]
pub(super) enum Id {
    Number(i64),
    Text(String),
}

impl Id {
    pub(super) fn value(&self) -> Value {
        match self {
            Id::Number(number) => json!(number),
            Id::Text(text) => json!(text),
        }
    }
}

/// Longest id, so that answers stay smaller than their queue allows.
const LONGEST_ID: usize = 100;

/// What a client asks.
#[derive(Debug, PartialEq)]
pub(super) enum Ask {
    Token(String),
    Call { id: Id, operation: String, input: Value },
    Cancel(Id),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    token: Option<String>,
    id: Option<Id>,
    op: Option<String>,
    input: Option<Map<String, Value>>,
    #[serde(default)]
    cancel: bool,
}

impl Ask {
    /// Reads a message.
    ///
    /// # Errors
    /// `invalid` saying which forms there are.
    pub(super) fn read(text: &str) -> Result<Ask> {
        let wire: Wire = serde_json::from_str(text).map_err(|e| unreadable(&e.to_string()))?;
        if matches!(&wire.id, Some(Id::Text(text)) if text.len() > LONGEST_ID) {
            return Err(unreadable("the id is too long"));
        }
        match wire {
            Wire { token: Some(token), id: None, op: None, input: None, cancel: false } => Ok(Ask::Token(token)),
            Wire { token: None, id: Some(id), op: Some(operation), input, cancel: false } => {
                Ok(Ask::Call { id, operation, input: Value::Object(input.unwrap_or_default()) })
            }
            Wire { token: None, id: Some(id), op: None, input: None, cancel: true } => Ok(Ask::Cancel(id)),
            _ => Err(unreadable("the fields do not belong together")),
        }
    }
}

fn unreadable(why: &str) -> Error {
    let why: String = why.chars().take(200).collect();
    Error::invalid(format!("the message cannot be read: {why}"))
        .hint("send {\"token\"}, {\"id\", \"op\", \"input\"} or {\"id\", \"cancel\": true}")
}

/// An answer as text.
pub(super) fn answer(id: Option<&Id>, name: &str, value: Value) -> String {
    let mut fields = Map::new();
    if let Some(id) = id {
        fields.insert("id".into(), id.value());
    }
    fields.insert(name.into(), value);
    Value::Object(fields).to_string()
}

/// A failure as text.
pub(super) fn failure(id: Option<&Id>, error: &Error) -> String {
    answer(id, "error", document(error, status_of(error.code()), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_read_and_nothing_between_them() {
        assert_eq!(Ask::read(r#"{"token": "c32_x"}"#).unwrap(), Ask::Token("c32_x".into()));
        assert_eq!(
            Ask::read(r#"{"id": 1, "op": "a.b", "input": {"x": 1}}"#).unwrap(),
            Ask::Call { id: Id::Number(1), operation: "a.b".into(), input: json!({"x": 1}) }
        );
        assert_eq!(Ask::read(r#"{"id": "s", "cancel": true}"#).unwrap(), Ask::Cancel(Id::Text("s".into())));
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"id": 1}"#,
            r#"{"op": "a"}"#,
            r#"{"id": 1, "op": "a", "cancel": true}"#,
            r#"{"id": 1, "op": "a", "input": []}"#,
            r#"{"id": 1.5, "op": "a"}"#,
            r#"{"id": 1, "op": "a", "more": 1}"#,
            r#"{"token": "t", "id": 1, "op": "a"}"#,
        ] {
            assert!(Ask::read(bad).is_err(), "{bad}");
        }
        assert!(Ask::read(&format!(r#"{{"id": "{}", "op": "a"}}"#, "x".repeat(101))).is_err());
    }
}
