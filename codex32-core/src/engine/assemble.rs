//! The rooms put together, from the ground up.

use super::config::Config;
use super::lifecycle::Tasks;
use super::lock::FolderLock;
use super::ports::{ExecutorPort, catalogue_of};
use super::services::{EngineServices, Later};
use super::{Inner, Limiter, install_crypto};
use crate::access::Access;
use crate::builder::{Builder, OfflineInterpreter};
use crate::clock::Clock;
use crate::connector::kv::KvStore;
use crate::connector::{Connectors, Net, Services};
use crate::error::{Error, Result};
use crate::event::Bus;
use crate::execution::{self, Executor};
use crate::notify::{Everyone, LogNotifier, Severity};
use crate::observe::Metrics;
use crate::queue::{self, DbQueue, NatsQueue, Queue};
use crate::registry::{self, Registry};
#[cfg(feature = "kubernetes")]
use crate::sandbox::KubernetesRuntime;
use crate::sandbox::{ProcessConfig, ProcessRuntime, Runtimes};
use crate::secret::{KeyFile, KeyProvider, KeyRing, Secrets};
use crate::storage::{Backend, Db, Leadership, Nats, Wakes};
use crate::supervisor::{self, Supervisor};
use crate::trigger::{self, ConnectorPoller, Dispatcher};
use crate::webhook::{self, Webhooks};
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock, RwLock};

/// Opens the store and makes every room.
pub(super) async fn assemble(config: Config) -> Result<Inner> {
    install_crypto();
    config.check()?;
    config.prepare()?;
    let lock = FolderLock::take(&config.data)?;
    let clock = config.clock.clone();
    let (db, nats) = open(&config).await?;
    let queues = queues(&db, nats.as_ref(), &clock);
    let bus = Bus::new(db.clone(), clock.clone());
    let access = Access::new(db.clone(), clock.clone());
    let secrets = Secrets::open(db.clone(), clock.clone(), keys(&config)?).await?;
    if db.backend() == Backend::Postgres {
        secrets.agree().await?;
    }
    let connectors = Arc::new(Connectors::new(Net::default()));
    let process = Arc::new(ProcessRuntime::new(
        ProcessConfig::new(config.data.join("scripts"), config.host_env.clone()),
        clock.clone(),
    )?);
    let runtimes = runtimes(&config, process.clone()).await?;
    let services = Arc::new(EngineServices {
        bus: bus.clone(),
        kv: KvStore::new(db.clone(), clock.clone()),
        queues: queues.clone(),
        notifier: Arc::new(Everyone::default().and(Severity::Info, Arc::new(LogNotifier))),
        later: OnceLock::new(),
    });
    let registry = Registry::new(registry::Parts {
        db: db.clone(),
        clock: clock.clone(),
        bus: bus.clone(),
        catalogue: catalogue_of(&connectors),
        purgers: super::ports::purgers(&db),
    });
    let public_url = Arc::new(RwLock::new(config.public_url.clone()));
    let executor = Executor::new(execution::Parts {
        db: db.clone(),
        clock: clock.clone(),
        bus: bus.clone(),
        secrets: secrets.clone(),
        actions: connectors.clone(),
        scripts: Arc::new(runtimes.clone()),
        services: services.clone() as Arc<dyn Services>,
        bots: Arc::new(registry.clone()),
        config: execution::Config {
            concurrency: config.concurrency,
            labels: config.all_labels(),
            host: config.host.clone(),
            waiting_bot: config.waiting_bot,
            waiting_workspace: config.waiting_workspace,
            waiting_all: config.waiting_all,
            lease_ms: config.lease_ms,
            drain_ms: config.drain_ms,
            // A file is locked; on a server there may be others, and their leases must end.
            alone: db.backend() == Backend::Sqlite,
            public_url: public_url.clone(),
            ..Default::default()
        },
    });
    let starter: Arc<dyn trigger::Starter> = Arc::new(executor.clone());
    let port = Arc::new(ExecutorPort(executor.clone()));
    let webhooks = Webhooks::new(webhook::Parts {
        db: db.clone(),
        clock: clock.clone(),
        starter: starter.clone(),
        signer: Arc::new(secrets.clone()),
        ends: port.clone(),
        config: webhook::Config::default(),
    });
    // Set once, just made: nobody can have been before.
    let _ = services.later.set(Later { executor: executor.clone(), webhooks: webhooks.clone() });
    let dispatcher = Dispatcher::new(trigger::Parts {
        db: db.clone(),
        clock: clock.clone(),
        bus: bus.clone(),
        starter: starter.clone(),
        queues: queues.clone(),
        poller: Arc::new(ConnectorPoller::new(connectors.clone(), secrets.clone(), services.clone(), clock.clone())),
    });
    let supervisor = Supervisor::new(supervisor::Parts {
        db: db.clone(),
        clock: clock.clone(),
        bus: bus.clone(),
        starter,
        stopper: port,
        notifier: Some(services.notifier.clone()),
    });
    let builder = Builder::new(Arc::new(OfflineInterpreter), catalogue_of(&connectors));
    Ok(Inner {
        limiter: limiter(config.rate_per_second),
        opened_at: clock.now(),
        metrics: Metrics::install()?,
        local_token: OnceLock::new(),
        tasks: Tasks::default(),
        nats,
        leadership: Leadership::new(db.clone()),
        lock: std::sync::Mutex::new(Some(lock)),
        config,
        clock,
        public_url,
        db,
        access,
        secrets,
        bus,
        queues,
        connectors,
        runtimes,
        process,
        services,
        executor,
        registry,
        dispatcher,
        webhooks,
        supervisor,
        builder,
    })
}

