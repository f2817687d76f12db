//! A small world around an executor: bots, effects that can be counted, time moved by hand.

use crate::blueprint::{Blueprint, Native};
use crate::clock::{Clock, SimulatedClock};
use crate::connector::{ActionContext, KvChange, Services};
use crate::error::{Code, Error, Result};
use crate::event::Bus;
use crate::execution::store::Gate;
use crate::execution::{
    Actions, BotSource, Config, DurableFunction, Execution, Executor, LoadedVersion, Parts, Scripts, Start, Started,
    Status, Target,
};
use crate::id::{BotId, ExecutionId, VersionId, WorkspaceId};
use crate::observe::Stream;
use crate::sandbox::Job;
use crate::secret::{KeyRing, Secrets};
use crate::storage::Db;
use crate::storage::entity::journal;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long a test waits for something that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A function and what it is registered as.
pub(crate) type Registered = (Native, Arc<dyn DurableFunction>);

/// What outlives a crash.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) clock: SimulatedClock,
    pub(crate) workspace: WorkspaceId,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) bots: Arc<Bots>,
    pub(crate) effects: Arc<Effects>,
    pub(crate) config: Config,
    /// Functions that each life registers.
    pub(crate) natives: Arc<Mutex<Vec<Registered>>>,
}

/// Bots by name, the same ones in every environment.
#[derive(Default)]
pub(crate) struct Bots {
    by_name: Mutex<HashMap<String, Arc<LoadedVersion>>>,
    /// Versions that are not deployed any more.
    earlier: Mutex<Vec<Arc<LoadedVersion>>>,
    /// How often it does not answer from now on.
    pub(crate) away: std::sync::atomic::AtomicU32,
}

/// What was done outside.
#[derive(Default)]
pub(crate) struct Effects {
    /// Attempts that succeeded, by idempotency key.
    pub(crate) done: Mutex<BTreeMap<String, u32>>,
    /// Inputs in the order of the calls, with the path of the step.
    pub(crate) inputs: Mutex<Vec<(String, Value)>>,
    /// Attempts that were told to stop.
    pub(crate) stopped: Mutex<Vec<String>>,
    /// What should never have been done.
    pub(crate) wrong: Mutex<Vec<String>>,
    /// How many steps with `hold` may end.
    released: watch::Sender<bool>,
}

impl Effects {
    pub(crate) fn release(&self) {
        self.released.send_replace(true);
    }

    pub(crate) fn count(&self, path: &str) -> u32 {
        let done = self.done.lock().unwrap();
        done.iter().filter(|(key, _)| key.ends_with(&format!(":{path}"))).map(|(_, n)| n).sum()
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.inputs.lock().unwrap().iter().map(|(path, _)| path.clone()).collect()
    }
}

/// One life of the engine: what a crash ends.
pub(crate) struct Life {
    pub(crate) world: World,
    pub(crate) db: Db,
    pub(crate) bus: Bus,
    pub(crate) secrets: Secrets,
    pub(crate) executor: Executor,
    stop: CancellationToken,
    run: Option<tokio::task::JoinHandle<()>>,
}

impl World {
    pub(crate) fn new() -> World {
        World {
            clock: SimulatedClock::at(1_700_000_000_000),
            workspace: WorkspaceId(Uuid::from_u128(1)),
            keys: Arc::new(KeyRing::fresh()),
            bots: Arc::default(),
            effects: Arc::default(),
            config: Config { drain_ms: 200, ..Config::default() },
            natives: Arc::default(),
        }
    }

    /// A bot that is a native function, which lives from now on register.
    pub(crate) fn native(&self, name: &str, function: impl DurableFunction) {
        let native = Native { function: name.to_owned(), revision: None };
        self.bot(name, Blueprint { native: Some(native.clone()), ..super::blueprints::bot(Vec::new()) });
        self.natives.lock().unwrap().push((native, Arc::new(function)));
    }

    pub(crate) fn bot(&self, name: &str, mut blueprint: Blueprint) {
        name.clone_into(&mut blueprint.name);
        let mut by_name = self.bots.by_name.lock().unwrap();
        let number = by_name.len() as u128;
        let version = LoadedVersion {
            bot: BotId(Uuid::from_u128(100 + number)),
            bot_name: name.to_owned(),
            version: VersionId(Uuid::from_u128(1_000 + number)),
            number: 1,
            blueprint: Arc::new(blueprint),
            files: Arc::new(BTreeMap::from([("main.py".to_owned(), "print(1)".to_owned())])),
            private_network_allowed: false,
        };
        by_name.insert(name.to_owned(), Arc::new(version));
    }

    /// Deploys another version of a bot; executions of the one before go on.
    pub(crate) fn redeploy(&self, name: &str, mut blueprint: Blueprint) {
        name.clone_into(&mut blueprint.name);
        let mut by_name = self.bots.by_name.lock().unwrap();
        let before = by_name[name].clone();
        let version = VersionId(Uuid::from_u128(before.version.0.as_u128() + 10_000));
        let blueprint = Arc::new(blueprint);
        let next = LoadedVersion { version, number: before.number + 1, blueprint, ..(*before).clone() };
        by_name.insert(name.to_owned(), Arc::new(next));
        self.bots.earlier.lock().unwrap().push(before);
    }

