//! An open stream as every frontend sees it: items, then one reason why it ended.
//!
//! It ends when its source does, when the server does, and when the token behind it is
//! no longer good: a stream may be open for days, and a revoked token must not be.

use crate::auth::{self, Known};
use crate::shell::App;
use codex32_core::access::Permission;
use codex32_core::api::{Meta, ValueStream};
use codex32_core::error::{Error, Result};
use futures::stream::{self, Stream, StreamExt};
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// A part of a feed.
#[derive(Debug)]
pub(crate) enum Part {
    /// An item.
    Item(Value),
    /// It failed; nothing follows.
    Failed(Error),
    /// It ended; nothing follows.
    End(Reason),
}

/// Why a feed ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// There will be no further item.
    Finished,
    /// The server shuts down; the caller may resume elsewhere or later.
    Shutdown,
}

impl Reason {
    pub(crate) fn document(self) -> Value {
        json!({ "reason": match self { Reason::Finished => "finished", Reason::Shutdown => "shutdown" } })
    }
}

/// The caller of a feed and what it must be allowed to do.
struct Guard {
    known: Known,
    permission: Option<Permission>,
    every: Interval,
}

struct State {
    app: App,
    items: ValueStream,
    guard: Option<Guard>,
    _place: OwnedSemaphorePermit,
}

/// Opens the stream of `meta` for `known`.
///
/// # Errors
/// Those of the operation, and `busy` where as many streams are open as may be.
pub(crate) async fn open(
    app: &App,
    known: Option<Known>,
    meta: &'static Meta,
    input: Value,
) -> Result<impl Stream<Item = Part> + Send + use<>> {
    let place = app.admit_stream()?;
    let items = app.engine.open_stream(known.as_ref().map(|k| &k.caller), meta.name, input).await?;
    let guard = known.map(|known| {
        let mut every = interval_at(Instant::now() + app.config.recheck, app.config.recheck);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Guard { known, permission: meta.permission, every }
    });
    let state = State { app: app.clone(), items, guard, _place: place };
    Ok(stream::unfold(Some(state), |state| async move {
        let mut state = state?;
        let part = next(&mut state).await;
        let state = matches!(part, Part::Item(_)).then_some(state);
        Some((part, state))
    }))
}

async fn next(state: &mut State) -> Part {
    let State { app, items, guard, .. } = state;
    loop {
        tokio::select! {
            biased;
            () = app.ending.cancelled() => return Part::End(Reason::Shutdown),
            () = tick(guard.as_mut()) => {
                if let Some(guard) = guard
                    && let Err(error) = auth::still(app, &guard.known, guard.permission).await
                {
                    return Part::Failed(error);
                }
            }
            item = items.next() => return match item {
                Some(Ok(item)) => Part::Item(item),
                Some(Err(error)) => Part::Failed(error),
                None => Part::End(Reason::Finished),
            },
        }
    }
}

async fn tick(guard: Option<&mut Guard>) {
    match guard {
        Some(guard) => {
            guard.every.tick().await;
        }
        None => std::future::pending().await,
    }
}

/// Where a caller resumes after `item`: its `seq`, where the operation can resume.
pub(crate) fn mark<'a>(meta: &Meta, item: &'a Value) -> Option<&'a Value> {
    meta.resume?;
    item.get("seq").filter(|seq| seq.is_string() || seq.is_number())
}
