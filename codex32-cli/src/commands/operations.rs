//! `codex32 operations`: the table itself.

use crate::output::Output;
use clap::Command;
use codex32_core::api::{schema, table};
use codex32_core::error::Result;
use serde_json::Value;

pub(super) fn command() -> Command {
    Command::new("operations").about("List every operation: name, kind, route, permission, input and output schema.")
}

pub(super) fn run(output: &Output) -> Result<u8> {
    let table = table()?;
    if output.json {
        output.document(&Value::Array(schema::describe(table.operations, &table.schemas)));
        return Ok(0);
    }
    let mut rows = comfy_table::Table::new();
    rows.load_style(comfy_table::presets::NOTHING);
    rows.set_header(["NAME", "KIND", "ROUTE", "PERMISSION", "SUMMARY"]);
    for operation in table.operations {
        let meta = operation.meta();
        let kind = serde_json::to_value(meta.kind).unwrap_or_default();
        rows.add_row([
            meta.name.to_owned(),
            kind.as_str().unwrap_or_default().to_owned(),
            format!("{} /api/v1{}", meta.method.as_str(), meta.path),
            meta.permission.map_or_else(|| "-".to_owned(), |p| p.to_string()),
            meta.summary.to_owned(),
        ]);
    }
    output.line(rows.trim_fmt());
    Ok(0)
}