    /// The present version of a bot.
    pub(crate) fn version(&self, bot: &str) -> VersionId {
        self.bots.by_name.lock().unwrap()[bot].version
    }

    pub(crate) fn start(&self, bot: &str, input: Value) -> Start {
        let version = self.bots.by_name.lock().unwrap()[bot].clone();
        Start {
            workspace: self.workspace,
            bot: version.bot,
            bot_name: bot.to_owned(),
            version: version.version,
            deployment: None,
            environment: "prod".into(),
            input,
            trigger: json!({"type": "manual"}),
            idempotency_key: None,
            parent: None,
            caller: "user:ann".into(),
        }
    }

    /// A life on this database that nobody drives yet.
    pub(crate) async fn still(&self, db: Db, gate: Option<Arc<dyn Gate>>) -> Life {
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let bus = Bus::new(db.clone(), clock.clone());
        let secrets = Secrets::open(db.clone(), clock.clone(), self.keys.clone()).await.unwrap();
        let actions = FakeActions { effects: self.effects.clone(), db: db.clone() };
        let parts = Parts {
            db: db.clone(),
            clock,
            bus: bus.clone(),
            secrets: secrets.clone(),
            actions: Arc::new(actions),
            scripts: Arc::new(FakeScripts(self.effects.clone())),
            bots: self.bots.clone(),
            services: Arc::new(NoServices),
            config: self.config.clone(),
        };
        let executor = Executor::gated(parts, gate);
        let natives = self.natives.lock().unwrap().clone();
        for (native, function) in natives {
            executor.register(&native, function).await;
        }
        Life { world: self.clone(), db, bus, secrets, executor, stop: CancellationToken::new(), run: None }
    }

    /// A life on this database.
    pub(crate) async fn live(&self, db: Db) -> Life {
        self.still(db, None).await.run()
    }
}

impl Life {
    pub(crate) fn run(mut self) -> Life {
        let (executor, stop) = (self.executor.clone(), self.stop.clone());
        self.run = Some(tokio::spawn(async move { executor.run(stop).await }));
        self
    }

