//! A starter that records, and bots without steps, for tests.

use super::*;
use crate::blueprint::{Blueprint, Dependencies, Limits, Permissions, Restart, Retention, Trigger};
use crate::clock::{Clock, Millis, SimulatedClock};
use crate::connector::Polled;
use crate::error::{Code, Error, Result};
use crate::event::Bus;
use crate::execution::{Start, Started};
use crate::id::{BotId, DeploymentId, ExecutionId, VersionId, WorkspaceId};
use crate::queue::{self, DbQueue, Queue};
use crate::storage::entity::queue_messages;
use crate::storage::{Db, Tx};
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::OnConflict;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Starts are rows, so that they are undone with their transaction.
const STARTS: &str = "test-starts";

/// Records starts in the transaction that asks for them.
pub(crate) struct Recorder {
    db: Db,
    woken: watch::Sender<u64>,
    /// Errors that the next checks and starts give, each to the side that it belongs to.
    pub(crate) refusals: Mutex<VecDeque<Error>>,
}

/// A start that was recorded.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Recorded {
    pub(crate) id: ExecutionId,
    pub(crate) bot: String,
    pub(crate) input: Value,
    pub(crate) trigger: Value,
    pub(crate) key: String,
}

impl Recorder {
    pub(crate) fn new(db: Db) -> Arc<Recorder> {
        Arc::new(Recorder { db, woken: watch::Sender::new(0), refusals: Mutex::default() })
    }

    fn refusal(&self, of_input: bool) -> Result<()> {
        let mut refusals = self.refusals.lock().unwrap();
        match refusals.pop_front_if(|error| (error.code() == Code::Invalid) == of_input) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    pub(crate) fn refuse(&self, error: Error) {
        self.refusals.lock().unwrap().push_back(error);
    }

    /// All starts so far, in order.
    pub(crate) async fn all(&self) -> Vec<Recorded> {
        let rows = queue_messages::Entity::find()
            .filter(queue_messages::Column::Queue.eq(STARTS))
            .order_by_asc(queue_messages::Column::VisibleAt)
            .all(self.db.read())
            .await
            .unwrap();
        rows.into_iter()
            .map(|row| {
                let body: Value = serde_json::from_str(&row.body).unwrap();
                Recorded {
                    id: ExecutionId(row.id),
                    bot: body["bot"].as_str().unwrap().to_owned(),
                    input: body["input"].clone(),
                    trigger: body["trigger"].clone(),
                    key: row.dedup.unwrap(),
                }
            })
            .collect()
    }

    /// Waits until there are `n` starts.
    pub(crate) async fn reach(&self, n: usize) -> Vec<Recorded> {
        let mut woken = self.woken.subscribe();
        eventually(async {
            loop {
                let all = self.all().await;
                if all.len() >= n {
                    return all;
                }
                woken.changed().await.unwrap();
            }
        })
        .await
    }
}

#[async_trait::async_trait]
impl Starter for Recorder {
    async fn check(&self, _: &Start) -> Result<()> {
        self.refusal(true)
    }

    async fn start_in(&self, tx: &Tx, firing: Start) -> Result<Started> {
        self.refusal(false)?;
        let same = queue_messages::Entity::find()
            .filter(queue_messages::Column::WorkspaceId.eq(firing.workspace.0))
            .filter(queue_messages::Column::Dedup.eq(firing.idempotency_key.clone()));
        if let Some(row) = same.clone().one(tx).await? {
            return Ok(Started::plain(ExecutionId(row.id), true));
        }
        let count = queue_messages::Entity::find().all(tx).await?.len();
        let row = queue_messages::ActiveModel {
            id: Set(ExecutionId::at(1).0),
            workspace_id: Set(firing.workspace.0),
            queue: Set(STARTS.to_owned()),
            body: Set(json!({"bot": firing.bot_name, "input": firing.input, "trigger": firing.trigger}).to_string()),
            dedup: Set(firing.idempotency_key.clone()),
            status: Set("ready".to_owned()),
            attempts: Set(0),
            visible_at: Set(i64::try_from(count).unwrap()),
            lease: Set(None),
            last_error: Set(None),
            created_at: Set(0),
        };
        let keep = OnConflict::columns([
            queue_messages::Column::WorkspaceId,
            queue_messages::Column::Queue,
            queue_messages::Column::Dedup,
        ])
        .do_nothing()
        .to_owned();
        let new = queue_messages::Entity::insert(row).on_conflict(keep).exec_without_returning(tx).await?;
        let row = same.one(tx).await?.unwrap();
        Ok(Started::plain(ExecutionId(row.id), new == 0))
    }

    async fn start(&self, firing: Start) -> Result<Started> {
        let me = Recorder { db: self.db.clone(), woken: watch::Sender::new(0), refusals: Mutex::default() };
        self.check(&firing).await?;
        let started = self.db.write(move |tx| Box::pin(async move { me.start_in(tx, firing).await })).await?;
        self.wake();
        Ok(started)
    }

