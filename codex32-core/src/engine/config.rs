//! What the engine is opened with.

use crate::blueprint::is_label;
use crate::clock::{Clock, Millis, SystemClock};
use crate::error::{Error, Result};
use crate::storage::Archive;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Configuration of an [`Engine`](super::Engine).
///
/// ```
/// use codex32_core::engine::Config;
/// let config = Config::in_folder("data").with_public_url("https://bots.example");
/// assert!(config.store_url().starts_with("sqlite://"));
/// ```
#[derive(Clone)]
pub struct Config {
    /// Folder of the database, the key file, caches and working directories.
    pub data: PathBuf,
    /// Database URL; an SQLite file in `data` where absent.
    pub store: Option<String>,
    /// Where people and services reach the server, for approval and webhook addresses.
    pub public_url: String,
    /// Name of the home workspace.
    pub workspace: String,
    /// IANA zone of schedules that name none.
    pub timezone: String,
    /// Executions driven at the same time.
    pub concurrency: usize,
    /// What this process can do beyond others on the same database (`gpu`, `region.eu`):
    /// it drives bots that ask for these labels by `runs_on`, and those that ask for none.
    pub labels: Vec<String>,
    /// Executions of a bot that may wait to be driven (queued or held). Where there are so
    /// many, its starts are refused as `rate_limited` with the time to come again.
    pub waiting_bot: u64,
    /// The same for a workspace.
    pub waiting_workspace: u64,
    /// The same for the whole engine, whose starts are then refused as `busy`.
    pub waiting_all: u64,
    /// Name of the machine, for people.
    pub host: String,
    /// How long executions stay with a process that gives no sign of life, in milliseconds;
    /// then another takes them over. At least 300, far above the difference of the clocks.
    pub lease_ms: Millis,
    /// How long running steps may take to end at a shutdown, in milliseconds. What is not
    /// done by then goes on elsewhere, or at the next start.
    pub drain_ms: u64,
    /// NATS server by which the processes on one PostgreSQL wake each other; the database
    /// itself does it where absent.
    pub nats: Option<String>,
    /// How long finished executions are kept of bots that do not say it themselves, in
    /// milliseconds; for ever where absent.
    pub keep_ms: Option<Millis>,
    /// How many executions are kept of each bot that does not say it itself; all where absent.
    pub keep_count: Option<u64>,
    /// Where executions are written before they are removed: a folder, `s3://BUCKET/PREFIX`
    /// (with the `AWS_` variables of `host_env`), or `off`; the folder `archive` in `data`
    /// where absent.
    pub archive: Option<String>,
    /// Calls per second that one caller may make, with bursts of twice that; 0: no limit.
    pub rate_per_second: u32,
    /// The cluster in which scripts are run as Kubernetes Jobs; all are processes of this
    /// machine where absent. The process has the label `kubernetes` then, too.
    #[cfg(feature = "kubernetes")]
    pub kubernetes: Option<crate::sandbox::KubernetesConfig>,
    /// Master key of the secrets, base64; a key file in `data` where absent.
    pub key: Option<String>,
    /// The environment that interpreters and package managers are found by; a script
    /// sees next to nothing of it.
    pub host_env: Vec<(OsString, OsString)>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("data", &self.data).field("store", &self.shown_store()).finish_non_exhaustive()
    }
}

impl Config {
    /// The defaults over the folder `data`.
    #[must_use]
    pub fn in_folder(data: impl Into<PathBuf>) -> Config {
        Config {
            data: data.into(),
            store: None,
            public_url: "http://127.0.0.1:7832".to_owned(),
            workspace: "home".to_owned(),
            timezone: "UTC".to_owned(),
            concurrency: 64,
            labels: Vec::new(),
            waiting_bot: 100_000,
            waiting_workspace: 500_000,
            waiting_all: 2_000_000,
            host: host(),
            lease_ms: 30_000,
            drain_ms: 5_000,
            nats: None,
            keep_ms: None,
            keep_count: None,
            archive: None,
            #[cfg(feature = "kubernetes")]
            kubernetes: None,
            rate_per_second: 200,
            key: None,
            host_env: std::env::vars_os().collect(),
            clock: Arc::new(SystemClock),
        }
    }

