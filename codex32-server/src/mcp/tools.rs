//! The table as tools.

use codex32_core::api::{Erased, Kind, Meta, Surface, Table};
use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// Most items that a stream gives as a tool.
pub(super) const MOST_ITEMS: usize = 100;
/// Longest time that a stream is followed as a tool.
pub(super) const LONGEST_SECONDS: u64 = 20;
/// How long a tool waits for a further item once it has some.
pub(super) const IDLE_SECONDS: u64 = 2;

/// An operation as a tool.
#[derive(Debug, Clone)]
pub(super) struct Offered {
    pub(super) meta: &'static Meta,
    pub(super) tool: Tool,
}

/// All tools, in the order of the table, and by name.
#[derive(Debug)]
pub(super) struct Tools {
    pub(super) all: Vec<Offered>,
    places: HashMap<String, usize>,
}

impl Tools {
    pub(super) fn of(table: &Table) -> Tools {
        let all: Vec<Offered> = table
            .operations
            .iter()
            .filter(|operation| operation.meta().offered_on(Surface::Mcp))
            .map(|operation| offered(table, *operation))
            .collect();
        let places = all.iter().enumerate().map(|(place, o)| (o.tool.name.to_string(), place)).collect();
        Tools { all, places }
    }

    pub(super) fn find(&self, name: &str) -> Option<&Offered> {
        self.places.get(name).and_then(|place| self.all.get(*place))
    }
}

fn offered(table: &Table, operation: &'static dyn Erased) -> Offered {
    let meta = operation.meta();
    let input = rooted(table.schemas.standalone_input(meta.name).unwrap_or_else(|| json!({})));
    let output = rooted(table.schemas.standalone_output(meta.name).unwrap_or_else(|| json!({})));
    let output = if meta.kind == Kind::Stream { stream_output(output) } else { output };
    let read_only = meta.kind != Kind::Write;
    let annotations = ToolAnnotations::with_title(meta.summary.trim_end_matches('.'))
        .read_only(read_only)
        .destructive(meta.destructive)
        .idempotent(meta.idempotent)
        .open_world(false);
    let tool = Tool::new(meta.name.replace('.', "_"), description(meta), Arc::new(object(input)))
        .with_raw_output_schema(Arc::new(object(output)))
        .with_annotations(annotations);
    Offered { meta, tool }
}

fn description(meta: &Meta) -> String {
    let mut text = meta.summary.to_owned();
    if !meta.description.is_empty() {
        text.push(' ');
        text.push_str(meta.description);
    }
    if meta.kind == Kind::Stream {
        text.push_str(&format!(
            " Gathers up to {MOST_ITEMS} items, for {LONGEST_SECONDS} seconds at most, \
             or until none came for {IDLE_SECONDS} seconds."
        ));
        if let Some(field) = meta.resume {
            text.push_str(&format!(" To go on, call it again with `{field}` set to `resume` of the answer."));
        }
    }
    if let Some(instead) = meta.deprecated {
        text.push_str(&format!(" Deprecated: {instead}"));
    }
    text
}

/// What a stream gives as a tool.
fn stream_output(mut item: Value) -> Value {
    let definitions = item.as_object_mut().and_then(|item| item.remove("$defs"));
    let mut schema = json!({
        "type": "object",
        "required": ["items", "ended"],
        "properties": {
            "items": { "type": "array", "items": item },
            "ended": { "type": "boolean", "description": "Whether the stream has no further items." },
            "resume": { "type": ["string", "integer", "null"], "description": "Where to go on." },
        },
    });
    if let Some(definitions) = definitions {
        schema["$defs"] = definitions;
    }
    schema
}

/// The schema with `type: object` at its root, as the protocol demands: a root that only
/// refers to a definition takes that definition's place.
fn rooted(mut schema: Value) -> Value {
    let target = schema.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix("#/$defs/")).map(str::to_owned);
    if let Some(name) = target
        && let Some(definition) = schema.pointer(&format!("/$defs/{name}")).cloned()
        && let (Some(root), Value::Object(definition)) = (schema.as_object_mut(), definition)
    {
        root.remove("$ref");
        for (key, value) in definition {
            root.entry(key).or_insert(value);
        }
        if !refers(&Value::Object(root.clone()), &format!("#/$defs/{name}"))
            && let Some(Value::Object(definitions)) = root.get_mut("$defs")
        {
            definitions.shift_remove(&name);
        }
    }
    if let Some(root) = schema.as_object_mut() {
        root.entry("type").or_insert_with(|| json!("object"));
        if root.get("$defs").and_then(Value::as_object).is_some_and(serde_json::Map::is_empty) {
            root.shift_remove("$defs");
        }
    }
    schema
}

fn refers(value: &Value, target: &str) -> bool {
    match value {
        Value::Object(object) => object.iter().any(|(k, v)| (k == "$ref" && v == target) || refers(v, target)),
        Value::Array(items) => items.iter().any(|v| refers(v, target)),
        _ => false,
    }
}

fn object(schema: Value) -> JsonObject {
    match schema {
        Value::Object(object) => object,
        _ => JsonObject::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codex32_core::api;

    #[test]
    fn each_operation_is_a_tool_with_object_schemas() {
        let table = api::table().unwrap();
        let tools = Tools::of(table);
        let offered = table.operations.iter().filter(|o| o.meta().offered_on(Surface::Mcp)).count();
        assert_eq!(tools.all.len(), offered);
        for Offered { meta, tool } in &tools.all {
            assert_eq!(tool.name, meta.name.replace('.', "_"));
            assert!(tool.name.len() <= 64 && tool.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'));
            assert_eq!(tools.find(&tool.name).unwrap().meta.name, meta.name, "two tools share a name");
            for schema in [Some(&tool.input_schema), tool.output_schema.as_ref()].into_iter().flatten() {
                assert_eq!(schema.get("type"), Some(&json!("object")), "{}", meta.name);
                assert!(!schema.contains_key("$ref"), "{}", meta.name);
            }
            let annotations = tool.annotations.as_ref().unwrap();
            assert_eq!(annotations.read_only_hint, Some(meta.kind != Kind::Write));
        }
    }

    #[test]
    fn a_definition_that_refers_to_itself_stays() {
        let tree = json!({"$ref": "#/$defs/Tree", "$defs": {"Tree": {
            "type": "object", "properties": {"left": {"$ref": "#/$defs/Tree"}}}}});
        let rooted = rooted(tree);
        assert_eq!(rooted["type"], "object");
        assert!(rooted["$defs"]["Tree"].is_object());
        let flat = super::rooted(json!({"$ref": "#/$defs/A", "$defs": {"A": {"type": "object"}}}));
        assert_eq!(flat, json!({"type": "object"}));
    }
}
