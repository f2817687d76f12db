//! `/api/ws`: any number of calls and subscriptions over one WebSocket.
//!
//! The client sends `{"id", "op", "input"}`; it gets `{"id", "output"}` or
//! `{"id", "error"}` with a problem, and of a stream any number of `{"id", "item"}` and
//! one `{"id", "end"}`. `{"id", "cancel": true}` ends a stream. Ids are the client's, and
//! free again once their answer is complete.
//!
//! Who asks is said by the `Authorization` header, by the session cookie of a page of
//! ours, or by a first message `{"token"}`; each call looks at the token anew.
//!
//! Nothing grows with a client that does not read: answers wait in a queue of fixed
//! length, whoever fills it waits, and a client that is not heard is let go.

mod message;
mod session;

use crate::auth::{self, Credential};
use crate::problem::Failure;
use crate::shell::App;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use codex32_core::error::Error;

/// Most bytes of one message from the client.
const LONGEST_MESSAGE: usize = 8 << 20;

/// Begins a session.
pub(crate) async fn upgrade(
    State(app): State<App>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Failure> {
    let upgrade = upgrade.map_err(|rejection| {
        let error = Error::invalid(format!("no WebSocket: {rejection}")).hint("connect with ws:// or wss://");
        Failure::status(error, StatusCode::UPGRADE_REQUIRED)
    })?;
    // Browsers let any page open a WebSocket and send cookies along; only ours may.
    if !auth::origin_is_ours(&app, &headers) {
        return Err(Error::forbidden("the page that opens the WebSocket is of another site")
            .hint("name its origin in the server's configuration")
            .into());
    }
    let credential = match Credential::of(&headers)? {
        Some(credential) => {
            app.engine.authenticate(&credential.token).await?;
            Some(credential)
        }
        None => None,
    };
    let place = app.admit_stream()?;
    let limit = LONGEST_MESSAGE.min(app.config.body_limit);
    Ok(upgrade.max_message_size(limit).max_frame_size(limit).on_upgrade(move |socket| async move {
        let tasks = app.tasks.clone();
        tasks.track_future(session::run(app, socket, credential)).await;
        drop(place);
    }))
}
