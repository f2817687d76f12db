//! Removing what is old, now and then.

use super::Config;
use crate::clock::{Clock, Millis};
use crate::error::Result;
use crate::event::Bus;
use crate::execution::{Executor, Keep};
use crate::registry::{Kept, Registry};
use crate::storage::Archive;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// How often it is looked, in milliseconds.
const EVERY: Millis = 10 * 60 * 1_000;
/// How long events of the bus are kept that all have read, in milliseconds.
const EVENTS_KEPT: Millis = 7 * 24 * 60 * 60 * 1_000;

/// How long events are kept that could not be copied to NATS, in milliseconds.
const COPIES_AWAITED: Millis = 2 * EVENTS_KEPT;

/// What removes old executions and events.
#[derive(Clone)]
pub(super) struct Retention {
    pub(super) config: Config,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) registry: Registry,
    pub(super) executor: Executor,
    pub(super) bus: Bus,
}

impl Retention {
    /// Removes what is old, again and again, until `stop` ends.
    pub(super) async fn run(&self, stop: CancellationToken) {
        loop {
            match self.remove_old(&stop).await {
                Ok(0) => {}
                Ok(removed) => tracing::info!(removed, "old executions were removed"),
                Err(error) => tracing::warn!(%error, "old executions could not be removed; they are tried again later"),
            }
            tokio::select! {
                () = self.clock.sleep_until(self.clock.now() + EVERY) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Removes what is old now. Gives how many executions were removed.
    ///
    /// # Errors
    /// Those of the database and of the archive: the first, after all bots were looked at.
    async fn remove_old(&self, stop: &CancellationToken) -> Result<u64> {
        let (mut removed, mut failed, mut after, mut archive) = (0, None, None, None);
        while !stop.is_cancelled() {
            let (some, next) = self.registry.kept(after, self.config.keep_ms, self.config.keep_count).await?;
            for kept in some {
                if kept.archived && archive.is_none() {
                    archive = self.archive()?;
                }
                match self.executor.retain(&keep(kept, archive.as_ref()), stop).await {
                    Ok(some) => removed += some,
                    // The other bots are not to suffer for it.
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        if self.bus.give_up_relay(self.clock.now().saturating_sub(COPIES_AWAITED)).await? {
            tracing::warn!(
                "events are from two weeks ago and not copied to NATS; they are not kept for it any longer. \
                 Where NATS was taken out of the deployment, nothing is to be done"
            );
        }
        self.bus.prune(self.clock.now().saturating_sub(EVENTS_KEPT)).await?;
        failed.map_or(Ok(removed), Err)
    }

    /// Where removed executions are written; `None` where nowhere.
    fn archive(&self) -> Result<Option<Archive>> {
        match self.config.archive.as_deref() {
            Some("off") => Ok(None),
            Some(place) => Archive::open(place, &self.config.host_env).map(Some),
            None => Archive::folder(&self.config.data.join("archive")).map(Some),
        }
    }
}

fn keep(kept: Kept, archive: Option<&Archive>) -> Keep {
    Keep {
        workspace: kept.workspace,
        bot: kept.bot,
        bot_name: kept.name,
        age: kept.age,
        count: kept.count,
        archive: archive.filter(|_| kept.archived).cloned(),
    }
}
