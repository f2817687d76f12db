//! A NATS server of a test's own, which can be killed.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use tokio::net::TcpStream;

/// A server over a folder. It ends with the test.
pub(super) struct Server {
    folder: tempfile::TempDir,
    port: u16,
    process: Child,
}

impl Server {
    /// `None` where the program is not there, which is only allowed outside continuous integration.
    pub(super) async fn start() -> Option<Server> {
        let folder = tempfile::tempdir().unwrap();
        // Free until the server takes it, unless somebody is faster.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let Some(process) = spawn(folder.path(), port) else {
            assert!(std::env::var("CI").is_err(), "no nats-server on this machine");
            eprintln!("skipped: no nats-server on this machine");
            return None;
        };
        let server = Server { folder, port, process };
        server.answers().await;
        Some(server)
    }

    pub(super) fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Ends it as a crash does.
    pub(super) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again over the same folder.
    pub(super) async fn restart(&mut self) {
        self.process = spawn(self.folder.path(), self.port).unwrap();
        self.answers().await;
    }

    async fn answers(&self) {
        super::until(async || TcpStream::connect(("127.0.0.1", self.port)).await.ok()).await;
    }
}

fn spawn(folder: &Path, port: u16) -> Option<Child> {
    let mut command = Command::new("nats-server");
    command.args(["-a", "127.0.0.1", "-p", &port.to_string(), "-js", "-sd"]).arg(folder);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
