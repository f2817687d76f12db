//! The published JSON Schema of the format, for completion and checks in editors.
//!
//! It says what shape a blueprint has. What it cannot say (whether a step that
//! is referred to exists, whether an action takes an input) the parser and
//! [`validate`](super::validate) say.

mod flow;
mod steps;

use super::read::MAX_KEPT;
use serde_json::{Map, Value, json};

/// The JSON Schema (draft 2020-12) of the YAML format. A copy stands in
/// `docs/reference/blueprint.schema.json`.
#[must_use]
pub fn json_schema() -> Value {
    let mut schema = object("A bot: what starts it and what it does.", &["codex32", "name"], header());
    if let Value::Object(fields) = &mut schema {
        // A native function's output is what it returns.
        let native = json!({"required": ["native"], "not": {"required": ["output"]}});
        fields.insert("oneOf".to_owned(), json!([{"required": ["steps"]}, native]));
        let mut root = Map::new();
        root.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
        root.insert("$id".to_owned(), "https://codex-32.github.io/codex32/blueprint.schema.json".into());
        root.insert("title".to_owned(), "Codex-32 blueprint, version 1".into());
        root.append(fields);
        root.insert("$defs".to_owned(), definitions());
        *fields = root;
    }
    schema
}

fn header() -> Value {
    json!({
        "codex32": {"description": "Version of the format.", "const": "v1"},
        "name": described(reference("bot_name"), "Name of the bot."),
        "description": {"description": "What the bot is for, in a sentence.", "type": ["string", "null"]},
        "on": {
            "description": "What starts it. A bot can always be started by hand too.",
            "anyOf": [
                {"type": "array", "items": reference("trigger"), "maxItems": 100},
                reference("trigger"),
                {"type": "null"}
            ]
        },
        "inputs": {
            "description": "JSON Schema (draft 2020-12) of the input, an object.",
            "type": ["object", "null"],
            "properties": {"type": {"const": "object"}}
        },
        "permissions": permissions(),
        "dependencies": object("Packages that its scripts need, with their exact versions.", &[], json!({
            "pip": texts("Python packages: `name==version`.", json!(["requests==2.32.0"])),
            "npm": texts("Node packages: `name@version`.", json!(["left-pad@1.3.0"])),
        })),
        "limits": object("Limits of each script that it runs.", &[], json!({
            "memory": described(reference("size"), "Memory."),
            "cpu": described(reference("span"), "Processor time."),
            "processes": {"description": "Processes and threads.", "type": "integer", "minimum": 1, "maximum": 4096},
            "output": described(reference("size"), "Output kept, stdout and stderr together."),
        })),
        "runs_on": {
            "description": "Labels that a worker must have to execute it.",
            "anyOf": [
                {"type": "array", "items": reference("label"), "maxItems": 8, "uniqueItems": true},
                reference("label"),
                {"type": "null"}
            ],
            "examples": [["gpu"]]
        },
        "flow": flow::flow(),
        "timeout": described(reference("span"), "Longest time for a whole execution; waiting counts."),
        "retention": object("How long its finished executions are kept; by default as the engine is set up.", &[], json!({
            "age": described(reference("span"), "Those that ended longer ago are removed."),
            "count": {
                "description": "Of the latest executions, those beyond this number are removed.",
                "type": "integer", "minimum": 1, "maximum": MAX_KEPT
            },
            "archive": {
                "description": "Whether what is removed is written to the archive first.",
                "type": "boolean", "default": true
            },
        })),
        "restart": {
            "description": "Whether the supervisor starts it again when it ends.",
            "enum": ["never", "on_failure", "always"], "default": "never"
        },
        "health": object("How the supervisor sees whether it is well.", &[], json!({
            "succeeded_within": described(reference("span"), "It must have succeeded within this time."),
            "failures": {
                "description": "Failures in a row that open an incident.",
                "type": "integer", "minimum": 1, "maximum": 1000, "default": 3
            },
        })),
        "native": {
            "description": "The function of a program that does it, in place of steps.",
            "anyOf": [
                reference("bot_name"),
                object("A function, and the state of its code.", &["function"], json!({
                    "function": described(reference("bot_name"), "The name that it is registered by."),
                    "revision": {
                        "description": "Only a program that has this very revision executes it.",
                        "anyOf": [reference("label"), {"type": "null"}]
                    },
                }))
            ],
            "examples": ["order"]
        },
        "steps": {"description": "What it does, in this order.", "type": "array", "items": reference("step"), "minItems": 1},
        "output": {"description": "Template of the output; by default the output of the last step."},
    })
}

