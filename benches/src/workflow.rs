//! Three durable steps on an engine in this process, through the operation table.

use crate::Failure;
use codex32_core::Error;
use codex32_core::access::Caller;
use codex32_core::engine::{Config, Engine};
use codex32_core::execution::Ctx;
use codex32_core::sandbox::{NativeAction, NativeFunction};
use serde_json::{Value, json};
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

/// How the three steps are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// A blueprint whose steps are functions of this program; each is recorded before the next begins.
    Actions,
    /// A function with three `ctx.step`; each is recorded before the next begins.
    Function,
    /// A blueprint whose steps only compute; they are recorded together.
    Transforms,
}

impl Job {
    /// All of them.
    pub const ALL: [Job; 3] = [Job::Actions, Job::Function, Job::Transforms];

    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Job::Actions => "three actions",
            Job::Function => "a function with three steps",
            Job::Transforms => "three computed steps",
        }
    }

    fn bot(self) -> &'static str {
        match self {
            Job::Actions => "actions",
            Job::Function => "function",
            Job::Transforms => "transforms",
        }
    }
}

const ACTIONS: &str = "codex32: v1
name: actions
steps:
  - {id: a, use: native.next, with: {n: \"{{ input.n }}\"}}
  - {id: b, use: native.next, with: {n: \"{{ steps.a }}\"}}
  - {id: c, use: native.next, with: {n: \"{{ steps.b }}\"}}
";

const TRANSFORMS: &str = "codex32: v1
name: transforms
steps:
  - {id: a, use: transform.value, with: {value: \"{{ input.n + 1 }}\"}}
  - {id: b, use: transform.value, with: {value: \"{{ steps.a + 1 }}\"}}
  - {id: c, use: transform.value, with: {value: \"{{ steps.b + 1 }}\"}}
";

/// The function that is a workflow.
async fn function(ctx: Ctx, input: Value) -> Result<Value, Error> {
    let mut n = input["n"].as_i64().unwrap_or_default();
    for step in ["a", "b", "c"] {
        n = ctx.step(step, move || async move { Ok(n + 1) }).await?;
    }
    Ok(json!(n))
}

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

/// Measures `job` over the store at `url`; `scratch` takes what else the engine keeps.
///
/// # Errors
/// Where the engine fails, or an execution gives a wrong output.
pub async fn measure(url: &str, scratch: &Path, job: Job) -> Result<Figures, Failure> {
    // One folder for all rounds: the store is kept between them, and has one key.
    let folder = scratch.join("engine");
    let mut config = Config::in_folder(&folder).with_store(url);
    config.concurrency = AT_ONCE;
    let engine = Engine::open(config).await?;
    engine.bootstrap(None).await?;
    let next: NativeFunction =
        Arc::new(|input, _| Box::pin(async move { Ok(json!(input["n"].as_i64().unwrap_or_default() + 1)) }));
    engine.register_action(NativeAction::new("next"), next)?;
    engine.workflow(Job::Function.bot(), function).await?;
    engine.start().await?;
    let owner = Arc::new(engine.local_owner().await?);
    // The store is kept between rounds; so are the bots.
    for (bot, blueprint) in [(Job::Actions.bot(), ACTIONS), (Job::Transforms.bot(), TRANSFORMS)] {
        if engine.call(Some(&owner), "bots.get", json!({ "bot": bot })).await.is_err() {
            engine.call(Some(&owner), "bots.create", json!({ "blueprint": blueprint })).await?;
            engine.call(Some(&owner), "deployments.create", json!({ "bot": bot })).await?;
        }
    }
    let mut alone = Vec::with_capacity(ALONE);
    for n in 0..ALONE {
        let begun = Instant::now();
        once(&engine, &owner, job, n).await?;
        alone.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    alone.sort_by(f64::total_cmp);
    let per_second = many(&engine, &owner, job).await?;
    engine.shutdown().await;
    Ok(Figures {
        per_second,
        rows_per_second: per_second * ENTRIES,
        alone_p50_ms: alone[ALONE / 2],
        alone_p99_ms: alone[ALONE * 99 / 100],
    })
}

async fn many(engine: &Engine, owner: &Arc<Caller>, job: Job) -> Result<f64, Failure> {
    let done = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..AT_ONCE {
        let (engine, owner, done) = (engine.clone(), owner.clone(), done.clone());
        tasks.spawn(async move {
            while begun.elapsed() < Duration::from_secs(SECONDS) {
                once(&engine, &owner, job, 0).await?;
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

async fn once(engine: &Engine, owner: &Caller, job: Job, n: usize) -> Result<(), Failure> {
    let run = json!({ "bot": job.bot(), "input": { "n": n }, "wait": true });
    let ended = engine.call(Some(owner), "executions.start", run).await?;
    if ended["output"] == json!(n + 3) { Ok(()) } else { Err(format!("it ended with {ended}").into()) }
}
