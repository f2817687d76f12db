//! `csv`: comma-separated tables.

use super::http::plain;
use crate::connector::input::{blocking, no_action, read};
use crate::connector::{ActionContext, Connector};
use crate::error::{Code, Error, Result};
use indexmap::IndexSet;
use serde::Deserialize;
use serde_json::{Map, Value, json};

pub(super) struct Csv;

#[derive(Deserialize)]
struct Parse {
    text: String,
    delimiter: String,
    header: bool,
    trim: bool,
}

#[derive(Deserialize)]
struct Format {
    rows: Vec<Value>,
    columns: Option<Vec<String>>,
    delimiter: String,
    header: bool,
    formulas: bool,
}

#[async_trait::async_trait]
impl Connector for Csv {
    fn name(&self) -> &str {
        "csv"
    }

    async fn call(&self, action: &str, _cx: &ActionContext, input: Value) -> Result<Value> {
        match action {
            "parse" => {
                let input: Parse = read(input)?;
                blocking(move || parse(&input)).await
            }
            "format" => {
                let input: Format = read(input)?;
                blocking(move || format(&input)).await
            }
            _ => Err(no_action("csv", action)),
        }
    }
}

fn delimiter(text: &str) -> Result<u8> {
    match text.as_bytes() {
        [byte] if !matches!(byte, b'"' | b'\n' | b'\r') => Ok(*byte),
        _ => {
            Err(Error::invalid("the delimiter must be one ASCII character")
                .at("/delimiter", "must be one ASCII character"))
        }
    }
}

fn parse(input: &Parse) -> Result<Value> {
    let text = input.text.strip_prefix('\u{feff}').unwrap_or(&input.text);
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter(&input.delimiter)?)
        .has_headers(input.header)
        .flexible(!input.header)
        .trim(if input.trim { csv::Trim::All } else { csv::Trim::None })
        .from_reader(text.as_bytes());
    let columns: Vec<String> = match input.header {
        true => reader.headers().map_err(|e| bad(&e))?.iter().map(str::to_owned).collect(),
        false => Vec::new(),
    };
    let distinct: IndexSet<&String> = columns.iter().collect();
    if distinct.len() < columns.len() {
        return Err(
            Error::new(Code::Failed, "the header names a column twice").hint("set `header: false` to get lists")
        );
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| bad(&e))?;
        let values = record.iter().map(Value::from);
        rows.push(match input.header {
            true => Value::Object(columns.iter().cloned().zip(values).collect::<Map<_, _>>()),
            false => Value::Array(values.collect()),
        });
    }
    Ok(json!({"count": rows.len(), "rows": rows, "columns": columns}))
}

fn bad(e: &csv::Error) -> Error {
    let line = e.position().map_or(0, csv::Position::line);
    let why = match e.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("has {len} fields, the header {expected_len}")
        }
        other => format!("is no CSV: {other:?}"),
    };
    Error::new(Code::Failed, format!("line {line} {why}"))
}

fn format(input: &Format) -> Result<Value> {
    let failed = |e: &dyn std::fmt::Display| Error::internal(format!("CSV cannot be written: {e}"));
    let mut writer =
        csv::WriterBuilder::new().delimiter(delimiter(&input.delimiter)?).flexible(true).from_writer(Vec::new());
    let columns: IndexSet<String> = match &input.columns {
        Some(columns) => columns.iter().cloned().collect(),
        None => input.rows.iter().filter_map(Value::as_object).flat_map(|row| row.keys().cloned()).collect(),
    };
    let cell = |value: &Value| guarded(plain(value), input.formulas || value.is_number());
    if input.header && !columns.is_empty() {
        writer.write_record(columns.iter().map(|c| guarded(c.clone(), input.formulas))).map_err(|e| failed(&e))?;
    }
    for row in &input.rows {
        let cells: Vec<String> = match row {
            Value::Array(cells) => cells.iter().map(cell).collect(),
            row => columns.iter().map(|column| row.get(column).map(cell).unwrap_or_default()).collect(),
        };
        writer.write_record(cells).map_err(|e| failed(&e))?;
    }
    let bytes = writer.into_inner().map_err(|e| failed(&e))?;
    Ok(json!({"text": String::from_utf8(bytes).map_err(|e| failed(&e))?}))
}

/// Spreadsheets run cells that begin like a formula; an apostrophe makes them text.
fn guarded(text: String, as_is: bool) -> String {
    if !as_is && text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err() {
        return format!("'{text}");
    }
    text
}
