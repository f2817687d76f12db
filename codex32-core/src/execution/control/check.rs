//! What is checked before anything is stored.

use super::{Executor, Ready};
use crate::error::{Code, Error, Result};
use crate::execution::flow::Ticket;
use crate::execution::types::Start;
use crate::execution::{MAX_INPUT, size};
use std::sync::Arc;

/// Longest idempotency key, in bytes.
const MAX_KEY: usize = 255;

impl Executor {
    /// Whether `start` could be started: its input satisfies the version's `inputs`.
    /// [`Executor::start`] does this itself; callers of [`Executor::start_in`] do it first.
    ///
    /// # Errors
    /// `invalid` with every fault of the input, `too_large`, `not_found` for the version;
    /// `rate_limited` or `busy` where too much waits to be driven.
    pub async fn check(&self, start: &Start) -> Result<()> {
        self.checked(start).await.map(|_| ())
    }

    /// The same, with the version that was looked at, and what its rules say of the start.
    pub(super) async fn checked(&self, start: &Start) -> Result<(Ready, Option<Arc<Ticket>>)> {
        bounded(start)?;
        self.inner.admit(start)?;
        let ready = self.inner.versions.get(start.workspace, start.version).await?;
        ready.check(&start.input)?;
        let ticket = ready.ticket(&start.input, &start.trigger)?;
        Ok((ready, ticket))
    }

    /// The same for a start that takes up an execution again.
    pub(super) async fn checked_again(&self, start: &Start) -> Result<(Ready, Option<Arc<Ticket>>)> {
        bounded(start)?;
        let ready = self.inner.versions.get(start.workspace, start.version).await?;
        ready.check_again(&start.input)?;
        let ticket = ready.ticket_again(&start.input, &start.trigger)?;
        Ok((ready, ticket))
    }
}

fn bounded(start: &Start) -> Result<()> {
    if let Some(key) = &start.idempotency_key
        && (key.is_empty() || key.len() > MAX_KEY)
    {
        return Err(Error::invalid(format!("the idempotency key must have 1 to {MAX_KEY} bytes"))
            .at("/idempotency_key", "its length"));
    }
    for (what, value) in [("input", &start.input), ("trigger", &start.trigger)] {
        let bytes = size(value);
        if bytes > MAX_INPUT {
            return Err(Error::new(Code::TooLarge, format!("the {what} has {bytes} bytes; the limit is {MAX_INPUT}"))
                .at(format!("/{what}"), "too large")
                .hint("store the data elsewhere and hand over where it is"));
        }
    }
    Ok(())
}
