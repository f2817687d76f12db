//! What the server is started with.

use codex32_core::error::{Error, Result};
use std::path::PathBuf;
use std::time::Duration;

/// Certificate and key for TLS, as PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// Configuration of the server.
///
/// ```
/// use codex32_server::ServerConfig;
/// let config = ServerConfig::at("127.0.0.1:0").with_origin("https://bots.example");
/// assert!(config.tls.is_none());
/// ```
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where to listen: `HOST:PORT`; port 0 takes a free one.
    pub listen: String,
    /// TLS, where a certificate is given.
    pub tls: Option<Tls>,
    /// Origins (`https://host`) of other sites whose pages may call the API. None by default.
    pub origins: Vec<String>,
    /// Further host names under which the server is reached. The host of the engine's
    /// public address and the loopback names are always known.
    pub hosts: Vec<String>,
    /// Most bytes of a JSON body; operations that take a file have their own limit.
    pub body_limit: usize,
    /// Longest time an answer may take to begin; above the longest wait that an operation
    /// takes. Streams, once open, are not limited.
    pub request_timeout: Duration,
    /// Longest time a client may take to send the head of a request.
    pub header_timeout: Duration,
    /// Longest time a client may take to send a body.
    pub body_timeout: Duration,
    /// Requests worked on at the same time; further ones are told to come back.
    pub concurrency: usize,
    /// Streams and WebSocket subscriptions open at the same time.
    pub streams: usize,
    /// How often an idle stream gives a sign of life.
    pub keep_alive: Duration,
    /// How often the token behind an open stream is looked at again.
    pub recheck: Duration,
    /// How long a shutdown waits for requests under way.
    pub drain: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        ServerConfig {
            listen: "127.0.0.1:7832".to_owned(),
            tls: None,
            origins: Vec::new(),
            hosts: Vec::new(),
            body_limit: 8 << 20,
            request_timeout: Duration::from_secs(620),
            header_timeout: Duration::from_secs(15),
            body_timeout: Duration::from_secs(60),
            concurrency: 1024,
            streams: 1024,
            keep_alive: Duration::from_secs(15),
            recheck: Duration::from_secs(60),
            drain: Duration::from_secs(20),
        }
    }
}

impl ServerConfig {
    /// The defaults, listening on `listen` (`HOST:PORT`).
    #[must_use]
    pub fn at(listen: impl Into<String>) -> ServerConfig {
        ServerConfig { listen: listen.into(), ..ServerConfig::default() }
    }

    /// Serves TLS with this certificate and key.
    #[must_use]
    pub fn with_tls(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> ServerConfig {
        self.tls = Some(Tls { certificate: certificate.into(), key: key.into() });
        self
    }

    /// Lets pages of `origin` call the API.
    #[must_use]
    pub fn with_origin(mut self, origin: impl Into<String>) -> ServerConfig {
        self.origins.push(origin.into());
        self
    }

    /// Checks what cannot be checked by its type.
    pub(crate) fn check(&self) -> Result<()> {
        for origin in &self.origins {
            let plain = origin
                .parse::<axum::http::Uri>()
                .ok()
                .filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some())
                .is_some_and(|uri| {
                    format!("{}://{}", uri.scheme_str().unwrap_or_default(), authority(&uri)) == *origin
                });
            if !plain {
                return Err(Error::invalid(format!("\"{origin}\" is not an origin"))
                    .hint("write scheme and host only, such as https://bots.example"));
            }
        }
        if self.concurrency == 0 || self.streams == 0 {
            return Err(Error::invalid("the server must allow at least one request and one stream"));
        }
        Ok(())
    }
}

fn authority(uri: &axum::http::Uri) -> &str {
    uri.authority().map(axum::http::uri::Authority::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_scheme_and_host_and_nothing_else() {
        for good in ["https://bots.example", "http://127.0.0.1:3000"] {
            assert!(ServerConfig::default().with_origin(good).check().is_ok(), "{good}");
        }
        for bad in ["*", "null", "bots.example", "https://bots.example/", "https://a.example/x", "ftp://a.example", ""]
        {
            assert!(ServerConfig::default().with_origin(bad).check().is_err(), "{bad}");
        }
    }
}
