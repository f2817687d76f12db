//! What every process that executes is told: `codex32 up` and `codex32 worker`.

use clap::{Arg, ArgAction, ArgMatches, value_parser};
use codex32_core::blueprint::Span;
use codex32_core::engine::Config;
use codex32_core::error::Result;
use codex32_core::observe::{LogFormat, init_tracing};
use codex32_core::sandbox::{KubernetesConfig, Which};
use tokio_util::sync::CancellationToken;

/// The arguments.
pub(super) fn arguments() -> Vec<Arg> {
    let arg = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    vec![
        arg("concurrency", "N", "Executions driven at the same time; 64 by default")
            .value_parser(value_parser!(u32).range(1..=100_000))
            .env("CODEX32_CONCURRENCY"),
        arg("labels", "LABELS", "What this node can do beyond others, for bots with `runs_on`: gpu,region.eu")
            .value_delimiter(',')
            .action(ArgAction::Append)
            .env("CODEX32_LABELS"),
        arg("nats", "URL", "Wake the other nodes by NATS instead of PostgreSQL's NOTIFY").env("CODEX32_NATS"),
        arg(
            "waiting-bot",
            "N",
            "Executions of a bot that may wait to be driven until starts are refused; 100000 by default",
        )
        .value_parser(value_parser!(u64).range(1..))
        .env("CODEX32_WAITING_BOT"),
        arg("waiting-workspace", "N", "The same for a workspace; 500000 by default")
            .value_parser(value_parser!(u64).range(1..))
            .env("CODEX32_WAITING_WORKSPACE"),
        arg("waiting-all", "N", "The same for all together; 2000000 by default")
            .value_parser(value_parser!(u64).range(1..))
            .env("CODEX32_WAITING_ALL"),
        arg("drain", "SECONDS", "How long running steps may take to end at a shutdown; 5 by default")
            .value_parser(value_parser!(u32).range(0..=86_400))
            .env("CODEX32_DRAIN"),
        arg("keep", "TIME", "How long finished executions are kept of bots that do not say it themselves: 90d")
            .value_parser(|text: &str| text.parse::<Span>().map_err(|e| e.to_string()))
            .env("CODEX32_KEEP"),
        arg("keep-count", "N", "How many executions are kept of each bot that does not say it itself")
            .value_parser(value_parser!(u64).range(1..))
            .env("CODEX32_KEEP_COUNT"),
        arg("archive", "PLACE", "Where executions go before they are removed: a folder, s3://BUCKET/PREFIX, or off")
            .env("CODEX32_ARCHIVE"),
        arg(
            "kubernetes",
            "WHICH",
            "Run scripts as Kubernetes Jobs: all, labelled (of bots with `runs_on: kubernetes`), or a file of settings",
        )
        .value_parser(kubernetes)
        .env("CODEX32_KUBERNETES"),
        arg("lease-ms", "MS", "How long a node may give no sign of life until others take over; 30000 by default")
            .value_parser(value_parser!(u32).range(300..=3_600_000))
            .env("CODEX32_LEASE_MS"),
        arg("log", "FILTER", "What to log: info, debug, codex32_core=debug").env("CODEX32_LOG").default_value("info"),
        arg("log-format", "FORMAT", "How").value_parser(["text", "json"]).default_value("text"),
    ]
}

/// `all`, `labelled`, `off`, or a file that says it and more.
fn kubernetes(text: &str) -> std::result::Result<Option<KubernetesConfig>, String> {
    let scripts = match text {
        "" | "off" => return Ok(None),
        "all" => Which::All,
        "labelled" => Which::Labelled,
        path => {
            let text = std::fs::read_to_string(path).map_err(|e| format!("read {path}: {e}"))?;
            return KubernetesConfig::from_yaml(&text).map(Some).map_err(|e| e.to_string());
        }
    };
    Ok(Some(KubernetesConfig { scripts, ..KubernetesConfig::default() }))
}

/// Begins to log as the arguments say.
pub(super) fn log(matches: &ArgMatches) -> Result<()> {
    let filter = matches.get_one::<String>("log").cloned().unwrap_or_default();
    let json = matches.get_one::<String>("log-format").is_some_and(|format| format == "json");
    init_tracing(if json { LogFormat::Json } else { LogFormat::Pretty }, &filter)
}

/// Puts what the arguments say into `config`.
pub(super) fn apply(matches: &ArgMatches, config: &mut Config) {
    let number = |name: &str| matches.get_one::<u32>(name).copied();
    if let Some(count) = number("concurrency") {
        config.concurrency = usize::try_from(count).unwrap_or(usize::MAX);
    }
    if let Some(seconds) = number("drain") {
        config.drain_ms = u64::from(seconds) * 1_000;
    }
    if let Some(ms) = number("lease-ms") {
        config.lease_ms = i64::from(ms);
    }
    for (name, limit) in [
        ("waiting-bot", &mut config.waiting_bot),
        ("waiting-workspace", &mut config.waiting_workspace),
        ("waiting-all", &mut config.waiting_all),
    ] {
        if let Some(count) = matches.get_one::<u64>(name) {
            *limit = *count;
        }
    }
    config.keep_ms = matches.get_one::<Span>("keep").map(|span| i64::try_from(span.0).unwrap_or(i64::MAX));
    config.keep_count = matches.get_one::<u64>("keep-count").copied();
    config.archive = matches.get_one::<String>("archive").cloned().filter(|place| !place.is_empty());
    config.kubernetes = matches.get_one::<Option<KubernetesConfig>>("kubernetes").cloned().flatten();
    let labels = matches.get_many::<String>("labels").into_iter().flatten();
    config.labels = labels.map(|label| label.trim().to_owned()).filter(|label| !label.is_empty()).collect();
    config.nats = matches.get_one::<String>("nats").cloned().filter(|url| !url.is_empty());
}

/// Ends what runs at Ctrl-C or SIGTERM.
pub(super) async fn signals(stop: CancellationToken) {
    let interrupted = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminated) => {
                tokio::select! { _ = interrupted => {}, _ = terminated.recv() => {} }
            }
            Err(_) => drop(interrupted.await),
        }
    }
    #[cfg(not(unix))]
    drop(interrupted.await);
    stop.cancel();
}
