//! `http`: requests to any declared host.

use super::http_body::{Body, Part};
use super::http_page::{self, Paginate};
use crate::clock::Millis;
use crate::connector::input::{millis, no_action, read};
use crate::connector::net::{Guard, Incoming, MAX_ANSWER, Net, Outgoing};
use crate::connector::{ActionContext, Connector};
use crate::error::{Code, Error, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use url::Url;

/// Longest piece of an error answer that is told, in characters.
const EXCERPT: usize = 300;

pub(super) struct Http(pub(super) Arc<Net>);

#[derive(Deserialize)]
pub(super) struct Input {
    #[serde(default)]
    method: String,
    url: String,
    #[serde(default)]
    query: Map<String, Value>,
    #[serde(default)]
    headers: Map<String, Value>,
    timeout: String,
    auth: Option<Auth>,
    #[serde(default = "five")]
    follow: u32,
    #[serde(default)]
    response: Shape,
    #[serde(default)]
    allow_status: Vec<u16>,
    pub(super) paginate: Option<Paginate>,
    /// Not an `Option`: `json: null` is a body.
    #[serde(default, deserialize_with = "given")]
    json: Option<Value>,
    form: Option<Map<String, Value>>,
    body: Option<String>,
    multipart: Option<Part>,
    expect_status: Option<u16>,
    expect_text: Option<String>,
}

fn five() -> u32 {
    5
}

fn given<'de, D: serde::Deserializer<'de>>(value: D) -> std::result::Result<Option<Value>, D::Error> {
    Value::deserialize(value).map(Some)
}

#[derive(Deserialize, Clone)]
#[serde(rename_all = "snake_case")]
enum Auth {
    Basic {
        user: String,
        #[serde(default)]
        password: String,
    },
    Bearer(String),
    Header {
        name: String,
        value: String,
    },
    Query {
        name: String,
        value: String,
    },
}

#[derive(Deserialize, Clone, Copy, Default, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Shape {
    #[default]
    Auto,
    Json,
    Text,
    Bytes,
}

#[derive(Deserialize)]
struct Connection {
    base_url: String,
    #[serde(default)]
    headers: Map<String, Value>,
    auth: Option<Auth>,
}

#[async_trait::async_trait]
impl Connector for Http {
    fn name(&self) -> &str {
        "http"
    }

    async fn call(&self, action: &str, cx: &ActionContext, input: Value) -> Result<Value> {
        let input: Input = read(input)?;
        let method = match action {
            "get" | "check" => Method::GET,
            "post" => Method::POST,
            "put" => Method::PUT,
            "patch" => Method::PATCH,
            "delete" => Method::DELETE,
            "request" => Method::from_bytes(input.method.to_ascii_uppercase().as_bytes())
                .map_err(|_| Error::invalid("the method is none of HTTP's").at("/method", "is no HTTP method"))?,
            _ => return Err(no_action("http", action)),
        };
        let (request, hidden) = prepare(cx, method, &input)?;
        let guard = Guard::of(cx);
        if action == "check" {
            return check(&self.0, cx, &guard, request, &input).await;
        }
        if let Some(paginate) = &input.paginate {
            return http_page::all(&self.0, cx, &guard, request, &input, paginate, &hidden).await;
        }
        let answer = self.0.send(cx, &guard, request).await?;
        Ok(output(&answer, decoded(cx, &input, &answer)?, &hidden))
    }
}

