//! The one error type that leaves the engine.
//!
//! Rooms may keep richer enums of their own; at the room's door they become an
//! [`Error`], whose [`Code`] is stable, has a page in the book
//! (`docs/reference/errors.md`) and maps once to an HTTP status, an exit code and
//! the exception classes of the bindings.
//!
//! Messages are lower-case fragments that say what was wrong with which input;
//! [`Error::hint`] says what to do about it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Stable machine-readable class of an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The input does not satisfy its contract. Nothing was changed.
    Invalid,
    /// No valid credentials were given.
    Unauthenticated,
    /// The caller is known and may not do this.
    Forbidden,
    /// The thing named does not exist in this workspace.
    NotFound,
    /// The thing exists already, or changed in between.
    Conflict,
    /// The state of the thing does not allow the operation now.
    Precondition,
    /// The input exceeds a limit on size, depth or count.
    TooLarge,
    /// The caller asks too often; retry after the stated time.
    RateLimited,
    /// The engine is at capacity; retry after the stated time.
    Busy,
    /// Something did not answer in its time limit.
    Timeout,
    /// The work was cancelled before it was done.
    Cancelled,
    /// A system outside the engine could not be reached or refused.
    Unavailable,
    /// A bot, step or script ran and failed.
    Failed,
    /// A native function did not do what it did before with the same results.
    Nondeterministic,
    /// The engine cannot do this on this machine or in this build.
    Unsupported,
    /// A fault of the engine itself; the details are in its log, not here.
    Internal,
}

impl Code {
    /// All codes, for documentation and tests.
    pub const ALL: [Code; 16] = [
        Code::Invalid,
        Code::Unauthenticated,
        Code::Forbidden,
        Code::NotFound,
        Code::Conflict,
        Code::Precondition,
        Code::TooLarge,
        Code::RateLimited,
        Code::Busy,
        Code::Timeout,
        Code::Cancelled,
        Code::Unavailable,
        Code::Failed,
        Code::Nondeterministic,
        Code::Unsupported,
        Code::Internal,
    ];

    /// The code as it is written in JSON and in the journal.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Code::Invalid => "invalid",
            Code::Unauthenticated => "unauthenticated",
            Code::Forbidden => "forbidden",
            Code::NotFound => "not_found",
            Code::Conflict => "conflict",
            Code::Precondition => "precondition",
            Code::TooLarge => "too_large",
            Code::RateLimited => "rate_limited",
            Code::Busy => "busy",
            Code::Timeout => "timeout",
            Code::Cancelled => "cancelled",
            Code::Unavailable => "unavailable",
            Code::Failed => "failed",
            Code::Nondeterministic => "nondeterministic",
            Code::Unsupported => "unsupported",
            Code::Internal => "internal",
        }
    }

    /// A short human title (the `title` of RFC 9457 problem details).
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Code::Invalid => "Invalid input",
            Code::Unauthenticated => "Not authenticated",
            Code::Forbidden => "Not allowed",
            Code::NotFound => "Not found",
            Code::Conflict => "Conflict",
            Code::Precondition => "Not possible in this state",
            Code::TooLarge => "Too large",
            Code::RateLimited => "Too many requests",
            Code::Busy => "Busy",
            Code::Timeout => "Timed out",
            Code::Cancelled => "Cancelled",
            Code::Unavailable => "Unavailable",
            Code::Failed => "Failed",
            Code::Nondeterministic => "Not deterministic",
            Code::Unsupported => "Not supported here",
            Code::Internal => "Internal error",
        }
    }

    /// HTTP status of this code.
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Code::Invalid => 422,
            Code::Unauthenticated => 401,
            Code::Forbidden => 403,
            Code::NotFound => 404,
            Code::Conflict | Code::Precondition => 409,
            Code::TooLarge => 413,
            Code::RateLimited => 429,
            Code::Busy => 503,
            Code::Timeout => 504,
            Code::Cancelled | Code::Nondeterministic => 409,
            Code::Unavailable => 502,
            Code::Failed => 424,
            Code::Unsupported => 501,
            Code::Internal => 500,
        }
    }

    /// Exit code of the command line: 1 the thing failed, 3 invalid input,
    /// 4 not allowed, 5 not found, 6 busy or unreachable (2 is usage).
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Code::Invalid | Code::TooLarge => 3,
            Code::Unauthenticated | Code::Forbidden => 4,
            Code::NotFound => 5,
            Code::RateLimited | Code::Busy | Code::Unavailable => 6,
            _ => 1,
        }
    }

    /// Whether the same call may succeed later without being changed.
    #[must_use]
    pub const fn is_retriable(self) -> bool {
        matches!(self, Code::RateLimited | Code::Busy | Code::Timeout | Code::Unavailable)
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Code {
    type Err = ();
    fn from_str(s: &str) -> std::result::Result<Self, ()> {
        Code::ALL.into_iter().find(|c| c.as_str() == s).ok_or(())
    }
}

/// One thing wrong with one place of the input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fault {
    /// Where, as a JSON pointer into the input (`/limit`), or empty for the whole.
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
}

