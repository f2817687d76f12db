//! What is checked before anything is stored.

use super::{Executor, Ready};
use crate::error::{Code, Error, Result};
use crate::execution::types::Start;
use crate::execution::{MAX_INPUT, size};

/// Longest idempotency key, in bytes.
const MAX_KEY: usize = 255;

impl Executor {
    /// Whether `start` could be started: its input satisfies the version's `inputs`.
    /// [`Executor::start`] does this itself; callers of [`Executor::start_in`] do it first.
    ///
    /// # Errors
    /// `invalid` with every fault of the input, `too_large`, `not_found` for the version.
    pub async fn check(&self, start: &Start) -> Result<()> {
        self.checked(start).await.map(|_| ())
    }

    /// The same, with the version that was looked at.
    pub(super) async fn checked(&self, start: &Start) -> Result<Ready> {
        if let Some(key) = &start.idempotency_key
            && (key.is_empty() || key.len() > MAX_KEY)
        {
            return Err(Error::invalid(format!("the idempotency key must have 1 to {MAX_KEY} bytes"))
                .at("/idempotency_key", "its length"));
        }
        for (what, value) in [("input", &start.input), ("trigger", &start.trigger)] {
            let bytes = size(value);
            if bytes > MAX_INPUT {
                return Err(Error::new(
                    Code::TooLarge,
                    format!("the {what} has {bytes} bytes; the limit is {MAX_INPUT}"),
                )
                .at(format!("/{what}"), "too large")
                .hint("store the data elsewhere and hand over where it is"));
            }
        }
        let ready = self.inner.versions.get(start.workspace, start.version).await?;
        ready.check(&start.input)?;
        Ok(ready)
    }
}
