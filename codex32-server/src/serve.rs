//! Listening, TLS, and the end of it.

use crate::config::{ServerConfig, Tls};
use crate::router::assemble;
use crate::shell::{App, Shell};
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use codex32_core::engine::Engine;
use codex32_core::error::{Error, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

/// Most bytes of the head of a request.
const LARGEST_HEAD: usize = 64 << 10;

/// A server that listens.
#[derive(Debug)]
pub struct Serving {
    address: SocketAddr,
    secure: bool,
    done: JoinHandle<Result<()>>,
}

impl Serving {
    /// Where it listens, with the port that it got.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as a URL that works on this machine.
    #[must_use]
    pub fn url(&self) -> String {
        let ip = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}", SocketAddr::new(ip, self.address.port()))
    }

    /// Returns when the server has ended: after the shutdown was asked for, and requests
    /// under way were answered or the time for that was over.
    ///
    /// # Errors
    /// `unavailable` where listening failed.
    pub async fn wait(self) -> Result<()> {
        self.done.await.unwrap_or_else(|e| Err(Error::internal(format!("the server's task ended: {e}"))))
    }
}

/// Serves `engine` until `shutdown` is cancelled. Returns as soon as it listens.
///
/// # Errors
/// `invalid` where the configuration, certificate or key is wrong, `unavailable` where
/// the address cannot be listened on.
///
/// ```no_run
/// # async fn example() -> codex32_core::Result<()> {
/// use codex32_core::engine::{Config, Engine};
/// use codex32_server::{ServerConfig, serve};
/// let engine = Engine::open(Config::in_folder("data")).await?;
/// let shutdown = tokio_util::sync::CancellationToken::new();
/// let serving = serve(engine, ServerConfig::at("127.0.0.1:0"), shutdown.clone()).await?;
/// println!("{}", serving.url());
/// shutdown.cancel();
/// serving.wait().await
/// # }
/// ```
pub async fn serve(engine: Engine, config: ServerConfig, shutdown: CancellationToken) -> Result<Serving> {
    let tls = match &config.tls {
        Some(tls) => Some(rustls_config(tls).await?),
        None => None,
    };
    let listener = listen(&config.listen).await?;
    let address = listener.local_addr().map_err(|e| Error::unavailable(format!("listen: {e}")))?;
    // The end of the server and the end of its streams begin together.
    let app = Shell::new(engine, &config, shutdown)?;
    let secure = tls.is_some();
    let done = tokio::spawn(run(app, listener, tls));
    Ok(Serving { address, secure, done })
}

/// A listener on `address`.
pub(crate) async fn listen(address: &str) -> Result<TcpListener> {
    let failed = |e: std::io::Error| {
        Error::unavailable(format!("listen on {address}: {e}"))
            .hint("is another server there? choose another with --listen")
    };
    let listener = tokio::net::TcpListener::bind(address).await.map_err(failed)?;
    listener.into_std().map_err(failed)
}

async fn run(app: App, listener: TcpListener, tls: Option<RustlsConfig>) -> Result<()> {
    let failed = |e: std::io::Error| Error::unavailable(format!("serve: {e}"));
    let service = assemble(&app)?.into_make_service_with_connect_info::<SocketAddr>();
    let handle = Handle::new();
    let ender = tokio::spawn({
        let (app, handle) = (app.clone(), handle.clone());
        async move {
            app.ending.cancelled().await;
            handle.graceful_shutdown(Some(app.config.drain));
        }
    });
    let served = match tls {
        Some(tls) => {
            let server = axum_server::from_tcp_rustls(listener, tls).map_err(failed)?;
            tune(server, &app.config).handle(handle).serve(service).await
        }
        None => {
            let server = axum_server::from_tcp(listener).map_err(failed)?;
            tune(server, &app.config).handle(handle).serve(service).await
        }
    };
    ender.abort();
    app.ending.cancel();
    app.tasks.close();
    // WebSocket sessions and writes under way outlive their connections.
    if timeout_at(Instant::now() + app.config.drain, app.tasks.wait()).await.is_err() {
        tracing::warn!(left = app.tasks.len(), "the time to drain is over");
    }
    served.map_err(failed)
}

fn tune<A>(
    mut server: axum_server::Server<SocketAddr, A>,
    config: &ServerConfig,
) -> axum_server::Server<SocketAddr, A> {
    let builder = server.http_builder();
    builder.http1().header_read_timeout(config.header_timeout).max_buf_size(LARGEST_HEAD);
    builder
        .http2()
        .max_header_list_size(LARGEST_HEAD as u32)
        .max_concurrent_streams(256)
        .keep_alive_interval(Duration::from_secs(30));
    server.first_request_timeout(config.header_timeout)
}

async fn rustls_config(tls: &Tls) -> Result<RustlsConfig> {
    let read = async |path: &std::path::Path, what: &str| {
        tokio::fs::read(path).await.map_err(|e| Error::invalid(format!("read the {what} {}: {e}", path.display())))
    };
    let certificate = read(&tls.certificate, "certificate").await?;
    let key = read(&tls.key, "key").await?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&certificate)
        .collect::<Result<_, _>>()
        .map_err(|e| Error::invalid(format!("the certificate {} is not PEM: {e}", tls.certificate.display())))?;
    if chain.is_empty() {
        return Err(Error::invalid(format!("{} holds no certificate", tls.certificate.display())));
    }
    let key = PrivateKeyDer::from_pem_slice(&key)
        .map_err(|e| Error::invalid(format!("the key {} is not a PEM private key: {e}", tls.key.display())))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::internal(format!("TLS versions: {e}")))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|e| Error::invalid(format!("certificate and key do not belong together: {e}")))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(RustlsConfig::from_config(Arc::new(config)))
}
