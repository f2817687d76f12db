//! The guarded HTTP client.

use super::guard::Guard;
use super::resolve::{Guarded, Lookup, SystemLookup, addresses};
use super::{Calling, MAX_ANSWER, within};
use crate::error::{Code, Error, Result};
use crate::id::WorkspaceId;
use bytes::Bytes;
use futures::StreamExt as _;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, StatusCode};
use rustls_platform_verifier::BuilderVerifierExt as _;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;
use url::{Host, Url};

/// Clients that are kept; each has its own connections, so that none crosses a guard.
const MAX_CLIENTS: usize = 256;
/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_secs(30);
/// Request headers that go along when a redirect leads to another origin.
const HARMLESS: [HeaderName; 6] = [
    header::ACCEPT,
    header::ACCEPT_LANGUAGE,
    header::CONTENT_TYPE,
    header::RANGE,
    header::USER_AGENT,
    header::IF_NONE_MATCH,
];

/// A request.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Method.
    pub method: Method,
    /// Address; user name and password in it become a basic `Authorization` header.
    pub url: Url,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// How many redirects are followed; 0 returns the redirect itself.
    pub follow: u32,
    /// Longest time for the whole, redirects included, in milliseconds.
    pub timeout_ms: u64,
    /// Most bytes of the answer's body that are read.
    pub max_answer: usize,
    /// What a larger body is: cut off there, or an error.
    pub cut: bool,
}

impl Outgoing {
    /// A request without headers and body: 5 redirects, 30 seconds, 10 MiB.
    #[must_use]
    pub fn new(method: Method, url: Url) -> Outgoing {
        let (headers, body) = (HeaderMap::new(), Bytes::new());
        Outgoing { method, url, headers, body, follow: 5, timeout_ms: 30_000, max_answer: MAX_ANSWER, cut: false }
    }

    /// The same with `value` as its JSON body.
    #[must_use]
    pub fn json(mut self, value: &serde_json::Value) -> Outgoing {
        self.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.body = Bytes::from(value.to_string());
        self
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body, decompressed.
    pub body: Bytes,
    /// Address that answered.
    pub url: Url,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    workspace: WorkspaceId,
    guard: Guard,
    host: Host<String>,
    port: u16,
}

/// The way out. One for the whole engine.
pub struct Net {
    lookup: Arc<dyn Lookup>,
    clients: Mutex<HashMap<Key, (u64, Client)>>,
}

impl std::fmt::Debug for Net {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Net")
    }
}

impl Default for Net {
    fn default() -> Self {
        Net::with_lookup(Arc::new(SystemLookup))
    }
}

impl Net {
    /// A network whose names are looked up by `lookup`.
    #[must_use]
    pub fn with_lookup(lookup: Arc<dyn Lookup>) -> Net {
        Net { lookup, clients: Mutex::default() }
    }

    /// The addresses of `host` that may be connected to, for protocols other than HTTP.
    ///
    /// # Errors
    /// `forbidden` where the host is not declared or none of its addresses is allowed,
    /// `unavailable` where it has none.
    pub async fn addresses(&self, guard: &Guard, host: &str, port: u16) -> Result<Vec<SocketAddr>> {
        let host = Host::parse(host).map_err(|_| Error::invalid(format!("{host} is not a host")))?;
        guard.host(&host, port)?;
        addresses(self.lookup.as_ref(), guard, &host, port).await
    }

    /// Sends a request and reads its answer, whatever its status. Requests that change
    /// something carry the step's idempotency key.
    ///
    /// # Errors
    /// `forbidden` where the bot may not reach a host on the way, `unavailable`,
    /// `timeout`, `cancelled`, `too_large` for the body, `invalid` for the address.
    pub async fn send(&self, calling: impl Into<Calling>, guard: &Guard, mut out: Outgoing) -> Result<Incoming> {
        let cx: Calling = calling.into();
        take_userinfo(&mut out)?;
        out.headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
        if !out.method.is_safe()
            && let Ok(key) = HeaderValue::from_str(&cx.idempotency_key)
            && !key.is_empty()
        {
            out.headers.entry("idempotency-key").or_insert(key);
        }
        let what = authority(&out.url);
        within(&cx, out.timeout_ms, &what, self.follow(&cx, guard, out)).await
    }

