//! The part of the schema that describes steps.

use serde_json::{Value, json};

use super::{connection, described, object, reference};
use crate::blueprint::read::REMINDERS;
use crate::error::Code;

/// Definitions of steps and what belongs to them.
pub(super) fn definitions() -> Value {
    json!({
        "step": {
            "description": "One thing that the bot does.",
            "oneOf": [use_step(), run_step(), call_step(), wait_step(), if_step(), switch_step(), foreach_step(),
                      parallel_step(), try_step(), fail_step(), continue_step()]
        },
        "steps": {"type": ["array", "null"], "items": reference("step")},
        "retry": retry(),
        "undo": {
            "description": "How what the step did is taken back when the execution does not succeed; `result` is the step's output.",
            "oneOf": [undoing("use", use_keys()), run_source(undoing("run", run_keys())), undoing("call", call_keys())]
        },
        "ask": object(
            "How people are asked.",
            &["use"],
            json!({
                "use": {"description": "`connector.action`.", "type": "string", "pattern": "\\.", "examples": ["email.send"]},
                "with": described(reference("input"), "Its input; `approval.approve_url` and `approval.decline_url` are in scope."),
                "connection": connection(),
            }),
        ),
    })
}

/// A kind of step: the keys that all have and its own.
fn kind(description: &str, required: &[&str], guarded: bool, own: Value) -> Value {
    let mut properties = json!({
        "id": described(reference("id"), "Its name in expressions: `steps.ID`."),
        "title": {"description": "A title for people.", "type": "string", "minLength": 1},
    });
    if let (Value::Object(all), Value::Object(own)) = (&mut properties, own) {
        if guarded {
            let text = "A CEL condition: where it is false, the step is skipped and its output is null.";
            all.insert("if".to_owned(), described(reference("cel"), text));
        }
        all.extend(own);
    }
    object(description, required, properties)
}

/// As [`kind`], for steps that are tried again, have a time limit and can be undone.
fn work(description: &str, required: &[&str], own: Value) -> Value {
    let mut own = limited(own);
    if let Value::Object(own) = &mut own {
        own.insert("undo".to_owned(), reference("undo"));
    }
    kind(description, required, true, own)
}

/// What undoes a step: its keys are those of such a step, without those that only steps have.
fn undoing(key: &str, own: Value) -> Value {
    object("What undoes the step.", &[key], limited(own))
}

fn limited(mut own: Value) -> Value {
    if let Value::Object(own) = &mut own {
        own.insert("retry".to_owned(), reference("retry"));
        own.insert("timeout".to_owned(), described(reference("span"), "Longest time for one attempt."));
    }
    own
}

fn input() -> Value {
    described(reference("input"), "Its input; texts may hold templates: `{{ CEL }}`.")
}

fn inner(description: &str) -> Value {
    described(reference("steps"), description)
}

fn use_step() -> Value {
    work("Use an action of a connector.", &["use"], use_keys())
}

fn use_keys() -> Value {
    json!({
        "use": {"description": "`connector.action`.", "type": "string", "pattern": "\\.", "examples": ["http.get"]},
        "with": input(),
        "connection": connection(),
    })
}

fn run_step() -> Value {
    run_source(work("Run a script in a process of its own.", &["run"], run_keys()))
}

fn run_keys() -> Value {
    json!({
        "run": {"description": "Its language.", "enum": ["python", "node", "shell"]},
        "code": {"description": "The code.", "type": "string", "minLength": 1},
        "file": {"description": "A file of the version that holds the code.", "type": "string", "examples": ["main.py"]},
        "with": input(),
        "env": {
            "description": "Environment variables; texts may hold templates.", "type": ["object", "null"],
            "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}, "additionalProperties": {"type": "string"}
        },
    })
}

/// Code comes from one of two places.
fn run_source(mut schema: Value) -> Value {
    if let Value::Object(fields) = &mut schema {
        fields.insert("oneOf".to_owned(), json!([{"required": ["code"]}, {"required": ["file"]}]));
    }
    schema
}

fn call_step() -> Value {
    work("Call another bot.", &["call"], call_keys())
}

fn call_keys() -> Value {
    json!({
        "call": described(reference("bot_name"), "The other bot, in the same workspace."),
        "with": input(),
        "wait": {"description": "False: go on without waiting for its end.", "type": "boolean", "default": true},
    })
}

fn wait_step() -> Value {
    let timeout = described(reference("span"), "After this the step fails with `timeout`.");
    kind(
        "Wait, for as long as it takes.",
        &["wait"],
        true,
        json!({
            "wait": {
                "description": "A length of time, or what to wait for.",
                "oneOf": [
                    reference("span"),
                    object("Until a time.", &["until"], json!({
                        "until": described(reference("cel"), "CEL that yields a time or RFC 3339 text."),
                    })),
                    object("For an event.", &["event"], json!({
                        "event": {"description": "Its name.", "type": "string", "minLength": 1},
                        "where": described(reference("cel"), "A CEL condition over `event`, its data."),
                        "timeout": timeout,
                    })),
                    object("For a signal that is sent to the execution.", &["signal"], json!({
                        "signal": {"description": "Its name.", "type": "string", "minLength": 1, "maxLength": 200},
                        "where": described(reference("cel"), "A CEL condition over `signal`, what was sent."),
                        "timeout": timeout,
                    })),
                    approval(),
                ]
            },
        }),
    )
}

