//! The dashboard's files, embedded in the binary.
//!
//! In a debug build they are read from `dashboard/dist` as they stand; where the
//! dashboard was never built, a page says how.

use crate::pages;
use crate::problem::Failure;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::{Embed, EmbeddedFile};

#[derive(Embed)]
#[folder = "dashboard/dist"]
struct Files;

/// Paths that belong to machines: nothing there is ever a page of the dashboard.
const MACHINES: [&str; 6] = ["/api", "/mcp", "/hooks", "/metrics", "/docs", "/approve"];

/// Everything that no route took.
pub(crate) async fn serve(request: Request) -> Response {
    let path = request.uri().path();
    let machine =
        MACHINES.iter().any(|prefix| path.strip_prefix(prefix).is_some_and(|r| r.is_empty() || r.starts_with('/')));
    if machine || !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Failure::no_route(path).into_response();
    }
    let file = path.trim_start_matches('/');
    if let Some(found) = Files::get(file).filter(|_| !file.is_empty()) {
        return respond(file, &found, request.headers());
    }
    // A client route: the page finds its way itself. Files that are missing are missing.
    if !wants_page(request.headers()) {
        return Failure::no_route(path).into_response();
    }
    match Files::get("index.html") {
        Some(index) => respond("index.html", &index, request.headers()),
        None => not_built(),
    }
}

fn wants_page(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).and_then(|a| a.to_str().ok()).is_some_and(|accept| accept.contains("text/html"))
}

fn respond(path: &str, file: &EmbeddedFile, headers: &HeaderMap) -> Response {
    let hash = file.metadata.sha256_hash();
    let tag = hash.iter().take(16).map(|b| format!("{b:02x}")).collect::<String>();
    let Ok(tag) = HeaderValue::from_str(&format!("\"{tag}\"")) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    // Files below assets/ carry a hash of their content in their name.
    let keep = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let cache = [(header::ETAG, tag.clone()), (header::CACHE_CONTROL, HeaderValue::from_static(keep))];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|known| *known == tag) {
        return (StatusCode::NOT_MODIFIED, cache).into_response();
    }
    let media = HeaderValue::from_str(file.metadata.mimetype())
        .unwrap_or_else(|_| HeaderValue::from_static("application/octet-stream"));
    (cache, [(header::CONTENT_TYPE, media)], file.data.to_vec()).into_response()
}

fn not_built() -> Response {
    pages::page(
        "Codex-32 is running",
        "<p>The dashboard is not part of this build. <code>make up</code> builds it, or:</p>\
         <pre>cd codex32-server/dashboard\nnpm ci\nnpm run build</pre>\
         <p>The API is there: <a href=\"/docs/api\">try it</a>, <a href=\"/docs/redoc\">read about it</a>.</p>",
    )
}
