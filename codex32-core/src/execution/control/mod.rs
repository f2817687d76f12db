//! The executor: what callers ask of it, one operation in a file, and the loops
//! that keep executions going.

mod admission;
mod answer;
mod cancel;
mod check;
mod config;
mod dispatch;
mod events;
mod flow;
mod fork;
mod hear;
mod inner;
mod keep;
mod lifecycle;
mod migrate;
mod pause;
mod query;
mod register;
mod replay;
mod retain;
mod retry;
mod retry_native;
mod signal;
mod start;
mod starter;
mod timers;
mod versions;
mod view;
mod watch;
mod workers;

pub use config::Config;
pub(crate) use inner::Inner;
pub use retain::Keep;
pub(crate) use versions::Ready;
pub(crate) use watch::End;

use super::ports::{Actions, BotSource, Scripts};
use crate::clock::Clock;
use crate::connector::Services;
use crate::event::Bus;
use crate::secret::Secrets;
use crate::storage::Db;
use std::sync::Arc;

/// What an [`Executor`] is made of.
#[derive(Clone)]
pub struct Parts {
    /// The database.
    pub db: Db,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The bus of this database.
    pub bus: Bus,
    /// Secrets and connections.
    pub secrets: Secrets,
    /// What performs `use` steps.
    pub actions: Arc<dyn Actions>,
    /// What performs `run` steps.
    pub scripts: Arc<dyn Scripts>,
    /// Where bots come from.
    pub bots: Arc<dyn BotSource>,
    /// What else the engine does for connectors.
    pub services: Arc<dyn Services>,
    /// Limits and addresses.
    pub config: Config,
}

/// Starts, drives and tells of executions. Cheap to clone.
///
/// It drives nothing before [`Executor::run`]; what was started before that waits in
/// the database.
#[derive(Clone)]
pub struct Executor {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Executor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executor").field("owner", &self.inner.owner).finish_non_exhaustive()
    }
}

impl Executor {
    /// An executor over these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Executor {
        Executor { inner: Arc::new(Inner::new(parts)) }
    }

    /// An executor that passes `gate` at every write.
    #[cfg(test)]
    pub(crate) fn gated(parts: Parts, gate: Option<Arc<dyn super::store::Gate>>) -> Executor {
        let mut inner = Inner::new(parts);
        inner.store.gate = gate;
        Executor { inner: Arc::new(inner) }
    }

    /// Takes what is ready and does nothing with it, as if the driver had panicked.
    #[cfg(test)]
    pub(crate) async fn claim_and_forget(&self) {
        let turns = self.inner.store.turns(None, 10).await.unwrap();
        let claimed = self.inner.store.claim(self.inner.owner, i64::MAX, 10, turns).await.unwrap();
        assert!(!claimed.is_empty());
    }
}