#[cfg(feature = "kubernetes")]
async fn runtimes(config: &Config, process: Arc<ProcessRuntime>) -> Result<Runtimes> {
    let runtimes = Runtimes::new(process);
    let Some(cluster) = config.kubernetes.clone() else { return Ok(runtimes) };
    let kubernetes = KubernetesRuntime::new(cluster, &config.host_env, config.clock.clone()).await?;
    Ok(runtimes.with(Arc::new(kubernetes)))
}

#[cfg(not(feature = "kubernetes"))]
async fn runtimes(_config: &Config, process: Arc<ProcessRuntime>) -> Result<Runtimes> {
    Ok(Runtimes::new(process))
}

async fn open(config: &Config) -> Result<(Db, Option<Nats>)> {
    let db = Db::open(&config.store_url()).await?;
    let Some(url) = &config.nats else { return Ok((db, None)) };
    let cluster = db.cluster().ok_or_else(|| {
        Error::invalid("NATS is for several processes on one PostgreSQL; on an SQLite file there is one process")
            .hint("use a store postgres://..., or leave NATS out")
    })?;
    let nats = Nats::connect(url, cluster).await?;
    let left = DbQueue::count(&db).await?;
    if left > 0 {
        tracing::warn!(
            left,
            "messages of queues are in the database from before NATS was used, and are not handed out"
        );
    }
    Ok((db.with_wakes(Wakes::by(Arc::new(nats.clone()))), Some(nats)))
}

/// Queues over NATS where the deployment has one, else in the database.
fn queues(db: &Db, nats: Option<&Nats>, clock: &Arc<dyn Clock>) -> Arc<dyn Queue> {
    match nats {
        Some(nats) => Arc::new(NatsQueue::new(nats.clone(), clock.clone(), queue::Limits::default())),
        None => Arc::new(DbQueue::new(db.clone(), clock.clone(), queue::Limits::default())),
    }
}

fn keys(config: &Config) -> Result<Arc<dyn KeyProvider>> {
    Ok(match &config.key {
        Some(key) => Arc::new(KeyRing::parse(key)?),
        None => Arc::new(KeyFile::open(config.data.join("key"))?),
    })
}

fn limiter(per_second: u32) -> Option<Limiter> {
    let rate = NonZeroU32::new(per_second)?;
    let burst = NonZeroU32::new(per_second.saturating_mul(2)).unwrap_or(rate);
    Some(Limiter::keyed(governor::Quota::per_second(rate).allow_burst(burst)))
}
