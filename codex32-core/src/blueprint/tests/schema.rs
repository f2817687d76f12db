//! The published schema: current, valid, and in agreement with the parser.

use serde_json::Value;

use crate::blueprint::json_schema;

#[test]
fn the_published_schema_is_current() {
    let current = serde_json::to_string_pretty(&json_schema()).unwrap() + "\n";
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/blueprint.schema.json");
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(published == current, "{} is stale: run this test with UPDATE_GENERATED=1", path.display());
}

#[test]
fn every_part_is_described() {
    fn undescribed(schema: &Value, path: &str, found: &mut Vec<String>) {
        for (name, inner) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let path = format!("{path}.{name}");
            if inner.get("description").is_none() && inner.get("$ref").is_none() && inner.get("enum").is_none() {
                found.push(path.clone());
            }
            undescribed(inner, &path, found);
        }
        for key in ["oneOf", "anyOf"] {
            for inner in schema.get(key).and_then(Value::as_array).into_iter().flatten() {
                undescribed(inner, path, found);
            }
        }
    }
    let schema = json_schema();
    let mut found = Vec::new();
    undescribed(&schema, "", &mut found);
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        undescribed(definition, name, &mut found);
    }
    // `inputs.type` is JSON Schema's own; the rounds of a webhook explain themselves.
    found.retain(|path| path != ".inputs.type");
    assert!(found.is_empty(), "{found:?}");
}

/// The crate that judges by a schema is only there in the engine.
#[cfg(feature = "engine")]
mod judged {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use serde_json::json;

    use super::Value;
    use crate::blueprint::tests::arbitrary::blueprint;
    use crate::blueprint::{from_json, json_schema, to_json};

    static VALIDATOR: LazyLock<jsonschema::Validator> =
        LazyLock::new(|| jsonschema::draft202012::new(&json_schema()).unwrap());

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_schema_accepts_what_the_parser_accepts(b in blueprint()) {
            let json = to_json(&b);
            let errors: Vec<String> =
                VALIDATOR.iter_errors(&json).map(|e| format!("{}: {e}", e.instance_path())).collect();
            prop_assert!(errors.is_empty(), "{:?}\n{}", errors, json);
        }
    }

    #[test]
    fn the_schema_refuses_common_mistakes() {
        let with = |steps: Value| json!({"codex32": "v1", "name": "x", "steps": steps});
        assert!(VALIDATOR.is_valid(&with(json!([{"wait": "1s"}]))));
        for wrong in [
            json!({}),
            json!({"codex32": "v2", "name": "x", "steps": [{"wait": "1s"}]}),
            json!({"codex32": "v1", "name": "X!", "steps": [{"wait": "1s"}]}),
            with(json!([])),
            with(json!([{"use": "http.get", "run": "python", "code": "x"}])),
            with(json!([{"use": "http.get", "wiht": {}}])),
            with(json!([{"run": "python"}])),
            with(json!([{"run": "python", "code": "x", "file": "y"}])),
            with(json!([{"if": "true"}])),
            with(json!([{"wait": 5}])),
            with(json!([{"try": [{"wait": "1s"}]}])),
            with(json!([{"use": "http.get", "retry": 0}])),
            with(json!([{"use": "http.get", "undo": {"with": {}}}])),
            with(json!([{"use": "http.get", "undo": {"use": "http.delete", "id": "x"}}])),
            with(json!([{"wait": "1s", "undo": {"use": "http.delete"}}])),
            with(json!([{"wait": {"approval": "ok?", "on_timeout": "maybe", "timeout": "1d"}}])),
            with(json!([{"wait": {"approval": "ok?", "escalate": [{"after": "1h"}]}}])),
            with(json!([{"wait": {"signal": ""}}])),
            with(json!([{"continue": 5}])),
            json!({"codex32": "v1", "name": "x"}),
            json!({"codex32": "v1", "name": "x", "native": "f", "steps": [{"wait": "1s"}]}),
            json!({"codex32": "v1", "name": "x", "native": "f", "output": 1}),
            json!({"codex32": "v1", "name": "x", "native": {"revision": "2"}}),
            json!({"codex32": "v1", "name": "x", "native": {"function": "f", "revision": "A B"}}),
        ] {
            assert!(!VALIDATOR.is_valid(&wrong), "{wrong}");
            assert!(from_json(&wrong).is_err(), "{wrong}");
        }
    }
}
