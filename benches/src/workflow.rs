//! Three durable steps on an engine in this process, through the operation table.

use crate::Failure;
use codex32_core::engine::{Config, Engine};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Executions that go on at the same time.
pub const AT_ONCE: usize = 256;
/// Journal entries of one execution: started, three steps scheduled and succeeded, finished.
const ENTRIES: f64 = 8.0;
const SECONDS: u64 = 4;
const ALONE: usize = 200;

const BLUEPRINT: &str = "codex32: v1
name: three
steps:
  - {id: a, use: transform.value, with: {value: \"{{ input.n + 1 }}\"}}
  - {id: b, use: transform.value, with: {value: \"{{ steps.a + 1 }}\"}}
  - {id: c, use: transform.value, with: {value: \"{{ steps.b + 1 }}\"}}
";

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// Executions that ended each second, many at once.
    pub per_second: f64,
    /// Journal entries each second that came of them.
    pub rows_per_second: f64,
    /// From the start of a lone execution until its end was told, in milliseconds.
    pub alone_p50_ms: f64,
    /// The same for all but one in a hundred.
    pub alone_p99_ms: f64,
}

/// Measures over the store at `url`; `scratch` takes what else the engine keeps.
///
/// # Errors
/// Where the engine fails, or an execution gives a wrong output.
pub async fn measure(url: &str, scratch: &Path) -> Result<Figures, Failure> {
    // One folder for all rounds: the store is kept between them, and has one key.
    let folder = scratch.join("engine");
    let mut config = Config::in_folder(&folder).with_store(url);
    config.concurrency = AT_ONCE;
    let engine = Engine::open(config).await?;
    engine.bootstrap(None).await?;
    engine.start().await?;
    let owner = Arc::new(engine.local_owner().await?);
    // The store is kept between rounds; so is the bot.
    if engine.call(Some(&owner), "bots.get", json!({ "bot": "three" })).await.is_err() {
        engine.call(Some(&owner), "bots.create", json!({ "blueprint": BLUEPRINT })).await?;
        engine.call(Some(&owner), "deployments.create", json!({ "bot": "three" })).await?;
    }
    let mut alone = Vec::with_capacity(ALONE);
    for n in 0..ALONE {
        let begun = Instant::now();
        once(&engine, &owner, n).await?;
        alone.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    alone.sort_by(f64::total_cmp);
    let per_second = many(&engine, &owner).await?;
    engine.shutdown().await;
    Ok(Figures {
        per_second,
        rows_per_second: per_second * ENTRIES,
        alone_p50_ms: alone[ALONE / 2],
        alone_p99_ms: alone[ALONE * 99 / 100],
    })
}

async fn many(engine: &Engine, owner: &Arc<codex32_core::access::Caller>) -> Result<f64, Failure> {
    let done = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..AT_ONCE {
        let (engine, owner, done) = (engine.clone(), owner.clone(), done.clone());
        tasks.spawn(async move {
            while begun.elapsed() < Duration::from_secs(SECONDS) {
                once(&engine, &owner, 0).await?;
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<(), Failure>(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(done.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64())
}

async fn once(engine: &Engine, owner: &codex32_core::access::Caller, n: usize) -> Result<(), Failure> {
    let run = json!({ "bot": "three", "input": { "n": n }, "wait": true });
    let ended = engine.call(Some(owner), "executions.start", run).await?;
    if ended["output"] == json!(n + 3) { Ok(()) } else { Err(format!("it ended with {ended}").into()) }
}
