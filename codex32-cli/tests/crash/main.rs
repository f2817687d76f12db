//! The real binary under load, killed at random moments, frozen, cut off from its
//! database; and what its journals say afterwards, beside what a counterpart has seen.
//!
//! `CODEX32_KILLS` says how often each set-up is killed, `CODEX32_SEED` when.
#![cfg(unix)]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on ends")]

mod api;
mod counterpart;
mod dice;
mod history;
mod load;
mod node;
mod postgres;
mod proxy;

mod frozen;
mod kills;
mod lines;
mod nodes;

use api::Api;
use counterpart::Counterpart;
use history::History;
use load::Load;
use node::Node;
use serde_json::Value;
use std::path::Path;
use tokio::sync::{Mutex, MutexGuard};

/// The machine is for one of these tests at a time.
static TURN: Mutex<()> = Mutex::const_new(());

/// What a test plays in: a folder, a counterpart, and the node that is asked.
struct Scene {
    folder: tempfile::TempDir,
    counterpart: Counterpart,
    seed: u64,
    _turn: MutexGuard<'static, ()>,
}

impl Scene {
    async fn new(test: &str) -> Scene {
        let turn = TURN.lock().await;
        codex32_core::engine::install_crypto();
        let seed = dice::seed(test);
        let folder = tempfile::tempdir().unwrap();
        // All processes on a store need the same key.
        std::fs::write(folder.path().join("key"), "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=\n").unwrap();
        Scene { folder, counterpart: Counterpart::start(seed).await, seed, _turn: turn }
    }

    fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Starts the node that serves the API, with the bots of the load deployed; `header` is
    /// put into their heads.
    async fn open(&self, up: &mut Node, header: &str) -> Api {
        let greeting = up.start().await;
        let api = Api::new(&up.address, token(&greeting));
        api.deploy(&load::bots(&self.counterpart.address, header)).await;
        api
    }

    /// Ends the load and checks every journal. A node must be there.
    async fn check(&self, api: &Api, load: Load) -> Vec<History> {
        let acknowledged = load.end().await;
        let histories = api.histories().await;
        let deeds = self.counterpart.deeds();
        let faults = history::faults(&histories, &acknowledged, &deeds);
        let again = deeds.values().filter(|deed| deed.asked > 1).count();
        println!(
            "{} starts acknowledged, {} executions, {} deeds, {again} of them asked for more than once, {} faults",
            acknowledged.len(),
            histories.len(),
            deeds.len(),
            faults.len(),
        );
        assert!(faults.is_empty(), "seed {}: {faults:#?}", self.seed);
        assert!(acknowledged.len() > 10, "there was a load");
        histories
    }
}

fn token(greeting: &Value) -> &str {
    greeting["token"].as_str().expect("the first start gives the owner's token")
}
