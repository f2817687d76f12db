//! The block `flow` in the published schema.

use super::{described, object, reference};
use serde_json::{Value, json};

pub(super) fn flow() -> Value {
    object(
        "How many executions go at a time, and when they begin. Keys are CEL over `input` and `trigger`.",
        &[],
        json!({
            "concurrency": object("How many go at the same time; the others are held.", &["limit"], json!({
                "limit": limit("At the same time."),
                "key": key("Counted for each value by itself."),
            })),
            "rate": pace("How many may be started in a time; the others are refused."),
            "throttle": pace("How many begin in a time; the others wait their turn."),
            "debounce": object("Of starts that follow closely only the last counts.", &["wait"], json!({
                "wait": described(reference("span"), "It begins when no other start came for so long."),
                "at_most": described(reference("span"), "It begins at the latest so long after the first start."),
                "key": key("Starts of one value follow each other."),
            })),
            "batch": object(
                "Starts are gathered into one execution, whose input is `{items: [...]}`.",
                &["size", "wait"],
                json!({
                    "size": {"description": "It begins with so many.", "type": "integer", "minimum": 1, "maximum": 1000},
                    "wait": described(reference("span"), "It begins at the latest so long after the first."),
                    "key": key("Starts of one value are gathered together."),
                }),
            ),
            "priority": key("A number, -1000 to 1000: the higher goes first."),
            "singleton": object("At most one execution that is not over.", &[], json!({
                "key": key("At most one for each value."),
                "on_conflict": {
                    "description": "What a start does while there is one: nothing, or cancel the older.",
                    "enum": ["skip", "cancel"], "default": "skip"
                },
            })),
            "idempotency": object("The same start twice within a time is one.", &["key", "window"], json!({
                "key": key("What makes two starts the same."),
                "window": described(reference("span"), "How long others of the key give the first execution."),
            })),
            "start_within": described(reference("span"), "What has not begun by then is cancelled."),
        }),
    )
}

fn pace(description: &str) -> Value {
    object(
        description,
        &["limit", "per"],
        json!({
            "limit": limit("At most so many in the time."),
            "per": described(reference("span"), "The time."),
            "key": key("Counted for each value by itself."),
        }),
    )
}

fn limit(description: &str) -> Value {
    json!({"description": description, "type": "integer", "minimum": 1, "maximum": 1_000_000})
}

fn key(description: &str) -> Value {
    described(reference("cel"), description)
}