/// The request, and the names of query parameters that hold credentials.
fn prepare(cx: &ActionContext, method: Method, input: &Input) -> Result<(Outgoing, Vec<String>)> {
    let connection: Option<Connection> = cx.connection.clone().map(read).transpose()?;
    let mut url = address(&input.url, connection.as_ref())?;
    // Credentials of the connection only go to the place that they were stored for.
    let own = connection.filter(|c| Url::parse(&c.base_url).is_ok_and(|base| base.origin() == url.origin()));
    let mut headers = HeaderMap::new();
    for (name, value) in own.iter().flat_map(|c| &c.headers).chain(&input.headers) {
        let (name, value) = header(name, &plain(value))?;
        headers.insert(name, value);
    }
    for (name, value) in &input.query {
        match value {
            Value::Null => {}
            Value::Array(items) => {
                url.query_pairs_mut().extend_pairs(items.iter().map(|item| (name, plain(item))));
            }
            other => {
                url.query_pairs_mut().append_pair(name, &plain(other));
            }
        }
    }
    let mut hidden = Vec::new();
    match input.auth.clone().or(own.and_then(|c| c.auth)) {
        None => {}
        Some(Auth::Query { name, value }) => {
            url.query_pairs_mut().append_pair(&name, &value);
            hidden.push(name);
        }
        Some(auth) => {
            let (name, value) = match auth {
                Auth::Basic { user, password } => {
                    ("authorization".into(), format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
                }
                Auth::Bearer(token) => ("authorization".into(), format!("Bearer {token}")),
                Auth::Header { name, value } | Auth::Query { name, value } => (name, value),
            };
            let (name, mut value) = header(&name, &value)?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
    let mut request = Outgoing::new(method, url);
    if let Some(body) =
        Body::of(input.json.as_ref(), input.form.as_ref(), input.body.as_deref(), input.multipart.as_ref())?
    {
        headers.entry(header::CONTENT_TYPE).or_insert(body.content_type);
        request.body = body.bytes;
    }
    request.headers = headers;
    request.follow = input.follow;
    request.timeout_ms = millis(&input.timeout)?;
    Ok((request, hidden))
}

fn address(url: &str, connection: Option<&Connection>) -> Result<Url> {
    let bad = |why: String| {
        Error::invalid(format!("the url is not right: {why}"))
            .at("/url", why)
            .hint("write it whole, such as https://example.com/")
    };
    match (Url::parse(url), connection) {
        (Ok(url), _) => Ok(url),
        (Err(url::ParseError::RelativeUrlWithoutBase), Some(c)) if !url.starts_with("//") => {
            let whole = format!("{}/{}", c.base_url.trim_end_matches('/'), url.trim_start_matches('/'));
            Url::parse(&whole).map_err(|e| bad(e.to_string()))
        }
        (Err(e), _) => Err(bad(e.to_string())),
    }
}

pub(super) fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue)> {
    let bad = |why: &str| Error::invalid(format!("the header \"{name}\" {why}")).at("/headers", why);
    let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad("has a name that HTTP does not allow"))?;
    let managed = [header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION];
    if managed.contains(&key) {
        return Err(bad("is set by the engine"));
    }
    let value =
        HeaderValue::from_str(value).map_err(|_| bad("has a value with characters that HTTP does not allow"))?;
    Ok((key, value))
}

/// A scalar as it stands in a query, header or form.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// The body of a successful answer, or the error that its status means.
pub(super) fn decoded(cx: &ActionContext, input: &Input, answer: &Incoming) -> Result<Value> {
    if !answer.status.is_success() && !input.allow_status.contains(&answer.status.as_u16()) {
        // A redirect that was not to be followed is what was asked for.
        if !(answer.status.is_redirection() && input.follow == 0) {
            return Err(status_error(cx.clock.now(), answer));
        }
    }
    decode(answer, input.response)
}

pub(super) fn output(answer: &Incoming, body: Value, hidden: &[String]) -> Value {
    let mut headers = Map::new();
    for (name, value) in &answer.headers {
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        match headers.get_mut(name.as_str()) {
            Some(Value::String(known)) => *known = format!("{known}, {text}"),
            _ => drop(headers.insert(name.as_str().to_owned(), text.into())),
        }
    }
    json!({"status": answer.status.as_u16(), "headers": headers, "body": body, "url": shown(&answer.url, hidden)})
}

/// The address without credentials.
fn shown(url: &Url, hidden: &[String]) -> String {
    if hidden.is_empty() {
        return url.to_string();
    }
    let mut shown = url.clone();
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| !hidden.iter().any(|h| h == name))
        .map(|(k, v)| (k.into(), v.into()))
        .collect();
    shown.set_query(None);
    if !kept.is_empty() {
        shown.query_pairs_mut().extend_pairs(kept);
    }
    shown.to_string()
}

/// The error that a status means: 429 and 503 are worth a retry when the server says,
/// other 5xx are, other 4xx are not.
pub(crate) fn status_error(now: Millis, answer: &Incoming) -> Error {
    let code = match answer.status.as_u16() {
        408 | 504 => Code::Timeout,
        429 => Code::RateLimited,
        500.. => Code::Unavailable,
        _ => Code::Failed,
    };
    let host = answer.url.host_str().unwrap_or_default();
    let text = match decode(answer, Shape::Auto) {
        Ok(Value::String(text)) => text,
        Ok(Value::Null) | Err(_) => String::new(),
        Ok(other) => other.to_string(),
    };
    let mut message = format!("{host} answered {}", answer.status);
    if !text.trim().is_empty() && !is_binary(&answer.headers) {
        let excerpt: String = text.trim().chars().take(EXCERPT).collect();
        message = format!("{message}: {excerpt}");
    }
    let error = Error::new(code, message);
    match retry_after(&answer.headers, now).filter(|_| code.is_retriable()) {
        Some(ms) => error.retry_after_ms(ms),
        None => error,
    }
}

