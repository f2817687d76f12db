//! From webhook to response, through a bot whose execution is durable before the answer,
//! beside a bare axum handler that stores nothing and Node-RED, which stores nothing.
//!
//! `cargo bench -p codex32-benches --bench webhook`

use codex32_benches::load::{self, Load};
use codex32_benches::process::{self, Server};
use codex32_benches::{Failure, median};
use serde_json::{Value, json};

const BLUEPRINT: &str = "codex32: v1
name: hook
on:
  - {webhook: hook, respond: reply}
steps:
  - {id: email, use: transform.value, with: {value: \"{{ input.email }}\"}}
  - use: webhook.reply
    with: {status: 200, body: {email: \"{{ steps.email }}\"}}
";
const BODY: &str = r#"{"email": "ada@example.org", "name": "Ada Lovelace"}"#;
const SECONDS: u32 = 4;
const ROUNDS: usize = 3;
const CONNECTIONS: [u32; 3] = [1, 32, 256];

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let scratch = tempfile::tempdir()?;
    let folders = (tempfile::tempdir()?, tempfile::tempdir()?);
    let ours = process::codex32(folders.0.path()).await?;
    deploy(&ours).await?;
    let limit = process::bare(env!("CARGO_BIN_EXE_bare")).await?;
    let peer = process::node_red(folders.1.path(), &flows()).await?;

    println!("webhook to response; medians of {ROUNDS} rounds of {SECONDS} s, the load from one thread beside\n");
    println!("| connections | | answers/s | p50, ms | p99, ms | failed |\n| ---: | --- | ---: | ---: | ---: | ---: |");
    for connections in CONNECTIONS {
        let mut targets = vec![
            ("bare axum handler, nothing stored", format!("{}/hook", limit.address), Vec::new()),
            ("Codex-32, stored before the answer", format!("{}/hooks/home/hook", ours.address), Vec::new()),
        ];
        if let Some(peer) = &peer {
            targets.push(("Node-RED, nothing stored", format!("{}/hook", peer.address), Vec::new()));
        }
        for _ in 0..ROUNDS {
            for (_, url, loads) in &mut targets {
                loads.push(load::post(url, BODY, connections, SECONDS, scratch.path()).await?);
            }
        }
        let rates: Vec<f64> = targets.iter().map(|(name, _, loads)| row(connections, name, loads)).collect();
        ratios(connections, &rates);
    }
    for server in [Some(ours), Some(limit), peer].into_iter().flatten() {
        server.stop().await?;
    }
    Ok(())
}

fn row(connections: u32, name: &str, loads: &[Load]) -> f64 {
    let of = |figure: fn(&Load) -> f64| median(loads.iter().map(figure).collect());
    let rate = of(|l| l.per_second);
    let failed: u64 = loads.iter().map(|l| l.failed).sum();
    println!("| {connections} | {name} | {rate:.0} | {:.2} | {:.2} | {failed} |", of(|l| l.p50_ms), of(|l| l.p99_ms));
    rate
}

fn ratios(connections: u32, rates: &[f64]) {
    if let [limit, ours, peers @ ..] = rates {
        println!("| {connections} | Codex-32 / bare handler | {:.2}x | | | |", ours / limit);
        if let [peer] = peers {
            println!("| {connections} | Codex-32 / Node-RED | {:.2}x | | | |", ours / peer);
        }
    }
}

async fn deploy(server: &Server) -> Result<(), Failure> {
    let token = server.token.as_deref().ok_or("no owner was made")?;
    let client = reqwest::Client::new();
    for (path, body) in [("/bots", json!({ "blueprint": BLUEPRINT })), ("/bots/hook/deployments", json!({}))] {
        let url = format!("{}/api/v1{path}", server.address);
        client.post(url).bearer_auth(token).json(&body).send().await?.error_for_status()?;
    }
    tried(server).await
}

/// One request before the load, so that nothing but the right answer is measured.
async fn tried(server: &Server) -> Result<(), Failure> {
    let url = format!("{}/hooks/home/hook", server.address);
    let request = reqwest::Client::new().post(url).header("content-type", "application/json").body(BODY);
    let answer: Value = request.send().await?.error_for_status()?.json().await?;
    if answer == json!({ "email": "ada@example.org" }) { Ok(()) } else { Err(format!("it answered {answer}").into()) }
}

/// The same job as a flow of Node-RED.
fn flows() -> Value {
    json!([
        {"id": "t", "type": "tab", "label": "hook"},
        {"id": "in", "type": "http in", "z": "t", "url": "/hook", "method": "post", "upload": false, "wires": [["f"]]},
        {"id": "f", "type": "function", "z": "t", "outputs": 1, "wires": [["out"]],
         "func": "msg.payload = {email: msg.payload.email}; return msg;"},
        {"id": "out", "type": "http response", "z": "t", "statusCode": "200", "wires": []},
    ])
}
