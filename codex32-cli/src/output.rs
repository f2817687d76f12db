//! Results on standard output, messages on standard error.

use clap::ArgMatches;
use codex32_core::api::openapi::problem_of;
use codex32_core::error::Error;
use owo_colors::OwoColorize;
use serde_json::Value;
use std::io::Write;

/// How to print.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    /// One JSON document, or JSON lines.
    pub(crate) json: bool,
}

impl Output {
    /// For people.
    pub(crate) fn plain() -> Output {
        Output { json: false }
    }
    /// As the caller asked.
    pub(crate) fn of(matches: &ArgMatches) -> Output {
        let mut matches = matches;
        let mut json = matches.get_flag("json");
        while let Some((_, sub)) = matches.subcommand() {
            matches = sub;
            json |= matches.try_get_one::<bool>("json").ok().flatten().copied().unwrap_or(false);
        }
        Output { json }
    }
    /// A line on standard output. A reader that has gone away is not our failure.
    pub(crate) fn line(&self, text: impl std::fmt::Display) {
        let _ = writeln!(anstream::stdout(), "{text}");
    }
    /// A JSON document for scripts.
    pub(crate) fn document(&self, value: &Value) {
        self.line(serde_json::to_string_pretty(value).unwrap_or_default());
    }
    /// One JSON line of many.
    pub(crate) fn json_line(&self, value: &Value) {
        self.line(value);
    }
    /// A message.
    pub(crate) fn note(&self, text: impl std::fmt::Display) {
        let _ = writeln!(anstream::stderr(), "{text}");
    }
    /// What went wrong.
    pub(crate) fn error(&self, error: &Error) {
        if self.json {
            let _ = writeln!(anstream::stderr(), "{}", problem_of(error));
            return;
        }
        self.note(format_args!("{} {}", "error:".red().bold(), error.message()));
        for fault in error.faults().iter().filter(|f| !error.message().contains(&f.message)) {
            let place = if fault.pointer.is_empty() { "input" } else { &fault.pointer };
            self.note(format_args!("  {place}: {}", fault.message));
        }
        if let Some(hint) = error.hint_text() {
            self.note(format_args!("{} {hint}", "hint:".cyan()));
        }
    }
}
