//! The engine: opened over a database, started, asked through the operation table,
//! shut down.
//!
//! - [`Engine::open`] assembles the rooms (`assemble`); [`Engine::start`] begins the
//!   background work (`lifecycle`); [`Engine::call`](crate::api) asks.
//! - `ports` and `services` join rooms that must not know each other.
//!
//! Invariants: an [`Engine`] owns every task it starts and ends them in
//! [`Engine::shutdown`]; two engines in one process share nothing but the metrics; one
//! process drives a data folder at a time.

mod assemble;
mod config;
mod lifecycle;
mod lock;
mod logs;
mod native;
mod overview;
mod ports;
mod retention;
mod services;
mod start;
#[cfg(test)]
mod tests;

pub use config::Config;
pub use native::Workflow;
pub(crate) use start::ManualStart;

use crate::access::{Access, Caller, Deed};
use crate::builder::Builder;
use crate::clock::{Clock, Millis};
use crate::connector::{Connectors, Services};
use crate::error::{Code, Error, Result};
use crate::event::Bus;
use crate::execution::Executor;
use crate::observe::Metrics;
use crate::queue::Queue;
use crate::registry::Registry;
use crate::sandbox::{NativeAction, NativeFunction, ProcessRuntime, Runtimes};
use crate::secret::Secrets;
use crate::storage::{Db, Leadership, Nats};
use crate::supervisor::Supervisor;
use crate::trigger::Dispatcher;
use crate::webhook::Webhooks;
use governor::clock::Clock as _;
use serde_json::Value;
use std::sync::{Arc, OnceLock};

type Limiter = governor::DefaultKeyedRateLimiter<String>;

/// The engine. Cheap to clone; all clones are the same engine.
///
/// ```no_run
/// # async fn run() -> codex32_core::Result<()> {
/// use codex32_core::engine::{Config, Engine};
/// use serde_json::json;
///
/// let engine = Engine::open(Config::in_file("data.db")).await?;
/// engine.start().await?;
/// let owner = engine.local_owner().await?;
/// let bots = engine.call(Some(&owner), "bots.list", json!({})).await?;
/// println!("{bots}");
/// engine.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    clock: Arc<dyn Clock>,
    opened_at: Millis,
    public_url: Arc<std::sync::RwLock<String>>,
    db: Db,
    access: Access,
    secrets: Secrets,
    bus: Bus,
    queues: Arc<dyn Queue>,
    connectors: Arc<Connectors>,
    runtimes: Runtimes,
    process: Arc<ProcessRuntime>,
    services: Arc<dyn Services>,
    executor: Executor,
    registry: Registry,
    dispatcher: Dispatcher,
    webhooks: Webhooks,
    supervisor: Supervisor,
    builder: Builder,
    metrics: Metrics,
    limiter: Option<Limiter>,
    local_token: OnceLock<String>,
    tasks: lifecycle::Tasks,
    nats: Option<Nats>,
    leadership: Leadership,
    lock: std::sync::Mutex<Option<lock::FolderLock>>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("data", &self.inner.config.data).finish_non_exhaustive()
    }
}

