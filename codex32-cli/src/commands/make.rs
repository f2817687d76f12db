//! `codex32 make`: from a sentence to a bot that runs.

use super::draft::show;
use crate::output::Output;
use clap::{Arg, ArgAction, Command};
use codex32_core::api::door::Door;
use codex32_core::error::{Error, Result};
use owo_colors::OwoColorize;
use serde_json::{Map, Value, json};
use std::io::{BufRead, IsTerminal, Write};

pub(super) fn command() -> Command {
    Command::new("make")
        .about("Make a bot from a sentence, deploy it, and let it run from now on.")
        .arg(Arg::new("text").required(true).help("What should be automated, in plain words"))
        .arg(Arg::new("name").long("name").help("Name of the bot; by default from the sentence"))
        .arg(Arg::new("yes").long("yes").short('y').action(ArgAction::SetTrue).help("Do not ask"))
        .arg(
            Arg::new("answer")
                .long("answer")
                .action(ArgAction::Append)
                .value_name("ID=TEXT")
                .help("Answer to one of the questions that the draft asks"),
        )
}

pub(super) async fn run(door: &Door, matches: &clap::ArgMatches, output: &Output) -> Result<u8> {
    let mut input = Map::new();
    input.insert("text".into(), json!(matches.get_one::<String>("text")));
    if let Some(name) = matches.get_one::<String>("name") {
        input.insert("name".into(), json!(name));
    }
    let mut answers = answers(matches)?;
    let yes = matches.get_flag("yes");
    let draft = loop {
        input.insert("answers".into(), Value::Object(answers.clone()));
        let draft = door.call("builder.draft", Value::Object(input.clone())).await?;
        let open = open_question(&draft).filter(|_| !yes && std::io::stdin().is_terminal() && !output.json);
        let Some((id, text)) = open else { break draft };
        answers.insert(id, Value::from(ask(&text)?));
    };
    if !output.json {
        show(&draft, output);
    }
    if !yes && !confirm(output)? {
        output.note("nothing was stored");
        return Ok(1);
    }
    let made = door.call("builder.make", Value::Object(input)).await?;
    if output.json {
        output.document(&made);
        return Ok(0);
    }
    let name = made.pointer("/bot/name").and_then(Value::as_str).unwrap_or_default();
    let version = made.pointer("/version/number").and_then(Value::as_i64).unwrap_or_default();
    output.line(format_args!("{} {name}, version {version}, is deployed", "made".green().bold()));
    if door.engine().is_some() {
        output.note("no server is running over this folder: `codex32 up` keeps its bots running");
    }
    output.note(format_args!("run it now: codex32 run {name} --wait"));
    Ok(0)
}

fn answers(matches: &clap::ArgMatches) -> Result<Map<String, Value>> {
    let mut answers = Map::new();
    for answer in matches.get_many::<String>("answer").into_iter().flatten() {
        let (id, text) = answer
            .split_once('=')
            .ok_or_else(|| Error::invalid(format!("\"{answer}\" is no answer")).hint("write --answer ID=TEXT"))?;
        answers.insert(id.to_owned(), Value::from(text));
    }
    Ok(answers)
}

/// The first question that must be answered before there is a bot.
fn open_question(draft: &Value) -> Option<(String, String)> {
    let question = draft.get("questions")?.as_array()?.iter().find(|q| q.get("blocking") == Some(&json!(true)))?;
    Some((question.get("id")?.as_str()?.to_owned(), question.get("text")?.as_str()?.to_owned()))
}

fn ask(question: &str) -> Result<String> {
    let mut line = String::new();
    let mut stderr = anstream::stderr();
    let _ = write!(stderr, "{} ", question.cyan());
    let _ = stderr.flush();
    match std::io::stdin().lock().read_line(&mut line) {
        Ok(n) if n > 0 => Ok(line.trim().to_owned()),
        _ => Err(Error::invalid("there was no answer").hint("give it by --answer ID=TEXT")),
    }
}

fn confirm(output: &Output) -> Result<bool> {
    if !std::io::stdin().is_terminal() {
        return Err(Error::invalid("nobody can be asked here").hint("add --yes to make the bot without asking"));
    }
    output.note("");
    let answer = ask("Make and deploy this bot? [y/N]")?;
    Ok(matches!(answer.to_lowercase().as_str(), "y" | "yes"))
}
