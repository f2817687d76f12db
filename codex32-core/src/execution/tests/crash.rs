//! The model: an execution that is killed between any two writes ends as one that is not.

use super::generate::{Shape, Undo, blueprint, child, shapes};
use super::world::{Life, World};
use crate::execution::store::Gate;
use crate::execution::{Answer, CompiledBlueprint, Event, Failure, Filter, Status};
use crate::id::ExecutionId;
use crate::storage::Db;
use crate::storage::entity::event_waits;
use proptest::test_runner::{Config, TestRunner};
use sea_orm::{EntityTrait, PaginatorTrait};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Ends the world at a write: from then on nothing is written any more.
pub(super) struct Crash {
    pub(super) passed: AtomicUsize,
    at: usize,
    pub(super) happened: CancellationToken,
}

impl Crash {
    /// After so many places that were passed.
    pub(super) fn new(at: usize) -> Arc<Crash> {
        Arc::new(Crash { passed: AtomicUsize::new(0), at, happened: CancellationToken::new() })
    }
}

#[async_trait::async_trait]
impl Gate for Crash {
    async fn pass(&self, _: &'static str, _: bool) -> crate::error::Result<()> {
        if self.passed.fetch_add(1, Ordering::SeqCst) >= self.at {
            self.happened.cancel();
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

/// How an execution ended, but for what may differ between two runs: ids and times.
#[derive(Debug, PartialEq)]
pub(super) struct Summary {
    pub(super) status: Status,
    output: Option<Value>,
    error: Option<(crate::error::Code, String)>,
    not_undone: BTreeSet<String>,
    /// What is recorded for each step of each execution of the chain.
    results: BTreeMap<(usize, String), Result<Value, String>>,
    /// How many keys had an effect, by path.
    effects: BTreeMap<String, usize>,
}

/// One process: until the execution is over (with its summary) or the crash. Gives the
/// number of places where it could have crashed.
pub(super) fn live(world: &World, url: &str, at: usize) -> (Option<Summary>, usize) {
    let gate = Crash::new(at);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let summary = runtime.block_on(async {
        tokio::select! {
            summary = tokio::time::timeout(Duration::from_secs(60), to_the_end(world, url, gate.clone())) => {
                Some(summary.expect("it comes to an end"))
            }
            () = gate.happened.cancelled() => None,
        }
    });
    // Everything that was going on is dropped where it stands.
    runtime.shutdown_timeout(Duration::from_secs(10));
    (summary, gate.passed.load(Ordering::SeqCst))
}

async fn to_the_end(world: &World, url: &str, gate: Arc<dyn Gate>) -> Summary {
    let db = Db::open(url).await.unwrap();
    let life = world.still(db, Some(gate)).await.run();
    let mut start = world.start("b", json!({}));
    // Whoever starts it does not know either whether an earlier start was stored.
    start.idempotency_key = Some("once".into());
    let mut chain = vec![life.executor.start(start).await.unwrap().id];
    loop {
        let id = *chain.last().unwrap();
        let execution = life.get(id).await;
        if execution.status.is_finished() {
            match execution.continued_as {
                Some(next) => chain.push(next),
                None => break,
            }
            continue;
        }
        // Only then: an answer before the question is recorded would be another story.
        if is_still(&life).await {
            outside(&life, id).await;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    summary(&life, &chain).await
}

/// Whether every execution waits.
async fn is_still(life: &Life) -> bool {
    for status in [Status::Queued, Status::Running] {
        let filter = Filter { status: Some(status), ..Filter::default() };
        if !life.executor.list(life.world.workspace, &filter, None, 1).await.unwrap().items.is_empty() {
            return false;
        }
    }
    life.executor.active() == 0
}

/// The rest of the world: people answer, events happen, signals are sent, time passes.
pub(super) async fn outside(life: &Life, id: ExecutionId) {
    let workspace = life.world.workspace;
    // What is sent to an execution that waits for something else is kept for a step that will.
    for n in [2, 1] {
        // It may be over by now.
        let sent = life.executor.signal(workspace, id, "sent", json!({"n": n})).await;
        assert!(sent.is_ok() || life.get(id).await.status.is_finished());
    }
    for open in life.executor.approvals(workspace, None, 100).await.unwrap().items {
        let answer = Answer { approved: true, by: "ann".into(), comment: None };
        // It may have been answered in a life before.
        let _ = life.executor.answer(workspace, open.execution, &open.path, answer).await;
    }
    if event_waits::Entity::find().count(life.db.read()).await.unwrap() > 0 {
        life.bus.emit(workspace, "go.on", json!({"n": 2}), 0).await.unwrap();
        life.bus.emit(workspace, "go.on", json!({"n": 1}), 0).await.unwrap();
    }
    let store = crate::execution::store::Store::new(life.db.clone(), Arc::new(life.world.clock.clone()));
    if let Some(due) = store.next_timer().await.unwrap() {
        use crate::clock::Clock;
        life.world.clock.advance((due - life.world.clock.now()).max(0));
    }
}

pub(super) async fn summary(life: &Life, chain: &[ExecutionId]) -> Summary {
    let mut results = BTreeMap::new();
    for (number, id) in chain.iter().enumerate() {
        for entry in life.executor.journal(life.world.workspace, *id, 0, 1_000).await.unwrap() {
            let (path, result) = match entry.event {
                Event::StepSucceeded { path, output, .. } => (path, Ok((*output).clone())),
                Event::StepFailed { path, error, retry_at: None, .. } => (path, Err(error.code.to_string())),
                Event::StepSkipped { path } => (path, Err("skipped".to_owned())),
                _ => continue,
            };
            let twice = results.insert((number, path.clone()), result);
            assert!(twice.is_none(), "two results of {path}");
        }
    }
    let execution = life.get(*chain.last().unwrap()).await;
    let mut effects = BTreeMap::new();
    for key in life.world.effects.done.lock().unwrap().keys() {
        *effects.entry(key.split_once(':').unwrap().1.to_owned()).or_default() += 1;
    }
    let not_undone = execution.error.iter().flat_map(|error| &error.not_undone).map(|one| one.step.clone());
    Summary {
        status: execution.status,
        output: execution.output,
        not_undone: not_undone.collect(),
        error: execution.error.map(|Failure { code, step, .. }| (code, step)),
        results,
        effects,
    }
}

pub(super) struct Case {
    shapes: Vec<Shape>,
    pub(super) folder: tempfile::TempDir,
    pub(super) world: World,
}

impl Case {
    pub(super) fn new(shapes: &[Shape]) -> Case {
        let world = World::new();
        world.bot("b", blueprint(shapes));
        world.bot("child", child());
        Case { shapes: shapes.to_vec(), folder: tempfile::tempdir().unwrap(), world }
    }

    fn live(&self, at: usize) -> (Option<Summary>, usize) {
        live(&self.world, &format!("sqlite://{}/db", self.folder.path().display()), at)
    }

    pub(super) fn check(&self, expected: &Summary, got: &Summary, crashes: &[usize]) {
        assert_eq!(got, expected, "after crashes at {crashes:?} of {:#?}", self.shapes);
        let wrong = self.world.effects.wrong.lock().unwrap();
        assert!(wrong.is_empty(), "{wrong:?} after crashes at {crashes:?} of {:#?}", self.shapes);
        // What is recorded as done was done.
        for ((_, path), result) in &got.results {
            assert!(result.is_err() || got.effects.contains_key(path) || !self.acts(path), "{path} was never done");
        }
        self.check_undone(got);
    }

    /// Where it did not succeed, all that succeeded was undone or is told; where it did,
    /// nothing was but what a `try` has caught.
    fn check_undone(&self, got: &Summary) {
        let plan = CompiledBlueprint::compile(&blueprint(&self.shapes)).unwrap();
        let last = got.results.keys().map(|(number, _)| *number).max().unwrap_or(0);
        for ((number, path), result) in &got.results {
            let undo = format!("{path}/undo");
            if result.is_err() || plan.undone_by(&undo).is_none() {
                continue;
            }
            let undone = got.results.get(&(*number, undo));
            let failed = got.status != Status::Succeeded && *number == last;
            let caught = path.contains("/body/");
            assert!(undone.is_some() || !failed, "{path} was not undone: {got:#?}");
            assert!(undone.is_none() || failed || caught, "{path} was undone: {got:#?}");
            let told = got.not_undone.contains(path) == undone.is_some_and(Result::is_err);
            // Only the first are named.
            assert!(!failed || told || caught || got.not_undone.len() >= 20, "{path}: {got:#?}");
        }
    }

    /// Whether the step at a path does something outside by itself.
    fn acts(&self, path: &str) -> bool {
        let calls = self.world.effects.calls();
        calls.iter().any(|call| call == path)
    }
}

/// Runs `shapes` with a crash at each of `crashes` in turn, and compares.
fn crash_at(shapes: &[Shape], expected: &Summary, crashes: &[usize]) {
    let case = Case::new(shapes);
    let mut lives = crashes.iter().copied().chain([usize::MAX]);
    let got = loop {
        if let (Some(summary), _) = case.live(lives.next().unwrap()) {
            break summary;
        }
    };
    case.check(expected, &got, crashes);
}

#[test]
fn random_executions_survive_random_crashes() {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(16);
    let config = Config { cases, max_shrink_iters: 30, failure_persistence: None, ..Config::default() };
    let crashes = proptest::collection::vec(0.0..1.0_f64, 1..4);
    TestRunner::new(config)
        .run(&(shapes(), crashes), |(shapes, crashes)| {
            let calm = Case::new(&shapes);
            let (expected, places) = calm.live(usize::MAX);
            let expected = expected.unwrap();
            calm.check(&expected, &expected, &[]);
            let crashes: Vec<usize> = crashes.iter().map(|share| (share * places as f64) as usize).collect();
            crash_at(&shapes, &expected, &crashes);
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_crash_at_any_place_changes_nothing() {
    let shapes = vec![
        Shape::Act(1),
        Shape::Try(
            vec![Shape::Retried(1), Shape::Undone(Undo::Works), Shape::Fails],
            vec![Shape::Act(2)],
            vec![Shape::Act(3)],
        ),
        Shape::Parallel(vec![vec![Shape::Act(4), Shape::Call], vec![Shape::Event]]),
        Shape::Foreach(2, 2, vec![Shape::Act(5)]),
        Shape::Approval,
    ];
    let expected = crash_everywhere(&shapes);
    assert_eq!(expected.status, Status::Succeeded, "{expected:#?}");
}

#[test]
fn a_crash_at_any_place_goes_on_once() {
    let shapes = vec![Shape::Undone(Undo::Works), Shape::Call, Shape::Signal, Shape::GoOn];
    let expected = crash_everywhere(&shapes);
    assert_eq!(expected.status, Status::Succeeded, "{expected:#?}");
    // Two executions, and each calls a bot that goes on once.
    assert_eq!((expected.effects.get("s1"), expected.effects.get("first")), (Some(&2), Some(&4)));
    assert_eq!(expected.effects.get("s1/undo"), None);
}

#[test]
fn a_crash_at_any_place_undoes_the_same() {
    let shapes = vec![
        Shape::Undone(Undo::Works),
        Shape::Try(vec![Shape::Undone(Undo::Late), Shape::Fails], vec![Shape::Undone(Undo::Script)], vec![]),
        Shape::Foreach(2, 1, vec![Shape::Undone(Undo::Fails)]),
        Shape::Parallel(vec![vec![Shape::Undone(Undo::Calls)], vec![Shape::Signal]]),
        Shape::Fails,
    ];
    let expected = crash_everywhere(&shapes);
    assert_eq!((expected.status, expected.not_undone.len()), (Status::Failed, 2), "{expected:#?}");
    assert_eq!(expected.effects.get("s1/undo"), Some(&1));
}

/// Runs `shapes` once for each place with a crash there, and once without. Gives how it ends.
fn crash_everywhere(shapes: &[Shape]) -> Summary {
    let calm = Case::new(shapes);
    let (expected, places) = calm.live(usize::MAX);
    let expected = expected.unwrap();
    calm.check(&expected, &expected, &[]);
    assert!(places > 20, "there are {places} places");
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::SeqCst);
                    if at >= places {
                        return;
                    }
                    crash_at(shapes, &expected, &[at]);
                }
            });
        }
    });
    expected
}
