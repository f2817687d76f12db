//! What every handler needs: the engine, the table, and what is counted.

use crate::config::ServerConfig;
use codex32_core::api::{self, Table};
use codex32_core::engine::Engine;
use codex32_core::error::{Code, Error, Result};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Shared by all handlers.
pub(crate) type App = Arc<Shell>;

/// The server's inside.
pub(crate) struct Shell {
    pub(crate) engine: Engine,
    pub(crate) config: ServerConfig,
    pub(crate) table: &'static Table,
    /// Cancelled when the server begins to end: streams say goodbye.
    pub(crate) ending: CancellationToken,
    /// Work that outlives its connection: writes under way, WebSocket sessions.
    pub(crate) tasks: TaskTracker,
    requests: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

impl Shell {
    pub(crate) fn new(engine: Engine, config: &ServerConfig, ending: CancellationToken) -> Result<App> {
        config.check()?;
        Ok(Arc::new(Shell {
            engine,
            table: api::table()?,
            ending,
            tasks: TaskTracker::new(),
            requests: Arc::new(Semaphore::new(config.concurrency)),
            streams: Arc::new(Semaphore::new(config.streams)),
            config: config.clone(),
        }))
    }

    /// A place among the requests that are worked on.
    pub(crate) fn admit_request(&self) -> Result<OwnedSemaphorePermit> {
        take(&self.requests, "requests")
    }

    /// A place among the open streams; held as long as the stream is.
    pub(crate) fn admit_stream(&self) -> Result<OwnedSemaphorePermit> {
        take(&self.streams, "streams")
    }

    /// Whether people reach the server by TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.config.tls.is_some() || self.engine.public_url().starts_with("https://")
    }

    /// Host names under which the server is reached.
    pub(crate) fn hosts(&self) -> Vec<String> {
        let mut hosts = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        if let Ok(url) = self.engine.public_url().parse::<axum::http::Uri>() {
            hosts.extend(url.host().map(str::to_owned));
        }
        let listen = self.config.listen.rsplit_once(':').map_or("", |(host, _)| host).trim_matches(['[', ']']);
        if !matches!(listen, "" | "0.0.0.0" | "::") {
            hosts.push(listen.to_owned());
        }
        hosts.extend(self.config.hosts.iter().cloned());
        hosts.sort();
        hosts.dedup();
        hosts
    }
}

fn take(places: &Arc<Semaphore>, what: &str) -> Result<OwnedSemaphorePermit> {
    places.clone().try_acquire_owned().map_err(|_| {
        Error::new(Code::Busy, format!("the server has as many {what} open as it may")).retry_after_ms(1_000)
    })
}
