//! The few pages that are not the dashboard's: the API browsers, the list of error
//! codes, approvals. Plain HTML without scripts of their own; what comes from elsewhere
//! is escaped.

mod approve;
mod browsers;
mod errors;

use crate::shell::App;
use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// Style of the pages.
const STYLE: &str = include_str!("style.css");

/// Routes of all pages.
pub(crate) fn routes(app: &App) -> Router<App> {
    Router::new()
        .route("/docs", get(index))
        .route("/docs/errors", get(errors::page_of_codes))
        .route("/docs/style.css", get(style))
        .merge(browsers::routes(app))
        .merge(approve::routes())
}

/// A page of ours with `body`, which is HTML.
pub(crate) fn page(title: &str, body: &str) -> Response {
    let title = escape(title);
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<link rel=\"stylesheet\" href=\"/docs/style.css\">\n</head>\n\
         <body>\n<main>\n<h1>{title}</h1>\n{body}\n</main>\n</body>\n</html>\n"
    );
    html_response(html)
}

fn html_response(html: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, html).into_response()
}

/// `text` as it may stand in HTML, also inside of an attribute.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            _ => safe.push(c),
        }
    }
    safe
}

async fn style() -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"))], STYLE).into_response()
}

async fn index() -> Response {
    page(
        "Codex-32: documentation",
        "<ul><li><a href=\"/docs/api\">Try the API</a> (Swagger UI)</li>\
         <li><a href=\"/docs/redoc\">Read about the API</a> (ReDoc)</li>\
         <li><a href=\"/api/v1/openapi.json\">The OpenAPI document</a></li>\
         <li><a href=\"/docs/errors\">Error codes</a></li></ul>",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_escapes_from_a_page() {
        assert_eq!(escape("<a href=\"x\" id='y'>&"), "&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;");
    }
}
