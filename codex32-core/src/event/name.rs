//! Which names and how much data the events of bots and callers may have.

use crate::error::{Code, Error, Result};
use serde_json::Value;

/// Longest name of an event, in bytes.
pub const MAX_NAME: usize = 128;
/// Largest data of a bot's or caller's event, in bytes of JSON.
pub const MAX_DATA: usize = 256 * 1024;

/// First parts of names that only the engine publishes.
const RESERVED: [&str; 6] = ["execution", "bot", "deployment", "incident", "trigger", "system"];

/// Checks an event that a bot or a caller wants to publish.
///
/// ```
/// use codex32_core::event::check_custom;
/// use serde_json::json;
/// assert!(check_custom("order.created", &json!({"id": 7})).is_ok());
/// assert!(check_custom("execution.finished", &json!({})).is_err());
/// ```
///
/// # Errors
/// `invalid` for a name that is malformed or the engine's own, `too_large` for the data.
pub fn check_custom(name: &str, data: &Value) -> Result<()> {
    let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let formed = name.len() <= MAX_NAME
        && name.contains('.')
        && name.split('.').all(|part| !part.is_empty() && part.chars().all(letters));
    if !formed {
        return Err(Error::invalid("the event's name is malformed")
            .hint("use two or more parts of letters, digits, - and _, joined by dots, such as order.created"));
    }
    let first = name.split('.').next().unwrap_or_default();
    if is_reserved(name) {
        return Err(Error::invalid(format!("the event names that begin with \"{first}.\" are the engine's own"))
            .hint("begin the name with a word of your own, such as order.created"));
    }
    let size = data.to_string().len();
    if size > MAX_DATA {
        return Err(Error::new(Code::TooLarge, format!("the event's data has {size} bytes, more than {MAX_DATA}"))
            .hint("store the data elsewhere and publish a reference to it"));
    }
    Ok(())
}

/// Whether only the engine publishes events of this name.
pub(crate) fn is_reserved(name: &str) -> bool {
    name.split('.').next().is_some_and(|first| RESERVED.contains(&first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_of_people_have_a_dot_and_no_prefix_of_the_engine() {
        for good in ["order.created", "a.b.c", "shop-1.order_paid"] {
            assert!(check_custom(good, &json!(null)).is_ok(), "{good}");
        }
        for bad in ["order", ".order", "order.", "a..b", "a b.c", "bot.changed", "incident.opened", "ö.ä", ""] {
            assert!(check_custom(bad, &json!(null)).is_err(), "{bad}");
        }
        assert!(check_custom(&format!("a.{}", "b".repeat(127)), &json!(null)).is_err());
    }

    #[test]
    fn data_has_a_limit() {
        let error = check_custom("a.b", &json!("x".repeat(MAX_DATA))).unwrap_err();
        assert_eq!(error.code(), Code::TooLarge);
    }
}
