//! Whether a bot may reach a host and an address.

use super::address::{Place, place, plain};
use crate::connector::ActionContext;
use crate::error::{Error, Result};
use serde_json::Value;
use std::net::{IpAddr, SocketAddr};
use url::{Host, Url};

/// What one bot may reach, from its permissions and the connection of the step.
///
/// Two questions are asked for every hop: is the host declared ([`Guard::host`]), and
/// may the address that it turned out to have be connected to ([`Guard::address`])?
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Guard {
    entries: Vec<Entry>,
    private_allowed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Entry {
    pattern: Pattern,
    port: Option<u16>,
    /// Whether an admin stored it as part of a connection.
    trusted: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Pattern {
    /// `*`: any host with a public address.
    Any,
    /// `*.domain`: every name below it.
    Below(String),
    Name(String),
    Ip(IpAddr),
}

impl Guard {
    /// What the step of `cx` may reach: its permissions, and every address that its connection names.
    #[must_use]
    pub fn of(cx: &ActionContext) -> Guard {
        let mut guard = Guard::new(&cx.network.permissions.network, cx.network.private_allowed);
        if let Some(connection) = &cx.connection {
            guard.trust_all(connection);
        }
        guard
    }

    /// What a declaration such as `["api.example.com", "*.example.org", "127.0.0.1:8080"]`
    /// allows. An entry that is none of these allows nothing.
    #[must_use]
    pub fn new(declared: &[String], private_allowed: bool) -> Guard {
        let entries = declared.iter().filter_map(|text| Entry::parse(text)).collect();
        Guard { entries, private_allowed }
    }

    /// Also allows the host of `url`, wherever it is, because an admin stored the
    /// address or the connector itself brings it along.
    #[must_use]
    pub fn trusting(mut self, url: &str) -> Guard {
        self.trust(url);
        self
    }

    fn trust(&mut self, url: &str) {
        let Some((pattern, port)) = Url::parse(url).ok().and_then(|url| {
            let host = Host::parse(url.host_str()?).ok()?;
            Some((Pattern::of(&host), url.port_or_known_default()))
        }) else {
            return;
        };
        let entry = Entry { pattern, port, trusted: true };
        if !self.entries.contains(&entry) {
            self.entries.push(entry);
        }
    }

    fn trust_all(&mut self, value: &Value) {
        match value {
            Value::String(text) if text.contains("://") => self.trust(text),
            Value::Object(map) => map.values().for_each(|v| self.trust_all(v)),
            _ => {}
        }
    }

    /// Whether `host` with `port` is declared.
    ///
    /// # Errors
    /// `forbidden` with a hint what to declare.
    pub fn host(&self, host: &Host<String>, port: u16) -> Result<()> {
        if self.entries.iter().any(|e| e.matches(host, port)) {
            return Ok(());
        }
        Err(Error::forbidden(format!("the bot may not reach {host}:{port}"))
            .hint(format!("declare it in the blueprint: `permissions: {{network: [\"{host}\"]}}`")))
    }

    /// Whether the address `ip`, which `host` turned out to have, may be connected to.
    ///
    /// # Errors
    /// `forbidden`, saying which rule was broken.
    pub fn address(&self, host: &Host<String>, port: u16, ip: IpAddr) -> Result<()> {
        let ip = plain(ip);
        match place(ip) {
            Place::Public => Ok(()),
            Place::Never => Err(Error::forbidden(format!(
                "{host}:{port} is at {ip}, a link-local or metadata address, which no bot may reach"
            ))),
            Place::Private if self.entries.iter().any(|e| e.trusted && e.matches(host, port)) => Ok(()),
            Place::Private if !self.entries.iter().any(|e| e.names(host, port, ip)) => {
                Err(Error::forbidden(format!("{host}:{port} is at the private address {ip}, which is not declared"))
                    .hint(format!(
                        "declare the address itself: `permissions: {{network: [\"{}\"]}}`",
                        SocketAddr::new(ip, port)
                    )))
            }
            Place::Private if !self.private_allowed => {
                Err(Error::forbidden(format!("{host}:{port} is at the private address {ip}"))
                    .hint("an admin or owner must deploy a version that reaches private addresses"))
            }
            Place::Private => Ok(()),
        }
    }
}

impl Pattern {
    fn of(host: &Host<impl AsRef<str>>) -> Pattern {
        match host {
            Host::Domain(name) => Pattern::Name(name.as_ref().trim_end_matches('.').to_ascii_lowercase()),
            Host::Ipv4(ip) => Pattern::Ip((*ip).into()),
            Host::Ipv6(ip) => Pattern::Ip(plain((*ip).into())),
        }
    }
}

impl Entry {
    fn parse(text: &str) -> Option<Entry> {
        let text = text.trim();
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Some(Entry { pattern: Pattern::Ip(plain(ip)), port: None, trusted: false });
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().ok()?)),
            _ => (text, None),
        };
        let pattern = if host == "*" {
            Pattern::Any
        } else if let Some(domain) = host.strip_prefix("*.") {
            match Pattern::of(&Host::parse(domain).ok()?) {
                Pattern::Name(name) => Pattern::Below(format!(".{name}")),
                _ => return None,
            }
        } else {
            Pattern::of(&Host::parse(host).ok()?)
        };
        Some(Entry { pattern, port, trusted: false })
    }

    fn matches(&self, host: &Host<String>, port: u16) -> bool {
        if self.port.is_some_and(|p| p != port) {
            return false;
        }
        match (&self.pattern, Pattern::of(host)) {
            (Pattern::Any, _) => true,
            (Pattern::Below(domain), Pattern::Name(name)) => name.ends_with(domain.as_str()),
            (own, other) => *own == other,
        }
    }

    /// Whether it names the private address itself: as a literal, or as `localhost`.
    fn names(&self, host: &Host<String>, port: u16, ip: IpAddr) -> bool {
        if self.port.is_some_and(|p| p != port) {
            return false;
        }
        match &self.pattern {
            Pattern::Ip(own) => *own == ip,
            Pattern::Name(name) => name == "localhost" && ip.is_loopback() && self.matches(host, port),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    fn guard(entries: &[&str], private: bool) -> Guard {
        Guard::new(&entries.iter().map(|e| (*e).to_owned()).collect::<Vec<_>>(), private)
    }

    fn host(text: &str) -> Host<String> {
        Host::parse(text).unwrap()
    }

    #[test]
    fn a_host_is_reached_only_where_it_is_declared() {
        let rows: [(&str, &str, u16, bool); 18] = [
            ("api.example.com", "api.example.com", 443, true),
            ("API.Example.com", "api.example.COM", 80, true),
            ("api.example.com", "api.example.com.", 443, true),
            ("api.example.com", "example.com", 443, false),
            ("api.example.com", "evil-api.example.com", 443, false),
            ("api.example.com", "api.example.com.evil.example", 443, false),
            ("api.example.com:8080", "api.example.com", 8080, true),
            ("api.example.com:8080", "api.example.com", 443, false),
            ("*.example.com", "a.b.example.com", 443, true),
            ("*.example.com", "example.com", 443, false),
            ("*.example.com", "evilexample.com", 443, false),
            ("*", "anything.example", 1, true),
            ("127.0.0.1:8080", "127.0.0.1", 8080, true),
            ("127.0.0.1", "2130706433", 80, true),
            ("127.0.0.1", "0177.0.0.1", 80, true),
            ("[::1]:8080", "[::1]", 8080, true),
            ("::1", "[::1]", 9, true),
            ("http://api.example.com", "api.example.com", 80, false),
        ];
        for (entry, name, port, allowed) in rows {
            assert_eq!(guard(&[entry], true).host(&host(name), port).is_ok(), allowed, "{entry} against {name}:{port}");
        }
        assert_eq!(guard(&[], true).host(&host("example.com"), 80).unwrap_err().code(), Code::Forbidden);
    }

    #[test]
    fn a_private_address_must_be_named_itself_and_be_allowed() {
        let rows: [(&[&str], bool, &str, &str, bool); 12] = [
            (&["127.0.0.1:80"], true, "127.0.0.1", "127.0.0.1", true),
            (&["127.0.0.1:80"], false, "127.0.0.1", "127.0.0.1", false),
            (&["127.0.0.1:81"], true, "127.0.0.1", "127.0.0.1", false),
            (&["intranet.example"], true, "intranet.example", "10.0.0.5", false),
            (&["intranet.example", "10.0.0.5"], true, "intranet.example", "10.0.0.5", true),
            (&["intranet.example", "10.0.0.5"], true, "intranet.example", "10.0.0.6", false),
            (&["*"], true, "intranet.example", "10.0.0.5", false),
            (&["localhost"], true, "localhost", "127.0.0.1", true),
            (&["localhost"], true, "localhost", "10.0.0.5", false),
            (&["127.0.0.1"], true, "[::ffff:127.0.0.1]", "::ffff:127.0.0.1", true),
            (&["169.254.169.254"], true, "169.254.169.254", "169.254.169.254", false),
            (&["example.com"], false, "example.com", "93.184.216.34", true),
        ];
        for (entries, private, name, ip, allowed) in rows {
            let answer = guard(entries, private).address(&host(name), 80, ip.parse().unwrap());
            assert_eq!(answer.is_ok(), allowed, "{entries:?} private {private}: {name} at {ip}: {answer:?}");
        }
    }

    #[test]
    fn a_connection_may_be_private_but_never_link_local() {
        let guard = guard(&[], false).trusting("smtp://user:p%40ss@10.0.0.5:2525");
        assert!(guard.host(&host("10.0.0.5"), 2525).is_ok());
        assert!(guard.address(&host("10.0.0.5"), 2525, "10.0.0.5".parse().unwrap()).is_ok());
        assert!(guard.host(&host("10.0.0.5"), 25).is_err());
        let guard = guard.trusting("http://mail.internal");
        assert!(guard.address(&host("mail.internal"), 80, "10.1.1.1".parse().unwrap()).is_ok());
        assert!(guard.address(&host("mail.internal"), 80, "169.254.169.254".parse().unwrap()).is_err());
    }
}