    fn wake(&self) {
        self.woken.send_modify(|n| *n += 1);
    }
}

type Answer = Box<dyn Fn(&Look) -> Result<Polled> + Send + Sync>;

/// A source of news that a test answers for; counts the looks.
pub(crate) struct News {
    pub(crate) answer: Mutex<Answer>,
    pub(crate) looks: watch::Sender<usize>,
    pub(crate) under_way: watch::Sender<usize>,
    pub(crate) most_at_once: Mutex<usize>,
    pub(crate) gate: watch::Sender<bool>,
}

impl News {
    pub(crate) fn new(answer: impl Fn(&Look) -> Result<Polled> + Send + Sync + 'static) -> Arc<News> {
        Arc::new(News {
            answer: Mutex::new(Box::new(answer)),
            looks: watch::Sender::new(0),
            under_way: watch::Sender::new(0),
            most_at_once: Mutex::new(0),
            gate: watch::Sender::new(true),
        })
    }
    pub(crate) fn none() -> Arc<News> {
        News::new(|_| Ok(Polled { events: Vec::new(), cursor: Value::Null }))
    }
    /// Waits until `n` looks have ended.
    pub(crate) async fn looked(&self, n: usize) {
        let mut looks = self.looks.subscribe();
        eventually(async { looks.wait_for(|seen| *seen >= n).await.map(|_| ()).unwrap() }).await;
    }
}

#[async_trait::async_trait]
impl Poller for News {
    async fn poll(&self, look: Look) -> Result<Polled> {
        self.under_way.send_modify(|n| *n += 1);
        {
            let mut most = self.most_at_once.lock().unwrap();
            *most = (*most).max(*self.under_way.borrow());
        }
        let _ = self.gate.subscribe().wait_for(|open| *open).await;
        let answer = (self.answer.lock().unwrap())(&look);
        self.under_way.send_modify(|n| *n -= 1);
        self.looks.send_modify(|n| *n += 1);
        answer
    }
}

/// Fails a test that waits for what does not come.
pub(crate) async fn eventually<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), what).await.expect("waited for too long")
}

/// Looks until `what` is something, each time the bus wakes or a moment has passed.
pub(crate) async fn until<T>(mut what: impl AsyncFnMut() -> Option<T>) -> T {
    eventually(async {
        loop {
            if let Some(found) = what().await {
                return found;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

/// A dispatcher over a database, with what a test needs around it.
pub(crate) struct House {
    pub(crate) db: Db,
    pub(crate) clock: SimulatedClock,
    pub(crate) bus: Bus,
    pub(crate) starter: Arc<Recorder>,
    pub(crate) workspace: WorkspaceId,
    pub(crate) news: Arc<News>,
    pub(crate) queues: Arc<dyn Queue>,
}

/// A dispatcher at work.
pub(crate) struct Running {
    token: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    /// Ends it and waits until all that it began is done.
    pub(crate) async fn end(self) {
        self.token.cancel();
        eventually(self.task).await.unwrap();
    }
}

impl House {
    pub(crate) fn new(db: Db, now: Millis) -> House {
        Self::with_news(db, now, News::none())
    }

    pub(crate) fn with_news(db: Db, now: Millis, news: Arc<News>) -> House {
        let clock = SimulatedClock::at(now);
        let bus = Bus::new(db.clone(), Arc::new(clock.clone()));
        let starter = Recorder::new(db.clone());
        let queues = Arc::new(DbQueue::new(db.clone(), Arc::new(clock.clone()), queue::Limits::default()));
        House { starter, bus, clock, workspace: WorkspaceId::at(now), news, queues, db }
    }

    pub(crate) fn run(&self) -> Running {
        let dispatcher = Dispatcher::new(Parts {
            db: self.db.clone(),
            clock: Arc::new(self.clock.clone()),
            bus: self.bus.clone(),
            starter: self.starter.clone(),
            queues: self.queues.clone(),
            poller: self.news.clone(),
        });
        let token = CancellationToken::new();
        let task = tokio::spawn({
            let token = token.clone();
            async move { dispatcher.run(token).await }
        });
        Running { token, task }
    }

    pub(crate) fn deployment(&self, bot: &str) -> Deployment {
        let now = self.clock.now();
        Deployment {
            workspace: self.workspace,
            bot: BotId::at(now),
            bot_name: bot.to_owned(),
            version: VersionId::at(now),
            deployment: DeploymentId::at(now),
            environment: "prod".to_owned(),
            default_environment: true,
            timezone: "UTC".to_owned(),
            private_allowed: false,
        }
    }

    /// Arms a deployment as the registry does, and announces it.
    pub(crate) async fn arm(&self, deployment: &Deployment, on: Vec<Trigger>) -> Result<()> {
        self.arm_bot(deployment, blueprint(&deployment.bot_name, on)).await
    }

    pub(crate) async fn arm_bot(&self, deployment: &Deployment, blueprint: Blueprint) -> Result<()> {
        let (deployment, clock) = (deployment.clone(), self.clock.clone());
        self.db
            .write(move |tx| {
                Box::pin(async move {
                    arm(tx, &clock, &deployment, &blueprint).await?;
                    Bus::publish_in(tx, &clock, deployment.workspace, "deployment.changed", json!({})).await
                })
            })
            .await?;
        self.bus.wake();
        Ok(())
    }

    pub(crate) async fn disarm(&self, deployment: &Deployment) {
        let (id, clock) = (deployment.deployment, self.clock.clone());
        self.db.write(move |tx| Box::pin(async move { disarm(tx, &clock, id).await })).await.unwrap();
    }

    pub(crate) async fn only_trigger(&self) -> TriggerInfo {
        let mut all = list(&self.db, self.workspace, None).await.unwrap();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }
}

/// A bot without steps.
pub(crate) fn blueprint(name: &str, on: Vec<Trigger>) -> Blueprint {
    Blueprint {
        name: name.to_owned(),
        description: None,
        on,
        inputs: None,
        permissions: Permissions::default(),
        dependencies: Dependencies::default(),
        limits: Limits::default(),
        runs_on: Vec::new(),
        flow: Default::default(),
        native: None,
        timeout: None,
        retention: Retention::default(),
        restart: Restart::Never,
        health: None,
        steps: Vec::new(),
        output: None,
    }
}