    async fn follow(&self, cx: &Calling, guard: &Guard, mut out: Outgoing) -> Result<Incoming> {
        for hop in 0.. {
            let response = self.hop(cx, guard, &out).await?;
            let next = redirect(&response, &out.url)?.filter(|_| out.follow > 0);
            let Some(next) = next else {
                return read(response, out).await;
            };
            if hop == out.follow {
                return Err(Error::new(
                    Code::Failed,
                    format!("{} redirects more than {hop} times", authority(&out.url)),
                ));
            }
            change_for_redirect(&mut out, response.status(), next);
        }
        Err(Error::internal("redirects without end"))
    }

    async fn hop(&self, cx: &Calling, guard: &Guard, out: &Outgoing) -> Result<reqwest::Response> {
        let (host, port) = target(&out.url)?;
        guard.host(&host, port)?;
        // A literal address is never looked up, so the client's resolver would not see it.
        if !matches!(host, Host::Domain(_)) {
            addresses(self.lookup.as_ref(), guard, &host, port).await?;
        }
        let client = self.client(Key { workspace: cx.workspace, guard: guard.clone(), host, port })?;
        let request = client.request(out.method.clone(), out.url.clone()).headers(out.headers.clone());
        let request = if out.body.is_empty() { request } else { request.body(out.body.clone()) };
        request.send().await.map_err(|e| failure(&e, &out.url))
    }

    /// The client of `key`, made where there is none; the one used longest ago makes room.
    fn client(&self, key: Key) -> Result<Client> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = clients.values().map(|(used, _)| *used).max().unwrap_or(0) + 1;
        if let Some((used, client)) = clients.get_mut(&key) {
            *used = turn;
            return Ok(client.clone());
        }
        let resolver =
            Guarded { lookup: self.lookup.clone(), guard: key.guard.clone(), host: key.host.clone(), port: key.port };
        let tls = TLS.as_ref().map_err(|e| Error::internal(format!("TLS cannot be set up: {e}")))?;
        let client = Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .dns_resolver(resolver)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .pool_idle_timeout(IDLE)
            .connect_timeout(Duration::from_secs(20))
            .build()
            .map_err(|e| Error::internal(format!("the HTTP client cannot be built: {e}")))?;
        if clients.len() >= MAX_CLIENTS
            && let Some(oldest) = clients.iter().min_by_key(|(_, (used, _))| *used).map(|(k, _)| k.clone())
        {
            clients.remove(&oldest);
        }
        clients.insert(key, (turn, client.clone()));
        Ok(client)
    }
}

const AGENT: &str = concat!("codex32/", env!("CARGO_PKG_VERSION"));

