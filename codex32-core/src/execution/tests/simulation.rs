//! Several executors on one database, with faults at their writes: each run ends as one
//! without any.
//!
//! A seed says what bot is run and what happens at each write: it takes long, fails, or is
//! committed and seems to have failed; its node stands still beyond its lease, or is lost
//! for good and replaced. Time is simulated and moves only when nothing else does. What a
//! seed does not say is in which order the threads of the database answer.
//!
//! `CODEX32_SEEDS=20000` runs more of them, from `CODEX32_SEED` on.

use super::crash::{Case, Summary, outside, summary};
use super::generate::shapes;
use super::world::World;
use crate::clock::{Clock, Millis};
use crate::error::{Error, Result};
use crate::execution::store::Gate;
use crate::execution::{Executor, Status};
use crate::id::ExecutionId;
use crate::storage::Db;
use crate::storage::entity::{executions, journal, signals, timers};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use serde_json::json;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Seeds of one run of the tests.
const SEEDS: u64 = 200;
/// Nodes on the database.
const NODES: usize = 3;
/// How long a run may take, in real time.
const PATIENCE: Duration = Duration::from_secs(60);
/// A run has faults at this many writes at most, so that it comes to an end.
const FAULTS: u64 = 12;

/// What happens at a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// It takes so long, in milliseconds.
    Slow(Millis),
    /// The database does not take it.
    Refused,
    /// It is committed, and the answer is lost.
    Unanswered,
    /// The node stands still until its leases are over, and then goes on.
    Frozen,
    /// The node is lost.
    Dead,
}

/// What a seed says of the writes of all nodes.
struct Fate {
    rng: Mutex<StdRng>,
    left: AtomicU64,
    /// How many writes there were.
    passed: AtomicU64,
    seen: Mutex<Vec<(usize, &'static str, Fault)>>,
}

impl Fate {
    fn new(seed: u64, faults: u64) -> Fate {
        let rng = Mutex::new(StdRng::seed_from_u64(seed));
        Fate { rng, left: AtomicU64::new(faults), passed: AtomicU64::new(0), seen: Mutex::default() }
    }

    fn next(&self, node: usize, what: &'static str, committed: bool) -> Option<Fault> {
        self.passed.fetch_add(1, Ordering::SeqCst);
        let mut rng = self.rng.lock().unwrap();
        let fault = match (rng.random_range(0..100_u32), committed) {
            (0..=7, _) => Fault::Slow(rng.random_range(1..3_000)),
            (8..=12, false) => Fault::Refused,
            (8..=12, true) => Fault::Unanswered,
            (13..=15, _) => Fault::Frozen,
            (16..=17, _) => Fault::Dead,
            _ => return None,
        };
        self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).ok()?;
        self.seen.lock().unwrap().push((node, what, fault));
        Some(fault)
    }
}

/// The writes of one node.
struct Node {
    number: usize,
    fate: Arc<Fate>,
    world: World,
    dead: Arc<AtomicBool>,
    /// Until when it stands still, UTC milliseconds.
    frozen: Mutex<Millis>,
}

#[async_trait::async_trait]
impl Gate for Node {
    async fn pass(&self, what: &'static str, committed: bool) -> Result<()> {
        let clock = &self.world.clock;
        let fault = if self.dead.load(Ordering::SeqCst) {
            Some(Fault::Dead)
        } else {
            self.fate.next(self.number, what, committed)
        };
        match fault {
            None => {}
            Some(Fault::Slow(ms)) => clock.sleep_until(clock.now() + ms).await,
            Some(Fault::Refused | Fault::Unanswered) => return Err(Error::unavailable("as the seed says")),
            Some(Fault::Frozen) => {
                *self.frozen.lock().unwrap() = clock.now() + 2 * self.world.config.lease_ms;
            }
            Some(Fault::Dead) => {
                self.dead.store(true, Ordering::SeqCst);
                std::future::pending::<()>().await;
            }
        }
        // All of it stands still, and not only what was asked for.
        let until = *self.frozen.lock().unwrap();
        clock.sleep_until(until).await;
        Ok(())
    }
}

struct Running {
    dead: Arc<AtomicBool>,
    executor: Executor,
    task: JoinHandle<()>,
}

struct Cluster {
    world: World,
    db: Db,
    fate: Arc<Fate>,
    nodes: Vec<Running>,
    begun: usize,
}

impl Cluster {
    async fn add(&mut self) {
        let dead = Arc::new(AtomicBool::new(false));
        let gate = Node {
            number: self.begun,
            fate: self.fate.clone(),
            world: self.world.clone(),
            dead: dead.clone(),
            frozen: Mutex::new(0),
        };
        self.begun += 1;
        let executor = self.world.still(self.db.clone(), Some(Arc::new(gate))).await.executor;
        let runs = executor.clone();
        let task = tokio::spawn(async move { runs.run(CancellationToken::new()).await });
        self.nodes.push(Running { dead, executor, task });
    }

    /// Lost nodes are replaced.
    async fn replace_lost(&mut self) {
        self.nodes.retain(|node| !node.dead.load(Ordering::SeqCst) && !node.task.is_finished());
        while self.nodes.len() < NODES {
            self.add().await;
        }
    }

    /// Whether every execution waits, at one moment.
    async fn all_wait(&self) -> bool {
        let going = executions::Column::Status.is_in([Status::Queued, Status::Running].map(Status::as_str));
        executions::Entity::find().filter(going).count(self.db.read()).await.unwrap() == 0
    }

