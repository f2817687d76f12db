//! Checked input as Rust types.

use crate::blueprint::Span;
use crate::error::{Code, Error, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Input that satisfied its schema, as `T`.
///
/// # Errors
/// `invalid` where schema and type disagree, which is a fault of the connector.
pub(crate) fn read<T: DeserializeOwned>(input: Value) -> Result<T> {
    serde_json::from_value(input).map_err(|e| Error::invalid(format!("the input cannot be read: {e}")))
}

/// `1h30m`, `250ms` as milliseconds.
///
/// # Errors
/// `invalid` where it is none.
pub(crate) fn millis(text: &str) -> Result<u64> {
    text.parse::<Span>()
        .map(|span| span.0)
        .map_err(|why| Error::invalid(format!("\"{text}\" is no length of time: {why}")))
}

/// Bytes that are given either as text or as base64.
///
/// # Errors
/// `invalid` where both or neither are given, or the base64 is not right.
pub(crate) fn bytes(text: Option<String>, base64: Option<String>, what: &str) -> Result<Vec<u8>> {
    match (text, base64) {
        (Some(text), None) => Ok(text.into_bytes()),
        (None, Some(text)) => STANDARD
            .decode(text.trim())
            .map_err(|_| Error::invalid(format!("{what} is not right base64")).at("/base64", "is not right base64")),
        (None, None) => Err(Error::invalid(format!("{what} has no contents")).hint("give `text` or `base64`")),
        (Some(_), Some(_)) => {
            Err(Error::invalid(format!("{what} has two contents")).hint("give `text` or `base64`, not both"))
        }
    }
}

/// A lone text, or several.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(untagged)]
pub(crate) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    pub(crate) fn into_vec(self) -> Vec<String> {
        match self {
            OneOrMany::One(text) => vec![text],
            OneOrMany::Many(texts) => texts,
        }
    }
}

/// An action that does not exist; the registry never asks for one.
pub(crate) fn no_action(connector: &str, action: &str) -> Error {
    Error::not_found("action", format!("{connector}.{action}"))
}

/// Runs blocking work beside the async threads.
///
/// # Errors
/// Those of the work; `internal` where it panicked.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(e) if e.is_cancelled() => Err(Error::new(Code::Cancelled, "the engine is shutting down")),
        Err(_) => Err(Error::internal("a connector panicked")),
    }
}

/// The same for work that looks at a flag now and then and ends when it is set: that
/// is when nobody waits for the work any more.
///
/// # Errors
/// Those of [`blocking`].
pub(crate) async fn interruptible<T: Send + 'static>(
    work: impl FnOnce(&AtomicBool) -> Result<T> + Send + 'static,
) -> Result<T> {
    struct Stop(Arc<AtomicBool>);
    impl Drop for Stop {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let stop = Stop(Arc::default());
    let flag = stop.0.clone();
    blocking(move || work(&flag)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_given_one_way() {
        assert_eq!(bytes(Some("a".into()), None, "x").unwrap(), b"a");
        assert_eq!(bytes(None, Some("YQ==".into()), "x").unwrap(), b"a");
        assert!(bytes(None, Some("!".into()), "x").is_err());
        assert!(bytes(None, None, "x").is_err());
        assert!(bytes(Some(String::new()), Some(String::new()), "x").is_err());
    }
}
