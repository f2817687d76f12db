//! `codex32 up`: the engine with its server, in the foreground.

use super::node;
use crate::connect::{RUNNING, Running, config};
use crate::output::Output;
use clap::{Arg, ArgMatches, Command};
use codex32_core::engine::Engine;
use codex32_core::error::{Error, Result};
use codex32_server::{ServerConfig, Tls};
use owo_colors::OwoColorize;
use serde_json::json;
use std::path::{Path, PathBuf};
use tokio_util::sync::CancellationToken;

pub(super) fn command() -> Command {
    let arg = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    Command::new("up")
        .about("Start the engine, its server and its dashboard.")
        .arg(arg("listen", "HOST:PORT", "Where to listen").default_value("127.0.0.1:7832").env("CODEX32_LISTEN"))
        .arg(arg("public-url", "URL", "Where people reach it, for links in messages").env("CODEX32_PUBLIC_URL"))
        .arg(arg("email", "ADDRESS", "The owner's e-mail address, when it is created").env("CODEX32_OWNER_EMAIL"))
        .arg(arg("timezone", "ZONE", "IANA zone of schedules that name none").env("CODEX32_TIMEZONE"))
        .args(node::arguments())
        .arg(arg("tls-cert", "FILE", "Certificate chain, PEM").requires("tls-key"))
        .arg(arg("tls-key", "FILE", "Private key, PEM").requires("tls-cert"))
        .arg(arg("cors-origin", "ORIGIN", "Allow this origin; none by default").action(clap::ArgAction::Append))
}

pub(super) async fn run(global: &ArgMatches, matches: &ArgMatches, output: &Output) -> Result<u8> {
    let get = |name: &str| matches.get_one::<String>(name).cloned();
    node::log(matches)?;
    let mut config = config(global)?;
    node::apply(matches, &mut config);
    if let Some(zone) = get("timezone") {
        config.timezone = zone;
    }
    let mut server = ServerConfig::at(get("listen").unwrap_or_default());
    server.tls = get("tls-cert")
        .zip(get("tls-key"))
        .map(|(certificate, key)| Tls { certificate: PathBuf::from(certificate), key: PathBuf::from(key) });
    server.origins = matches.get_many::<String>("cors-origin").into_iter().flatten().cloned().collect();
    let data = config.data.clone();
    let engine = Engine::open(config).await?;
    let token = engine.bootstrap(get("email").as_deref()).await?;
    let stop = CancellationToken::new();
    let serving = codex32_server::serve(engine.clone(), server, stop.clone()).await?;
    let address = serving.url();
    engine.set_public_url(&get("public-url").unwrap_or_else(|| address.clone()));
    engine.start().await?;
    let beside = RunningFile::write(&data, &Running { address: address.clone(), token: engine.local_token().await? })?;
    greet(output, &address, token.as_deref(), &data);
    tokio::spawn(node::signals(stop));
    let outcome = serving.wait().await;
    drop(beside);
    engine.shutdown().await;
    outcome.map(|()| 0)
}

fn greet(output: &Output, address: &str, token: Option<&str>, data: &Path) {
    if output.json {
        let mut line = json!({ "address": address });
        if let Some(token) = token {
            line["token"] = json!(token);
        }
        output.json_line(&line);
        return;
    }
    output.line(format_args!("{} runs at {}", "Codex-32".bold(), address.cyan().underline()));
    if let Some(token) = token {
        output.line(format_args!("The owner's token, shown only now: {}", token.green()));
        output.line(format_args!("Sign in at once: {address}/#token={token}"));
    }
    output.line(format_args!("Data: {}   Stop: Ctrl-C", data.display()));
}

/// The file that tells commands on this machine of the server; gone with it.
struct RunningFile(PathBuf);

impl RunningFile {
    fn write(data: &Path, running: &Running) -> Result<RunningFile> {
        let path = data.join(RUNNING);
        let failed = |e: std::io::Error| Error::unavailable(format!("write {}: {e}", path.display()));
        let text = serde_json::to_string(running).map_err(|e| Error::internal(e.to_string()))?;
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(&path).map_err(failed)?;
        std::io::Write::write_all(&mut file, text.as_bytes()).map_err(failed)?;
        Ok(RunningFile(path))
    }
}

impl Drop for RunningFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
