//! The OpenAPI document and two ways to look at it, all from the binary.

use super::html_response;
use crate::headers::STYLED;
use crate::problem::Failure;
use crate::shell::App;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use bytes::Bytes;
use codex32_core::api::openapi;
use codex32_core::error::Error;
use std::sync::Arc;

const DOCUMENT: &str = "/api/v1/openapi.json";

/// ReDoc as it is published (MIT; see `assets/redoc/`).
const REDOC: &[u8] = include_bytes!("../../assets/redoc/redoc.standalone.js");

const REDOC_START: &str = "Redoc.init('/api/v1/openapi.json', {\n  disableSearch: true,\n  hideDownloadButton: true,\n  \
                           nativeScrollbars: true,\n}, document.getElementById('reference'));\n";

const REDOC_PAGE: &str = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Codex-32: the API</title>\n</head>\n\
    <body>\n<div id=\"reference\"></div>\n<script src=\"/docs/redoc/redoc.js\"></script>\n\
    <script src=\"/docs/redoc/start.js\"></script>\n</body>\n</html>\n";

pub(super) fn routes(app: &App) -> Router<App> {
    let table = app.table;
    let document = openapi::document(&table.shapes, &table.schemas, env!("CARGO_PKG_VERSION"));
    let document = Bytes::from(document.to_string());
    Router::new()
        .route(DOCUMENT, get(move || async move { file("application/json", document) }))
        .route("/docs/api", get(|| async { Redirect::temporary("/docs/api/") }))
        .route("/docs/api/", get(|app| swagger(app, Path(String::new()))))
        .route("/docs/api/{*file}", get(swagger))
        .route("/docs/redoc", get(redoc))
        .route("/docs/redoc/redoc.js", get(|| async { file("text/javascript", Bytes::from_static(REDOC)) }))
        .route(
            "/docs/redoc/start.js",
            get(|| async { file("text/javascript", Bytes::from_static(REDOC_START.as_bytes())) }),
        )
}

fn file(media: &'static str, bytes: Bytes) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media)),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, bytes).into_response()
}

async fn swagger(State(_): State<App>, Path(name): Path<String>) -> Result<Response, Failure> {
    let config = utoipa_swagger_ui::Config::new([DOCUMENT])
        .validator_url("none")
        .persist_authorization(false)
        .display_request_duration(true);
    let found = utoipa_swagger_ui::serve(&name, Arc::new(config))
        .map_err(|e| Error::internal(format!("Swagger UI cannot be served: {e}")))?;
    let Some(found) = found else { return Err(Failure::no_route(&format!("/docs/api/{name}"))) };
    let media = HeaderValue::from_str(&found.content_type).map_err(|_| Error::internal("a media type is no header"))?;
    let headers = [(header::CONTENT_TYPE, media), (header::CONTENT_SECURITY_POLICY, STYLED)];
    Ok((headers, found.bytes.into_owned()).into_response())
}

async fn redoc() -> Response {
    let mut response = html_response(REDOC_PAGE.to_owned());
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, STYLED);
    response
}
