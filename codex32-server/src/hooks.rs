//! `/hooks/{workspace}/{path}`: requests from other services, which start bots.
//!
//! The webhook room decides everything; here a request becomes its form and its decision
//! becomes a response. What a bot answers is shown without any right: it may be HTML, and
//! it comes from the dashboard's own host.

use crate::headers::SANDBOX;
use crate::problem::Failure;
use crate::rest::input;
use crate::shell::App;
use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use codex32_core::error::{Code, Error};
use codex32_core::webhook::{self, Outcome};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// The route of webhooks.
pub(crate) fn routes() -> Router<App> {
    Router::new().route("/hooks/{workspace}/{*path}", any(receive))
}

async fn receive(
    State(app): State<App>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Result<Response, Failure> {
    let Path((workspace, path)) = path.map_err(|_| Error::invalid("the address of the webhook is not UTF-8"))?;
    let (parts, body) = request.into_parts();
    if parts.method == Method::OPTIONS {
        return Ok((StatusCode::NO_CONTENT, sandboxed()).into_response());
    }
    let body = input::read(&app, &parts.headers, body, app.config.body_limit).await?;
    let request = webhook::Request {
        method: parts.method.to_string(),
        headers: parts
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        body,
        remote: parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_string()),
    };
    // Which workspaces there are is nobody's business here.
    let workspace = app.engine.access().workspace_by_slug(&workspace).await.map_err(|error| match error.code() {
        Code::NotFound => Error::new(Code::NotFound, "there is no webhook at this path"),
        _ => error,
    })?;
    respond(&parts.method, app.engine.webhooks().receive(workspace.id, &path, request).await?)
}

fn sandboxed() -> HeaderMap {
    HeaderMap::from_iter([
        (header::CONTENT_SECURITY_POLICY, SANDBOX),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ])
}

fn respond(method: &Method, outcome: Outcome) -> Result<Response, Failure> {
    match outcome {
        Outcome::Accepted { execution, existing } => {
            let body = json!({ "execution": execution, "existing": existing });
            Ok((StatusCode::ACCEPTED, sandboxed(), axum::Json(body)).into_response())
        }
        Outcome::MethodNotAllowed { allow } => Err(Failure::method(method, &allow)),
        Outcome::Answer { execution, status, headers, body } => {
            let mut given = sandboxed();
            for (name, value) in headers {
                let pair = name.parse::<HeaderName>().ok().zip(HeaderValue::from_str(&value).ok());
                match pair {
                    Some((name, value)) if may_set(&name) => {
                        given.append(name, value);
                    }
                    _ => tracing::debug!(%execution, "a header of a bot's answer was left out"),
                }
            }
            let (media, bytes) = match body {
                Value::String(text) => ("text/plain; charset=utf-8", text.into_bytes()),
                Value::Null => ("", Vec::new()),
                other => ("application/json", other.to_string().into_bytes()),
            };
            if !media.is_empty() && !given.contains_key(header::CONTENT_TYPE) {
                given.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
            }
            let status = StatusCode::from_u16(status).ok().filter(|status| !status.is_informational());
            Ok((status.unwrap_or(StatusCode::OK), given, Body::from(bytes)).into_response())
        }
    }
}

/// Whether a bot may set a header of its answer: not those that frame the message, and
/// none by which it would act on the browser's view of this host.
fn may_set(name: &HeaderName) -> bool {
    const OURS: [HeaderName; 13] = [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::TRAILER,
        header::TE,
        header::SET_COOKIE,
        header::CONTENT_SECURITY_POLICY,
        header::STRICT_TRANSPORT_SECURITY,
        header::WWW_AUTHENTICATE,
        header::DATE,
        HeaderName::from_static("clear-site-data"),
        HeaderName::from_static("service-worker-allowed"),
    ];
    !OURS.contains(name) && !name.as_str().starts_with("access-control-") && !name.as_str().starts_with("proxy-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use codex32_core::id::ExecutionId;

    fn answer(headers: &[(&str, &str)], body: Value) -> Response {
        let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let outcome = Outcome::Answer { execution: ExecutionId::at(1), status: 201, headers, body };
        respond(&Method::POST, outcome).unwrap()
    }

    #[test]
    fn a_bots_answer_has_no_rights_in_the_browser() {
        let html = answer(&[("content-type", "text/html"), ("x-mine", "1")], json!("<script>alert(1)</script>"));
        assert_eq!(html.status(), 201);
        assert_eq!(html.headers()["x-mine"], "1");
        assert_eq!(html.headers()[header::CONTENT_SECURITY_POLICY], SANDBOX);
        for bad in ["set-cookie", "content-security-policy", "Access-Control-Allow-Origin", "transfer-encoding", "a b"]
        {
            let response = answer(&[(bad, "x")], Value::Null);
            assert_ne!(
                response.headers().get(bad.trim().to_lowercase().replace(' ', "-")),
                Some(&HeaderValue::from_static("x"))
            );
        }
        assert!(answer(&[("x-split", "a\r\nset-cookie: b")], Value::Null).headers().get("x-split").is_none());
    }

    #[test]
    fn a_text_is_sent_as_text_and_all_else_as_json() {
        let media = |body: Value| answer(&[], body).headers().get(header::CONTENT_TYPE).cloned();
        assert_eq!(media(json!("x")).unwrap(), "text/plain; charset=utf-8");
        assert_eq!(media(json!({"ok": true})).unwrap(), "application/json");
        assert_eq!(media(Value::Null), None);
    }
}
