//! From nothing to healthy, and memory at rest, beside Node-RED, turn by turn in one run.
//!
//! `cargo bench -p codex32-benches --bench startup`

use codex32_benches::process::{self, Server};
use codex32_benches::{Failure, median};
use serde_json::json;
use std::time::Duration;

const ROUNDS: usize = 5;
/// At rest is this long after the first answer.
const REST: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Figures {
    start_ms: Vec<f64>,
    memory_mb: Vec<f64>,
}

impl Figures {
    async fn add(&mut self, server: Server) -> Result<(), Failure> {
        tokio::time::sleep(REST).await;
        self.start_ms.push(server.started_in.as_secs_f64() * 1e3);
        self.memory_mb.push(server.memory()? as f64 / 1e6);
        server.stop().await
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let (mut fresh, mut again, mut peer) = (Figures::default(), Figures::default(), Figures::default());
    for _ in 0..ROUNDS {
        let (ours, theirs) = (tempfile::tempdir()?, tempfile::tempdir()?);
        fresh.add(process::codex32(ours.path()).await?).await?;
        again.add(process::codex32(ours.path()).await?).await?;
        if let Some(server) = process::node_red(theirs.path(), &json!([])).await? {
            peer.add(server).await?;
        }
    }
    println!("start-up to the first answer, and resident memory {} s later; medians of {ROUNDS}\n", REST.as_secs());
    println!("| | start, ms | memory, MB |\n| --- | ---: | ---: |");
    let row = |name: &str, figures: Figures| {
        let (start, memory) = (median(figures.start_ms), median(figures.memory_mb));
        println!("| {name} | {start:.0} | {memory:.0} |");
        (start, memory)
    };
    row("Codex-32, first start (makes and migrates its database)", fresh);
    let ours = row("Codex-32, later starts", again);
    if peer.start_ms.is_empty() {
        println!("\nNode-RED is not installed: npm ci in benches/peers/node-red");
        return Ok(());
    }
    let theirs = row("Node-RED, no flows", peer);
    println!("| Node-RED / Codex-32 | {:.1}x | {:.1}x |", theirs.0 / ours.0, theirs.1 / ours.1);
    Ok(())
}
