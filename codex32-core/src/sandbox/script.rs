//! What a script is in each language: how it is started, and what its end means.

use super::policy::{Policy, human_bytes, human_ms};
use super::supervise::{End, Outcome};
use crate::blueprint::Language;
use crate::error::{Code, Error, Result};
use crate::observe::{LogSink, Stream};
use serde::Deserialize;
use serde_json::Value;

/// Bytes of stdout kept for a plain Python or Node script's result.
const PLAIN: u64 = 256 * 1024;

/// The runner of a language, laid beside the script: file name and text.
pub(crate) fn runner(language: Language) -> Option<(&'static str, &'static str)> {
    match language {
        Language::Python => Some(("runner.py", include_str!("runner/python.py"))),
        Language::Node => Some(("runner.mjs", include_str!("runner/node.mjs"))),
        Language::Shell => None,
    }
}

/// File name of inline code.
pub(crate) fn file_name(language: Language) -> &'static str {
    match language {
        Language::Python => "main.py",
        Language::Node => "main.js",
        Language::Shell => "main.sh",
    }
}

/// Options of the interpreter, before the runner or script.
pub(crate) fn options(language: Language, policy: &Policy) -> Vec<String> {
    match language {
        Language::Python => ["-B", "-s", "-X", "utf8"].map(str::to_owned).into(),
        // The collector works hard near its limit: stay below what the watchdog allows.
        Language::Node => vec![format!("--max-old-space-size={}", (policy.memory / 1024 / 1024 * 3 / 4).max(16))],
        Language::Shell => vec!["-e".to_owned()],
    }
}

/// The shell that a script asks for on its first line (`#!/bin/bash`), `sh` otherwise.
pub(crate) fn shell(code: &str) -> &str {
    let line = code.lines().next().and_then(|line| line.strip_prefix("#!")).unwrap_or_default();
    let name = |word: &str| word.rsplit('/').next().map(str::to_owned).unwrap_or_default();
    let mut words = line.split_whitespace().map(name).filter(|word| word != "env" && !word.starts_with('-'));
    let asked = words.next().unwrap_or_default();
    ["bash", "dash", "ksh", "zsh"].into_iter().find(|known| *known == asked).unwrap_or("sh")
}

/// Bytes of stdout to keep for the result.
pub(crate) fn keep(language: Language, policy: &Policy) -> usize {
    let bytes = if language == Language::Shell { policy.output } else { policy.output.min(PLAIN) };
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// What a runner answers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    /// The function returned.
    Ok(Value),
    /// It raised.
    Error(Raised),
}

#[derive(Debug, Deserialize)]
struct Raised {
    #[serde(rename = "type")]
    kind: String,
    message: String,
    trace: Vec<String>,
}

/// What the outcome means for the step.
///
/// # Errors
/// As [`super::Runtime::run`] says.
pub(crate) fn verdict(
    language: Language,
    outcome: &Outcome,
    policy: &Policy,
    allowed_ms: Option<u64>,
    log: &dyn LogSink,
) -> Result<Value> {
    let code = match outcome.end {
        End::Exited(code) => code,
        other => return Err(with_output(stopped(other, policy, allowed_ms), outcome)),
    };
    if outcome.result.len() as u64 > policy.output {
        return Err(too_large(policy));
    }
    let answer = match outcome.result.as_slice() {
        [] => None,
        bytes => Some(serde_json::from_slice::<Answer>(bytes)),
    };
    match answer {
        Some(Ok(Answer::Ok(value))) if code == 0 => Ok(value),
        Some(Ok(Answer::Error(raised))) => Err(with_output(exception(&raised, code, policy, log), outcome)),
        Some(Err(error)) if code == 0 => {
            Err(Error::new(Code::Failed, format!("the script's result is not JSON that the engine can read: {error}")))
        }
        _ if code != 0 => Err(with_output(exited(code, outcome, policy), outcome)),
        _ => plain(language, outcome, policy),
    }
}

/// The result of a script that answered on stdout.
fn plain(language: Language, outcome: &Outcome, policy: &Policy) -> Result<Value> {
    if language == Language::Shell {
        if outcome.stdout.dropped > 0 {
            return Err(
                too_large(policy).hint("what is only for the log belongs on stderr; `limits.output` sets the limit")
            );
        }
        let text = outcome.stdout.text();
        let text = text.trim();
        return Ok(if text.is_empty() { Value::Null } else { json_or_text(text, text) });
    }
    match outcome.stdout.last_line() {
        None => Ok(Value::Null),
        Some(line) => Ok(json_or_text(&line, outcome.stdout.text().trim_end())),
    }
}

fn json_or_text(json: &str, text: &str) -> Value {
    serde_json::from_str(json).unwrap_or_else(|_| Value::from(text))
}

fn too_large(policy: &Policy) -> Error {
    let limit = human_bytes(policy.output);
    Error::new(Code::TooLarge, format!("the script's result is larger than its output limit of {limit}"))
        .hint("return less, or raise `limits.output` in the blueprint")
}

