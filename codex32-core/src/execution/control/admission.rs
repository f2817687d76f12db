//! Admission: where too much waits already, no more is taken.
//!
//! What waits is counted once a second and what is added here meanwhile is added to that, so
//! the counts are near enough and a start asks nobody. Only what comes from outside is
//! refused: what is under way goes on, with the bots that it calls.

use super::{Config, Inner};
use crate::clock::Millis;
use crate::error::{Code, Error, Result};
use crate::execution::types::Start;
use crate::id::{BotId, WorkspaceId};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// When it is worth to come again, in milliseconds: what waits was counted anew by then.
const AGAIN: u64 = 2_000;
/// Counting may take this part of the time, in per cent.
const SHARE: u32 = 5;

/// What waits to be driven, queued or held.
#[derive(Debug, Default)]
pub(super) struct Admission {
    all: AtomicU64,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    workspaces: HashMap<WorkspaceId, u64>,
    bots: HashMap<BotId, u64>,
    /// When it is counted again, UTC milliseconds.
    next: Millis,
}

impl Admission {
    /// Whether one more may be stored.
    ///
    /// # Errors
    /// `busy` where the engine has enough, `rate_limited` where the workspace or the bot has.
    fn ask(&self, config: &Config, start: &Start) -> Result<()> {
        let all = self.all.load(Ordering::Relaxed);
        let limits = [config.waiting_all, config.waiting_workspace, config.waiting_bot];
        if limits.iter().all(|limit| all < *limit) {
            return Ok(());
        }
        let refused = |code: Code, who: &str, limit: u64| {
            metrics::counter!("codex32_starts_refused_total", "by" => who.to_owned()).increment(1);
            Err(Error::new(code, format!("{limit} executions of the {who} wait to be driven; no more are taken"))
                .hint("come again later, or have more of them driven at the same time")
                .retry_after_ms(AGAIN))
        };
        if all >= config.waiting_all {
            return refused(Code::Busy, "engine", config.waiting_all);
        }
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let workspace = counts.workspaces.get(&start.workspace).copied().unwrap_or(0);
        if workspace >= config.waiting_workspace {
            return refused(Code::RateLimited, "workspace", config.waiting_workspace);
        }
        let bot = counts.bots.get(&start.bot).copied().unwrap_or(0);
        if bot >= config.waiting_bot {
            return refused(Code::RateLimited, "bot", config.waiting_bot);
        }
        Ok(())
    }

    /// One more waits.
    fn note(&self, start: &Start) {
        self.all.fetch_add(1, Ordering::Relaxed);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.workspaces.entry(start.workspace).or_default() += 1;
        *counts.bots.entry(start.bot).or_default() += 1;
    }

    fn is_due(&self, now: Millis) -> bool {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).next <= now
    }

    fn counted(&self, rows: Vec<(WorkspaceId, BotId, u64)>, next: Millis) {
        let mut counts = Counts { next, ..Counts::default() };
        for (workspace, bot, count) in &rows {
            *counts.workspaces.entry(*workspace).or_default() += count;
            *counts.bots.entry(*bot).or_default() += count;
        }
        self.all.store(rows.iter().map(|(.., count)| count).sum(), Ordering::Relaxed);
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner) = counts;
    }
}

impl Inner {
    /// Whether a start from outside may be stored. See [`Admission::ask`].
    pub(super) fn admit(&self, start: &Start) -> Result<()> {
        self.admission.ask(&self.config, start)
    }

    /// An execution was stored that waits to be driven.
    pub(super) fn waits(&self, start: &Start) {
        self.admission.note(start);
    }

    /// Counts what waits, at most once a second, and less often where there is much to count.
    pub(super) async fn count_waiting(&self) {
        let now = self.clock.now();
        if !self.admission.is_due(now) {
            return;
        }
        let begun = Instant::now();
        match self.store.waiting().await {
            Ok(rows) => {
                let took = begun.elapsed() * (100 / SHARE);
                let next = now.saturating_add(Millis::try_from(took.as_millis()).unwrap_or(Millis::MAX));
                let count: u64 = rows.iter().map(|(.., count)| count).sum();
                metrics::gauge!("codex32_executions_waiting_to_begin").set(count as f64);
                self.admission.counted(rows, next);
            }
            Err(error) => tracing::debug!(%error, "what waits cannot be counted now"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::VersionId;
    use serde_json::json;
    use uuid::Uuid;

    fn start(workspace: u128, bot: u128) -> Start {
        Start {
            workspace: WorkspaceId(Uuid::from_u128(workspace)),
            bot: BotId(Uuid::from_u128(bot)),
            bot_name: "b".into(),
            version: VersionId(Uuid::from_u128(1)),
            deployment: None,
            environment: "prod".into(),
            input: json!({}),
            trigger: json!({}),
            idempotency_key: None,
            parent: None,
            caller: "user:ann".into(),
        }
    }

    #[test]
    fn whoever_has_enough_is_refused_and_nobody_else() {
        let admission = Admission::default();
        let config = Config { waiting_bot: 2, waiting_workspace: 3, waiting_all: 5, ..Config::default() };
        let code = |start: &Start| admission.ask(&config, start).err().map(|e| (e.code(), e.retry_after()));
        for _ in 0..2 {
            assert_eq!(code(&start(1, 1)), None);
            admission.note(&start(1, 1));
        }
        assert_eq!(code(&start(1, 1)), Some((Code::RateLimited, Some(AGAIN))));
        assert_eq!(code(&start(1, 2)), None);
        admission.note(&start(1, 2));
        assert_eq!(code(&start(1, 3)), Some((Code::RateLimited, Some(AGAIN))), "the workspace has enough");
        for _ in 0..2 {
            assert_eq!(code(&start(2, 4)), None);
            admission.note(&start(2, 4));
        }
        assert_eq!(code(&start(3, 5)), Some((Code::Busy, Some(AGAIN))), "the engine has enough");
        admission.counted(vec![(start(1, 1).workspace, start(1, 1).bot, 1)], 7);
        assert_eq!(code(&start(1, 1)), None, "it was counted anew");
        assert_eq!((admission.is_due(6), admission.is_due(7)), (false, true));
    }
}
