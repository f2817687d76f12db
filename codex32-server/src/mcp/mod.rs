//! MCP: each operation of the table is a tool.
//!
//! Dots in names become underscores. A tool call has a caller or fails: over HTTP each
//! request brings its own bearer token and nothing is kept between requests, over
//! standard input and output the caller is the one who started the process. Streams are
//! tools that gather a bounded number of items.

mod handler;
mod http;
mod tools;

pub(crate) use http::routes;

use codex32_core::api::door::Door;
use codex32_core::error::{Error, Result};
use rmcp::ServiceExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

/// Offers the operations as tools over standard input and output, through `door`, until
/// the input ends or `shutdown` is cancelled.
///
/// Nothing else may write to standard output meanwhile.
///
/// # Errors
/// `unavailable` where the other side does not speak the protocol.
pub async fn serve_stdio(door: Door, shutdown: CancellationToken) -> Result<()> {
    serve_over(door, rmcp::transport::stdio(), shutdown).await
}

/// As [`serve_stdio`], over any pair of reader and writer.
///
/// # Errors
/// As [`serve_stdio`].
pub async fn serve_over<R, W>(door: Door, transport: (R, W), shutdown: CancellationToken) -> Result<()>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let handler = handler::Handler::new(handler::Asks::Door(door))?;
    let serving = tokio::select! {
        begun = handler.serve(transport) => match begun {
            Ok(serving) => serving,
            Err(rmcp::service::ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
            Err(e) => return Err(Error::unavailable(format!("speak MCP: {e}"))),
        },
        () = shutdown.cancelled() => return Ok(()),
    };
    let end = serving.cancellation_token();
    let waiting = serving.waiting();
    tokio::pin!(waiting);
    tokio::select! {
        _ = &mut waiting => {}
        () = shutdown.cancelled() => {
            end.cancel();
            let _ = waiting.await;
        }
    }
    Ok(())
}