fn approval() -> Value {
    object(
        "For an approval.",
        &["approval"],
        json!({
            "approval": {"description": "What is to be approved, a template.", "type": "string", "minLength": 1},
            "ask": reference("ask"),
            "remind": object("How they are asked again while nobody has answered.", &["every"], json!({
                "every": described(reference("span"), "How often."),
                "times": {"description": "At most.", "type": "integer", "minimum": 1, "maximum": 1000, "default": REMINDERS},
                "ask": described(reference("ask"), "How; by default as the first time."),
            })),
            "escalate": {
                "description": "Whom else to ask, and when, in that order; the first answer of anybody counts.",
                "type": ["array", "null"], "maxItems": 20,
                "items": object("Somebody else.", &["after", "ask"], json!({
                    "after": described(reference("span"), "How long after the first question."),
                    "ask": reference("ask"),
                })),
            },
            "timeout": described(reference("span"), "How long to wait for an answer."),
            "on_timeout": {
                "description": "What it comes to then: the step fails with `timeout`, or as if somebody had answered.",
                "enum": ["fail", "approve", "decline"], "default": "fail"
            },
        }),
    )
}

fn if_step() -> Value {
    let mut schema = kind(
        "Do one thing or another.",
        &["if"],
        false,
        json!({
            "if": described(reference("cel"), "A CEL condition."),
            "then": inner("Where it is true."),
            "else": inner("Where it is false."),
        }),
    );
    if let Value::Object(fields) = &mut schema {
        fields.insert("anyOf".to_owned(), json!([{"required": ["then"]}, {"required": ["else"]}]));
    }
    schema
}

fn switch_step() -> Value {
    kind(
        "Choose by a value.",
        &["switch", "cases"],
        true,
        json!({
            "switch": described(reference("cel"), "CEL whose value is compared."),
            "cases": {
                "description": "The first equal case wins.", "type": ["array", "null"],
                "items": object("A case.", &["is"], json!({
                    "is": {"description": "The value to equal."},
                    "steps": inner("What to do then."),
                }))
            },
            "default": inner("Where none is equal."),
        }),
    )
}

fn foreach_step() -> Value {
    kind(
        "Do the same for each item of a list; the output is the list of the rounds' last outputs.",
        &["foreach", "steps"],
        true,
        json!({
            "foreach": described(reference("cel"), "CEL that yields a list."),
            "as": described(reference("id"), "Name of the item in the steps; `item` by default."),
            "concurrency": {"description": "Rounds at a time.", "type": "integer", "minimum": 1, "maximum": 1000, "default": 1},
            "steps": inner("What to do with each; `index` counts from 0."),
        }),
    )
}

fn parallel_step() -> Value {
    kind(
        "Do several things at the same time.",
        &["parallel"],
        true,
        json!({
            "parallel": {
                "description": "Named branches; the output maps each to its last output.",
                "type": "object", "minProperties": 1, "propertyNames": reference("id"),
                "additionalProperties": reference("steps")
            },
        }),
    )
}

fn try_step() -> Value {
    let mut schema = kind(
        "Handle failures.",
        &["try"],
        true,
        json!({
            "try": inner("What may fail."),
            "catch": inner("When it failed; `error` holds code, message and step."),
            "finally": inner("In any case."),
        }),
    );
    if let Value::Object(fields) = &mut schema {
        fields.insert("anyOf".to_owned(), json!([{"required": ["catch"]}, {"required": ["finally"]}]));
    }
    schema
}

fn fail_step() -> Value {
    kind(
        "End with an error.",
        &["fail"],
        true,
        json!({
            "fail": {"description": "The message, a template.", "type": "string", "minLength": 1},
        }),
    )
}

fn continue_step() -> Value {
    kind(
        "End this execution well and go on as a new one of the same bot, so that the journal does not grow for ever.",
        &["continue"],
        true,
        json!({"continue": described(reference("input"), "The input of the new execution.")}),
    )
}

fn retry() -> Value {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let attempts =
        json!({"description": "Attempts in all, the first included.", "type": "integer", "minimum": 1, "maximum": 100});
    json!({
        "description": "What to do when the step fails: how often to try, or how in detail.",
        "oneOf": [
            attempts,
            object("How to try again.", &[], json!({
                "attempts": attempts,
                "backoff": {
                    "description": "How the delay grows.",
                    "enum": ["constant", "linear", "exponential"], "default": "exponential"
                },
                "delay": described(reference("span"), "Delay before the second attempt; 1s by default."),
                "max": described(reference("span"), "Longest delay; 1m by default."),
                "jitter": {
                    "description": "Share of the delay that is random.",
                    "type": "number", "minimum": 0, "maximum": 1, "default": 0.2
                },
                "on": {
                    "description": "Error codes that are worth another attempt; by default those that may pass.",
                    "type": ["array", "null"], "items": {"enum": codes}
                },
            })),
        ]
    })
}
