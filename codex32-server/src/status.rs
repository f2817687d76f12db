//! What a worker tells of itself by HTTP: whether it is well, and its measures. It has no
//! API, so no credential is asked for and nothing can be done here.

use crate::serve::listen;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use codex32_core::engine::Engine;
use codex32_core::error::{Error, Result};
use serde_json::json;
use std::net::SocketAddr;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Longest time for the database's sign of life.
const PATIENCE: Duration = Duration::from_secs(5);

/// Serves `/health`, `/ready` and `/metrics` on `address` (`HOST:PORT`) until `stop`.
/// Returns where it listens.
///
/// # Errors
/// `unavailable` where the address cannot be listened on.
pub async fn serve_status(engine: Engine, address: &str, stop: CancellationToken) -> Result<SocketAddr> {
    let listener = listen(address).await?;
    let failed = |e: std::io::Error| Error::unavailable(format!("listen on {address}: {e}"));
    let local = listener.local_addr().map_err(failed)?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
    let router = Router::new()
        .route("/health", get(async || Json(json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") }))))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(engine);
    tokio::spawn(async move {
        let serving = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
        if let Err(error) = serving.await {
            tracing::warn!(%error, "the worker's status is not served any more");
        }
    });
    Ok(local)
}

async fn ready(State(engine): State<Engine>) -> Response {
    match tokio::time::timeout(PATIENCE, engine.db().ping()).await {
        Ok(Ok(())) => Json(json!({ "status": "ready" })).into_response(),
        _ => {
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "the database does not answer" }))).into_response()
        }
    }
}

async fn metrics(State(engine): State<Engine>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], engine.metrics()).into_response()
}
