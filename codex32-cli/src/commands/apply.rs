//! `codex32 apply` and `codex32 diff`: bots as code.

use crate::input::read_text;
use crate::output::Output;
use clap::{Arg, ArgAction, Command};
use codex32_core::api::door::Door;
use codex32_core::error::{Error, Result};
use owo_colors::OwoColorize;
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

pub(super) fn command(name: &'static str, about: &'static str) -> Command {
    Command::new(name)
        .about(about)
        .arg(
            Arg::new("file")
                .short('f')
                .long("file")
                .required(true)
                .action(ArgAction::Append)
                .help("A blueprint, a folder of them, or - for standard input"),
        )
        .arg(Arg::new("environment").long("environment").help("Where the bots are deployed [default: prod]"))
        .arg(
            Arg::new("prune")
                .long("prune")
                .action(ArgAction::SetTrue)
                .help("Delete the bots that the folder does not name"),
        )
}

pub(super) async fn run(door: &Door, name: &str, matches: &clap::ArgMatches, output: &Output) -> Result<u8> {
    let mut documents = Vec::new();
    for path in matches.get_many::<String>("file").into_iter().flatten() {
        collect(path, &mut documents)?;
    }
    let mut input = json!({ "documents": documents, "prune": matches.get_flag("prune") });
    if let Some(environment) = matches.get_one::<String>("environment") {
        input["environment"] = json!(environment);
    }
    let operation = if name == "apply" { "bots.apply" } else { "bots.plan" };
    let plan = door.call(operation, input).await?;
    if output.json {
        output.document(&plan);
        return Ok(0);
    }
    for change in plan.get("changes").and_then(Value::as_array).into_iter().flatten() {
        show(change, output);
    }
    Ok(0)
}

fn show(change: &Value, output: &Output) {
    let text = |name: &str| change.get(name).and_then(Value::as_str).unwrap_or_default();
    let action = match text("action") {
        "create" => "create".green().to_string(),
        "change" | "deploy" => "change".yellow().to_string(),
        "prune" => "prune".red().to_string(),
        other => other.dimmed().to_string(),
    };
    output.line(format_args!("{action} {}", text("name")));
    for line in text("diff").lines() {
        match line.chars().next() {
            Some('+') => output.line(format_args!("  {}", line.green())),
            Some('-') => output.line(format_args!("  {}", line.red())),
            _ => output.line(format_args!("  {line}")),
        }
    }
}

/// The blueprints at `path`, each with the other files of its folder where it has one of its own.
fn collect(path: &str, documents: &mut Vec<Value>) -> Result<()> {
    let folder = Path::new(path);
    if path == "-" || !folder.is_dir() {
        documents.push(json!({ "source": path, "blueprint": read_text(path)?, "files": {} }));
        return Ok(());
    }
    let mut found = 0;
    for entry in entries(folder)? {
        if entry.is_dir() {
            if let Some(blueprint) = ["bot.yaml", "bot.yml"].iter().map(|n| entry.join(n)).find(|p| p.is_file()) {
                documents.push(document(&blueprint, files(&entry, &blueprint)?)?);
                found += 1;
            }
        } else if is_yaml(&entry) {
            documents.push(document(&entry, Map::new())?);
            found += 1;
        }
    }
    if found == 0 {
        return Err(Error::invalid(format!("the folder {path} holds no blueprint"))
            .hint("a blueprint is NAME.yaml, or NAME/bot.yaml with its scripts beside it"));
    }
    Ok(())
}

fn document(path: &Path, files: Map<String, Value>) -> Result<Value> {
    let name = path.display().to_string();
    Ok(json!({ "source": name, "blueprint": read_text(&name)?, "files": files }))
}

fn files(folder: &Path, blueprint: &Path) -> Result<Map<String, Value>> {
    let mut files = Map::new();
    for path in entries(folder)?.into_iter().filter(|path| path.is_file() && path != blueprint) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.insert(name, Value::from(read_text(&path.display().to_string())?));
    }
    Ok(files)
}

/// What is in `folder`, sorted, without hidden files.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |e: std::io::Error| Error::invalid(format!("read the folder {}: {e}", folder.display()));
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "yaml" || end == "yml")
}