    /// Shuts down in order.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        if let Some(run) = self.run.take() {
            tokio::time::timeout(PATIENCE, run).await.expect("it shuts down").unwrap();
        }
    }

    pub(crate) async fn start(&self, bot: &str, input: Value) -> ExecutionId {
        self.started(bot, input).await.unwrap().id
    }

    pub(crate) async fn started(&self, bot: &str, input: Value) -> Result<Started> {
        self.executor.start(self.world.start(bot, input)).await
    }

    pub(crate) async fn get(&self, id: ExecutionId) -> Execution {
        self.executor.get(self.world.workspace, id).await.unwrap()
    }

    /// The finished execution. Its journal is what its version would write again.
    pub(crate) async fn end(&self, id: ExecutionId) -> Execution {
        let execution = self.executor.wait(self.world.workspace, id, PATIENCE).await.unwrap();
        if let Ok(replay) = self.executor.replay(self.world.workspace, id, None).await {
            assert!(replay.same, "{:?} of {:?}", replay.divergence, execution.error);
        }
        execution
    }

    /// The execution once it has this status.
    pub(crate) async fn reach(&self, id: ExecutionId, status: Status) -> Execution {
        self.until("the status", async || {
            let execution = self.get(id).await;
            assert!(!execution.status.is_finished() || status.is_finished(), "{execution:?}");
            (execution.status == status).then_some(execution)
        })
        .await
    }

    /// What `look` gives once it gives something.
    pub(crate) async fn until<T>(&self, what: &str, look: impl AsyncFn() -> Option<T>) -> T {
        let found = async {
            loop {
                if let Some(found) = look().await {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
    }

    /// Until the step at `path` is being performed.
    pub(crate) async fn performing(&self, path: &str) {
        let effects = self.world.effects.clone();
        self.until(path, async || effects.calls().iter().any(|call| call == path).then_some(())).await;
    }

    pub(crate) async fn run_to_end(&self, bot: &str, input: Value) -> Execution {
        let id = self.start(bot, input).await;
        self.end(id).await
    }

    /// `kind path` of the journal.
    pub(crate) async fn kinds(&self, id: ExecutionId) -> Vec<String> {
        let journal = self.executor.journal(self.world.workspace, id, 0, 1_000).await.unwrap();
        let line = |entry: &crate::execution::Entry| {
            let json = serde_json::to_value(entry).unwrap();
            format!("{} {}", json["kind"].as_str().unwrap(), entry.event.path()).trim().to_owned()
        };
        journal.iter().map(line).collect()
    }
}

#[async_trait::async_trait]
impl BotSource for Bots {
    async fn version(&self, _: WorkspaceId, id: VersionId) -> Result<Arc<LoadedVersion>> {
        let by_name = self.by_name.lock().unwrap();
        let earlier = self.earlier.lock().unwrap();
        let found = by_name.values().chain(earlier.iter()).find(|v| v.version == id).cloned();
        found.ok_or_else(|| Error::not_found("version", id))
    }
    async fn deployed(&self, _: WorkspaceId, name: &str, _: &str) -> Result<Target> {
        use std::sync::atomic::Ordering::SeqCst;
        if self.away.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(Error::unavailable("the database is away"));
        }
        let by_name = self.by_name.lock().unwrap();
        let version = by_name.get(name).ok_or_else(|| Error::not_found("bot", name))?;
        Ok(Target { bot: version.bot, version: version.version, deployment: None })
    }
}

/// Does what its input says: `value` (the result), `fail` (a code) while the attempt is at
/// most `times`, `hold` (until released or told to stop), `log`, `panic`, `size`.
struct FakeActions {
    effects: Arc<Effects>,
    db: Db,
}

impl FakeActions {
    /// A recorded attempt must not be performed again.
    async fn must_be_new(&self, cx: &ActionContext) {
        let recorded = journal::Entity::find()
            .filter(journal::Column::ExecutionId.eq(cx.execution.unwrap().0))
            .filter(journal::Column::Path.eq(cx.step.clone()))
            .filter(journal::Column::Kind.is_in(["step_succeeded", "step_failed"]))
            .filter(journal::Column::Attempt.gte(i64::from(cx.attempt)))
            .count(self.db.read())
            .await;
        // Where the world has ended meanwhile there is nothing to tell.
        if recorded.is_ok_and(|n| n > 0) {
            self.effects.wrong.lock().unwrap().push(format!("{} ran again", cx.step));
        }
    }
}

#[async_trait::async_trait]
impl Actions for FakeActions {
    async fn call(&self, _: &str, cx: &ActionContext, input: Value) -> Result<Value> {
        self.must_be_new(cx).await;
        self.effects.inputs.lock().unwrap().push((cx.step.clone(), input.clone()));
        if cx.idempotency_key != format!("{}:{}", cx.execution.unwrap(), cx.step) {
            self.effects.wrong.lock().unwrap().push(format!("the key of {} is {}", cx.step, cx.idempotency_key));
        }
        if let Some(text) = input["log"].as_str() {
            text.lines().for_each(|line| cx.log.line(Stream::Stdout, line));
        }
        assert!(input["panic"].is_null(), "as it was told");
        if !input["hold"].is_null() {
            let mut released = self.effects.released.subscribe();
            tokio::select! {
                _ = released.wait_for(|released| *released) => {}
                () = cx.cancel.cancelled() => {
                    self.effects.stopped.lock().unwrap().push(cx.step.clone());
                    return Err(Error::new(Code::Cancelled, "told to stop"));
                }
            }
        }
        let times = input["times"].as_u64().unwrap_or(u64::MAX);
        if let Some(code) = input["fail"].as_str().filter(|_| u64::from(cx.attempt) <= times) {
            let text = input["text"].as_str().unwrap_or("it broke");
            return Err(Error::new(code.parse().unwrap(), text));
        }
        *self.effects.done.lock().unwrap().entry(cx.idempotency_key.clone()).or_default() += 1;
        if let Some(size) = input["size"].as_u64() {
            return Ok(Value::from("x".repeat(usize::try_from(size).unwrap())));
        }
        Ok(input["value"].clone())
    }

    fn computes(&self, action: &str) -> bool {
        action == "fake.compute"
    }

    fn compute(&self, _: &str, input: Value) -> Result<Value> {
        match input["fail"].as_str() {
            Some(code) => Err(Error::new(code.parse().unwrap(), "it broke")),
            None => Ok(input["value"].clone()),
        }
    }
}

struct FakeScripts(Arc<Effects>);

#[async_trait::async_trait]
impl Scripts for FakeScripts {
    async fn run(&self, job: Job) -> Result<Value> {
        let env: BTreeMap<_, _> = job.env.iter().cloned().collect();
        let seen = json!({"code": job.code, "input": job.input, "env": env});
        self.0.inputs.lock().unwrap().push((job.step.clone(), seen.clone()));
        *self.0.done.lock().unwrap().entry(job.idempotency_key).or_default() += 1;
        Ok(seen)
    }
}

struct NoServices;

fn none() -> Error {
    Error::new(Code::Unsupported, "not in this test")
}

#[async_trait::async_trait]
impl Services for NoServices {
    async fn publish(&self, _: &ActionContext, _: &str, _: Value) -> Result<()> {
        Err(none())
    }
    async fn reply(&self, _: &ActionContext, _: u16, _: Value, _: Value) -> Result<()> {
        Err(none())
    }
    async fn notify(&self, _: &ActionContext, _: &str, _: &str, _: &str) -> Result<()> {
        Err(none())
    }
    async fn kv_get(&self, _: &ActionContext, _: &str) -> Result<Option<Value>> {
        Err(none())
    }
    async fn kv_update(&self, _: &ActionContext, _: &str, _: KvChange) -> Result<Value> {
        Err(none())
    }
    async fn kv_list(&self, _: &ActionContext, _: &str) -> Result<Vec<String>> {
        Err(none())
    }
}
