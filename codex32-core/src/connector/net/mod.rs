//! The guarded network: the one way from a connector to the outside.
//!
//! Invariants: the address that is connected to is the address that was checked, on
//! every hop; redirects are followed here and nowhere else; no proxy of the
//! environment is used; an answer is read up to a limit; cancelling the execution
//! ends the request.

mod address;
mod client;
mod guard;
mod resolve;

pub use client::{Incoming, Net, Outgoing};
pub use guard::Guard;
pub use resolve::{Lookup, SystemLookup};

use super::ActionContext;
use crate::clock::{Clock, Millis};
use crate::error::{Code, Error, Result};
use crate::id::WorkspaceId;
use std::future::Future;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Most bytes of an answer that are read, after decompression.
pub const MAX_ANSWER: usize = 10 * 1024 * 1024;

/// On whose behalf the network is used, and until when. An [`ActionContext`] becomes one.
#[derive(Clone)]
pub struct Calling {
    /// The tenant; tenants share no connections.
    pub workspace: WorkspaceId,
    /// Sent along with requests that change something; empty: none.
    pub idempotency_key: String,
    /// When it must be done, UTC milliseconds.
    pub deadline: Option<Millis>,
    /// Ends it early.
    pub cancel: CancellationToken,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl From<&ActionContext> for Calling {
    fn from(cx: &ActionContext) -> Self {
        Calling {
            workspace: cx.workspace,
            idempotency_key: cx.idempotency_key.clone(),
            deadline: cx.deadline,
            cancel: cx.cancel.clone(),
            clock: cx.clock.clone(),
        }
    }
}

impl From<&Calling> for Calling {
    fn from(calling: &Calling) -> Self {
        calling.clone()
    }
}

/// Runs `work` until it is done, `limit_ms` have passed, the deadline has come or the
/// execution was cancelled.
///
/// # Errors
/// Those of `work`, `timeout` or `cancelled`.
pub async fn within<T>(
    calling: impl Into<Calling>,
    limit_ms: u64,
    what: &str,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let calling = calling.into();
    let now = calling.clock.now();
    let limit = now.saturating_add(i64::try_from(limit_ms).unwrap_or(i64::MAX));
    let until = calling.deadline.map_or(limit, |deadline| deadline.min(limit));
    tokio::select! {
        biased;
        () = calling.cancel.cancelled() => Err(Error::new(Code::Cancelled, format!("{what} was cancelled"))),
        done = work => done,
        () = calling.clock.sleep_until(until) => {
            Err(Error::new(Code::Timeout, format!("{what} did not answer within {} ms", until - now)))
        }
    }
}

#[cfg(test)]
mod tests;
