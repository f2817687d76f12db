//! The journal: what can happen in an execution.

use super::types::Status;
use crate::clock::Millis;
use crate::error::{Code, Error, Fault};
use crate::id::{ExecutionId, VersionId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// A JSON value that many hold and nobody changes.
pub type Shared = Arc<Value>;

/// One entry of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// Counts within the execution, log lines included.
    pub seq: i64,
    /// UTC milliseconds.
    pub at: Millis,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// Why a step or an execution failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Failure {
    /// Class of the error.
    pub code: Code,
    /// What went wrong, secrets redacted.
    pub message: String,
    /// Path of the step that failed, or empty.
    #[serde(default)]
    pub step: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The single faults, by place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
    /// When another attempt is worth it, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Steps whose effect stands because they could not be undone, the first 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_undone: Vec<NotUndone>,
}

/// A step that could not be undone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NotUndone {
    /// Path of the step.
    pub step: String,
    /// Class of the error that its undo failed with.
    pub code: Code,
    /// What went wrong, secrets redacted.
    pub message: String,
}

impl Failure {
    /// A failure of the step at `path`.
    #[must_use]
    pub fn at(path: &str, error: &Error) -> Failure {
        Failure {
            code: error.code(),
            message: error.message().to_owned(),
            step: path.to_owned(),
            hint: error.hint_text().map(str::to_owned),
            faults: error.faults().to_vec(),
            retry_after_ms: error.retry_after(),
            not_undone: Vec::new(),
        }
    }

    /// The same as an [`Error`].
    #[must_use]
    pub fn to_error(&self) -> Error {
        let mut error = Error::new(self.code, self.message.clone()).with_faults(self.faults.clone());
        if let Some(hint) = &self.hint {
            error = error.hint(hint.clone());
        }
        match self.retry_after_ms {
            Some(ms) => error.retry_after_ms(ms),
            None => error,
        }
    }
}

/// What a native function can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// Something to be done.
    Step,
    /// A time to pass. It is recorded as `timer_set`.
    Sleep,
    /// A signal.
    Signal,
    /// An event on the bus.
    Event,
    /// Another bot.
    Child,
}

impl Call {
    /// As it is named in messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Call::Step => "step",
            Call::Sleep => "sleep",
            Call::Signal => "signal",
            Call::Event => "event",
            Call::Child => "child",
        }
    }
}

/// Why a timer was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// The step waits for this time.
    Wait,
    /// Another attempt of the step begins.
    Retry,
    /// The step or, where the path is empty, the execution has had its time.
    Timeout,
    /// What still runs after a cancellation or a timeout of the execution has had its time.
    Bound,
    /// Those who were asked for an approval are asked again.
    Remind,
    /// Others are asked for an approval.
    Escalate,
}

/// What can happen in an execution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// It is stored, and a rule of its bot's `flow` keeps it from beginning. It is started
    /// when it may begin.
    Held {
        /// The rule.
        rule: String,
    },
    /// It was started. `copied` results of an earlier execution follow.
    Started {
        /// How many.
        #[serde(default)]
        copied: u32,
    },
    /// A step was begun: whatever it does happens after this entry is durable.
    StepScheduled {
        /// The step.
        path: String,
        /// 1 for the first attempt.
        attempt: u32,
        /// The same for every attempt.
        idempotency_key: String,
        /// When it goes on by itself, UTC milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due: Option<Millis>,
        /// What a native function asked for; absent for a step of a blueprint, which says so itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        call: Option<Call>,
    },
    /// A step has its result. It never runs again.
    StepSucceeded {
        /// The step.
        path: String,
        /// The attempt that succeeded.
        attempt: u32,
        /// Its result.
        #[serde(with = "shared")]
        #[schemars(with = "Value")]
        output: Shared,
        /// How long the attempt took, in milliseconds.
        #[serde(default)]
        ms: u64,
        /// Whether the result was taken over from the execution that this one retries.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        copied: bool,
    },
    /// An attempt of a step failed.
    StepFailed {
        /// The step.
        path: String,
        /// The attempt.
        attempt: u32,
        /// Why.
        error: Failure,
        /// How long the attempt took, in milliseconds.
        #[serde(default)]
        ms: u64,
        /// When another attempt begins, UTC milliseconds; absent where it failed for good.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_at: Option<Millis>,
        /// Whether this was taken over from the execution that this one retries.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        copied: bool,
    },
    /// The guard of a step was false.
    StepSkipped {
        /// The step.
        path: String,
    },
    /// A step waits for a time.
    TimerSet {
        /// The step.
        path: String,
        /// Until when, UTC milliseconds.
        due: Millis,
    },
    /// A time has come.
    TimerFired {
        /// The step, or empty for the execution.
        path: String,
        /// What it was for.
        purpose: Purpose,
    },
    /// A signal or an event arrived.
    SignalReceived {
        /// Its name.
        name: String,
        /// What it carries.
        #[serde(with = "shared")]
        #[schemars(with = "Value")]
        payload: Shared,
        /// The step that it is for; empty: the first that waits for this name.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        path: String,
    },
    /// A step called another bot.
    ChildStarted {
        /// The step.
        path: String,
        /// The attempt.
        attempt: u32,
        /// The execution of the other bot.
        id: ExecutionId,
    },
    /// A called bot is done.
    ChildFinished {
        /// The step.
        path: String,
        /// The execution of the other bot.
        id: ExecutionId,
        /// How it ended.
        status: Status,
    },
    /// People were asked.
    ApprovalAsked {
        /// The step.
        path: String,
        /// What they were asked.
        message: String,
        /// When it is too late, UTC milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due: Option<Millis>,
    },
    /// Someone answered.
    ApprovalAnswered {
        /// The step.
        path: String,
        /// The answer.
        answer: super::types::Answer,
    },
    /// A called bot goes on as another execution, which is waited for from now on.
    ChildContinued {
        /// The step.
        path: String,
        /// The execution of the other bot so far.
        id: ExecutionId,
        /// The one that goes on.
        next: ExecutionId,
    },
    /// What was done is undone from now on, because of a failure: within the body of the
    /// `try` at the path, whose `catch` follows, or, where the path is empty, in the whole
    /// execution, which then ends.
    Undoing {
        /// The `try`, or empty.
        path: String,
        /// Why.
        error: Failure,
        /// When what is not undone by then stays, UTC milliseconds.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        due: Option<Millis>,
    },
    /// It goes on as a new execution, which was stored together with this entry.
    Continued {
        /// The step that says so.
        path: String,
        /// The attempt.
        attempt: u32,
        /// The new execution.
        id: ExecutionId,
    },
    /// The journal has become too long; it ends.
    JournalFull {
        /// How many entries it has.
        entries: u64,
    },
    /// Someone wants it to end. A second time: without running what `finally` holds, and
    /// without undoing what is not undone yet.
    CancelRequested {
        /// Who.
        by: String,
        /// Why.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Someone paused it.
    Paused {
        /// Who.
        by: String,
    },
    /// Someone let it go on.
    Resumed {
        /// Who.
        by: String,
    },
    /// It goes on with another version of its bot, whose way to here would have been the same.
    Migrated {
        /// The version so far.
        from: VersionId,
        /// The version from now on.
        to: VersionId,
        /// Who wanted it.
        by: String,
    },
    /// It was to go on with another version, and stays with its own.
    MigrationRefused {
        /// The version that it was to go on with.
        to: VersionId,
        /// Who wanted it.
        by: String,
        /// Why not.
        error: Failure,
    },
    /// It is over.
    Finished {
        /// How.
        status: Status,
        /// What it returned.
        #[serde(default, with = "shared_option", skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<Value>")]
        output: Option<Shared>,
        /// Why it did not succeed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<Failure>,
    },
}

