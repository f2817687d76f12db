//! The sentence of an action or trigger, filled with its input.

use super::{ActionSpec, TriggerSpec};
use serde_json::Value;

/// Longest text that a value takes up in a phrase, in characters.
const LONGEST: usize = 120;

/// Fills `phrase` with the members of `input`: `{url}` is the member `url`, and a
/// piece in square brackets is left out where a member that it names is missing.
///
/// ```
/// use codex32_core::catalogue::fill;
/// use serde_json::json;
/// assert_eq!(fill("send {text} to Slack[ channel {channel}]", &json!({"text": "hi"})), "send \"hi\" to Slack");
/// assert_eq!(fill("get {url}", &json!({"url": "https://a.example/"})), "get https://a.example/");
/// ```
#[must_use]
pub fn fill(phrase: &str, input: &Value) -> String {
    let mut out = String::new();
    let mut rest = phrase;
    while let Some(open) = rest.find('[') {
        let (plain, tail) = rest.split_at(open);
        out.push_str(&piece(plain, input).0);
        let Some(close) = tail.find(']') else {
            rest = tail;
            break;
        };
        let (text, whole) = piece(&tail[1..close], input);
        if whole {
            out.push_str(&text);
        }
        rest = &tail[close + 1..];
    }
    out.push_str(&piece(rest, input).0);
    out
}

/// A piece without brackets, and whether every member that it names is there.
fn piece(text: &str, input: &Value) -> (String, bool) {
    let (mut out, mut whole, mut rest) = (String::new(), true, text);
    while let Some((before, tail)) = rest.split_once('{') {
        out.push_str(before);
        let Some((name, after)) = tail.split_once('}') else {
            rest = tail;
            break;
        };
        match input.get(name) {
            Some(value) if !value.is_null() => out.push_str(&say(value, name)),
            _ => {
                whole = false;
                out.push_str("...");
            }
        }
        rest = after;
    }
    out.push_str(rest);
    (out, whole)
}

/// A value as people read it. Prose is quoted; addresses, names and numbers are not.
fn say(value: &Value, name: &str) -> String {
    let text = match value {
        Value::String(s) if matches!(name, "text" | "message" | "subject" | "item" | "value") => format!("\"{s}\""),
        Value::String(s) => s.clone(),
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
        }
        // The fields of a row, those that are computed by the names of what they hold.
        Value::Object(fields) if fields.values().any(Value::is_array) && fields.values().all(is_plain) => {
            let said = fields.iter().map(|(name, value)| match self::say(value, name) {
                same if same == *name => same,
                other => format!("{name}: {other}"),
            });
            said.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    };
    if text.chars().count() <= LONGEST {
        return text;
    }
    text.chars().take(LONGEST - 3).chain("...".chars()).collect()
}

/// A value that is said in a word or two.
fn is_plain(value: &Value) -> bool {
    match value {
        Value::Array(items) => !items.is_empty() && items.iter().all(Value::is_string),
        Value::Object(_) => false,
        _ => true,
    }
}

impl ActionSpec {
    /// What it does with `input`, as a piece of a sentence.
    #[must_use]
    pub fn say(&self, input: &Value) -> String {
        fill(&self.phrase, input)
    }
}

impl TriggerSpec {
    /// What it waits for with `input`, as a piece of a sentence.
    #[must_use]
    pub fn say(&self, input: &Value) -> String {
        fill(&self.phrase, input)
    }
}