    /// Starts the bot at a node, at the next one where that is lost and does not answer.
    async fn start(&mut self) -> ExecutionId {
        let mut start = self.world.start("b", json!({}));
        start.idempotency_key = Some("once".into());
        loop {
            self.replace_lost().await;
            let node = self.begun % self.nodes.len();
            let executor = self.nodes[node].executor.clone();
            let asked = tokio::time::timeout(Duration::from_millis(50), executor.start(start.clone())).await;
            if let Ok(Ok(started)) = asked {
                return started.id;
            }
            self.world.clock.advance(1_000);
        }
    }

    async fn drive_to_the_end(&mut self) -> Summary {
        // Who looks at it from outside has no faults.
        let watcher = self.world.still(self.db.clone(), None).await;
        let mut chain = vec![self.start().await];
        let (mut passed, mut idle) = (0, 0);
        while let Some(id) = chain.last().copied() {
            let execution = watcher.get(id).await;
            if execution.status.is_finished() {
                match execution.continued_as {
                    Some(next) => chain.push(next),
                    None => break,
                }
                continue;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
            let now = self.fate.passed.load(Ordering::SeqCst);
            idle = if now == passed { idle + 1 } else { 0 };
            passed = now;
            // Nothing has moved for a while: it waits for the world, or for time to pass.
            if idle > 3 {
                idle = 0;
                self.replace_lost().await;
                if self.all_wait().await {
                    outside(&watcher, id).await;
                }
                self.world.clock.advance(500);
            }
        }
        summary(&watcher, &chain).await
    }
}

impl Cluster {
    /// Where everything stands.
    async fn story(&self) -> String {
        let rows = executions::Entity::find().all(self.db.read()).await.unwrap();
        let timers = timers::Entity::find().all(self.db.read()).await.unwrap();
        let sent = signals::Entity::find().all(self.db.read()).await.unwrap();
        let kinds: Vec<String> = {
            let entries = journal::Entity::find().all(self.db.read()).await.unwrap();
            entries.iter().map(|e| format!("{} {} {} {}", e.execution_id, e.seq, e.kind, e.path)).collect()
        };
        let nodes: Vec<(bool, bool, usize)> = self
            .nodes
            .iter()
            .map(|node| (node.dead.load(Ordering::SeqCst), node.task.is_finished(), node.executor.active()))
            .collect();
        let now = self.world.clock.now();
        format!(
            "at {now}, nodes (dead, ended, drivers) {nodes:?}\n{rows:#?}\n{timers:?}\n{sent:?}\n{kinds:#?}\n{:?}",
            self.fate.seen
        )
    }
}

/// Runs the bot of `case` with what `fate` holds.
fn live(case: &Case, fate: Arc<Fate>, template: &Path) -> Summary {
    let file = case.folder.path().join("db");
    std::fs::copy(template, &file).unwrap();
    let mut world = case.world.clone();
    world.config.alone = false;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let db = Db::open(&format!("sqlite://{}", file.display())).await.unwrap();
        let mut cluster = Cluster { world, db, fate, nodes: Vec::new(), begun: 0 };
        match tokio::time::timeout(PATIENCE, cluster.drive_to_the_end()).await {
            Ok(summary) => summary,
            Err(_) => panic!("it comes to no end: {}", cluster.story().await),
        }
    })
}

/// Runs one seed with and without its faults, and compares. Gives how many faults there were.
fn run(seed: u64, template: &Path) -> usize {
    let mut bytes = [0_u8; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let shapes = shapes().new_tree(&mut runner).unwrap().current();
    let calm = Case::new(&shapes);
    let expected = live(&calm, Arc::new(Fate::new(seed, 0)), template);
    calm.check(&expected, &expected, &[]);
    let (case, fate) = (Case::new(&shapes), Arc::new(Fate::new(seed, FAULTS)));
    let got = live(&case, fate.clone(), template);
    let seen = fate.seen.lock().unwrap();
    eprintln!("seed {seed}: {seen:?}");
    case.check(&expected, &got, &[]);
    seen.len()
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

#[test]
fn a_cluster_with_faults_does_what_one_without_does() {
    let folder = tempfile::tempdir().unwrap();
    let template = folder.path().join("db");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        Db::open(&format!("sqlite://{}", template.display())).await.unwrap().close().await;
    });
    let (first, count) = (number("CODEX32_SEED", 0), number("CODEX32_SEEDS", SEEDS));
    let (next, faults) = (AtomicU64::new(first), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        let seed = next.fetch_add(1, Ordering::SeqCst);
                        if seed >= first + count {
                            return None;
                        }
                        match std::panic::catch_unwind(|| run(seed, &template)) {
                            Ok(seen) => drop(faults.fetch_add(seen as u64, Ordering::SeqCst)),
                            Err(_) => return Some(seed),
                        }
                    }
                })
            })
            .collect();
        let failed: Vec<u64> = workers.into_iter().filter_map(|worker| worker.join().unwrap()).collect();
        assert!(
            failed.is_empty(),
            "run it again: CODEX32_SEED={} CODEX32_SEEDS=1; all that failed: {failed:?}",
            failed[0]
        );
    });
    let faults = faults.into_inner();
    assert!(faults > count, "there were only {faults} faults in {count} runs");
}
