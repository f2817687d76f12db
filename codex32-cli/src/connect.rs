//! Where the command works: against a server, or embedded over a folder.

use clap::ArgMatches;
use codex32_core::api::door::{Door, Remote};
use codex32_core::engine::{Config, Engine};
use codex32_core::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What a running server leaves in its data folder, readable by its owner only, so
/// that commands on the same machine find it: who can read the folder owns it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Running {
    /// Where it listens.
    pub(crate) address: String,
    /// A token of the folder's owner that ends with the server.
    pub(crate) token: String,
}

/// Name of the file that holds a [`Running`].
pub(crate) const RUNNING: &str = "server.json";

/// An open door; to be closed when the command is done.
pub(crate) struct Connection {
    /// The way to ask.
    pub(crate) door: Door,
}

impl Connection {
    /// Connects as the global arguments say.
    pub(crate) async fn open(matches: &ArgMatches) -> Result<Connection> {
        if let Some(url) = text(matches, "url") {
            let remote = Remote::new(&url, text(matches, "token"))?;
            return Ok(Connection { door: Door::Remote(remote) });
        }
        let config = config(matches)?;
        if let Some(running) = running(&config) {
            let remote = Remote::new(&running.address, Some(running.token))?;
            if remote.call("system.health", serde_json::json!({})).await.is_ok() {
                return Ok(Connection { door: Door::Remote(remote) });
            }
        }
        let engine = Engine::open(config).await?;
        let caller = Box::new(engine.local_owner().await?);
        Ok(Connection { door: Door::Embedded { engine, caller } })
    }

    /// Lets what was begun come to a safe end.
    pub(crate) async fn close(self) {
        if let Some(engine) = self.door.engine() {
            engine.shutdown().await;
        }
    }
}

/// The configuration that the global arguments give.
pub(crate) fn config(matches: &ArgMatches) -> Result<Config> {
    let mut config = Config::in_folder(data(matches));
    if let Some(url) = text(matches, "store") {
        config = config.with_store(url);
    }
    config.key = key(matches)?;
    Ok(config)
}

/// The master key of the secrets, where it is not in the data folder.
fn key(matches: &ArgMatches) -> Result<Option<String>> {
    if let Some(file) = text(matches, "key_file") {
        let text = std::fs::read_to_string(&file);
        return text.map(Some).map_err(|e| Error::invalid(format!("read the key file {file}: {e}")));
    }
    Ok(std::env::var("CODEX32_KEY").ok().filter(|key| !key.trim().is_empty()))
}

/// The data folder: as told, else `./data` where it holds an engine, else the user's.
fn data(matches: &ArgMatches) -> PathBuf {
    if let Some(folder) = text(matches, "data") {
        return PathBuf::from(folder);
    }
    let here = PathBuf::from("data");
    if here.join("codex32.db").exists() {
        return here;
    }
    let home = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share")));
    home.map_or(here, |home| home.join("codex32"))
}

fn running(config: &Config) -> Option<Running> {
    let text = std::fs::read_to_string(config.data.join(RUNNING)).ok()?;
    serde_json::from_str(&text).ok()
}

/// A global argument, wherever on the line it stood.
pub(crate) fn text(matches: &ArgMatches, name: &str) -> Option<String> {
    let mut found = None;
    let mut matches = Some(matches);
    while let Some(level) = matches {
        if let Ok(Some(value)) = level.try_get_one::<String>(name) {
            found = Some(value.clone()).filter(|v| !v.is_empty()).or(found);
        }
        matches = level.subcommand().map(|(_, sub)| sub);
    }
    found
}
