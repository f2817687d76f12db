//! `codex32 draft`: what a sentence would become, stored nowhere.

use crate::input::read_text;
use crate::output::Output;
use clap::{Arg, Command};
use codex32_core::api::door::Door;
use codex32_core::error::{Error, Result};
use owo_colors::OwoColorize;
use serde_json::{Value, json};

pub(super) fn command() -> Command {
    Command::new("draft")
        .about("Show what a sentence would become, and store nothing.")
        .arg(Arg::new("text").required_unless_present("batch").help("The sentence"))
        .arg(
            Arg::new("batch")
                .long("batch")
                .value_name("FILE")
                .help("JSON lines with {\"text\": ...}; - for standard input"),
        )
}

pub(super) async fn run(door: &Door, matches: &clap::ArgMatches, output: &Output) -> Result<u8> {
    if let Some(path) = matches.get_one::<String>("batch") {
        for (number, line) in read_text(path)?.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let row: Value = serde_json::from_str(line)
                .map_err(|e| Error::invalid(format!("line {} of {path} is no JSON: {e}", number + 1)))?;
            let text = row
                .get("text")
                .and_then(Value::as_str)
                .ok_or_else(|| Error::invalid(format!("line {} of {path} has no \"text\"", number + 1)))?;
            output.json_line(&door.call("builder.draft", json!({ "text": text })).await?);
        }
        return Ok(0);
    }
    let text = matches.get_one::<String>("text").cloned().unwrap_or_default();
    let draft = door.call("builder.draft", json!({ "text": text })).await?;
    match output.json {
        true => output.document(&draft),
        false => show(&draft, output),
    }
    Ok(0)
}

/// Prints a draft for people: blueprint, read-back, what was assumed, what is asked.
pub(super) fn show(draft: &Value, output: &Output) {
    if let Some(blueprint) = draft.get("blueprint").and_then(Value::as_str) {
        output.line(blueprint.trim_end());
        output.line("");
    }
    if let Some(explanation) = draft.get("explanation").and_then(Value::as_str) {
        output.line(explanation.bold());
    }
    for assumption in texts(draft, "assumptions") {
        output.line(format_args!("{} {assumption}", "assumed:".yellow()));
    }
    for text in texts(draft, "not_understood") {
        output.line(format_args!("{} {text}", "not understood:".red()));
    }
    for question in draft.get("questions").and_then(Value::as_array).into_iter().flatten() {
        let text = question.get("text").and_then(Value::as_str).unwrap_or_default();
        output.line(format_args!("{} {text}", "question:".cyan()));
    }
}

fn texts<'a>(draft: &'a Value, field: &str) -> impl Iterator<Item = &'a str> {
    draft.get(field).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}
