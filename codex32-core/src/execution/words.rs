//! Entries of the journal in plain words.

use super::entry::{Event, Purpose};
use serde_json::Value;

/// Longest part of a value that is shown, in characters.
const SHOWN: usize = 200;

/// What an entry says, for people: `the step "price" begins (attempt 2)`.
pub(crate) fn of(event: &Event) -> String {
    let step = |path: &str| if path.is_empty() { "the execution".to_owned() } else { format!("the step \"{path}\"") };
    match event {
        Event::Held { rule } => format!("it is held ({rule})"),
        Event::Started { .. } => "it starts".into(),
        Event::StepScheduled { path, attempt, due, .. } => {
            let until = due.map(|due| format!(", until {}", time(due))).unwrap_or_default();
            format!("{} begins (attempt {attempt}{until})", step(path))
        }
        Event::StepSucceeded { path, output, .. } => format!("{} gives {}", step(path), shown(output)),
        Event::StepFailed { path, error, retry_at, .. } => {
            let then = match retry_at {
                Some(at) => format!("is tried again at {}", time(*at)),
                None => "is not tried again".into(),
            };
            format!("{} fails ({}: {}) and {then}", step(path), error.code.as_str(), error.message)
        }
        Event::StepSkipped { path } => format!("{} is skipped", step(path)),
        Event::TimerSet { path, due } => format!("{} waits until {}", step(path), time(*due)),
        Event::TimerFired { path, purpose } => {
            format!("the time of {} has come ({})", step(path), of_purpose(*purpose))
        }
        Event::SignalReceived { name, .. } => format!("the event \"{name}\" arrives"),
        Event::ChildStarted { path, .. } => format!("{} has called a bot", step(path)),
        Event::ChildFinished { path, status, .. } => format!("the bot that {} called has {status}", step(path)),
        Event::ChildContinued { path, .. } => format!("the bot that {} called goes on", step(path)),
        Event::ApprovalAsked { path, message, .. } => format!("{} asks \"{message}\"", step(path)),
        Event::ApprovalAnswered { path, answer } => {
            let said = if answer.approved { "approved" } else { "declined" };
            format!("{} is {said} by {}", step(path), answer.by)
        }
        Event::Undoing { path, .. } => format!("what {} did is undone", step(path)),
        Event::Continued { path, .. } => format!("{} goes on as a new execution", step(path)),
        Event::JournalFull { entries } => format!("the journal is full with {entries} entries"),
        Event::CancelRequested { by, .. } => format!("{by} cancels it"),
        Event::Paused { by } => format!("{by} pauses it"),
        Event::Resumed { by } => format!("{by} lets it go on"),
        Event::Migrated { to, by, .. } => format!("{by} moves it to the version {to}"),
        Event::MigrationRefused { to, by, .. } => format!("{by} wanted to move it to the version {to}"),
        Event::Finished { status, output, error } => {
            let with = match (output, error) {
                (_, Some(error)) => format!(" ({}: {})", error.code.as_str(), error.message),
                (Some(output), None) => format!(" with {}", shown(output)),
                (None, None) => String::new(),
            };
            format!("it has {status}{with}")
        }
    }
}

const fn of_purpose(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::Wait => "wait",
        Purpose::Retry => "next attempt",
        Purpose::Timeout => "timeout",
        Purpose::Bound => "end of the grace",
        Purpose::Remind => "reminder",
        Purpose::Escalate => "escalation",
    }
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text,
    }
}

fn time(ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(ms)
        .map_or_else(|| ms.to_string(), |t| t.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
}
