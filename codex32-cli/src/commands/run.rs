//! `codex32 run`: start a bot now, and watch its steps.

use crate::input;
use crate::output::Output;
use crate::print::clock_time;
use clap::Command;
use codex32_core::api::door::Door;
use codex32_core::api::shape::Shape;
use codex32_core::api::table;
use codex32_core::error::{Error, Result};
use futures::StreamExt;
use owo_colors::OwoColorize;
use serde_json::{Value, json};

const OPERATION: &str = "executions.start";

pub(super) fn command() -> Command {
    // Without the table there are no commands at all, which `args::command` reports.
    let Ok(table) = table() else { return Command::new("run") };
    match table.shapes.operation(OPERATION) {
        Some(shape) => crate::args::operation(&table.shapes, shape, "run"),
        None => Command::new("run"),
    }
}

pub(super) async fn run(door: &Door, matches: &clap::ArgMatches, output: &Output) -> Result<u8> {
    let shapes = &table()?.shapes;
    let shape: &Shape = shapes.operation(OPERATION).ok_or_else(|| Error::not_found("operation", OPERATION))?;
    let mut input = input::of(shapes, shape, matches)?;
    let wait = input.get("wait") == Some(&json!(true));
    // The steps are shown as they happen, so the wait is ours.
    input["wait"] = json!(false);
    let started = door.call(OPERATION, input).await?;
    let id = started.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !wait {
        match output.json {
            true => output.document(&started),
            false => output.line(&id),
        }
        return Ok(0);
    }
    if !output.json {
        output.note(format_args!("execution {id}"));
    }
    follow(door, &id, output).await?;
    let execution = door.call("executions.get", json!({ "id": id })).await?;
    let status = execution.get("status").and_then(Value::as_str).unwrap_or_default();
    if output.json {
        output.document(&execution);
    } else {
        summary(&execution, status, output);
    }
    Ok(u8::from(status != "succeeded"))
}

async fn follow(door: &Door, id: &str, output: &Output) -> Result<()> {
    let mut items = door.open_stream("executions.watch", json!({ "id": id })).await?;
    while let Some(item) = items.next().await {
        let item = item?;
        if !output.json
            && let Some(line) = line(&item)
        {
            output.line(line);
        }
    }
    Ok(())
}

/// One thing that happened, as a line.
fn line(item: &Value) -> Option<String> {
    let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
    let at = clock_time(item.get("at").and_then(Value::as_i64).unwrap_or_default());
    let step = text("step");
    let rest = match text("kind") {
        "step_scheduled" => format!("{} {step}", "…".dimmed()),
        "step_succeeded" => format!("{} {step} {}", "✓".green(), short(item.get("output")).dimmed()),
        "step_failed" => format!("{} {step} {}", "✗".red(), text("message")),
        "step_skipped" => format!("{} {step} skipped", "-".dimmed()),
        "timer_set" | "approval_asked" => format!("{} {step} {}", "⏳".yellow(), text("message")),
        "log" => format!("  {step} | {}", text("text")),
        "cancel_requested" => "cancel requested".to_owned(),
        _ => return None,
    };
    Some(format!("{} {rest}", at.dimmed()))
}

fn short(value: Option<&Value>) -> String {
    const MOST: usize = 100;
    let text = value.filter(|v| !v.is_null()).map(Value::to_string).unwrap_or_default();
    if text.chars().count() <= MOST { text } else { text.chars().take(MOST).chain(['…']).collect() }
}

fn summary(execution: &Value, status: &str, output: &Output) {
    match status {
        "succeeded" => output.line(format_args!("{} {}", "succeeded".green().bold(), short(execution.get("output")))),
        _ => {
            let message = execution.pointer("/error/message").and_then(Value::as_str).unwrap_or_default();
            output.line(format_args!("{} {message}", status.red().bold()));
        }
    }
}
