//! The read-back: what a blueprint does, in plain English.
//!
//! A short blueprint becomes one sentence ("Every 5 minutes: get …, then, only
//! if usd is below 50000, post … to …."), a longer one a numbered list.

mod flow;
mod steps;

pub use flow::flow as explain_flow;

use serde_json::Value;

use super::types::{Blueprint, BotEnd, Permissions, Restart, Retention, Span, Trigger};
use crate::catalogue::Catalogue;
use crate::expr::{Program, Template};
use crate::recur::Schedule;
use steps::Line;

/// Longest sentence, in characters, before a list is easier to read.
const MAX_SENTENCE: usize = 400;

/// What `blueprint` does, in plain English.
///
/// ```
/// use codex32_core::{blueprint, catalogue::Catalogue};
/// let b = blueprint::parse(r#"
/// codex32: v1
/// name: btc-watch
/// steps:
///   - id: price
///     use: http.get
///     with: {url: "https://example.com/price.json"}
///   - if: steps.price.body.usd < 50000
///     then:
///       - use: log.write
///         with: {message: low}
/// "#)?;
/// assert_eq!(
///     blueprint::explain(&b, Catalogue::builtin()),
///     "When started by hand: get https://example.com/price.json, then, only if usd is below 50000, log \"low\"."
/// );
/// # Ok::<(), blueprint::Diagnostics>(())
/// ```
#[must_use]
pub fn explain(blueprint: &Blueprint, catalogue: &Catalogue) -> String {
    let start = starts(blueprint, catalogue);
    if let Some(native) = &blueprint.native {
        let revision = native.revision.as_ref().map_or(String::new(), |revision| format!(", revision {revision}"));
        let mut lines = vec![format!("{start}: run the function {} of a program{revision}.", native.function)];
        lines.extend(conduct(blueprint));
        return lines.join("\n");
    }
    let lines = steps::lines(&blueprint.steps, catalogue);
    let mut text = match sentence(&lines) {
        Some(sentence) if start.len() + sentence.len() <= MAX_SENTENCE => format!("{start}: {sentence}."),
        _ => {
            let mut text = format!("{start}:\n");
            numbered(&mut text, &lines, 0);
            text.trim_end().to_owned()
        }
    };
    for extra in conduct(blueprint) {
        text.push('\n');
        text.push_str(&extra);
    }
    text
}

/// When it runs, as the start of a sentence.
fn starts(blueprint: &Blueprint, catalogue: &Catalogue) -> String {
    let mut starts: Vec<String> = blueprint.on.iter().map(|t| trigger(t, catalogue)).collect();
    if starts.is_empty() {
        starts.push(match blueprint.restart {
            Restart::Never => "when started by hand".to_owned(),
            Restart::OnFailure => "once, and again whenever it fails".to_owned(),
            Restart::Always => "all the time, again whenever it ends".to_owned(),
        });
    }
    capitalized(&joined(&starts, "or"))
}

fn trigger(trigger: &Trigger, catalogue: &Catalogue) -> String {
    match trigger {
        Trigger::Manual => "when started by hand".to_owned(),
        Trigger::Schedule(t) => {
            let described = Schedule::parse(&t.schedule).map_or_else(|_| t.schedule.clone(), |s| s.describe());
            match &t.timezone {
                Some(zone) => format!("{} ({zone} time)", uncapitalized(&described)),
                None => uncapitalized(&described),
            }
        }
        Trigger::Webhook(t) => {
            let fields = match t.require.as_slice() {
                [] => String::new(),
                fields => format!(" with {}", joined(fields, "and")),
            };
            let signed = if t.secret.is_some() { "a signed webhook" } else { "a webhook" };
            format!("when {signed}{fields} arrives at {}", t.path)
        }
        Trigger::Event(t) => match &t.filter {
            Some(filter) => format!("when the event {} happens and {}", t.event, condition(filter)),
            None => format!("when the event {} happens", t.event),
        },
        Trigger::Bot(t) => {
            let end = match t.when {
                BotEnd::Succeeded => "succeeds",
                BotEnd::Failed => "fails",
                BotEnd::Finished => "ends",
            };
            format!("when the bot {} {end}", t.bot)
        }
        Trigger::Poll(t) => {
            let phrase = match catalogue.trigger(&t.source) {
                Some(spec) => spec.say(&worded(&t.with)),
                None => format!("{} has news", t.source),
            };
            format!("when {phrase} (looked for every {})", span_words(t.every))
        }
    }
}

/// How long executions are kept.
fn kept(retention: Retention) -> Option<String> {
    let age = retention.age.map(|age| format!("for {}", span_words(age)));
    let count = retention.count.map(|count| format!("only the latest {count}"));
    let parts: Vec<String> = [age, count].into_iter().flatten().collect();
    if parts.is_empty() {
        return None;
    }
    let archive = if retention.unarchived { ", and are not archived" } else { "" };
    Some(format!("What it did is kept {}{archive}.", joined(&parts, "and")))
}

