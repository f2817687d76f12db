//! A value against the part of JSON Schema that catalogues use.
//!
//! A whole validator would not do: values hold templates, whose results are
//! not known yet, and mistakes need hints. The engine validates the finished
//! input with one before each call.

use serde_json::Value;

use crate::blueprint::diagnostic::Diagnostic;
use crate::blueprint::tree::escape;
use crate::expr::{Template, suggest};

/// Adds to `found` what in `value` does not fit `schema`. `owner` is what the
/// value is for (`http.get`), `pointer` where it stands.
pub(super) fn check(schema: &Value, value: &Value, owner: &str, pointer: &str, found: &mut Vec<Diagnostic>) {
    let schema = match schema {
        Value::Object(schema) => schema,
        Value::Bool(false) => {
            found.push(Diagnostic::error(pointer, format!("`{owner}` does not take this")));
            return;
        }
        _ => return,
    };
    if is_computed(value) {
        return;
    }
    if let Some(types) = schema.get("type").filter(|types| !has_type(types, value)) {
        found.push(wrong_type(types, value, pointer));
        return;
    }
    if !is_template(value) {
        if let Some(choices) = schema.get("enum").and_then(Value::as_array).filter(|c| !c.contains(value)) {
            found.push(not_a_choice(choices, value, pointer));
        }
        if let Some(only) = schema.get("const").filter(|only| *only != value) {
            found.push(Diagnostic::error(pointer, format!("this must be {only}")));
        }
    }
    match value {
        Value::Object(_) => object(schema, value, owner, pointer, found),
        Value::Array(items) => list(schema, items, owner, pointer, found),
        Value::Number(number) => range(schema, number.as_f64().unwrap_or(0.0), pointer, found),
        Value::String(text) if !Template::is_template(text) => self::text(schema, text, pointer, found),
        _ => {}
    }
    combined(schema, value, owner, pointer, found);
}

/// Whether the value comes wholly from an expression: it may be anything.
fn is_computed(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.starts_with("{{") && text.ends_with("}}"))
}

fn is_template(value: &Value) -> bool {
    value.as_str().is_some_and(Template::is_template)
}

fn has_type(types: &Value, value: &Value) -> bool {
    match types {
        Value::String(name) => is_a(name, value),
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(|name| is_a(name, value)),
        _ => true,
    }
}

fn is_a(name: &str, value: &Value) -> bool {
    match name {
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|n| n.fract() == 0.0),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    }
}

