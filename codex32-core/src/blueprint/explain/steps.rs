//! Steps in words.

use serde_json::Value;

use super::{condition, joined, noun, span_words, worded, worded_text};
use crate::blueprint::types::{ApprovalWait, Case, Language, OnTimeout, Source, Step, StepKind, Wait};
use crate::catalogue::Catalogue;

/// One step: what it does, and the steps inside it.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) branches: Vec<Vec<Line>>,
    /// What stands before each branch; empty where nothing needs to.
    pub(super) titles: Vec<String>,
}

/// The steps in words.
pub(super) fn lines(steps: &[Step], catalogue: &Catalogue) -> Vec<Line> {
    steps.iter().map(|step| line(step, catalogue)).collect()
}

fn line(step: &Step, catalogue: &Catalogue) -> Line {
    let mut line = kind(&step.kind, catalogue);
    if let Some(guard) = &step.guard {
        line.text = format!("only if {}, {}", condition(guard), line.text);
    }
    let tries = step.retry.as_ref().map_or(1, |r| r.attempts);
    if tries > 1 {
        line.text.push_str(&format!(" (up to {tries} times if it fails)"));
    }
    if let Some(undo) = &step.undo {
        line.text.push_str(&format!(" (to undo it, {})", kind(&undo.kind, catalogue).text));
    }
    line
}

fn leaf(text: String) -> Line {
    Line { text, branches: Vec::new(), titles: Vec::new() }
}

fn kind(kind: &StepKind, catalogue: &Catalogue) -> Line {
    let inner = |steps: &[Step]| lines(steps, catalogue);
    match kind {
        StepKind::Use { action, with, .. } => leaf(act(action, with, catalogue)),
        StepKind::Run { language, source, .. } => leaf(run(*language, source)),
        StepKind::Call { bot, with, wait } => leaf(call(bot, with, *wait)),
        StepKind::Wait(wait) => leaf(self::wait(wait, catalogue)),
        StepKind::Fail { message } => leaf(format!("stop with the error \"{}\"", worded_text(message))),
        StepKind::Continue { input } => leaf(format!("go on as a new execution{}", given(input))),
        StepKind::If { condition: source, then, otherwise } => {
            let (text, branches, titles) = match (then.is_empty(), otherwise.is_empty()) {
                (false, true) => (format!("only if {}", condition(source)), vec![inner(then)], vec![String::new()]),
                (true, false) => {
                    (format!("only unless {}", condition(source)), vec![inner(otherwise)], vec![String::new()])
                }
                _ => (
                    format!("if {}", condition(source)),
                    vec![inner(then), inner(otherwise)],
                    vec![String::new(), "otherwise".to_owned()],
                ),
            };
            Line { text, branches, titles }
        }
        StepKind::Switch { on, cases, default } => switch(on, cases, default, catalogue),
        StepKind::Foreach { items, concurrency, steps, .. } => {
            let many = if *concurrency > 1 { format!(", {concurrency} at a time") } else { String::new() };
            let text = format!("for each of {}{many}", noun(items));
            Line { text, branches: vec![inner(steps)], titles: vec![String::new()] }
        }
        StepKind::Parallel { branches } => Line {
            text: "at the same time".to_owned(),
            titles: branches.keys().map(|name| name.replace('_', " ")).collect(),
            branches: branches.values().map(|steps| inner(steps)).collect(),
        },
        StepKind::Try { body, catch, finally } => Line {
            text: "try".to_owned(),
            branches: vec![inner(body), inner(catch), inner(finally)],
            titles: vec![String::new(), "if that fails".to_owned(), "in any case".to_owned()],
        },
    }
}

fn switch(on: &str, cases: &[Case], default: &[Step], catalogue: &Catalogue) -> Line {
    let mut titles: Vec<String> = cases.iter().map(|case| format!("{} is {}", noun(on), case.is)).collect();
    let mut branches: Vec<Vec<Line>> = cases.iter().map(|case| lines(&case.steps, catalogue)).collect();
    titles.push("otherwise".to_owned());
    branches.push(lines(default, catalogue));
    Line { text: format!("depending on {}", noun(on)), branches, titles }
}

/// An action in the words of the catalogue.
fn act(action: &str, with: &Value, catalogue: &Catalogue) -> String {
    match catalogue.action(action) {
        Some(spec) => spec.say(&worded(with)),
        None => format!("do {action}"),
    }
}

fn run(language: Language, source: &Source) -> String {
    let name = match language {
        Language::Python => "Python",
        Language::Node => "Node",
        Language::Shell => "shell",
    };
    match source {
        Source::File(file) => format!("run the {name} script {file}"),
        Source::Inline(code) => match code.lines().count() {
            0 | 1 => format!("run a {name} script of one line"),
            n => format!("run a {name} script of {n} lines"),
        },
    }
}

fn call(bot: &str, with: &Value, wait: bool) -> String {
    let input = given(with);
    if wait {
        format!("call the bot {bot}{input}")
    } else {
        format!("start the bot {bot}{input} without waiting for it")
    }
}

/// " with a and b": the names of an input.
fn given(with: &Value) -> String {
    match with {
        Value::Object(fields) if fields.is_empty() => String::new(),
        Value::Object(fields) => {
            let names: Vec<&str> = fields.keys().map(String::as_str).collect();
            format!(" with {}", joined(&names, "and"))
        }
        Value::String(text) => format!(" with {}", worded_text(text)),
        _ => String::new(),
    }
}

fn wait(wait: &Wait, catalogue: &Catalogue) -> String {
    let at_most = |timeout: &Option<_>| match timeout {
        Some(span) => format!(" for at most {}", span_words(*span)),
        None => String::new(),
    };
    match wait {
        Wait::For(span) => format!("wait {}", span_words(*span)),
        Wait::Until(until) => format!("wait until {}", noun(until)),
        Wait::Event { event, filter, timeout } => {
            let filter = filter.as_ref().map_or(String::new(), |f| format!(" where {}", condition(f)));
            format!("wait{} for the event {event}{filter}", at_most(timeout))
        }
        Wait::Signal { signal, filter, timeout } => {
            let filter = filter.as_ref().map_or(String::new(), |f| format!(" where {}", condition(f)));
            format!("wait{} for the signal {signal}{filter}", at_most(timeout))
        }
        Wait::Approval(wait) => approval(wait, &at_most(&wait.timeout), catalogue),
    }
}

fn approval(wait: &ApprovalWait, at_most: &str, catalogue: &Catalogue) -> String {
    let mut how = Vec::new();
    if let Some(ask) = &wait.ask {
        how.push(act(&ask.action, &ask.with, catalogue));
    }
    if let Some(remind) = &wait.remind {
        let again = match &remind.ask {
            Some(ask) => act(&ask.action, &ask.with, catalogue),
            None => "again".to_owned(),
        };
        how.push(format!("{again} every {}, up to {} times", span_words(remind.every), remind.times));
    }
    for escalation in &wait.escalate {
        let ask = act(&escalation.ask.action, &escalation.ask.with, catalogue);
        how.push(format!("{ask} after {}", span_words(escalation.after)));
    }
    match wait.on_timeout {
        OnTimeout::Fail => {}
        OnTimeout::Approve => how.push("then it counts as approved".to_owned()),
        OnTimeout::Decline => how.push("then it counts as declined".to_owned()),
    }
    let how = if how.is_empty() { String::new() } else { format!(" ({})", how.join("; ")) };
    format!("wait{at_most} for the approval of \"{}\"{how}", worded_text(&wait.message))
}
