//! A server over an engine of its own, and what the tests say about answers.

use codex32_core::access::{Access, Caller};
use codex32_core::engine::{Config, Engine};
use codex32_server::{ServerConfig, Serving, serve};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;
use std::sync::Once;
use std::time::Duration;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Longest time a test waits for something that must happen.
pub(crate) const SOON: Duration = Duration::from_secs(20);

pub(crate) struct Fixture {
    pub(crate) engine: Engine,
    pub(crate) token: String,
    pub(crate) url: String,
    pub(crate) client: Client,
    pub(crate) shutdown: CancellationToken,
    pub(crate) serving: Option<Serving>,
    _folder: TempDir,
}

pub(crate) fn client() -> reqwest::ClientBuilder {
    static RING: Once = Once::new();
    RING.call_once(|| {
        // Another test may have been first; one provider is installed either way.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).timeout(SOON)
}

impl Fixture {
    pub(crate) async fn start() -> Fixture {
        Fixture::with(ServerConfig::at("127.0.0.1:0")).await
    }

    /// A server whose engine also works in the background.
    pub(crate) async fn started() -> Fixture {
        let server = Fixture::start().await;
        server.engine.start().await.expect("a start");
        server
    }

    pub(crate) async fn with(config: ServerConfig) -> Fixture {
        let folder = tempfile::tempdir().expect("a folder");
        let engine = Engine::open(Config::in_folder(folder.path())).await.expect("an engine");
        let access = Access::new(engine.db().clone(), engine.clock().clone());
        let token = access.bootstrap("owner@example.org", "Home").await.expect("a bootstrap").expect("a token").token;
        let shutdown = CancellationToken::new();
        let serving = serve(engine.clone(), config, shutdown.clone()).await.expect("a server");
        let url = serving.url();
        let client = client().build().expect("a client");
        Fixture { engine, token, url, client, shutdown, serving: Some(serving), _folder: folder }
    }

    pub(crate) async fn caller(&self) -> Caller {
        self.engine.authenticate(&self.token).await.expect("the owner")
    }

    /// A request without credentials.
    pub(crate) fn plain(&self, method: &str, path: &str) -> RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// A request of the owner.
    pub(crate) fn owner(&self, method: &str, path: &str) -> RequestBuilder {
        self.plain(method, path).bearer_auth(&self.token)
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

pub(crate) fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
}

/// That the answer is a well-formed problem document of this status; gives it.
pub(crate) async fn problem(response: Response, status: u16) -> Value {
    let place = response.url().to_string();
    assert_eq!(response.status().as_u16(), status, "{place}: {}", response.text().await.unwrap_or_default());
    any_problem(response).await
}

/// That the answer is a well-formed problem document that is not the server's fault.
pub(crate) async fn any_problem(response: Response) -> Value {
    let place = response.url().to_string();
    let status = response.status().as_u16();
    assert_eq!(header(&response, "content-type"), "application/problem+json", "{place} {status}");
    let id = header(&response, "x-request-id").to_owned();
    let problem: Value = response.json().await.expect("a problem");
    assert!((400..500).contains(&status), "{place}: {problem}");
    assert_eq!(problem["status"], status, "{place}");
    assert_eq!(problem["request_id"], id, "{place}");
    let code = problem["code"].as_str().unwrap_or_default();
    assert!(code.parse::<codex32_core::Code>().is_ok(), "{place}: {problem}");
    for field in ["type", "title", "detail"] {
        assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{place}: {field} of {problem}");
    }
    problem
}
