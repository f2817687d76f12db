//! `codex32 mcp`: the operations as tools for an AI assistant, over standard input and output.

use crate::connect::Connection;
use clap::{ArgMatches, Command};
use codex32_core::error::Result;
use tokio_util::sync::CancellationToken;

pub(super) fn command() -> Command {
    Command::new("mcp").about("Offer the operations as tools to an AI assistant (MCP over standard input and output).")
}

pub(super) async fn run(matches: &ArgMatches) -> Result<u8> {
    let connection = Connection::open(matches).await?;
    let outcome = codex32_server::mcp::serve_stdio(connection.door.clone(), CancellationToken::new()).await;
    connection.close().await;
    outcome.map(|()| 0)
}
