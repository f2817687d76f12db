//! The real binary, as one of the processes on a store.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// Long enough for a busy machine; nothing waits so long that works.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// A free port, for a process that is started again at the same one.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Polls `met` until it gives something.
pub(crate) async fn wait_until<T>(what: &str, mut met: impl AsyncFnMut() -> Option<T>) -> T {
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = met().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < end, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Runs a command over a folder of its own to its end; what it prints, a JSON document.
pub(crate) async fn command(root: &Path, args: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_codex32"));
    command.args(args).args(["--json", "--key-file"]).arg(root.join("key")).arg("--data").arg(root.join("command"));
    let done = tokio::time::timeout(PATIENCE, command.kill_on_drop(true).output()).await.unwrap().unwrap();
    assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

/// A process that can be started, killed, and started again.
pub(crate) struct Node {
    name: String,
    args: Vec<String>,
    folder: PathBuf,
    child: Option<Child>,
    /// Where it serves its API, or a worker its status.
    pub(crate) address: String,
}

impl Node {
    /// `codex32 up` over the folder, with these further arguments.
    pub(crate) fn up(root: &Path, name: &str, more: &[&str]) -> Node {
        Node::new(root, name, &[&["up", "--email", "me@example.com", "--listen"], more].concat(), 4)
    }

    /// `codex32 worker`.
    pub(crate) fn worker(root: &Path, name: &str, more: &[&str]) -> Node {
        Node::new(root, name, &[&["worker", "--status"], more].concat(), 2)
    }

    fn new(root: &Path, name: &str, args: &[&str], address_at: usize) -> Node {
        let folder = root.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let host = format!("127.0.0.1:{}", free_port());
        let mut args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        args.insert(address_at, host.clone());
        args.extend(["--json", "--log", "info", "--key-file"].map(str::to_owned));
        args.push(root.join("key").display().to_string());
        args.extend(["--data".to_owned(), folder.display().to_string()]);
        Node { name: name.to_owned(), args, folder, child: None, address: format!("http://{host}") }
    }

    /// Starts it, and does not wait for it.
    pub(crate) fn spawn(&mut self) -> &mut Child {
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_codex32"));
        command.args(&self.args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).kill_on_drop(true);
        for name in ["CODEX32_STORE", "CODEX32_URL", "CODEX32_TOKEN", "CODEX32_KEY", "CODEX32_DATA"] {
            command.env_remove(name);
        }
        self.child.insert(command.spawn().unwrap())
    }

    /// Starts it; gives what it says of itself once it works.
    pub(crate) async fn start(&mut self) -> Value {
        let stdout = self.spawn().stdout.take().unwrap();
        let mut lines = BufReader::new(stdout).lines();
        let first = tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap();
        let Some(first) = first else { panic!("{} did not start:\n{}", self.name, self.log()) };
        serde_json::from_str(&first).unwrap()
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join("test.log")
    }

    /// What it has written to its log, in all its lives.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn pid(&self) -> Pid {
        let id = self.child.as_ref().and_then(Child::id).expect("it runs");
        Pid::from_raw(i32::try_from(id).unwrap()).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Ends it as a power cut would: SIGKILL. Whether it was still there.
    pub(crate) async fn kill(&mut self) -> bool {
        let Some(mut child) = self.child.take() else { return false };
        let there = child.try_wait().unwrap().is_none();
        child.kill().await.unwrap();
        there
    }

    /// Asks it to end, and waits until it has.
    pub(crate) async fn terminate(&mut self) {
        self.signal(Signal::TERM);
        let mut child = self.child.take().unwrap();
        let ended = tokio::time::timeout(PATIENCE, child.wait()).await;
        let status = ended.unwrap_or_else(|_| panic!("{} does not end:\n{}", self.name, self.log())).unwrap();
        assert!(status.success(), "{}: {status}\n{}", self.name, self.log());
    }

    /// One of its measures, 0 where it was never counted.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let Ok(answer) = reqwest::get(format!("{}/metrics", self.address)).await else { return 0.0 };
        let text = answer.text().await.unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or(0.0)
    }
}