/// TLS for all clients, so that the certificates of the machine are read once.
static TLS: LazyLock<Result<rustls::ClientConfig, rustls::Error>> = LazyLock::new(|| {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        || rustls::ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let mut config = match builder()?.with_platform_verifier() {
        Ok(builder) => builder.with_no_client_auth(),
        Err(e) => {
            tracing::warn!(error = %e, "this machine has no usable certificates: HTTPS requests will fail");
            builder()?.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
});

/// Host and port of an HTTP address.
fn target(url: &Url) -> Result<(Host<String>, u16)> {
    match (url.scheme(), url.host(), url.port_or_known_default()) {
        ("http" | "https", Some(host), Some(port)) => Ok((host.to_owned(), port)),
        (scheme, ..) => Err(Error::invalid(format!("{scheme} addresses cannot be fetched, only http and https"))),
    }
}

/// What an error may say of an address: its path and query can hold secrets.
fn authority(url: &Url) -> String {
    match url.port() {
        Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
        None => url.host_str().unwrap_or_default().to_owned(),
    }
}

/// Moves user name and password from the address to a header.
fn take_userinfo(out: &mut Outgoing) -> Result<()> {
    use base64::Engine as _;
    if out.url.username().is_empty() && out.url.password().is_none() {
        return Ok(());
    }
    let decode = |text: &str| {
        // A form decoder reads + as a space, which userinfo does not.
        let text = format!("v={}", text.replace('+', "%2B"));
        url::form_urlencoded::parse(text.as_bytes()).next().map(|(_, v)| v.into_owned()).unwrap_or_default()
    };
    let pair = format!("{}:{}", decode(out.url.username()), decode(out.url.password().unwrap_or_default()));
    strip_userinfo(&mut out.url);
    if !out.headers.contains_key(header::AUTHORIZATION) {
        let text = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
        let mut value =
            HeaderValue::from_str(&text).map_err(|_| Error::invalid("the user name in the address cannot be sent"))?;
        value.set_sensitive(true);
        out.headers.insert(header::AUTHORIZATION, value);
    }
    Ok(())
}

fn strip_userinfo(url: &mut Url) {
    // Both fail only for addresses without a host, which have no userinfo either.
    let _ = url.set_username("");
    let _ = url.set_password(None);
}

/// Where a response redirects to.
fn redirect(response: &reqwest::Response, from: &Url) -> Result<Option<Url>> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = response.headers().get(header::LOCATION) else { return Ok(None) };
    let bad = || Error::new(Code::Failed, format!("{} redirects to something that is no address", authority(from)));
    let text = std::str::from_utf8(location.as_bytes()).map_err(|_| bad())?;
    let mut next = from.join(text).map_err(|_| bad())?;
    strip_userinfo(&mut next);
    Ok(Some(next))
}

/// The request after a redirect, as browsers do it; another origin gets no credentials.
fn change_for_redirect(out: &mut Outgoing, status: StatusCode, next: Url) {
    let becomes_get = match status.as_u16() {
        303 => out.method != Method::HEAD,
        301 | 302 => out.method == Method::POST,
        _ => false,
    };
    if becomes_get {
        out.method = Method::GET;
        out.body = Bytes::new();
        for name in [header::CONTENT_TYPE, header::CONTENT_LENGTH, header::CONTENT_ENCODING] {
            out.headers.remove(name);
        }
        out.headers.remove("idempotency-key");
    }
    if next.origin() != out.url.origin() {
        let kept = HARMLESS.iter().filter_map(|name| Some((name.clone(), out.headers.get(name)?.clone())));
        out.headers = kept.collect();
    }
    out.url = next;
}

async fn read(response: reqwest::Response, out: Outgoing) -> Result<Incoming> {
    let (url, max) = (out.url, out.max_answer);
    let (status, headers) = (response.status(), response.headers().clone());
    let mut stream = response.bytes_stream();
    let mut body = bytes::BytesMut::new();
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|e| failure(&e, &url))?;
        if body.len() + piece.len() > max {
            if out.cut {
                body.extend_from_slice(&piece[..max - body.len()]);
                break;
            }
            return Err(Error::new(
                Code::TooLarge,
                format!("the answer of {} is larger than {max} bytes", authority(&url)),
            ));
        }
        body.extend_from_slice(&piece);
    }
    Ok(Incoming { status, headers, body: body.freeze(), url })
}

/// A failed request as an error that names the host and nothing secret.
fn failure(e: &reqwest::Error, url: &Url) -> Error {
    let mut causes = Vec::new();
    let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(e);
    while let Some(inner) = cause {
        // What the guard refused keeps its own words and code.
        if let Some(refused) = inner.downcast_ref::<Error>() {
            return refused.clone();
        }
        causes.push(inner.to_string());
        cause = inner.source();
    }
    let host = authority(url);
    let why = causes.pop().unwrap_or_else(|| "the connection broke".into());
    if e.is_timeout() {
        return Error::new(Code::Timeout, format!("{host} did not answer in time"));
    }
    if e.is_builder() {
        return Error::invalid(format!("the request to {host} cannot be built: {why}"));
    }
    let doing = if e.is_connect() { "cannot be connected to" } else { "did not answer properly" };
    Error::unavailable(format!("{host} {doing}: {why}"))
}