impl Event {
    /// The path of the step that it is about, or empty.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Event::StepScheduled { path, .. }
            | Event::StepSucceeded { path, .. }
            | Event::StepFailed { path, .. }
            | Event::StepSkipped { path }
            | Event::TimerSet { path, .. }
            | Event::TimerFired { path, .. }
            | Event::SignalReceived { path, .. }
            | Event::ChildStarted { path, .. }
            | Event::ChildFinished { path, .. }
            | Event::ChildContinued { path, .. }
            | Event::Undoing { path, .. }
            | Event::Continued { path, .. }
            | Event::ApprovalAsked { path, .. }
            | Event::ApprovalAnswered { path, .. } => path,
            _ => "",
        }
    }
}

/// The idempotency key of the step at `path`: the same for every attempt, also after a crash.
#[must_use]
pub fn idempotency_key(execution: ExecutionId, path: &str) -> String {
    format!("{execution}:{path}")
}

mod shared {
    use super::Shared;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::sync::Arc;

    pub(super) fn serialize<S: Serializer>(value: &Shared, to: S) -> Result<S::Ok, S::Error> {
        value.as_ref().serialize(to)
    }
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Shared, D::Error> {
        serde_json::Value::deserialize(from).map(Arc::new)
    }
}

mod shared_option {
    use super::Shared;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::sync::Arc;

    pub(super) fn serialize<S: Serializer>(value: &Option<Shared>, to: S) -> Result<S::Ok, S::Error> {
        value.as_deref().serialize(to)
    }
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Shared>, D::Error> {
        // Present is present, also where it is null: an execution may return null.
        serde_json::Value::deserialize(from).map(|value| Some(Arc::new(value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_entry_reads_as_flat_json_and_back() {
        let event = Event::StepSucceeded {
            path: "price".into(),
            attempt: 2,
            output: Arc::new(json!({"usd": 1})),
            ms: 7,
            copied: false,
        };
        let entry = Entry { seq: 3, at: 9, event };
        let text = serde_json::to_value(&entry).unwrap();
        assert_eq!(
            text,
            json!({"seq": 3, "at": 9, "kind": "step_succeeded", "path": "price", "attempt": 2, "output": {"usd": 1}, "ms": 7})
        );
        assert_eq!(serde_json::from_value::<Entry>(text).unwrap(), entry);
    }

    #[test]
    fn an_output_of_null_is_not_an_absent_output() {
        let null = Event::Finished { status: Status::Succeeded, output: Some(Arc::new(json!(null))), error: None };
        let text = serde_json::to_value(&null).unwrap();
        assert_eq!(serde_json::from_value::<Event>(text).unwrap(), null);
        let none = Event::Finished { status: Status::Failed, output: None, error: None };
        let text = serde_json::to_value(&none).unwrap();
        assert_eq!(serde_json::from_value::<Event>(text).unwrap(), none);
    }
}
