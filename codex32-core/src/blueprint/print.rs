//! Canonical YAML of a blueprint.

use serde_json::{Map, Value};

use super::types::Blueprint;
use super::write::to_json;
use super::yaml::resolve;

/// Longest list or map that is written on one line, in characters.
const MAX_INLINE: usize = 76;

/// The canonical YAML of a blueprint. Comments and layout of a text it came from are lost.
#[must_use]
pub fn print(blueprint: &Blueprint) -> String {
    let mut out = String::new();
    if let Value::Object(fields) = to_json(blueprint) {
        for (key, value) in &fields {
            // The long parts stand apart from each other.
            if matches!(key.as_str(), "on" | "inputs" | "permissions" | "steps" | "output") && !out.is_empty() {
                out.push('\n');
            }
            entry(&mut out, key, value, 0);
        }
    }
    out
}

/// `key: value` and the end of the line.
fn entry(out: &mut String, key: &str, value: &Value, indent: usize) {
    out.push_str(&scalar_text(key, false));
    out.push(':');
    let must_stay_open = matches!(key, "steps" | "then" | "else" | "cases" | "default" | "try" | "catch" | "finally")
        || (key == "on" && indent == 0);
    match value {
        Value::Object(fields) if !fields.is_empty() => match inline(value, indent + key.len()) {
            Some(flow) if indent > 0 => line(out, &flow),
            _ => {
                out.push('\n');
                block_map(out, fields, indent + 2);
            }
        },
        Value::Array(items) if !items.is_empty() => match inline(value, indent + key.len()) {
            Some(flow) if !must_stay_open => line(out, &flow),
            _ => {
                out.push('\n');
                block_list(out, items, indent + 2);
            }
        },
        Value::String(text) => text_value(out, text, indent + 2),
        other => line(out, &flow_text(other)),
    }
}

fn line(out: &mut String, text: &str) {
    out.push(' ');
    out.push_str(text);
    out.push('\n');
}

fn block_map(out: &mut String, fields: &Map<String, Value>, indent: usize) {
    for (key, value) in fields {
        out.push_str(&" ".repeat(indent));
        entry(out, key, value, indent);
    }
}

fn block_list(out: &mut String, items: &[Value], indent: usize) {
    for item in items {
        out.push_str(&" ".repeat(indent));
        out.push('-');
        match item {
            Value::Object(fields) if !fields.is_empty() => {
                for (index, (key, value)) in fields.iter().enumerate() {
                    out.push_str(if index == 0 { " " } else { "" });
                    if index > 0 {
                        out.push_str(&" ".repeat(indent + 2));
                    }
                    entry(out, key, value, indent + 2);
                }
            }
            Value::Array(inner) if !inner.is_empty() => match inline(item, indent) {
                Some(flow) => line(out, &flow),
                None => {
                    out.push('\n');
                    block_list(out, inner, indent + 2);
                }
            },
            Value::String(text) => text_value(out, text, indent + 2),
            other => line(out, &flow_text(other)),
        }
    }
}

/// A text after `key:` or `-`: plain, quoted or as a block below.
fn text_value(out: &mut String, text: &str, indent: usize) {
    if !can_be_block(text) {
        return line(out, &scalar_text(text, false));
    }
    let body = text.trim_end_matches('\n');
    out.push_str(if body.len() == text.len() { " |-\n" } else { " |\n" });
    for row in body.split('\n') {
        if !row.is_empty() {
            out.push_str(&" ".repeat(indent));
            out.push_str(row);
        }
        out.push('\n');
    }
}

/// Whether a text reads well, and safely, as a literal block.
fn can_be_block(text: &str) -> bool {
    let body = text.trim_end_matches('\n');
    let odd_row = |row: &str| row.starts_with('\t') || (!row.is_empty() && row.trim().is_empty());
    let first = body.split('\n').next().unwrap_or("");
    // An empty line between sections would become part of a text that keeps its last lines.
    text.contains('\n')
        && !text.ends_with("\n\n")
        && !first.is_empty()
        && !first.starts_with(' ')
        && !body.split('\n').any(odd_row)
        && text.chars().all(|c| c == '\n' || c == '\t' || is_printable(c))
}

/// A list of scalars, or a small map of such and of scalars, on one line, if it fits.
fn inline(value: &Value, indent: usize) -> Option<String> {
    let scalar = |v: &Value| match v {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::String(text) => !text.contains('\n'),
        _ => true,
    };
    let flat = |v: &Value| v.as_array().map_or(scalar(v), |items| items.iter().all(scalar));
    let simple = match value {
        Value::Object(fields) => fields.len() <= 6 && fields.values().all(flat),
        other => flat(other),
    };
    if !simple {
        return None;
    }
    let flow = flow_text(value);
    (flow.chars().count() + indent <= MAX_INLINE).then_some(flow)
}

fn flow_text(value: &Value) -> String {
    match value {
        Value::String(text) => scalar_text(text, true),
        Value::Array(items) => format!("[{}]", items.iter().map(flow_text).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let entries = fields.iter().map(|(k, v)| format!("{}: {}", scalar_text(k, true), flow_text(v)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// A text on one line: plain where nothing can be mistaken, else in double quotes.
fn scalar_text(text: &str, in_flow: bool) -> String {
    if is_plain(text, in_flow) { text.to_owned() } else { quoted(text) }
}

fn is_plain(text: &str, in_flow: bool) -> bool {
    let first_is_fine =
        text.chars().next().is_some_and(|c| c.is_alphanumeric() || matches!(c, '/' | '_' | '.' | '(' | '$'));
    let indicator = |c: char| matches!(c, ',' | '[' | ']' | '{' | '}');
    first_is_fine
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && !(in_flow && (text.chars().any(indicator) || text.contains(':')))
        && text.chars().all(|c| is_printable(c) && c != '\t')
        && resolve(text).is_none()
        && !is_old_boolean(text)
        && !matches!(text, "..." | "---")
}

/// Words that YAML 1.1 takes for truth values; other tools may too.
fn is_old_boolean(text: &str) -> bool {
    // `on` is a key of the format itself.
    matches!(text.to_ascii_lowercase().as_str(), "yes" | "no" | "off" | "y" | "n")
}

fn is_printable(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_printable(c) => out.push(c),
            c if (c as u32) < 0x100 => out.push_str(&format!("\\x{:02x}", c as u32)),
            c if (c as u32) < 0x1_0000 => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push_str(&format!("\\U{:08x}", c as u32)),
        }
    }
    out.push('"');
    out
}