fn permissions() -> Value {
    object(
        "What it may touch. What is not declared is denied.",
        &[],
        json!({
            "network": texts(
                "Hosts: `host`, `host:port` or `*.domain`. A private address must be named literally.",
                json!(["api.example.com"]),
            ),
            "secrets": texts("Names of secrets that `with` and `env` may read as `secrets.NAME`.", json!(["api_key"])),
            "files": {
                "description": "Absolute folders or files that it may read and write.",
                "type": ["array", "null"], "items": {"type": "string", "pattern": "^/"}
            },
        }),
    )
}

fn definitions() -> Value {
    let mut definitions = json!({
        "bot_name": {"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"},
        "id": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,63}$"},
        "label": {"type": "string", "pattern": "^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$"},
        "span": {
            "type": "string", "description": "A length of time.",
            "pattern": "^\\s*([0-9]+\\s*(ms|s|m|h|d|w)\\s*)+$", "examples": ["250ms", "30s", "5m", "1h30m", "2d"]
        },
        "size": {
            "type": "string", "description": "A number of bytes.",
            "pattern": "^\\s*[0-9]+\\s*([KMGTkmgt][iI]?)?[Bb]\\s*$", "examples": ["512KiB", "256MiB", "1GiB"]
        },
        "cel": {
            "description": "A CEL expression, without braces.",
            "type": ["string", "boolean", "number"], "examples": ["steps.price.body.usd < 50000"]
        },
        "input": {
            "description": "A map of inputs. Texts may hold templates: `{{ CEL }}`.",
            "anyOf": [{"type": "object"}, {"type": "string", "pattern": "^\\{\\{[\\s\\S]*\\}\\}$"}, {"type": "null"}]
        },
        "trigger": trigger(),
    });
    if let (Value::Object(all), Value::Object(more)) = (&mut definitions, steps::definitions()) {
        all.extend(more);
    }
    definitions
}

fn trigger() -> Value {
    json!({
        "description": "What starts the bot.",
        "oneOf": [
            {"const": "manual", "description": "By hand."},
            object("By time.", &["schedule"], json!({
                "schedule": {
                    "description": "A phrase or a cron expression of 5 or 6 fields.",
                    "type": "string", "minLength": 1, "examples": ["every 5 minutes", "every weekday at 9am", "0 9 * * 1-5"]
                },
                "timezone": {"description": "IANA time zone.", "type": "string", "examples": ["Europe/Berlin", "UTC"]},
                "missed": {
                    "description": "What to do about runs that were due while the engine was down.",
                    "enum": ["skip", "once", "all"], "default": "once"
                },
                "jitter": described(reference("span"), "Each run is delayed by a random time below this."),
                "input": {"description": "Input of the executions that it starts.", "type": ["object", "null"]},
            })),
            object("By an HTTP request to `/hooks/WORKSPACE/PATH`.", &["webhook"], json!({
                "webhook": {
                    "description": "The path.", "type": "string",
                    "pattern": "^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$", "maxLength": 200
                },
                "method": {"enum": ["GET", "POST", "PUT", "PATCH", "DELETE"], "default": "POST"},
                "secret": {
                    "description": "Name of the secret that signs the body (header `X-Signature-256: sha256=HEX`).",
                    "type": "string"
                },
                "require": texts("Fields that the JSON body must have.", json!(["email"])),
                "respond": {
                    "description": "When the answer is given: at once, or by `webhook.reply` or the output.",
                    "enum": ["accepted", "reply"], "default": "accepted"
                },
            })),
            object("By an event on the workspace's bus.", &["event"], json!({
                "event": {"description": "Its name; a trailing `*` matches any rest.", "type": "string", "minLength": 1},
                "where": described(reference("cel"), "A CEL condition over `event`, its data."),
            })),
            object("By another bot's end.", &["bot"], json!({
                "bot": described(reference("bot_name"), "The other bot, in the same workspace."),
                "when": {"enum": ["succeeded", "failed", "finished"], "default": "succeeded"},
            })),
            object("By news that a connector looks for.", &["use"], json!({
                "use": {"description": "The connector's trigger.", "type": "string", "pattern": "\\.", "examples": ["rss.new_item"]},
                "with": described(reference("input"), "Its settings."),
                "connection": connection(),
                "every": described(reference("span"), "How often to look; every 5 minutes by default."),
            })),
        ]
    })
}

/// The name of a connection.
fn connection() -> Value {
    json!({"description": "Name of the connection; by default the connector's name.", "type": "string", "minLength": 1})
}

/// An object that takes no other keys.
fn object(description: &str, required: &[&str], properties: Value) -> Value {
    json!({
        "description": description, "type": "object", "required": required,
        "additionalProperties": false, "properties": properties
    })
}

fn texts(description: &str, example: Value) -> Value {
    json!({
        "description": description, "type": ["array", "null"],
        "items": {"type": "string", "minLength": 1}, "examples": [example]
    })
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

fn described(mut schema: Value, description: &str) -> Value {
    if let Value::Object(fields) = &mut schema {
        fields.insert("description".to_owned(), description.into());
    }
    schema
}
