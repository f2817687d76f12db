//! Each request gets an id, a span with its W3C trace, a line in the log and a place
//! in the figures.

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use std::time::Instant;
use tracing::Instrument;
use uuid::Uuid;

/// The header that carries the id of a request, in and out.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id taken from a client.
const LONGEST_ID: usize = 64;

/// The id of a request: the client's, where it is harmless, else a fresh one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestId(pub(crate) String);

impl RequestId {
    fn of(headers: &HeaderMap) -> RequestId {
        let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(|id| {
            (1..=LONGEST_ID).contains(&id.len())
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        });
        RequestId(given.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned))
    }
}

/// The trace that a request belongs to, by W3C Trace Context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trace {
    /// 32 hexadecimal digits.
    pub(crate) id: String,
    /// The span of the caller, 16 hexadecimal digits; empty where the trace begins here.
    pub(crate) parent: String,
}

impl Trace {
    fn of(headers: &HeaderMap) -> Trace {
        let mut all = headers.get_all("traceparent").iter();
        let one = all.next().filter(|_| all.next().is_none()).and_then(|value| value.to_str().ok());
        one.and_then(Trace::parse)
            .unwrap_or_else(|| Trace { id: Uuid::now_v7().simple().to_string(), parent: String::new() })
    }

    /// Reads `00-TRACE-PARENT-FLAGS`; later versions may have more parts.
    fn parse(text: &str) -> Option<Trace> {
        let parts: Vec<&str> = text.split('-').collect();
        let [version, id, parent, flags, rest @ ..] = parts.as_slice() else { return None };
        let hex = |s: &str, len: usize| s.len() == len && s.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let good = hex(version, 2)
            && *version != "ff"
            && (rest.is_empty() || *version != "00")
            && hex(id, 32)
            && hex(parent, 16)
            && hex(flags, 2)
            && id.bytes().any(|b| b != b'0')
            && parent.bytes().any(|b| b != b'0');
        good.then(|| Trace { id: (*id).to_owned(), parent: (*parent).to_owned() })
    }
}

/// Around every request.
pub(crate) async fn observe(mut request: Request, next: Next) -> Response {
    let id = RequestId::of(request.headers());
    let trace = Trace::of(request.headers());
    let route = request.extensions().get::<MatchedPath>().map_or("none", MatchedPath::as_str).to_owned();
    let method = method_label(request.method());
    let span = tracing::info_span!(
        "request",
        request_id = %id.0,
        trace_id = %trace.id,
        parent_id = %trace.parent,
        method,
        route = %route,
        status = tracing::field::Empty,
    );
    request.extensions_mut().insert(id.clone());
    let begun = Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    span.record("status", status);
    let seconds = begun.elapsed().as_secs_f64();
    metrics::counter!("codex32_http_requests_total",
        "method" => method, "route" => route.clone(), "status" => status.to_string())
    .increment(1);
    metrics::histogram!("codex32_http_request_seconds", "method" => method, "route" => route).record(seconds);
    span.in_scope(|| tracing::debug!(seconds, "answered"));
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// A method as a label: clients may invent methods, and the figures must not grow with them.
fn method_label(method: &axum::http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        headers
    }

    #[test]
    fn a_harmless_id_is_kept_and_any_other_replaced() {
        assert_eq!(RequestId::of(&headers("x-request-id", "job-1.a_B")).0, "job-1.a_B");
        for bad in ["", "a b", "<script>", "a\u{e9}", &"x".repeat(65)] {
            let id = RequestId::of(&headers("x-request-id", bad)).0;
            assert_eq!(id.parse::<Uuid>().map(|u| u.get_version_num()), Ok(7), "{bad:?}");
        }
    }

    #[test]
    fn a_trace_is_taken_only_where_it_is_well_formed() {
        let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let read = Trace::of(&headers("traceparent", &format!("00-{trace}-{parent}-01")));
        assert_eq!(read, Trace { id: trace.into(), parent: parent.into() });
        let zero = "0".repeat(32);
        for bad in [
            format!("ff-{trace}-{parent}-01"),
            format!("00-{trace}-{parent}-01-x"),
            format!("00-{zero}-{parent}-01"),
            format!("00-{}-{parent}-01", trace.to_uppercase()),
            format!("00-{trace}-{parent}"),
            "nonsense".to_owned(),
        ] {
            let read = Trace::of(&headers("traceparent", &bad));
            assert_ne!(read.id, trace, "{bad}");
            assert_eq!(read.parent, "");
        }
    }
}