/// `Retry-After` in milliseconds, a day at most.
fn retry_after(headers: &HeaderMap, now: Millis) -> Option<u64> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let ms = match text.parse::<u64>() {
        Ok(seconds) => seconds.saturating_mul(1_000),
        Err(_) => {
            let at = chrono::DateTime::parse_from_rfc2822(text).ok()?.timestamp_millis();
            u64::try_from(at.saturating_sub(now)).unwrap_or(0)
        }
    };
    Some(ms.min(86_400_000))
}

fn media_type(headers: &HeaderMap) -> String {
    let text = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    text.to_ascii_lowercase()
}

fn is_json(media: &str) -> bool {
    let essence = media.split(';').next().unwrap_or_default().trim();
    essence.ends_with("/json") || essence.ends_with("+json")
}

fn is_binary(headers: &HeaderMap) -> bool {
    let media = media_type(headers);
    let essence = media.split(';').next().unwrap_or_default().trim();
    let (family, kind) = essence.split_once('/').unwrap_or_default();
    let textual = ["json", "xml", "javascript", "x-www-form-urlencoded", "csv", "yaml", "x-yaml", "graphql", "sql"];
    let textual = textual.iter().any(|t| kind == *t || kind.ends_with(&format!("+{t}")));
    !essence.is_empty() && family != "text" && !textual
}

/// The body in the shape that was asked for.
pub(super) fn decode(answer: &Incoming, shape: Shape) -> Result<Value> {
    let body = &answer.body;
    let media = media_type(&answer.headers);
    match shape {
        Shape::Bytes => Ok(STANDARD.encode(body).into()),
        Shape::Text => Ok(text(body, &media).into()),
        Shape::Json => serde_json::from_slice(body).map_err(|e| {
            let host = answer.url.host_str().unwrap_or_default();
            Error::new(Code::Failed, format!("{host} did not answer with JSON: {e}"))
        }),
        Shape::Auto if body.is_empty() => Ok(Value::Null),
        Shape::Auto if is_json(&media) => {
            Ok(serde_json::from_slice(body).unwrap_or_else(|_| text(body, &media).into()))
        }
        Shape::Auto if is_binary(&answer.headers) && std::str::from_utf8(body).is_err() => {
            Ok(STANDARD.encode(body).into())
        }
        Shape::Auto => Ok(text(body, &media).into()),
    }
}

/// Bytes as text: UTF-8, or the western 8-bit sets where the server says so.
fn text(body: &[u8], media: &str) -> String {
    /// What stands at 0x80 to 0x9F in windows-1252; 0 where nothing does.
    const HIGH: [u16; 32] = [
        0x20AC, 0, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0, 0x017D,
        0, 0, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,
        0x017E, 0x0178,
    ];
    let charset =
        media.split("charset=").nth(1).unwrap_or_default().trim_matches(|c: char| c == '"' || c.is_whitespace());
    let charset = charset.split(';').next().unwrap_or_default().trim_matches('"');
    if matches!(charset, "iso-8859-1" | "latin1" | "windows-1252") {
        let decode = |byte: &u8| match byte {
            0x80..=0x9f => {
                char::from_u32(HIGH[usize::from(byte - 0x80)].into()).filter(|c| *c != '\0').unwrap_or('\u{fffd}')
            }
            byte => char::from(*byte),
        };
        return body.iter().map(decode).collect();
    }
    String::from_utf8_lossy(body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)).into_owned()
}

/// Whether the address answers. What the bot may not reach is still an error.
async fn check(net: &Net, cx: &ActionContext, guard: &Guard, mut request: Outgoing, input: &Input) -> Result<Value> {
    request.follow = if input.expect_status.is_some_and(|s| (300..400).contains(&s)) { 0 } else { 5 };
    (request.cut, request.max_answer) = (true, if input.expect_text.is_some() { MAX_ANSWER } else { 0 });
    let start = cx.clock.now();
    let answer = net.send(cx, guard, request).await;
    let ms = (cx.clock.now() - start).max(0);
    let (status, error) = match answer {
        Ok(answer) => (Some(answer.status), unexpected(&answer, input)),
        Err(e) if matches!(e.code(), Code::Forbidden | Code::Invalid | Code::Cancelled | Code::Internal) => {
            return Err(e);
        }
        Err(e) => (None, Some(e.to_string())),
    };
    Ok(json!({"up": error.is_none(), "status": status.map(|s| s.as_u16()), "ms": ms, "error": error}))
}

fn unexpected(answer: &Incoming, input: &Input) -> Option<String> {
    let status = answer.status;
    let good = match input.expect_status {
        Some(expected) => status.as_u16() == expected,
        None => status.is_success() || status.is_redirection(),
    };
    if !good {
        return Some(format!("answered {status}"));
    }
    let expected = input.expect_text.as_ref()?;
    let body = text(&answer.body, &media_type(&answer.headers));
    (!body.contains(expected.as_str())).then(|| "the expected text is missing".into())
}
