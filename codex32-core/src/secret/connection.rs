//! Which parts of a connection are secret.

use crate::catalogue::Catalogue;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::LazyLock;
use zeroize::Zeroizing;

/// A field that the catalogue does not know is taken for a secret from this length on.
const MIN_UNKNOWN: usize = 8;

/// Field names of all connections in the catalogue; true where any of them is `writeOnly`.
static FIELDS: LazyLock<HashMap<String, bool>> = LazyLock::new(|| {
    let mut fields = HashMap::new();
    for schema in Catalogue::builtin().connectors().filter_map(|c| c.connection.as_ref()) {
        collect(schema, false, &mut fields);
    }
    fields
});

/// Walks a JSON Schema: what stands below a `writeOnly` part is secret as well.
fn collect(schema: &Value, within: bool, fields: &mut HashMap<String, bool>) {
    match schema {
        Value::Object(parts) => {
            let within = within || parts.get("writeOnly") == Some(&Value::Bool(true));
            for (keyword, part) in parts {
                match (keyword.as_str(), part) {
                    ("properties", Value::Object(properties)) => {
                        for (name, property) in properties {
                            let secret = within || property.get("writeOnly") == Some(&Value::Bool(true));
                            *fields.entry(name.clone()).or_default() |= secret;
                            collect(property, secret, fields);
                        }
                    }
                    ("default" | "const" | "enum" | "examples", _) => {}
                    _ => collect(part, within, fields),
                }
            }
        }
        Value::Array(parts) => parts.iter().for_each(|part| collect(part, within, fields)),
        _ => {}
    }
}

/// The texts of a connection that must not be shown. Where the catalogue says that a
/// field is not secret (an address, a user name), it is not; of a field that it does
/// not know, any longer text is.
pub(super) fn secret_leaves(connection: &Value, out: &mut Vec<Zeroizing<String>>) {
    leaves(connection, None, out);
}

fn leaves(value: &Value, secret: Option<bool>, out: &mut Vec<Zeroizing<String>>) {
    match value {
        Value::String(text) if secret.unwrap_or(text.len() >= MIN_UNKNOWN) => {
            out.push(Zeroizing::new(text.clone()));
            out.extend(password_of(text));
        }
        Value::Array(items) => items.iter().for_each(|item| leaves(item, secret, out)),
        Value::Object(fields) => {
            for (name, field) in fields {
                let own = if secret == Some(true) { secret } else { FIELDS.get(name).copied() };
                leaves(field, own, out);
            }
        }
        _ => {}
    }
}

/// The password within a URL, which turns up without the rest of it.
fn password_of(text: &str) -> Option<Zeroizing<String>> {
    let url = url::Url::parse(text).ok()?;
    url.password().map(|password| Zeroizing::new(password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn secret(connection: Value) -> Vec<String> {
        let mut out = Vec::new();
        secret_leaves(&connection, &mut out);
        out.into_iter().map(|s| s.to_string()).collect()
    }

    #[test]
    fn the_catalogue_decides_and_the_unknown_is_secret() {
        assert_eq!(secret(json!({"base_url": "https://api.example.com/v1"})), Vec::<String>::new());
        assert_eq!(secret(json!({"token": "xoxb-1"})), ["xoxb-1"]);
        assert_eq!(secret(json!({"headers": {"X-Api-Key": "abc123"}})), ["abc123"]);
        assert_eq!(secret(json!({"my_own": "a longer text", "mine": "short"})), ["a longer text"]);
        assert_eq!(secret(json!({"my_own": ["a longer text", 1, null]})), ["a longer text"]);
    }

    #[test]
    fn the_password_in_a_url_is_secret_by_itself() {
        let url = "postgres://app:hunter22@db/app";
        assert_eq!(secret(json!({ "url": url })), [url, "hunter22"]);
    }
}