/// What went wrong, ready for every frontend.
///
/// ```
/// use codex32_core::error::{Code, Error};
/// let e = Error::not_found("bot", "btc-watch").hint("`codex32 ps` lists the bots");
/// assert_eq!(e.code(), Code::NotFound);
/// assert_eq!(e.to_string(), "there is no bot \"btc-watch\"");
/// ```
#[derive(Debug, Clone, thiserror::Error, Serialize, Deserialize, JsonSchema)]
#[error("{message}")]
pub struct Error {
    code: Code,
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    faults: Vec<Fault>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

/// Result with the engine's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `code` with `message` (a lower-case fragment).
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Error { code, message: message.into(), hint: None, faults: Vec::new(), retry_after_ms: None }
    }
    /// Input that does not satisfy its contract.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::Invalid, message)
    }
    /// `kind` (such as "bot") named `id` does not exist here.
    pub fn not_found(kind: &str, id: impl std::fmt::Display) -> Self {
        Self::new(Code::NotFound, format!("there is no {kind} \"{id}\""))
    }
    /// The thing exists already or changed in between.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(Code::Conflict, message)
    }
    /// The caller may not do this.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(Code::Forbidden, message)
    }
    /// The state of the thing does not allow this now.
    pub fn precondition(message: impl Into<String>) -> Self {
        Self::new(Code::Precondition, message)
    }
    /// A system outside the engine could not be reached or refused.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Code::Unavailable, message)
    }
    /// A fault of the engine. `message` must not carry secrets; frontends show it only in the log.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Code::Internal, message)
    }
    /// Adds what the caller can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
    /// Adds one fault at a JSON pointer.
    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>, message: impl Into<String>) -> Self {
        self.faults.push(Fault { pointer: pointer.into(), message: message.into() });
        self
    }
    /// Adds faults.
    #[must_use]
    pub fn with_faults(mut self, faults: impl IntoIterator<Item = Fault>) -> Self {
        self.faults.extend(faults);
        self
    }
    /// States when a retry is worth it, in milliseconds.
    #[must_use]
    pub fn retry_after_ms(mut self, ms: u64) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }
    /// Prefixes the message with what was being done ("failed to " reads before it).
    #[must_use]
    pub fn context(mut self, doing: impl std::fmt::Display) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }
    /// The stable class.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }
    /// The message.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
    /// What the caller can do.
    #[must_use]
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }
    /// The single faults.
    #[must_use]
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }
    /// When a retry is worth it, in milliseconds.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        self.retry_after_ms
    }
    /// The same error with every text passed through `f` (used to redact secrets).
    #[must_use]
    pub fn map_text(mut self, f: impl Fn(&str) -> String) -> Self {
        self.message = f(&self.message);
        self.hint = self.hint.as_deref().map(&f);
        for fault in &mut self.faults {
            fault.message = f(&fault.message);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip_by_name() {
        for code in Code::ALL {
            assert_eq!(code.as_str().parse(), Ok(code));
            assert_eq!(serde_json::to_value(code).ok(), Some(serde_json::Value::from(code.as_str())));
        }
    }
}
