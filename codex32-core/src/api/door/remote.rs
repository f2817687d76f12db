//! A client of the HTTP API, derived from the table.

use crate::api::call::{find, table};
use crate::api::erased::ValueStream;
use crate::api::operation::{Kind, Meta};
use crate::engine::install_crypto;
use crate::error::{Code, Error, Fault, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Map, Value, json};
use std::time::Duration;
use url::Url;

/// An engine behind an address.
#[derive(Clone)]
pub struct Remote {
    http: Client,
    base: Url,
    token: Option<String>,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

impl Remote {
    /// A client of the server at `url`, with `token` where it has one. Does not connect yet.
    ///
    /// # Errors
    /// `invalid` where `url` is not an `http` or `https` address.
    pub fn new(url: &str, token: Option<String>) -> Result<Remote> {
        install_crypto();
        let base = Url::parse(url)
            .ok()
            .filter(|u| matches!(u.scheme(), "http" | "https"))
            .ok_or_else(|| Error::invalid(format!("\"{url}\" is not an address")).hint("write http://host:port"))?;
        let http = Client::builder()
            .no_proxy()
            .connect_timeout(Duration::from_secs(10))
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("codex32/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| Error::internal(format!("make the HTTP client: {e}")))?;
        Ok(Remote { http, base, token })
    }

    /// Where the server is.
    #[must_use]
    pub fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Performs an operation.
    ///
    /// # Errors
    /// Those of the operation, and `unavailable`.
    pub async fn call(&self, name: &str, input: Value) -> Result<Value> {
        let meta = find(name)?.meta();
        let response = self.send(self.request(meta, input)?).await?;
        if let Some(raw) = meta.raw_output {
            let bytes = response.bytes().await.map_err(unreachable)?;
            return Ok(json!({ raw.field: STANDARD.encode(bytes) }));
        }
        response.json().await.map_err(|e| Error::unavailable(format!("the server's answer is no JSON: {e}")))
    }

    /// Begins a stream.
    ///
    /// # Errors
    /// As [`Remote::call`].
    pub async fn open_stream(&self, name: &str, input: Value) -> Result<ValueStream> {
        let meta = find(name)?.meta();
        if meta.kind != Kind::Stream {
            return Err(Error::invalid(format!("{name} is not a stream")).hint("call it instead"));
        }
        let request = self.request(meta, input)?.header(ACCEPT, "text/event-stream");
        let response = self.send(request).await?;
        let events = sse_stream::SseStream::from_bytes_stream(response.bytes_stream());
        let items = events.filter_map(|event| async move {
            let event = match event {
                Ok(event) => event,
                Err(e) => return Some(Err(Error::unavailable(format!("the stream broke: {e}")))),
            };
            let data: Value = serde_json::from_str(event.data.as_deref()?).ok()?;
            match event.event.as_deref() {
                Some("error") => Some(Err(error_of(&data, 500))),
                Some("end") => None,
                _ => Some(Ok(data)),
            }
        });
        Ok(items.boxed())
    }

    /// Divides the input over path, query and body as the operation's route wants it.
    fn request(&self, meta: &'static Meta, input: Value) -> Result<RequestBuilder> {
        table()?.schemas.check(meta.name, &super::super::schema::normalise(input.clone()))?;
        let mut fields = match input {
            Value::Object(fields) => fields,
            Value::Null => Map::new(),
            _ => return Err(Error::invalid("the input must be an object")),
        };
        let mut url = self.base.clone();
        {
            let mut path =
                url.path_segments_mut().map_err(|()| Error::invalid("the server's address takes no path"))?;
            path.pop_if_empty().extend(["api", "v1"]);
            for part in meta.path.split('/').filter(|part| !part.is_empty()) {
                match part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) {
                    Some(field) => path.push(&text(fields.shift_remove(field).unwrap_or_default())),
                    None => path.push(part),
                };
            }
        }
        let method = reqwest::Method::from_bytes(meta.method.as_str().as_bytes())
            .map_err(|e| Error::internal(format!("the method of {}: {e}", meta.name)))?;
        let raw = match meta.raw_input {
            Some(raw) => Some((raw, decode_raw(fields.shift_remove(raw.field), raw.field)?)),
            None => None,
        };
        if raw.is_some() || !meta.method.has_body() {
            let mut query = url.query_pairs_mut();
            for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
                query.append_pair(name, &text(value.clone()));
            }
        }
        if url.query() == Some("") {
            url.set_query(None);
        }
        let mut request = self.http.request(method, url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        Ok(match raw {
            Some((raw, bytes)) => request.header(CONTENT_TYPE, raw.media).body(bytes),
            None if meta.method.has_body() => request.json(&fields),
            None => request,
        })
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body: Value = response.json().await.unwrap_or_default();
        Err(error_of(&body, status.as_u16()))
    }
}

fn unreachable(e: reqwest::Error) -> Error {
    let what = if e.is_timeout() { "does not answer" } else { "cannot be reached" };
    Error::unavailable(format!("the server {what}: {}", e.without_url()))
        .hint("is it running? `codex32 up` starts it; --url or CODEX32_URL says where it is")
}

fn decode_raw(value: Option<Value>, field: &str) -> Result<Vec<u8>> {
    let text = value.as_ref().and_then(Value::as_str).unwrap_or_default();
    STANDARD
        .decode(text)
        .map_err(|_| Error::invalid(format!("{field} is not base64")).at(format!("/{field}"), "not base64"))
}

/// A value as it stands in a path or a query: text as it is, the rest as JSON.
fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    }
}

/// The error that problem details stand for.
fn error_of(problem: &Value, status: u16) -> Error {
    let code = problem.get("code").and_then(Value::as_str).and_then(|code| code.parse().ok());
    let code =
        code.or_else(|| Code::ALL.into_iter().find(|code| code.http_status() == status)).unwrap_or(Code::Unavailable);
    let detail = problem.get("detail").and_then(Value::as_str);
    let mut error = Error::new(code, detail.map_or_else(|| format!("the server answered {status}"), str::to_owned));
    if let Some(hint) = problem.get("hint").and_then(Value::as_str) {
        error = error.hint(hint);
    }
    if let Some(ms) = problem.get("retry_after_ms").and_then(Value::as_u64) {
        error = error.retry_after_ms(ms);
    }
    let faults: Vec<Fault> =
        problem.get("faults").cloned().and_then(|faults| serde_json::from_value(faults).ok()).unwrap_or_default();
    error.with_faults(faults)
}