/// Restarts, time limits, what it may touch.
fn conduct(b: &Blueprint) -> Vec<String> {
    let mut lines = Vec::new();
    match b.restart {
        Restart::Never => {}
        Restart::OnFailure if b.on.is_empty() => {}
        Restart::Always if b.on.is_empty() => {}
        Restart::OnFailure => lines.push("It is started again when it fails.".to_owned()),
        Restart::Always => lines.push("It is started again whenever it ends.".to_owned()),
    }
    if !b.runs_on.is_empty() {
        let plural = if b.runs_on.len() == 1 { "label" } else { "labels" };
        lines.push(format!("It runs on workers with the {plural} {}.", joined(&b.runs_on, "and")));
    }
    lines.extend(flow::flow(&b.flow));
    if let Some(timeout) = b.timeout {
        lines.push(format!("It takes at most {}.", span_words(timeout)));
    }
    lines.extend(kept(b.retention));
    if let Some(health) = &b.health {
        let times = format!("after {} failures in a row", health.failures);
        lines.push(match health.succeeded_within {
            Some(within) => format!("It is reported {times}, or without a success in {}.", span_words(within)),
            None => format!("It is reported {times}."),
        });
    }
    lines.extend(touches(&b.permissions));
    lines
}

fn touches(p: &Permissions) -> Option<String> {
    let mut parts = Vec::new();
    if !p.network.is_empty() {
        parts.push(format!("reach {}", joined(&p.network, "and")));
    }
    if !p.secrets.is_empty() {
        let plural = if p.secrets.len() == 1 { "secret" } else { "secrets" };
        parts.push(format!("use the {plural} {}", joined(&p.secrets, "and")));
    }
    if !p.files.is_empty() {
        parts.push(format!("read and write {}", joined(&p.files, "and")));
    }
    (!parts.is_empty()).then(|| format!("It may {}.", joined(&parts, "and")))
}

/// All steps in one sentence, where that reads well.
fn sentence(lines: &[Line]) -> Option<String> {
    if lines.is_empty() || lines.len() > 4 {
        return None;
    }
    let mut sentence = String::new();
    for (index, line) in lines.iter().enumerate() {
        // "then only if …" reads better as "then, only if …".
        let clause = !line.branches.is_empty() || line.text.starts_with("only if ");
        sentence.push_str(match (index, clause) {
            (0, _) => "",
            (_, true) => ", then, ",
            (_, false) => ", then ",
        });
        sentence.push_str(&line.text);
        match line.branches.as_slice() {
            [] => {}
            // One branch of one or two simple steps fits into the sentence.
            [only] if (1..=2).contains(&only.len()) && only.iter().all(|l| l.branches.is_empty()) => {
                let inner: Vec<&str> = only.iter().map(|l| l.text.as_str()).collect();
                sentence.push_str(&format!(", {}", joined(&inner, "and then")));
            }
            _ => return None,
        }
    }
    Some(sentence)
}

fn numbered(text: &mut String, lines: &[Line], depth: usize) {
    let indent = "   ".repeat(depth);
    for (index, line) in lines.iter().enumerate() {
        let number = index + 1;
        let colon = if line.branches.iter().any(|b| !b.is_empty()) { ":" } else { "" };
        text.push_str(&format!("{indent}{number}. {}{colon}\n", line.text));
        for (index, branch) in line.branches.iter().enumerate() {
            if let Some(title) = line.titles.get(index).filter(|title| !title.is_empty() && !branch.is_empty()) {
                text.push_str(&format!("{indent}   {title}:\n"));
            }
            numbered(text, branch, depth + 1);
        }
    }
}

/// A condition in words.
fn condition(source: &str) -> String {
    Program::compile(source).map_or_else(|_| format!("`{source}`"), |p| p.in_words())
}

/// An expression in words, as a noun.
fn noun(source: &str) -> String {
    Program::compile(source).map_or_else(|_| format!("`{source}`"), |p| p.as_noun())
}

/// An input with its expressions in words.
fn worded(value: &Value) -> Value {
    let Ok(template) = Template::compile(value) else { return value.clone() };
    match (template.expression(), value) {
        // A list of one is not put in quotes by the catalogue: it is no quotation.
        (Some(program), _) => Value::Array(vec![Value::from(program.as_noun())]),
        (None, Value::Object(fields)) => {
            Value::Object(fields.iter().map(|(name, value)| (name.clone(), worded(value))).collect())
        }
        _ => template.in_words(),
    }
}

/// A template of one text in words.
fn worded_text(text: &str) -> String {
    match Template::compile_text(text).map(|t| t.in_words()) {
        Ok(Value::String(words)) => words,
        _ => text.to_owned(),
    }
}

/// "10 minutes", "1 hour and 30 minutes".
fn span_words(span: Span) -> String {
    let units = [("day", 86_400_000), ("hour", 3_600_000), ("minute", 60_000), ("second", 1_000), ("millisecond", 1)];
    let mut rest = span.0;
    let mut parts = Vec::new();
    for (name, scale) in units {
        let count = rest / scale;
        rest %= scale;
        match count {
            0 => {}
            1 => parts.push(format!("1 {name}")),
            n => parts.push(format!("{n} {name}s")),
        }
    }
    // "every minute" reads better than "every 1 minute", but a sum needs its numbers.
    if parts.is_empty() { "no time".to_owned() } else { joined(&parts, "and") }
}

/// "a, b and c".
fn joined<T: AsRef<str>>(parts: &[T], last: &str) -> String {
    let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
    match parts.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [many @ .., end] => format!("{} {last} {end}", many.join(", ")),
    }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn uncapitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
