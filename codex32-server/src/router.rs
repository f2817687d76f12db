//! All routes and what is around them.

use crate::config::ServerConfig;
use crate::problem::{self, Failure};
use crate::shell::{App, Shell};
use crate::{auth, dashboard, headers, hooks, mcp, pages, rest, trace, ws};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, Uri, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{any, get, post};
use codex32_core::engine::Engine;
use codex32_core::error::{Code, Error, Result};
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

/// Longest path with query.
const LONGEST_ADDRESS: usize = 16 << 10;

/// The whole server as a router, for a program that has a server of its own.
///
/// # Errors
/// `invalid` where the configuration is wrong.
///
/// ```no_run
/// # async fn example() -> codex32_core::Result<()> {
/// use codex32_core::engine::{Config, Engine};
/// let engine = Engine::open(Config::in_folder("data")).await?;
/// let router = codex32_server::router(engine, &codex32_server::ServerConfig::default())?;
/// # Ok(()) }
/// ```
pub fn router(engine: Engine, config: &ServerConfig) -> Result<Router> {
    assemble(&Shell::new(engine, config, CancellationToken::new())?)
}

pub(crate) fn assemble(app: &App) -> Result<Router> {
    let mut router = rest::routes(app)?
        .route("/api/session", post(auth::begin).delete(auth::end))
        .route("/api/ws", any(ws::upgrade))
        .route("/api/v1/intelligent-bots", any(moved))
        .route("/api/v1/intelligent-bots/{*rest}", any(moved))
        .route("/metrics", get(metrics))
        .merge(hooks::routes())
        .merge(pages::routes(app))
        .merge(mcp::routes(app)?)
        .fallback(dashboard::serve)
        .method_not_allowed_fallback(not_allowed)
        .layer(from_fn_with_state(app.clone(), limit))
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(from_fn(problem::write))
        .layer(CompressionLayer::new());
    if let Some(cors) = headers::cors(app) {
        router = router.layer(cors);
    }
    let router = router.layer(from_fn_with_state(app.clone(), headers::protect)).layer(from_fn(trace::observe));
    Ok(router.with_state(app.clone()))
}

/// What Prometheus reads. It holds figures of the process and no names of anybody's.
async fn metrics(State(app): State<App>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.engine.metrics()).into_response()
}

/// The builder's group had another name once.
async fn moved(uri: Uri) -> Redirect {
    let path = uri.path().replacen("/intelligent-bots", "/builder", 1);
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    Redirect::permanent(&format!("{path}{query}"))
}

async fn not_allowed(method: Method) -> Failure {
    // The methods that are offered are in the header `Allow`, which the router adds.
    Failure::status(
        Error::invalid(format!("{method} is not offered here")).hint("the header Allow names what is"),
        axum::http::StatusCode::METHOD_NOT_ALLOWED,
    )
}

/// Bounds each request: its address, its time, and how many there are.
async fn limit(State(app): State<App>, request: Request, next: Next) -> Response {
    let length = request.uri().path_and_query().map_or(0, |address| address.as_str().len());
    if length > LONGEST_ADDRESS {
        let error = Error::new(Code::TooLarge, format!("the address has more than {LONGEST_ADDRESS} bytes"));
        return Failure::from(error).into_response();
    }
    let _place = match app.admit_request() {
        Ok(place) => place,
        Err(error) => return Failure::from(error).into_response(),
    };
    match tokio::time::timeout(app.config.request_timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Failure::from(Error::new(Code::Timeout, "the answer took too long")).into_response(),
    }
}
