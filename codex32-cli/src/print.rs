//! Printing for people: pages as tables, objects as lines.

use chrono::{DateTime, Local};
use codex32_core::api::shape::{Definition, Field, Shape, Shapes, Type};
use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use serde_json::Value;

/// Columns that a table has at most.
const COLUMNS: usize = 7;

/// The result of `shape` as text.
pub(crate) fn result(shapes: &Shapes, shape: &Shape, value: &Value) -> String {
    if let Some((fields, rows)) = rows(shapes, &shape.output, value) {
        return table(shapes, fields, rows);
    }
    match value {
        Value::Object(_) => object(value, 0),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// One item of a stream as a line.
pub(crate) fn item(value: &Value) -> String {
    let Some(object) = value.as_object() else { return value.to_string() };
    let parts: Vec<String> = object
        .iter()
        .filter(|(_, v)| !v.is_null())
        .map(|(name, v)| match name.as_str() {
            "at" => v.as_i64().map_or_else(|| v.to_string(), clock_time),
            _ => scalar(name, v),
        })
        .collect();
    parts.join("  ")
}

/// The rows of a page or of the only list in an object, with their type.
fn rows<'a>(shapes: &'a Shapes, ty: &Type, value: &'a Value) -> Option<(&'a [Field], &'a [Value])> {
    let Type::Ref(name) = ty else { return None };
    let Some(Definition::Object { fields, .. }) = shapes.definitions.get(name) else { return None };
    let mut lists = fields.iter().filter_map(|field| match &field.ty {
        Type::List(item) => match &**item {
            Type::Ref(item) => Some((field, item)),
            _ => None,
        },
        _ => None,
    });
    let (list, item) = lists.next()?;
    if list.name != "items" || lists.next().is_some() {
        return None;
    }
    let Some(Definition::Object { fields, .. }) = shapes.definitions.get(item) else { return None };
    Some((fields, value.get(&list.name)?.as_array()?))
}

fn table(shapes: &Shapes, fields: &[Field], rows: &[Value]) -> String {
    let short = |field: &&Field| match &field.ty {
        Type::String | Type::Integer | Type::Number | Type::Boolean => true,
        Type::Ref(name) => matches!(shapes.definitions.get(name), Some(Definition::Enumeration { .. })),
        _ => false,
    };
    // A column in which no row says anything to a person is left out. The row's own id
    // comes last, since commands take it; people read names.
    let says = |field: &&Field| {
        let mut values = rows.iter().filter_map(|row| row.get(&field.name)).filter(|value| !value.is_null()).peekable();
        values.peek().is_some() && (field.name == "id" || !values.all(is_id))
    };
    let mut columns: Vec<&Field> = fields.iter().filter(short).filter(says).collect();
    columns.sort_by_key(|field| field.name == "id");
    columns.truncate(COLUMNS);
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(columns.iter().map(|field| field.name.to_uppercase().replace('_', " ")));
    for row in rows {
        table.add_row(
            columns.iter().map(|field| row.get(&field.name).map_or_else(String::new, |v| scalar(&field.name, v))),
        );
    }
    if rows.is_empty() { "nothing here yet".to_owned() } else { table.trim_fmt() }
}

fn object(value: &Value, depth: usize) -> String {
    let Some(fields) = value.as_object() else { return value.to_string() };
    let pad = "  ".repeat(depth);
    let mut lines = Vec::new();
    for (name, value) in fields.iter().filter(|(_, v)| !v.is_null()) {
        let title = name.replace('_', " ");
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                lines.push(format!("{pad}{title}:\n{}", object(value, depth + 1)))
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                lines.push(format!("{pad}{title}:"));
                lines.extend(items.iter().map(|item| format!("{pad}  - {}", item_line(item))));
            }
            Value::String(text) if text.contains('\n') => {
                lines.push(format!("{pad}{title}:"));
                lines.extend(text.lines().map(|line| format!("{pad}  {line}")));
            }
            value => lines.push(format!("{pad}{title}: {}", scalar(name, value))),
        }
    }
    lines.join("\n")
}

fn item_line(value: &Value) -> String {
    let Some(fields) = value.as_object() else { return value.to_string() };
    fields
        .iter()
        .filter(|(n, v)| !v.is_null() && (*n == "id" || !is_id(v)))
        .map(|(n, v)| format!("{n}={}", scalar(n, v)))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Whether a value names something for programs only.
fn is_id(value: &Value) -> bool {
    value.as_str().is_some_and(|text| uuid::Uuid::try_parse(text).is_ok())
}

/// A value in a cell; times (`*_at`, milliseconds) as local time.
pub(crate) fn scalar(name: &str, value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        // Enough of a digest to tell it from others; `--json` has it whole.
        Value::String(text) if name == "digest" => text.chars().take(12).collect(),
        Value::String(text) => text.clone(),
        Value::Number(n) if name.ends_with("_at") || name == "at" || name == "next" || name == "next_due" => {
            n.as_i64().map_or_else(|| n.to_string(), local_time)
        }
        Value::Array(items) => items.iter().map(|v| scalar(name, v)).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// UTC milliseconds as local date and time.
pub(crate) fn local_time(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms)
        .map_or_else(|| ms.to_string(), |t| t.with_timezone(&Local).format("%Y-%m-%d %H:%M:%S").to_string())
}

/// UTC milliseconds as local time of day.
pub(crate) fn clock_time(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms)
        .map_or_else(|| ms.to_string(), |t| t.with_timezone(&Local).format("%H:%M:%S%.3f").to_string())
}
