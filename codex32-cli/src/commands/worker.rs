//! `codex32 worker`: a process that executes and serves no API, one of any number on a PostgreSQL.

use super::node;
use crate::connect::config;
use crate::output::Output;
use clap::{Arg, ArgMatches, Command};
use codex32_core::engine::Engine;
use codex32_core::error::{Error, Result};
use owo_colors::OwoColorize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

pub(super) fn command() -> Command {
    Command::new("worker")
        .about("Execute bots of a PostgreSQL store, as one of any number of workers; no API.")
        .after_help(
            "All processes on a store need the same key: copy the file `key` of the first one's data folder, or \
             set --key-file or CODEX32_KEY. Each needs a data folder of its own.",
        )
        .arg(
            Arg::new("status")
                .long("status")
                .value_name("HOST:PORT")
                .help("Serve /health, /ready and /metrics here")
                .env("CODEX32_STATUS"),
        )
        .args(node::arguments())
}

pub(super) async fn run(global: &ArgMatches, matches: &ArgMatches, output: &Output) -> Result<u8> {
    node::log(matches)?;
    let mut config = config(global)?;
    let store = config.store.clone().unwrap_or_default();
    if !store.starts_with("postgres:") && !store.starts_with("postgresql:") {
        return Err(Error::invalid("a worker needs a store that it shares with others")
            .hint("--store postgres://user@host/database; on SQLite, `codex32 up` does everything"));
    }
    node::apply(matches, &mut config);
    let data = config.data.clone();
    let engine = Engine::open(config).await?;
    let stop = CancellationToken::new();
    // Before it works: who asks it to end must be heard from the beginning.
    let asked = tokio::spawn(node::signals(stop.clone()));
    let status = match matches.get_one::<String>("status") {
        Some(address) => {
            Some(codex32_server::serve_status(engine.clone(), address, stop.child_token()).await?.to_string())
        }
        None => None,
    };
    engine.start().await?;
    if output.json {
        output.json_line(&json!({ "worker": true, "status": status }));
    } else {
        output.line(format_args!("{} works on {}", "Codex-32".bold(), engine.config().shown_store()));
        output.line(format_args!("Data: {}   Stop: Ctrl-C (it lets steps end first)", data.display()));
    }
    stop.cancelled().await;
    asked.abort();
    engine.shutdown().await;
    Ok(0)
}
