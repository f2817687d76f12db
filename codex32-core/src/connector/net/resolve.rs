//! Names to addresses, under guard.

use super::guard::Guard;
use crate::error::{Error, Result};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use url::Host;

/// Where the addresses of names come from.
#[async_trait::async_trait]
pub trait Lookup: Send + Sync {
    /// All addresses of `name`.
    ///
    /// # Errors
    /// `unavailable` where there are none.
    async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>>;
}

/// The resolver of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

#[async_trait::async_trait]
impl Lookup for SystemLookup {
    async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((name, 0)).await;
        let found = found.map_err(|_| Error::unavailable(format!("the host {name} has no address")))?;
        Ok(found.map(|address| address.ip()).collect())
    }
}

/// The addresses of `host` that the guard lets through.
///
/// # Errors
/// `forbidden` where it lets none through, `unavailable` where there are none.
pub(super) async fn addresses(
    lookup: &dyn Lookup,
    guard: &Guard,
    host: &Host<String>,
    port: u16,
) -> Result<Vec<SocketAddr>> {
    let found = match host {
        Host::Ipv4(ip) => vec![IpAddr::V4(*ip)],
        Host::Ipv6(ip) => vec![IpAddr::V6(*ip)],
        Host::Domain(name) => lookup.lookup(name).await?,
    };
    let (mut open, mut refused) = (Vec::new(), None);
    for ip in found {
        match guard.address(host, port, ip) {
            Ok(()) => open.push(SocketAddr::new(ip, port)),
            Err(e) => refused = Some(e),
        }
    }
    if !open.is_empty() {
        return Ok(open);
    }
    Err(refused.unwrap_or_else(|| Error::unavailable(format!("the host {host} has no address"))))
}

/// What the HTTP client resolves with: it belongs to one guard, host and port.
pub(super) struct Guarded {
    pub(super) lookup: Arc<dyn Lookup>,
    pub(super) guard: Guard,
    pub(super) host: Host<String>,
    pub(super) port: u16,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let (lookup, guard, host, port) = (self.lookup.clone(), self.guard.clone(), self.host.clone(), self.port);
        Box::pin(async move {
            // Only ever asked for the host that it belongs to; anything else is a fault and is refused.
            if host.to_string() != name.as_str() {
                return Err(Error::forbidden(format!("{} is not the host of the request", name.as_str())).into());
            }
            let open = addresses(lookup.as_ref(), &guard, &host, port).await?;
            Ok(Box::new(open.into_iter()) as Addrs)
        })
    }
}
