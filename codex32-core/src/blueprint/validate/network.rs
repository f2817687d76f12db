//! Addresses and paths that are written out: may the bot reach them?

use serde_json::Value;

use crate::blueprint::diagnostic::Diagnostic;
use crate::blueprint::tree::escape;
use crate::blueprint::types::Permissions;

/// Findings for the literal addresses in `with`: texts that the schema of the
/// input calls an address. With a named connection, the address may be that of
/// the connection, which is not known here.
pub(super) fn check(
    with: &Value,
    schema: &Value,
    permissions: &Permissions,
    connection: Option<&str>,
    pointer: &str,
) -> Vec<Diagnostic> {
    if connection.is_some() {
        return Vec::new();
    }
    let is_address =
        |name: &str| schema.pointer(&format!("/properties/{}/format", escape(name))) == Some(&Value::from("uri"));
    let fields = with.as_object().into_iter().flatten().filter(|(name, _)| is_address(name));
    fields
        .filter_map(|(name, value)| {
            let (host, port) = host_of(value.as_str()?)?;
            if allows(permissions, &host, port) {
                return None;
            }
            let shown = match port {
                Some(port) => format!("{host}:{port}"),
                None => host.clone(),
            };
            let listed = if shown.contains(':') { format!("\"{shown}\"") } else { shown.clone() };
            let hint = match permissions.network.is_empty() {
                true => format!("add the line `permissions: {{network: [{listed}]}}`"),
                false => format!("add `{listed}` to the list `network` below `permissions`"),
            };
            let message = format!("the bot may not reach `{shown}`");
            Some(Diagnostic::error(format!("{pointer}/{}", escape(name)), message).hint(hint))
        })
        .collect()
}

/// Findings for the literal paths in the input of the connector `file`.
pub(super) fn check_paths(with: &Value, permissions: &Permissions, pointer: &str) -> Vec<Diagnostic> {
    let names = ["path", "dir", "from", "to"];
    let paths = names.into_iter().filter_map(|name| Some((name, with.get(name)?.as_str()?)));
    paths
        .filter_map(|(name, path)| {
            // Of a path with a template, what stands before it must lie within a folder.
            let literal = path.split("{{").next().unwrap_or(path);
            if literal.is_empty() || permissions.files.iter().any(|folder| within(literal, folder)) {
                return None;
            }
            let folder = match literal.rsplit_once('/') {
                Some(("", _)) | None => literal,
                Some((folder, _)) if name != "dir" => folder,
                Some(_) => literal.trim_end_matches('/'),
            };
            let hint = match permissions.files.is_empty() {
                true => format!("add the line `permissions: {{files: [{folder}]}}`"),
                false => format!("add `{folder}` to the list `files` below `permissions`"),
            };
            let message = format!("the bot may not use the path `{literal}`");
            Some(Diagnostic::error(format!("{pointer}/{name}"), message).hint(hint))
        })
        .collect()
}

fn within(path: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches('/');
    let inside = path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    inside && !path.split('/').any(|part| part == "..")
}

/// Host and port of an address, as far as they are written out.
fn host_of(address: &str) -> Option<(String, Option<u16>)> {
    let literal = address.split("{{").next().unwrap_or(address);
    let complete = literal.len() == address.len();
    let rest = literal.strip_prefix("http://").or_else(|| literal.strip_prefix("https://"))?;
    // A template right after the host may continue it.
    if !complete && !rest.contains(['/', '?', '#']) {
        return None;
    }
    let url = url::Url::parse(literal).ok()?;
    Some((url.host_str()?.trim_matches(['[', ']']).to_owned(), url.port()))
}

/// Whether an entry of `permissions.network` covers the host.
fn allows(permissions: &Permissions, host: &str, port: Option<u16>) -> bool {
    permissions.network.iter().any(|entry| {
        let (name, entry_port) = split_port(entry);
        let name = name.to_ascii_lowercase();
        let host_fits = match name.strip_prefix("*.") {
            Some(domain) => host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
            None => name == host,
        };
        host_fits && entry_port.is_none_or(|p| Some(p) == port || (port.is_none() && matches!(p, 80 | 443)))
    })
}

/// `host:port`, `host`, `[::1]:port` or `::1`.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    if let Some(rest) = entry.strip_prefix('[') {
        let (host, after) = rest.split_once(']').unwrap_or((rest, ""));
        return (host, after.strip_prefix(':').and_then(|p| p.parse().ok()));
    }
    match entry.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (entry, None),
        },
        _ => (entry, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_matched_by_name_port_and_domain() {
        let permissions = Permissions {
            network: ["a.example", "b.example:8080", "*.c.example", "[::1]:9000"].map(str::to_owned).to_vec(),
            ..Permissions::default()
        };
        let cases = [
            ("https://a.example/x", true),
            ("http://a.example:1234", true),
            ("http://b.example:8080/", true),
            ("http://b.example/", false),
            ("http://x.c.example/", true),
            ("http://c.example/", false),
            ("http://evilc.example/", false),
            ("http://[::1]:9000/", true),
            ("http://A.EXAMPLE/", true),
            ("http://a.example.evil/", false),
            ("http://a.example@evil.example/", false),
        ];
        for (address, expected) in cases {
            let (host, port) = host_of(address).unwrap();
            assert_eq!(allows(&permissions, &host, port), expected, "{address}");
        }
        for unknown in ["/path", "{{ input.url }}", "http://{{ input.host }}/", "http://a.{{ input.tld }}", "ftp://a"] {
            assert_eq!(host_of(unknown), None, "{unknown}");
        }
        assert_eq!(host_of("http://a.example/{{ input.id }}"), Some(("a.example".to_owned(), None)));
    }
}
