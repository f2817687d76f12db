//! Stores on PostgreSQL: a schema on the server for tests, or a server of a test's own.

use crate::node::{PATIENCE, free_port, wait_until};
use sea_orm::{ConnectionTrait as _, Database};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const DEFAULT: &str = "postgres://postgres@127.0.0.1/test";

/// Whether a machine without PostgreSQL is a fault.
fn must() -> bool {
    std::env::var("CI").is_ok_and(|ci| ci == "true") || std::env::var("CODEX32_TEST_POSTGRES").is_ok()
}

/// The URL of a fresh schema; `None`, said aloud, where there is no server.
pub(crate) async fn schema() -> Option<String> {
    let server = std::env::var("CODEX32_TEST_POSTGRES").unwrap_or_else(|_| DEFAULT.to_owned());
    match on(&server).await {
        Some(url) => Some(url),
        None => {
            assert!(!must(), "no PostgreSQL at {server}");
            eprintln!("skipped: no PostgreSQL at {server}");
            None
        }
    }
}

async fn on(server: &str) -> Option<String> {
    let admin = Database::connect(server).await.ok()?;
    let name = format!("crash_{}", uuid::Uuid::now_v7().simple());
    admin.execute_unprepared(&format!("CREATE SCHEMA {name}")).await.unwrap(); // identifiers only
    admin.close().await.unwrap();
    let mark = if server.contains('?') { '&' } else { '?' };
    Some(format!("{server}{mark}options[search_path]={name}"))
}

/// Drops the schema of a URL that [`schema`] gave.
pub(crate) async fn drop_schema(url: &str) {
    let Some((server, name)) = url.rsplit_once("options[search_path]=") else { return };
    let server = server.trim_end_matches(['?', '&']);
    let Ok(admin) = Database::connect(server).await else { return };
    let _ = admin.execute_unprepared("SET lock_timeout = '5s'").await;
    let _ = admin.execute_unprepared(&format!("DROP SCHEMA {name} CASCADE")).await; // identifiers only
}

/// The same URL by another port.
pub(crate) fn by_port(url: &str, port: u16) -> String {
    let mut url = url::Url::parse(url).unwrap();
    url.set_port(Some(port)).unwrap();
    url.to_string()
}

/// Where a URL's server is.
pub(crate) fn address(url: &str) -> String {
    let url = url::Url::parse(url).unwrap();
    format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432))
}

/// A server of the test's own, which may be stopped.
pub(crate) struct Server {
    bin: PathBuf,
    data: PathBuf,
    port: u16,
    child: Option<Child>,
    _folder: tempfile::TempDir,
}

impl Server {
    /// A fresh server; `None`, said aloud, where its programs are not installed.
    pub(crate) async fn start() -> Option<Server> {
        let Some(bin) = programs() else {
            assert!(!must(), "PostgreSQL's programs are not installed");
            eprintln!("skipped: PostgreSQL's programs are not installed");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let mut server = Server { bin, data, port: free_port(), child: None, _folder: folder };
        server.own(server._folder.path());
        let made =
            server.program("initdb").args(["-U", "postgres", "-A", "trust", "-N", "-D"]).arg(&server.data).output();
        let made = made.unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        server.resume().await;
        Some(server)
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// Starts it (again), and waits until it answers.
    pub(crate) async fn resume(&mut self) {
        let port = self.port.to_string();
        let mut command = self.program("postgres");
        command.arg("-D").arg(&self.data).args(["-p", &port, "-k", "/tmp", "-c", "listen_addresses=127.0.0.1"]);
        self.child = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let url = self.url();
        wait_until("PostgreSQL answers", async || Database::connect(&url).await.ok()).await;
    }

    /// Ends it: at once, as a crash would, or by ending all sessions.
    pub(crate) async fn stop(&mut self, crash: bool) {
        use rustix::process::{Pid, Signal, kill_process};
        let Some(mut child) = self.child.take() else { return };
        let signal = if crash { Signal::QUIT } else { Signal::INT };
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).unwrap();
        kill_process(pid, signal).unwrap();
        let ended = tokio::task::spawn_blocking(move || child.wait());
        tokio::time::timeout(PATIENCE, ended).await.unwrap().unwrap().unwrap();
    }

    /// PostgreSQL refuses to be run by root.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        if let Some((user, group)) = unprivileged() {
            command.uid(user).gid(group);
        }
        command
    }

    fn own(&self, path: &Path) {
        if let Some((user, group)) = unprivileged() {
            std::os::unix::fs::chown(path, Some(user), Some(group)).unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Debian keeps each version's programs in a folder of their own.
fn programs() -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()))
        .filter(|bin| bin.join("initdb").exists() && bin.join("postgres").exists())
        .collect();
    found.sort();
    found.pop()
}

/// User and group to run a server as, where this is run by root.
fn unprivileged() -> Option<(u32, u32)> {
    if !rustix::process::getuid().is_root() {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = ["postgres:", "nobody:"].iter().find_map(|name| users.lines().find(|line| line.starts_with(name)))?;
    let fields: Vec<&str> = line.split(':').collect();
    Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
}
