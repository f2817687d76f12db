//! REST: a route for each operation of the table, and nothing by hand.
//!
//! Order of refusals: unknown address, method, caller, then the input; so nobody
//! uploads a body who is not known.

pub(crate) mod input;
mod reply;
mod sse;

use crate::auth::{self, Known};
use crate::problem::Failure;
use crate::shell::App;
use axum::Router;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use codex32_core::access::Caller;
use codex32_core::api::{Erased, Kind, Meta, Surface};
use codex32_core::error::{Code, Error, Result};
use indexmap::IndexMap;
use serde_json::Value;
use std::sync::Arc;
use tracing::Instrument;

/// Where the API lies.
pub(crate) const BASE: &str = "/api/v1";

/// The operations at one address.
struct Resource {
    operations: Vec<&'static dyn Erased>,
    allow: String,
}

impl Resource {
    fn new(operations: Vec<&'static dyn Erased>) -> Resource {
        let mut methods: Vec<&str> = operations.iter().map(|o| o.meta().method.as_str()).collect();
        if methods.contains(&"GET") {
            methods.push("HEAD");
        }
        methods.push("OPTIONS");
        Resource { allow: methods.join(", "), operations }
    }

    fn operation(&self, method: &Method) -> Option<&'static dyn Erased> {
        let method = if *method == Method::HEAD { "GET" } else { method.as_str() };
        self.operations.iter().copied().find(|operation| operation.meta().method.as_str() == method)
    }
}

/// The routes of the table.
///
/// # Errors
/// `internal` where two operations have the same address and method.
pub(crate) fn routes(app: &App) -> Result<Router<App>> {
    let mut resources: IndexMap<String, Vec<&'static dyn Erased>> = IndexMap::new();
    for operation in app.table.operations.iter().copied() {
        let meta = operation.meta();
        if !meta.offered_on(Surface::Rest) {
            continue;
        }
        let there = resources.entry(pattern(meta.path)).or_default();
        if let Some(other) = there.iter().find(|o| o.meta().method == meta.method) {
            return Err(Error::internal(format!("{} and {} have the same route", other.meta().name, meta.name)));
        }
        there.push(operation);
    }
    let mut router = Router::new();
    for (pattern, operations) in resources {
        let resource = Arc::new(Resource::new(operations));
        let handler = move |State(app): State<App>, request: Request| async move {
            answer(&app, &resource, request).await.unwrap_or_else(IntoResponse::into_response)
        };
        router = router.route(&format!("{BASE}{pattern}"), any(handler));
    }
    Ok(router)
}

/// The path with parameters by place: operations may call the same place differently.
fn pattern(path: &str) -> String {
    let mut place = 0;
    let parts: Vec<String> = path
        .split('/')
        .map(|part| {
            if part.starts_with('{') && part.ends_with('}') {
                place += 1;
                format!("{{p{place}}}")
            } else {
                part.to_owned()
            }
        })
        .collect();
    parts.join("/")
}

async fn answer(app: &App, resource: &Resource, request: Request) -> Result<Response, Failure> {
    let (mut parts, body) = request.into_parts();
    if parts.method == Method::OPTIONS {
        let allow = HeaderValue::from_str(&resource.allow).map_err(|_| Error::internal("the methods are no header"))?;
        return Ok((StatusCode::NO_CONTENT, [(header::ALLOW, allow)]).into_response());
    }
    let Some(operation) = resource.operation(&parts.method) else {
        return Err(Failure::method(&parts.method, &resource.allow));
    };
    let meta = operation.meta();
    let known = if meta.authenticated {
        let known = auth::known(app, &parts.method, &parts.headers).await?;
        Some(known.ok_or_else(|| {
            Error::new(Code::Unauthenticated, "this needs a token").hint("send `Authorization: Bearer c32_...`")
        })?)
    } else {
        None
    };
    let values = path_values(&mut parts).await?;
    let input = input::gather(app, meta, &values, &parts, body).await?;
    if meta.kind == Kind::Stream {
        return sse::respond(app, meta, known, input, parts.method == Method::HEAD).await;
    }
    let output = call(app, meta, known, input).await?;
    Ok(reply::of(meta, output)?)
}

async fn path_values(parts: &mut Parts) -> Result<Vec<String>> {
    match RawPathParams::from_request_parts(parts, &()).await {
        Ok(params) => Ok(params.iter().map(|(_, value)| value.to_owned()).collect()),
        Err(RawPathParamsRejection::InvalidUtf8InPathParam(_)) => {
            Err(Error::invalid("the address holds bytes that are not UTF-8"))
        }
        Err(_) => Ok(Vec::new()),
    }
}

/// Calls the operation. A write goes on where the client goes away in the middle, so
/// that what was done is also recorded.
pub(crate) async fn call(app: &App, meta: &'static Meta, known: Option<Known>, input: Value) -> Result<Value> {
    let caller: Option<Caller> = known.map(|known| known.caller);
    if meta.kind != Kind::Write {
        return app.engine.call(caller.as_ref(), meta.name, input).await;
    }
    let engine = app.engine.clone();
    let work = async move { engine.call(caller.as_ref(), meta.name, input).await };
    let done = app.tasks.spawn(work.instrument(tracing::Span::current())).await;
    done.unwrap_or_else(|_| Err(Error::internal(format!("{} panicked", meta.name))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_named_by_place() {
        assert_eq!(pattern("/bots"), "/bots");
        assert_eq!(pattern("/bots/{bot}/versions/{version}"), "/bots/{p1}/versions/{p2}");
    }
}