fn wrong_type(types: &Value, value: &Value, pointer: &str) -> Diagnostic {
    let names: Vec<&str> = match types {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let wanted: Vec<&str> = names.iter().map(|name| spoken(name)).collect();
    let message = format!("{} is expected here, not {}", wanted.join(" or "), kind(value));
    let diagnostic = Diagnostic::error(pointer, message);
    match value {
        Value::Number(_) | Value::Bool(_) if names.contains(&"string") => {
            diagnostic.hint(format!("put it in quotes: \"{value}\""))
        }
        Value::String(text) if names.contains(&"number") || names.contains(&"integer") => {
            let number = text.trim().parse::<f64>().is_ok();
            if number { diagnostic.hint(format!("write it without quotes: {}", text.trim())) } else { diagnostic }
        }
        Value::String(_) | Value::Number(_) | Value::Object(_) if names == ["array"] => {
            diagnostic.hint("put it into a list: `[…]`")
        }
        _ => diagnostic,
    }
}

fn spoken(name: &str) -> &str {
    match name {
        "string" => "a text",
        "number" => "a number",
        "integer" => "a whole number",
        "boolean" => "`true` or `false`",
        "null" => "nothing",
        "array" => "a list",
        "object" => "a map",
        other => other,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "`true` or `false`",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

fn not_a_choice(choices: &[Value], value: &Value, pointer: &str) -> Diagnostic {
    let shown: Vec<String> =
        choices.iter().map(|c| c.as_str().map_or_else(|| format!("`{c}`"), |s| format!("`{s}`"))).collect();
    let diagnostic = Diagnostic::error(pointer, format!("this must be one of {}", shown.join(", ")));
    let near = value.as_str().and_then(|text| suggest(text, choices.iter().filter_map(Value::as_str)));
    match near {
        Some(near) => diagnostic.hint(format!("did you mean `{near}`?")),
        None => diagnostic,
    }
}

type Schema = serde_json::Map<String, Value>;

fn object(schema: &Schema, value: &Value, owner: &str, pointer: &str, found: &mut Vec<Diagnostic>) {
    let Value::Object(fields) = value else { return };
    let properties = schema.get("properties").and_then(Value::as_object);
    let known = || properties.into_iter().flatten().map(|(name, _)| name.as_str());
    let below = |name: &str| format!("{pointer}/{}", escape(name));
    for name in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            let diagnostic = Diagnostic::error(pointer, format!("`{owner}` needs `{name}`")).on_key();
            let misspelt =
                fields.keys().any(|given| suggest(given, known()) == Some(name) && !known().any(|k| k == given));
            if !misspelt {
                found.push(diagnostic.hint(example(name, properties.and_then(|p| p.get(name)))));
            }
        }
    }
    for (name, value) in fields {
        if let Some(inner) = properties.and_then(|p| p.get(name)) {
            check(inner, value, name, &below(name), found);
            continue;
        }
        match schema.get("additionalProperties") {
            Some(Value::Bool(false)) => {
                let diagnostic = Diagnostic::error(below(name), format!("`{owner}` has no input `{name}`")).on_key();
                let hint = match suggest(name, known()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => match super::listing(&known().collect::<Vec<_>>()) {
                        names if names.is_empty() => "it has no inputs".to_owned(),
                        names => format!("it takes {names}"),
                    },
                };
                found.push(diagnostic.hint(hint));
            }
            Some(inner) => check(inner, value, name, &below(name), found),
            None => {}
        }
    }
    count(schema, "minProperties", "maxProperties", fields.len(), "entries", pointer, found);
}

/// How a missing field could be written.
fn example(name: &str, schema: Option<&Value>) -> String {
    let example = schema.and_then(|s| s.pointer("/examples/0").or_else(|| s.get("default")));
    match example {
        Some(value) => format!("add `{name}: {value}`"),
        None => match schema.and_then(|s| s.get("description")).and_then(Value::as_str) {
            Some(description) => format!("add `{name}`: {}", description.trim_end_matches('.')),
            None => format!("add `{name}: …`"),
        },
    }
}

fn list(schema: &Schema, items: &[Value], owner: &str, pointer: &str, found: &mut Vec<Diagnostic>) {
    if let Some(inner) = schema.get("items") {
        for (index, item) in items.iter().enumerate() {
            check(inner, item, owner, &format!("{pointer}/{index}"), found);
        }
    }
    count(schema, "minItems", "maxItems", items.len(), "items", pointer, found);
}

fn count(schema: &Schema, least: &str, most: &str, n: usize, what: &str, pointer: &str, found: &mut Vec<Diagnostic>) {
    let limit = |key: &str| schema.get(key).and_then(Value::as_u64);
    if limit(least).is_some_and(|least| (n as u64) < least) {
        let least = limit(least).unwrap_or_default();
        found.push(Diagnostic::error(pointer, format!("at least {least} {what} are needed here")));
    }
    if limit(most).is_some_and(|most| (n as u64) > most) {
        let most = limit(most).unwrap_or_default();
        found.push(Diagnostic::error(pointer, format!("at most {most} {what} are possible here")));
    }
}

fn range(schema: &Schema, number: f64, pointer: &str, found: &mut Vec<Diagnostic>) {
    let limit = |key: &str| schema.get(key).and_then(Value::as_f64);
    let too_small = limit("minimum").filter(|least| number < *least);
    let too_great = limit("maximum").filter(|most| number > *most);
    if let Some(least) = too_small {
        found.push(Diagnostic::error(pointer, format!("the number must be at least {least}")));
    }
    if let Some(most) = too_great {
        found.push(Diagnostic::error(pointer, format!("the number must be at most {most}")));
    }
    if limit("exclusiveMinimum").is_some_and(|least| number <= least) {
        found.push(Diagnostic::error(pointer, "the number is too small"));
    }
}

fn text(schema: &Schema, text: &str, pointer: &str, found: &mut Vec<Diagnostic>) {
    let length = text.chars().count();
    if schema.get("minLength").and_then(Value::as_u64).is_some_and(|least| (length as u64) < least) {
        let message = if text.is_empty() { "this must not be empty" } else { "the text is too short" };
        found.push(Diagnostic::error(pointer, message));
        return;
    }
    if schema.get("maxLength").and_then(Value::as_u64).is_some_and(|most| (length as u64) > most) {
        found.push(Diagnostic::error(pointer, "the text is too long"));
    }
    let pattern = schema.get("pattern").and_then(Value::as_str).and_then(|p| regex::Regex::new(p).ok());
    if pattern.is_some_and(|p| !p.is_match(text)) {
        let diagnostic = Diagnostic::error(pointer, "the text is not of the form that is needed here");
        let example = schema.get("examples").and_then(|e| e.get(0));
        found.push(match (example, schema.get("description").and_then(Value::as_str)) {
            (Some(example), _) => diagnostic.hint(format!("for example {example}")),
            (None, Some(description)) => diagnostic.hint(description.to_owned()),
            (None, None) => diagnostic,
        });
    }
}

/// `allOf`, `anyOf`, `oneOf`.
fn combined(schema: &Schema, value: &Value, owner: &str, pointer: &str, found: &mut Vec<Diagnostic>) {
    for inner in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        check(inner, value, owner, pointer, found);
    }
    for key in ["anyOf", "oneOf"] {
        let Some(Value::Array(choices)) = schema.get(key) else { continue };
        let attempts = choices.iter().map(|choice| {
            let mut faults = Vec::new();
            check(choice, value, owner, pointer, &mut faults);
            faults
        });
        // The choice that fits best tells most about what was meant.
        let best = attempts.min_by_key(Vec::len);
        found.extend(best.unwrap_or_default());
    }
}
