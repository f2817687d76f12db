//! `/mcp`: streamable HTTP without sessions. Every request stands alone and brings its
//! own token, so there is no session to steal and none to outlive a revoked token.

use super::handler::{Asks, Handler};
use crate::auth;
use crate::problem::Failure;
use crate::shell::App;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use codex32_core::error::{Code, Error};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use std::sync::Arc;

/// The route of the protocol.
///
/// # Errors
/// `internal` where the table contradicts itself.
pub(crate) fn routes(app: &App) -> codex32_core::Result<Router<App>> {
    let handler = Handler::new(Asks::Request(app.engine.clone()))?;
    let hosts = app.hosts();
    let mut origins: Vec<String> = hosts
        .iter()
        .map(|host| if host.contains(':') { format!("[{host}]") } else { host.clone() })
        .flat_map(|host| [format!("http://{host}:*"), format!("https://{host}:*")])
        .collect();
    // A configured origin without a port means that of its scheme.
    origins.extend(app.config.origins.iter().map(|origin| with_port(origin)));
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_allowed_hosts(hosts)
        .with_allowed_origins(origins)
        .enforce_origin_validation()
        .with_max_request_body_bytes(app.config.body_limit)
        .with_cancellation_token(app.ending.clone());
    let service =
        StreamableHttpService::new(move || Ok(handler.clone()), Arc::new(NeverSessionManager::default()), config);
    Ok(Router::new().route_service("/mcp", service).layer(from_fn_with_state(app.clone(), authenticate)))
}

fn with_port(origin: &str) -> String {
    let has_port = origin.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    match (has_port, origin.starts_with("https://")) {
        (true, _) => origin.to_owned(),
        (false, true) => format!("{origin}:443"),
        (false, false) => format!("{origin}:80"),
    }
}

/// Only a bearer token counts here: cookies belong to people in a browser.
async fn authenticate(State(app): State<App>, mut request: Request, next: Next) -> Response {
    // A request's body cannot be shared between threads, so the head alone is lent out.
    let (method, headers) = (request.method().clone(), request.headers().clone());
    let known = async {
        match auth::known(&app, &method, &headers).await? {
            Some(known) if !known.credential.from_cookie => Ok(known),
            _ => Err(Error::new(Code::Unauthenticated, "this needs a bearer token")
                .hint("send `Authorization: Bearer c32_...`")),
        }
    };
    match known.await {
        Ok(known) => {
            request.extensions_mut().insert(known.caller);
            next.run(request).await
        }
        Err(error) => Failure::from(error).into_response(),
    }
}