impl Engine {
    /// Opens the engine over the store that `config` names, and migrates it. Nothing
    /// runs yet.
    ///
    /// # Errors
    /// `unavailable` where the store cannot be opened, `busy` where another process works
    /// on the folder, `invalid` where the configuration is wrong.
    pub async fn open(config: Config) -> Result<Engine> {
        Ok(Engine { inner: Arc::new(assemble::assemble(config).await?) })
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.inner.config
    }
    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.inner.clock
    }
    /// The database.
    #[must_use]
    pub fn db(&self) -> &Db {
        &self.inner.db
    }
    /// Who may do what.
    #[must_use]
    pub fn access(&self) -> &Access {
        &self.inner.access
    }
    /// Secrets.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.inner.secrets
    }
    /// The bus.
    #[must_use]
    pub fn bus(&self) -> &Bus {
        &self.inner.bus
    }
    /// Work that is handed to one of many: in NATS JetStream where the deployment has it,
    /// else in the database.
    #[must_use]
    pub fn queues(&self) -> &Arc<dyn Queue> {
        &self.inner.queues
    }
    /// What bots can do.
    #[must_use]
    pub fn connectors(&self) -> &Arc<Connectors> {
        &self.inner.connectors
    }
    /// Executions.
    #[must_use]
    pub fn executor(&self) -> &Executor {
        &self.inner.executor
    }
    /// Bots, versions, deployments.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.inner.registry
    }
    /// HTTP requests that start bots.
    #[must_use]
    pub fn webhooks(&self) -> &Webhooks {
        &self.inner.webhooks
    }
    /// Incidents and long-running bots.
    #[must_use]
    pub fn supervisor(&self) -> &Supervisor {
        &self.inner.supervisor
    }
    /// From sentences to bots.
    #[must_use]
    pub fn builder(&self) -> &Builder {
        &self.inner.builder
    }
    pub(crate) fn services(&self) -> Arc<dyn Services> {
        self.inner.services.clone()
    }
    /// When the engine was opened, UTC milliseconds.
    #[must_use]
    pub fn opened_at(&self) -> Millis {
        self.inner.opened_at
    }
    /// The measures, as Prometheus reads them.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.inner.metrics.render()
    }

    /// Where people and services reach the engine's server, for links in messages.
    pub fn set_public_url(&self, url: &str) {
        let mut shared = self.inner.public_url.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        *shared = url.trim_end_matches('/').to_owned();
    }
    /// See [`Engine::set_public_url`].
    #[must_use]
    pub fn public_url(&self) -> String {
        self.inner.public_url.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Makes a function of the embedding program an action: `use: native.NAME`, or `FAMILY.NAME`.
    ///
    /// # Errors
    /// `invalid` for a name or a schema that is none, `conflict` where a built-in connector has the family.
    pub fn register_action(&self, action: NativeAction, function: NativeFunction) -> Result<()> {
        let connector = self.inner.runtimes.natives().register_boxed(action, function)?;
        let spec = connector.spec();
        self.inner.connectors.register(connector, spec)
    }

    /// The caller who owns the data folder.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn local_owner(&self) -> Result<Caller> {
        self.inner.access.local_owner().await
    }

    /// Who has this token.
    ///
    /// # Errors
    /// `unauthenticated`.
    pub async fn authenticate(&self, token: &str) -> Result<Caller> {
        self.inner.access.authenticate(token).await
    }

    /// Makes the first owner where there is none, and gives their token, once.
    ///
    /// # Errors
    /// `invalid` for a bad address.
    pub async fn bootstrap(&self, email: Option<&str>) -> Result<Option<String>> {
        let email = email.unwrap_or("owner@localhost");
        let issued = self.inner.access.bootstrap(email, &self.inner.config.workspace).await?;
        Ok(issued.map(|issued| issued.token))
    }

    /// Tells those who wait for work that there is some.
    pub(crate) fn wake(&self) {
        self.inner.dispatcher.nudge();
        self.inner.executor.wake();
    }

    /// What this machine lets scripts be limited by.
    pub(crate) async fn doctor(&self) -> Value {
        serde_json::to_value(self.inner.process.doctor().await).unwrap_or_default()
    }

    /// Counts a call of `caller` against its rate. The owner of the folder is not limited.
    pub(crate) fn rate(&self, caller: Option<&Caller>) -> Result<()> {
        let Some(limiter) = &self.inner.limiter else { return Ok(()) };
        let key = match caller {
            Some(Caller { token: None, .. }) => return Ok(()),
            Some(Caller { token: Some(token), .. }) => token.to_string(),
            None => "anonymous".to_owned(),
        };
        limiter.check_key(&key).map_err(|not_until| {
            let wait = not_until.wait_time_from(governor::clock::DefaultClock::default().now());
            Error::new(Code::RateLimited, "too many calls with this token")
                .retry_after_ms(u64::try_from(wait.as_millis()).unwrap_or(1_000).max(1))
        })
    }

    /// The error with the secrets of the caller's workspace hidden.
    pub(crate) async fn redact_error(&self, caller: Option<&Caller>, error: Error) -> Error {
        let Some(caller) = caller else { return error };
        match self.inner.secrets.redactor(caller.workspace).await {
            Ok(redactor) => redactor.error(error),
            // What cannot be checked is not shown.
            Err(_) => Error::new(error.code(), "the details cannot be shown now"),
        }
    }

    /// Leaves an audit entry.
    pub(crate) async fn audit(&self, caller: &Caller, operation: &str, subject: &str, outcome: &str) -> Result<()> {
        let mut deed = Deed::ok(operation, subject);
        outcome.clone_into(&mut deed.outcome);
        self.inner.access.record(caller, deed).await
    }
}

/// Chooses the TLS provider of the process, once: ring.
pub fn install_crypto() {
    // An embedding program may have chosen already; its choice stands.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
