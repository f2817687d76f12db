//! Codex-32 and its peers, each started as its users start it.

use crate::Failure;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// Longest time to become healthy.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that answers, and how long it took until it did.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// `http://HOST:PORT`.
    pub address: String,
    /// The owner's token, where one was made.
    pub token: Option<String>,
    /// From the start of the process to its first answer.
    pub started_in: Duration,
}

impl Server {
    /// Resident memory of the process and all that it started, in bytes.
    ///
    /// # Errors
    /// Where `/proc` cannot be read.
    pub fn memory(&self) -> Result<u64, Failure> {
        let id = self.child.id().ok_or("the process has ended")?;
        tree(id).into_iter().map(resident).sum()
    }

    /// Ends the process and waits for it.
    ///
    /// # Errors
    /// Where it cannot be waited for.
    pub async fn stop(mut self) -> Result<(), Failure> {
        self.child.kill().await?;
        Ok(())
    }
}

/// Starts the release build of Codex-32 over this folder, on SQLite.
///
/// # Errors
/// Where it does not start, or does not become healthy.
pub async fn codex32(data: &Path) -> Result<Server, Failure> {
    let mut command = Command::new(binary());
    command.args(["up", "--listen", "127.0.0.1:0", "--json", "--log", "error", "--data"]).arg(data);
    announced(command, "/api/v1/health").await
}

/// Starts the bare handler.
///
/// # Errors
/// Where it does not start.
pub async fn bare(binary: &str) -> Result<Server, Failure> {
    announced(Command::new(binary), "/").await
}

/// Starts Node-RED over this folder with these flows. `None` where it is not installed.
///
/// # Errors
/// Where it does not become healthy.
pub async fn node_red(folder: &Path, flows: &Value) -> Result<Option<Server>, Failure> {
    let red = root().join("benches/peers/node-red/node_modules/node-red/red.js");
    if !red.exists() {
        return Ok(None);
    }
    let port = free_port()?;
    let settings = json!({
        "uiHost": "127.0.0.1", "uiPort": port, "flowFile": "flows.json", "telemetry": {"enabled": false},
        "logging": {"console": {"level": "error"}},
    });
    std::fs::write(folder.join("flows.json"), flows.to_string())?;
    std::fs::write(folder.join("settings.js"), format!("module.exports = {settings}"))?;
    let mut command = Command::new("node");
    command.arg(red).arg("--userDir").arg(folder).stdout(Stdio::null());
    let begun = Instant::now();
    let child = command.kill_on_drop(true).spawn()?;
    let address = format!("http://127.0.0.1:{port}");
    healthy(&address, "/", begun).await?;
    Ok(Some(Server { child, address, token: None, started_in: begun.elapsed() }))
}

/// A program that prints its address in its first line.
async fn announced(mut command: Command, path: &str) -> Result<Server, Failure> {
    let begun = Instant::now();
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("no standard output")?).lines();
    let line = tokio::time::timeout(PATIENCE, lines.next_line()).await??.ok_or("it ended at once")?;
    let said: Value = serde_json::from_str(&line)?;
    let address = said["address"].as_str().ok_or("it named no address")?.to_owned();
    healthy(&address, path, begun).await?;
    let token = said["token"].as_str().map(str::to_owned);
    Ok(Server { child, address, token, started_in: begun.elapsed() })
}

async fn healthy(address: &str, path: &str, begun: Instant) -> Result<(), Failure> {
    // Any client may have chosen a provider before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::new();
    while begun.elapsed() < PATIENCE {
        if client.get(format!("{address}{path}")).send().await.is_ok_and(|answer| !answer.status().is_server_error()) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Err(format!("{address} did not answer").into())
}

/// The release build, or what `CODEX32_BIN` names.
fn binary() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    std::env::var_os("CODEX32_BIN").map_or_else(|| target.join("release/codex32"), PathBuf::from)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn free_port() -> Result<u16, Failure> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A process and its descendants.
fn tree(id: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    let children = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let ids: Vec<u32> =
        children.flat_map(|ids| ids.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>()).collect();
    std::iter::once(id).chain(ids.into_iter().flat_map(tree)).collect()
}

fn resident(id: u32) -> Result<u64, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next())
        .ok_or("no VmRSS")?;
    Ok(kilobytes.parse::<u64>()? * 1024)
}