fn stopped(end: End, policy: &Policy, allowed_ms: Option<u64>) -> Error {
    match end {
        End::Deadline => {
            let time = allowed_ms.map(|ms| format!(" ({})", human_ms(ms))).unwrap_or_default();
            Error::new(Code::Timeout, format!("the script was not done in time{time} and was stopped"))
                .hint("give the step a longer `timeout`, or do less at a time")
        }
        End::Cancelled => Error::new(Code::Cancelled, "the script was cancelled"),
        End::Memory(used) => out_of_memory(policy, Some(used)),
        End::Processes(count) => Error::new(
            Code::Failed,
            format!("the script had {count} processes and threads; its limit is {}", policy.processes),
        )
        .hint("raise `limits.processes` in the blueprint, or start fewer at a time"),
        End::Cpu(_) => out_of_cpu(policy),
        End::Lost => Error::new(Code::Failed, "the script's process tree was killed from outside")
            .hint("the machine may have run out of memory, or the script killed its own parent"),
        End::Exited(_) => Error::internal("a script that ended by itself was not stopped"),
    }
}

/// The memory limit was reached, with so many bytes in use where that is known.
pub(crate) fn out_of_memory(policy: &Policy, used: Option<u64>) -> Error {
    let used = used.map(|used| format!(", with {} in use", human_bytes(used))).unwrap_or_default();
    let limit = human_bytes(policy.memory);
    Error::new(Code::Failed, format!("the script ran out of its memory limit of {limit}{used}"))
        .hint("raise `limits.memory` in the blueprint, or work on less at a time")
}

fn out_of_cpu(policy: &Policy) -> Error {
    let limit = human_ms(policy.cpu_ms.unwrap_or_default());
    Error::new(Code::Failed, format!("the script used up its processor time of {limit}"))
        .hint("raise `limits.cpu` in the blueprint, or do less")
}

/// The script's own exception; its traceback goes to the log, too.
fn exception(raised: &Raised, code: i32, policy: &Policy, log: &dyn LogSink) -> Error {
    let first = format!("{}: {}", raised.kind, raised.message);
    for line in raised.trace.iter().map(String::as_str).chain(first.lines()) {
        log.line(Stream::Stderr, line);
    }
    if raised.kind == "MemoryError" {
        return out_of_memory(policy, None);
    }
    let mut message = if raised.message.is_empty() { raised.kind.clone() } else { first };
    if code > 1 {
        message.push_str(&format!(" ({})", exit_name(code)));
    }
    for line in &raised.trace {
        message.push('\n');
        message.push_str(line);
    }
    Error::new(Code::Failed, message)
}

/// A script that ended with an exit code of its own.
fn exited(code: i32, outcome: &Outcome, policy: &Policy) -> Error {
    const SIGXCPU: i32 = 128 + 24;
    if code == SIGXCPU {
        return out_of_cpu(policy);
    }
    if outcome.stderr.text().contains("JavaScript heap out of memory") {
        return out_of_memory(policy, None);
    }
    let last = outcome.stderr.tail.back().map(|line| format!(": {}", line.trim())).unwrap_or_default();
    Error::new(Code::Failed, format!("the script ended with {}{last}", exit_name(code)))
}

/// An exit code and what it usually means.
pub(crate) fn exit_name(code: i32) -> String {
    let meaning = match code {
        126 => ", a command that cannot be executed",
        127 => ", a command that was not found",
        132 => ", as after the signal SIGILL",
        134 => ", as after the signal SIGABRT",
        136 => ", as after the signal SIGFPE",
        137 => ", as after the signal SIGKILL",
        139 => ", as after the signal SIGSEGV",
        141 => ", as after the signal SIGPIPE",
        143 => ", as after the signal SIGTERM",
        153 => ", as after the signal SIGXFSZ: a file grew too large",
        _ => "",
    };
    format!("exit code {code}{meaning}")
}

/// Adds the last lines of output as a hint, where the error has none of its own.
pub(crate) fn with_output(error: Error, outcome: &Outcome) -> Error {
    let tail = if outcome.stderr.tail.is_empty() { &outcome.stdout.tail } else { &outcome.stderr.tail };
    if tail.is_empty() || error.hint_text().is_some() {
        return error;
    }
    let lines: Vec<&str> = tail.iter().map(|line| line.get(..500).unwrap_or(line)).collect();
    error.hint(format!("the last lines it wrote:\n{}", lines.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_names_the_shell() {
        for (code, expected) in [
            ("echo hi", "sh"),
            ("#!/bin/bash\necho hi", "bash"),
            ("#!/usr/bin/env bash", "bash"),
            ("#!/usr/bin/env -S bash -e", "bash"),
            ("#!/bin/sh -x", "sh"),
            ("#!/usr/bin/python3", "sh"),
            ("#!", "sh"),
        ] {
            assert_eq!(shell(code), expected, "{code}");
        }
    }

    #[test]
    fn exit_codes_are_named() {
        assert_eq!(exit_name(3), "exit code 3");
        assert_eq!(exit_name(137), "exit code 137, as after the signal SIGKILL");
        assert_eq!(exit_name(127), "exit code 127, a command that was not found");
    }
}
