//! The real binary, and the services that its bots meet.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::watch;

/// Long enough for a busy machine; nothing waits so long that works.
const DEADLINE: Duration = Duration::from_secs(120);

/// Polls `met` until it gives something.
pub(crate) async fn wait_until<T>(what: &str, mut met: impl AsyncFnMut() -> Option<T>) -> T {
    let end = tokio::time::Instant::now() + DEADLINE;
    loop {
        if let Some(found) = met().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < end, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A running server over a folder.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
}

impl Server {
    pub(crate) async fn start(data: &Path) -> Server {
        let mut child = Command::new(env!("CARGO_BIN_EXE_codex32"))
            .args(["up", "--listen", "127.0.0.1:0", "--json", "--email", "me@example.com", "--log", "error", "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = tokio::time::timeout(DEADLINE, lines.next_line()).await.unwrap().unwrap().unwrap();
        let greeting: Value = serde_json::from_str(&first).unwrap();
        Server { child, address: greeting["address"].as_str().unwrap().to_owned() }
    }

    /// Ends it as a power cut would: SIGKILL.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

/// Runs the command over the folder: whether it succeeded, and what it printed.
pub(crate) async fn command(data: &Path, args: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_codex32"));
    command.args(args).arg("--data").arg(data).stdin(Stdio::null()).kill_on_drop(true);
    let done = tokio::time::timeout(DEADLINE, command.output()).await.unwrap().unwrap();
    if !done.status.success() {
        eprintln!("{args:?}: {}", String::from_utf8_lossy(&done.stderr));
    }
    (done.status.success(), String::from_utf8(done.stdout).unwrap())
}

/// The same, for a command that must succeed and prints one JSON document.
pub(crate) async fn json(data: &Path, args: &[&str]) -> Value {
    let (done, text) = command(data, &[args, &["--json"]].concat()).await;
    assert!(done, "{args:?} failed: {text}");
    serde_json::from_str(&text).unwrap()
}

/// A request that the counterpart received.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) key: Option<String>,
    pub(crate) body: String,
}

/// An HTTP server and an SMTP server that keep what they receive.
#[derive(Clone)]
pub(crate) struct Counterpart {
    pub(crate) http: String,
    pub(crate) smtp: String,
    requests: Arc<Mutex<Vec<Received>>>,
    mails: Arc<Mutex<Vec<String>>>,
    items: Arc<Mutex<String>>,
    release: Arc<watch::Sender<bool>>,
}

impl Counterpart {
    pub(crate) async fn start() -> Counterpart {
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let smtp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let counterpart = Counterpart {
            http: format!("http://{}", http.local_addr().unwrap()),
            smtp: format!("smtp://{}", smtp.local_addr().unwrap()),
            requests: Arc::default(),
            mails: Arc::default(),
            items: Arc::default(),
            release: Arc::new(watch::Sender::new(false)),
        };
        let router = Router::new().fallback(answer).with_state(counterpart.clone());
        tokio::spawn(async move { axum::serve(http, router).await });
        let mails = counterpart.mails.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = smtp.accept().await {
                tokio::spawn(session(stream, mails.clone()));
            }
        });
        counterpart
    }

    /// What came to this path.
    pub(crate) fn at(&self, path: &str) -> Vec<Received> {
        self.requests.lock().unwrap().iter().filter(|request| request.path == path).cloned().collect()
    }

    /// How many mails hold this text.
    pub(crate) fn mails(&self, text: &str) -> usize {
        self.mails.lock().unwrap().iter().filter(|mail| mail.contains(text)).count()
    }

    /// The last mail that holds this text.
    pub(crate) fn mail(&self, text: &str) -> Option<String> {
        self.mails.lock().unwrap().iter().rfind(|mail| mail.contains(text)).cloned()
    }

    /// Puts one more item into the feed.
    pub(crate) fn publish(&self, title: &str) {
        let item = format!("<item><title>{title}</title><link>http://x/{title}</link><guid>{title}</guid></item>");
        self.items.lock().unwrap().push_str(&item);
    }

    /// Lets the requests to `/held` be answered.
    pub(crate) fn release(&self) {
        self.release.send_replace(true);
    }
}

async fn answer(
    State(counterpart): State<Counterpart>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path().to_owned();
    let key = headers.get("idempotency-key").map(|key| key.to_str().unwrap().to_owned());
    let body = String::from_utf8(body.to_vec()).unwrap();
    let request = Received { path: path.clone(), key, body };
    counterpart.requests.lock().unwrap().push(request);
    let typed = |media: &'static str, text: String| ([("content-type", media)], text).into_response();
    match (method.as_str(), path.as_str()) {
        ("GET", "/price.json") => typed("application/json", r#"{"usd":42000}"#.to_owned()),
        ("GET", "/invoices.csv") => typed("text/csv", "number,amount\nA1,10\nA2,20\n".to_owned()),
        ("GET", "/items.json") => {
            let items = r#"[{"id":1,"status":"open"},{"id":2,"status":"closed"},{"id":3,"status":"open"}]"#;
            typed("application/json", items.to_owned())
        }
        ("GET", "/feed.xml") => {
            let items = counterpart.items.lock().unwrap().clone();
            let head = "<title>t</title><link>http://x/</link><description>d</description>";
            typed("application/rss+xml", format!("<rss version=\"2.0\"><channel>{head}{items}</channel></rss>"))
        }
        (_, "/down") => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        (_, "/held") => {
            let _ = counterpart.release.subscribe().wait_for(|released| *released).await;
            typed("application/json", "{}".to_owned())
        }
        (_, "/slack") => typed("text/plain", "ok".to_owned()),
        _ => typed("application/json", r#"{"ok":true,"id":"1","result":{"message_id":1}}"#.to_owned()),
    }
}

/// One SMTP session; each mail is kept with its soft line breaks joined.
async fn session(stream: TcpStream, mails: Arc<Mutex<Vec<String>>>) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 test ESMTP\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        match line.to_uppercase().as_str() {
            "DATA" => {
                write.write_all(b"354 go on\r\n").await?;
                let mut mail = String::new();
                while let Some(line) = lines.next_line().await?.filter(|line| line != ".") {
                    mail.push_str(&line);
                    mail.push('\n');
                }
                mails.lock().unwrap().push(mail.replace("=\n", "").replace("=3D", "="));
                write.write_all(b"250 taken\r\n").await?;
            }
            "QUIT" => return write.write_all(b"221 bye\r\n").await,
            _ => write.write_all(b"250 ok\r\n").await?,
        }
    }
    Ok(())
}
