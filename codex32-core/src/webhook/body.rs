//! Reading a request: its body by content type, its query, its headers.

use super::Request;
use crate::error::{Error, Result};
use serde_json::{Map, Value, json};

/// Headers whose values are credentials, and those that only concern the connection.
const HIDDEN: [&str; 10] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-api-key",
    "x-auth-token",
    "x-csrf-token",
    "x-signature-256",
    "x-hub-signature",
    "x-hub-signature-256",
    "stripe-signature",
];
/// Parts of names that say the same.
const HIDDEN_PARTS: [&str; 4] = ["token", "secret", "password", "credential"];

/// The input that a body stands for: an object as it is, anything else as it was sent.
/// A request without a body has its query for an input.
pub(super) fn input(request: &Request) -> Result<Value> {
    if request.body.is_empty() {
        return Ok(fields(request.query.as_bytes()));
    }
    let content_type = request.header("content-type").unwrap_or_default();
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match kind.as_str() {
        "application/json" => json_of(&request.body),
        kind if kind.starts_with("application/") && kind.ends_with("+json") => json_of(&request.body),
        "application/x-www-form-urlencoded" => Ok(fields(&request.body)),
        // Without a content type it is taken for plain text, as it cannot do harm as such.
        kind if kind.is_empty() || kind.starts_with("text/") || kind.ends_with("xml") => text_of(&request.body),
        other => Err(Error::invalid(format!("a body of the type \"{}\" is not accepted", shown(other)))
            .hint("send JSON (application/json), a form (application/x-www-form-urlencoded) or text (text/plain)")),
    }
}

/// A sender's text, safe and short enough for a message.
fn shown(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic()).take(80).collect()
}

fn json_of(body: &[u8]) -> Result<Value> {
    serde_json::from_slice(body).map_err(|e| {
        let (line, column) = (e.line(), e.column());
        Error::invalid(format!("the body is not valid JSON at line {line}, column {column}"))
            .hint("send one JSON document, or another content type")
    })
}

fn text_of(body: &[u8]) -> Result<Value> {
    let text = std::str::from_utf8(body).map_err(|_| Error::invalid("the body is not text in UTF-8"))?;
    Ok(json!({ "value": text }))
}

/// Form fields or a query as an object; a name that comes more than once has a list.
pub(super) fn fields(text: &[u8]) -> Value {
    let mut all = Map::new();
    for (name, value) in url::form_urlencoded::parse(text) {
        match all.get_mut(name.as_ref()) {
            None => {
                all.insert(name.into_owned(), Value::String(value.into_owned()));
            }
            Some(Value::Array(values)) => values.push(Value::String(value.into_owned())),
            Some(first) => *first = json!([first.take(), value]),
        }
    }
    Value::Object(all)
}

/// The headers that an execution may see, names in lower case.
pub(super) fn headers(request: &Request) -> Value {
    let mut all = Map::new();
    for (name, value) in &request.headers {
        let name = name.to_ascii_lowercase();
        if HIDDEN.contains(&name.as_str()) || HIDDEN_PARTS.iter().any(|part| name.contains(part)) {
            continue;
        }
        match all.get_mut(&name) {
            Some(Value::String(first)) => {
                first.push_str(", ");
                first.push_str(value);
            }
            _ => {
                all.insert(name, Value::String(value.clone()));
            }
        }
    }
    Value::Object(all)
}

/// Checks that the input has these fields.
pub(super) fn require(input: &Value, fields: &[String]) -> Result<()> {
    let missing: Vec<&String> =
        fields.iter().filter(|field| input.get(field.as_str()).is_none_or(Value::is_null)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = missing.iter().map(|name| format!("\"{name}\"")).collect();
    let error = Error::invalid(format!("the body has no {}", names.join(", ")))
        .hint("send an object with these fields, and its content type (application/json)");
    Err(missing.into_iter().fold(error, |error, field| {
        let pointer = format!("/{}", field.replace('~', "~0").replace('/', "~1"));
        error.at(pointer, "required")
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;
    use bytes::Bytes;

    fn read(content_type: &str, body: &'static [u8]) -> Result<Value> {
        let headers = vec![("Content-Type".to_owned(), content_type.to_owned())];
        input(&Request { headers, body: Bytes::from_static(body), ..Request::default() })
    }

    #[test]
    fn the_content_type_decides() {
        assert_eq!(read("application/json; charset=utf-8", b"{\"a\":1}").unwrap(), json!({"a": 1}));
        assert_eq!(read("application/vnd.x+json", b"[1]").unwrap(), json!([1]));
        let form = read("application/x-www-form-urlencoded", b"a=1&b=x+y&a=2&a=%C3%A4").unwrap();
        assert_eq!(form, json!({"a": ["1", "2", "ä"], "b": "x y"}));
        // JSON under another type stays text: nothing is guessed.
        assert_eq!(read("text/plain", b"{\"a\":1}").unwrap(), json!({"value": "{\"a\":1}"}));
        assert_eq!(read("", b"hi").unwrap(), json!({"value": "hi"}));
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        let deep: &'static [u8] = Box::leak("[".repeat(100_000).into_bytes().into_boxed_slice());
        for (kind, body) in [
            ("application/json", b"{\"a\":" as &[u8]),
            ("application/json", deep),
            ("text/plain", b"\xff\xfe"),
            ("multipart/form-data; boundary=x", b"--x"),
            ("application/octet-stream", b"\x00"),
        ] {
            assert_eq!(read(kind, body).unwrap_err().code(), Code::Invalid, "{kind}");
        }
    }

    #[test]
    fn a_request_without_a_body_has_its_query() {
        let request = Request { query: "q=1&q=2&r=%20".into(), ..Request::default() };
        assert_eq!(input(&request).unwrap(), json!({"q": ["1", "2"], "r": " "}));
    }

    #[test]
    fn credentials_are_not_passed_on() {
        let names = ["Authorization", "COOKIE", "X-Gitlab-Token", "X-My-Secret", "X-Signature-256", "Accept", "accept"];
        let headers_in = names.iter().map(|name| ((*name).to_owned(), "v".to_owned())).collect();
        let seen = headers(&Request { headers: headers_in, ..Request::default() });
        assert_eq!(seen, json!({"accept": "v, v"}));
    }

    #[test]
    fn missing_fields_are_named_all_at_once() {
        let fields = ["email".to_owned(), "a/b".to_owned(), "n".to_owned()];
        assert!(require(&json!({"email": "x", "a/b": 1, "n": false}), &fields).is_ok());
        let error = require(&json!({"n": null, "email": ""}), &fields).unwrap_err();
        let pointers: Vec<&str> = error.faults().iter().map(|fault| fault.pointer.as_str()).collect();
        assert_eq!(pointers, ["/a~1b", "/n"]);
        assert!(require(&json!(["email"]), &fields).is_err());
    }
}