    /// The defaults over one SQLite file; what else must be kept lies beside it in `FILE.d/`.
    #[must_use]
    pub fn in_file(file: impl AsRef<Path>) -> Config {
        let file = file.as_ref();
        let mut beside = file.as_os_str().to_owned();
        beside.push(".d");
        Config { store: Some(sqlite_url(file)), ..Config::in_folder(PathBuf::from(beside)) }
    }

    /// The defaults over what a person names: a database URL (with the folder `./data`
    /// for the rest), an SQLite file, or a folder.
    #[must_use]
    pub fn for_target(target: &str) -> Config {
        let path = Path::new(target);
        if target.contains("://") {
            Config::in_folder("data").with_store(target)
        } else if path.is_dir() || target.ends_with('/') || path.extension().is_none() {
            Config::in_folder(path)
        } else {
            Config::in_file(path)
        }
    }

    /// Uses this database.
    #[must_use]
    pub fn with_store(mut self, url: impl Into<String>) -> Config {
        self.store = Some(url.into());
        self
    }

    /// States where the server is reached.
    #[must_use]
    pub fn with_public_url(mut self, url: impl Into<String>) -> Config {
        self.public_url = url.into();
        self
    }

    /// Uses this clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Config {
        self.clock = clock;
        self
    }

    /// The database URL in force.
    #[must_use]
    pub fn store_url(&self) -> String {
        self.store.clone().unwrap_or_else(|| sqlite_url(&self.data.join("codex32.db")))
    }

    /// The database URL with its password hidden.
    #[must_use]
    pub fn shown_store(&self) -> String {
        let url = self.store_url();
        match url::Url::parse(&url) {
            Ok(mut parsed) if parsed.password().is_some() => {
                // Only addresses without a host refuse a password, and they have none.
                let _ = parsed.set_password(Some("***"));
                parsed.to_string()
            }
            _ => url,
        }
    }

    /// Runs scripts as Kubernetes Jobs.
    #[cfg(feature = "kubernetes")]
    #[must_use]
    pub fn with_kubernetes(mut self, cluster: crate::sandbox::KubernetesConfig) -> Config {
        self.kubernetes = Some(cluster);
        self
    }

    /// The labels of this process, with what follows from the rest.
    pub(super) fn all_labels(&self) -> Vec<String> {
        #[cfg_attr(not(feature = "kubernetes"), expect(unused_mut, reason = "only a cluster adds one"))]
        let mut labels = self.labels.clone();
        #[cfg(feature = "kubernetes")]
        if self.kubernetes.is_some() && !labels.iter().any(|label| label == crate::sandbox::KUBERNETES_LABEL) {
            labels.push(crate::sandbox::KUBERNETES_LABEL.to_owned());
        }
        labels
    }

    /// Whether it can be worked with.
    pub(super) fn check(&self) -> Result<()> {
        if let Some(label) = self.labels.iter().find(|label| !is_label(label)) {
            return Err(Error::invalid(format!("\"{label}\" is not a label"))
                .hint("lower-case letters, digits, `-`, `_` and `.`, such as `gpu` or `region.eu`"));
        }
        if let Some(place) = self.archive.as_deref().filter(|place| *place != "off") {
            Archive::open(place, &self.host_env)?;
        }
        if self.lease_ms < 300 {
            return Err(Error::invalid(format!("a lease of {} ms is too short", self.lease_ms)).hint("at least 300 ms"));
        }
        Ok(())
    }

    /// Makes the data folder, readable by its owner only.
    pub(super) fn prepare(&self) -> Result<()> {
        let failed = |e: std::io::Error| Error::unavailable(format!("make the folder {}: {e}", self.data.display()));
        std::fs::create_dir_all(&self.data).map_err(failed)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&self.data, std::fs::Permissions::from_mode(0o700)).map_err(failed)?;
        }
        Ok(())
    }
}

/// What the machine calls itself.
fn host() -> String {
    let told = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let told = told.or_else(|| std::env::var("HOSTNAME").ok()).or_else(|| std::env::var("COMPUTERNAME").ok());
    told.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned())
}

fn sqlite_url(file: &Path) -> String {
    format!("sqlite://{}", file.display())
}
