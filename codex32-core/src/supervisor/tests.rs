//! The supervisor on real databases, with time moved by hand.

use super::*;
use crate::blueprint::{Blueprint, Health, Restart, Span};
use crate::clock::SimulatedClock;
use crate::error::{Code, Error};
use crate::notify::{Notice, Severity};
use crate::storage::testing::on_each;
use crate::trigger::Deployment;
use crate::trigger::testing::{House, blueprint, eventually, until};
use serde_json::{Value, json};
use std::sync::Mutex;

const NOW: Millis = 1_700_000_000_000;

#[derive(Default)]
struct Stops(Mutex<Vec<ExecutionId>>);

#[async_trait::async_trait]
impl Stopper for Stops {
    async fn stop(&self, _: WorkspaceId, execution: ExecutionId) -> Result<()> {
        self.0.lock().unwrap().push(execution);
        Ok(())
    }
}

#[derive(Default)]
struct Told {
    notices: Mutex<Vec<(String, Severity)>>,
    fails: Mutex<u32>,
}

#[async_trait::async_trait]
impl Notifier for Told {
    fn name(&self) -> &str {
        "told"
    }
    async fn notify(&self, notice: &Notice) -> Result<()> {
        let mut fails = self.fails.lock().unwrap();
        if *fails > 0 {
            *fails -= 1;
            return Err(Error::unavailable("no mail server"));
        }
        self.notices.lock().unwrap().push((notice.title.clone(), notice.severity));
        Ok(())
    }
}

struct Watch {
    house: House,
    supervisor: Supervisor,
    stops: Arc<Stops>,
    told: Arc<Told>,
}

struct Running(CancellationToken, tokio::task::JoinHandle<()>);

impl Running {
    async fn end(self) {
        self.0.cancel();
        eventually(self.1).await.unwrap();
    }
}

fn watch(db: Db) -> Watch {
    let house = House::new(db.clone(), NOW);
    let (stops, told) = (Arc::new(Stops::default()), Arc::new(Told::default()));
    let supervisor = Supervisor::new(Parts {
        db,
        clock: Arc::new(house.clock.clone()),
        bus: house.bus.clone(),
        starter: house.starter.clone(),
        stopper: stops.clone(),
        notifier: Some(told.clone()),
    });
    Watch { house, supervisor, stops, told }
}

impl Watch {
    fn run(&self) -> Running {
        let (token, supervisor) = (CancellationToken::new(), self.supervisor.clone());
        let task = tokio::spawn({
            let token = token.clone();
            async move { supervisor.run(token).await }
        });
        Running(token, task)
    }

    async fn arm(&self, restart: Restart, health: Option<Health>) -> Deployment {
        let deployment = self.house.deployment("bot");
        let bot = Blueprint { restart, health, ..blueprint("bot", Vec::new()) };
        self.house.arm_bot(&deployment, bot).await.unwrap();
        deployment
    }

    async fn only(&self) -> Watched {
        let mut all = self.supervisor.watched(self.house.workspace, None).await.unwrap();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    async fn reach(&self, what: impl Fn(&Watched) -> bool) -> Watched {
        until(async || Some(self.only().await).filter(&what)).await
    }

    /// An execution of the deployment ends.
    async fn finish(&self, deployment: &Deployment, execution: Option<ExecutionId>, status: &str) {
        let error = match status {
            "failed" => json!({"code": "failed", "message": "it broke", "step": "x"}),
            _ => Value::Null,
        };
        let execution = execution.unwrap_or_else(|| ExecutionId::at(NOW));
        let data = json!({
            "execution": execution, "bot": deployment.bot, "bot_name": "bot", "status": status, "output": null,
            "deployment": deployment.deployment, "environment": "prod", "error": error,
        });
        self.house.bus.publish(self.house.workspace, "execution.finished", data).await.unwrap();
    }

    async fn incidents(&self) -> Vec<Incident> {
        self.supervisor.list(self.house.workspace, None, None, None, 50).await.unwrap().items
    }
}

#[tokio::test]
async fn a_bot_that_is_always_kept_up_is_started_again_and_again() {
    on_each(async |db| {
        let watch = watch(db);
        let deployment = watch.arm(Restart::Always, None).await;
        let running = watch.run();
        let first = watch.reach(|w| w.state == "running").await.execution.unwrap();
        for (run, status) in [(2, "failed"), (3, "succeeded"), (4, "cancelled")] {
            let execution = watch.only().await.execution;
            watch.finish(&deployment, execution, status).await;
            let waiting = watch.reach(|w| w.state == "starting").await;
            assert!(waiting.next_start.unwrap() > NOW);
            watch.house.clock.advance(waiting.next_start.unwrap() - now(&watch));
            watch.reach(|w| w.starts == run && w.state == "running").await;
        }
        running.end().await;
        let starts = watch.house.starter.all().await;
        assert_eq!((starts.len(), starts[0].id), (4, first));
        assert_eq!(starts[3].trigger["type"], "supervisor");
    })
    .await;
}

#[tokio::test]
async fn a_kept_bot_that_goes_on_as_a_new_execution_is_not_started_again() {
    on_each(async |db| {
        let watch = watch(db);
        let deployment = watch.arm(Restart::Always, None).await;
        let running = watch.run();
        let first = watch.reach(|w| w.state == "running").await.execution.unwrap();
        let next = ExecutionId::at(NOW + 1);
        let data = json!({
            "execution": first, "bot": deployment.bot, "bot_name": "bot", "deployment": deployment.deployment,
            "environment": "prod", "continued_as": next,
        });
        watch.house.bus.publish(watch.house.workspace, "execution.continued", data).await.unwrap();
        let kept = watch.reach(|w| w.execution == Some(next)).await;
        assert_eq!((kept.state.as_str(), kept.starts), ("running", 1));
        watch.finish(&deployment, Some(next), "failed").await;
        watch.reach(|w| w.state == "starting").await;
        running.end().await;
    })
    .await;
}

fn now(watch: &Watch) -> Millis {
    let clock: &SimulatedClock = &watch.house.clock;
    clock.now()
}

#[tokio::test]
async fn a_restart_survives_a_crash_of_the_engine() {
    on_each(async |db| {
        let watch = watch(db);
        let deployment = watch.arm(Restart::OnFailure, None).await;
        let running = watch.run();
        let execution = watch.reach(|w| w.state == "running").await.execution;
        running.end().await;
        // It fails while no supervisor runs, and the engine is away for an hour.
        watch.finish(&deployment, execution, "failed").await;
        watch.house.clock.advance(3_600_000);
        let running = watch.run();
        let waiting = watch.reach(|w| w.state == "starting").await;
        watch.house.clock.advance(waiting.next_start.unwrap() - now(&watch));
        let second = watch.reach(|w| w.state == "running").await.execution;
        watch.finish(&deployment, second, "succeeded").await;
        watch.reach(|w| w.state == "done").await;
        running.end().await;
        assert_eq!(watch.house.starter.all().await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn what_an_ended_deployment_keeps_running_is_cancelled() {
    on_each(async |db| {
        let watch = watch(db);
        let deployment = watch.arm(Restart::Always, None).await;
        let running = watch.run();
        let execution = watch.reach(|w| w.state == "running").await.execution.unwrap();
        watch.house.disarm(&deployment).await;
        watch.house.bus.wake();
        let gone =
            async || watch.supervisor.watched(watch.house.workspace, None).await.unwrap().is_empty().then_some(());
        until(gone).await;
        watch.finish(&deployment, Some(execution), "cancelled").await;
        running.end().await;
        assert_eq!(*watch.stops.0.lock().unwrap(), [execution]);
        assert_eq!(watch.house.starter.all().await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_deployment_that_stops_and_starts_at_once_keeps_its_execution() {
    on_each(async |db| {
        let watch = watch(db);
        let deployment = watch.arm(Restart::Always, None).await;
        let running = watch.run();
        let execution = watch.reach(|w| w.state == "running").await.execution;
        running.end().await;
        watch.house.disarm(&deployment).await;
        let bot = Blueprint { restart: Restart::Always, ..blueprint("bot", Vec::new()) };
        watch.house.arm_bot(&deployment, bot).await.unwrap();
        let kept = watch.only().await;
        assert_eq!((kept.state.as_str(), kept.execution), ("running", execution));
    })
    .await;
}

#[tokio::test]
async fn an_incident_opens_after_failures_and_closes_with_the_next_success() {
    on_each(async |db| {
        let watch = watch(db);
        let health = Health { succeeded_within: None, failures: 2 };
        let deployment = watch.arm(Restart::Never, Some(health)).await;
        let running = watch.run();
        *watch.told.fails.lock().unwrap() = 1;
        for _ in 0..3 {
            watch.finish(&deployment, None, "failed").await;
        }
        let unwell = watch.reach(|w| w.failures == 3).await;
        assert_eq!(unwell.health, "unhealthy");
        until(async || {
            // The first notice fails once; its second try needs time to pass.
            watch.house.clock.advance(1_000);
            (!watch.told.notices.lock().unwrap().is_empty()).then_some(())
        })
        .await;
        watch.finish(&deployment, None, "succeeded").await;
        watch.reach(|w| w.health == "healthy" && w.incident.is_none()).await;
        until(async || (watch.told.notices.lock().unwrap().len() == 2).then_some(())).await;
        running.end().await;
        let incident = watch.incidents().await.remove(0);
        assert_eq!((incident.kind, incident.status), (IncidentKind::Failing, IncidentStatus::Closed));
        let detail = watch.supervisor.get(watch.house.workspace, incident.id).await.unwrap();
        let kinds: Vec<&str> = detail.timeline.iter().map(|entry| entry.kind.as_str()).collect();
        assert_eq!(kinds, ["opened", "failure", "closed"]);
        assert_eq!(detail.timeline[0].text, "step x: it broke");
        let told = watch.told.notices.lock().unwrap().clone();
        let title = "bot failed 2 times in a row";
        assert_eq!(told, [(title.to_owned(), Severity::Critical), (format!("Over: {title}"), Severity::Info)]);
    })
    .await;
}

#[tokio::test]
async fn a_bot_that_has_not_succeeded_in_time_is_unhealthy() {
    on_each(async |db| {
        let watch = watch(db);
        let health = Health { succeeded_within: Some(Span(3_600_000)), failures: 3 };
        let deployment = watch.arm(Restart::Never, Some(health)).await;
        let running = watch.run();
        watch.finish(&deployment, None, "succeeded").await;
        watch.reach(|w| w.health == "healthy").await;
        watch.house.clock.advance(3_599_999);
        watch.finish(&deployment, None, "cancelled").await;
        assert_eq!(watch.only().await.health, "healthy");
        watch.house.clock.advance(1);
        watch.reach(|w| w.health == "unhealthy" && w.incident.is_some()).await;
        watch.finish(&deployment, None, "succeeded").await;
        watch.reach(|w| w.health == "healthy" && w.incident.is_none()).await;
        running.end().await;
        assert_eq!(watch.incidents().await[0].kind, IncidentKind::Overdue);
    })
    .await;
}

#[tokio::test]
async fn a_minute_of_running_well_ends_the_incident_of_a_kept_bot() {
    on_each(async |db| {
        let watch = watch(db);
        let deployment = watch.arm(Restart::Always, Some(Health { succeeded_within: None, failures: 1 })).await;
        let running = watch.run();
        let execution = watch.reach(|w| w.state == "running").await.execution;
        watch.finish(&deployment, execution, "failed").await;
        let waiting = watch.reach(|w| w.incident.is_some() && w.state == "starting").await;
        watch.house.clock.advance(waiting.next_start.unwrap() - now(&watch));
        watch.reach(|w| w.starts == 2).await;
        watch.house.clock.advance(60_000);
        let well = watch.reach(|w| w.health == "healthy").await;
        assert_eq!((well.incident, well.failures), (None, 0));
        running.end().await;
    })
    .await;
}

#[tokio::test]
async fn people_acknowledge_and_close_incidents() {
    on_each(async |db| {
        let watch = watch(db);
        let deployment = watch.arm(Restart::Never, Some(Health { succeeded_within: None, failures: 1 })).await;
        let running = watch.run();
        watch.finish(&deployment, None, "failed").await;
        let id = watch.reach(|w| w.incident.is_some()).await.incident.unwrap();
        let (ws, supervisor) = (watch.house.workspace, &watch.supervisor);
        let seen = supervisor.acknowledge(ws, id, "ada", "I look").await.unwrap();
        assert_eq!(seen.incident.status, IncidentStatus::Acknowledged);
        let stranger = supervisor.close(WorkspaceId::at(NOW), id, "eve", "").await.unwrap_err();
        assert_eq!(stranger.code(), Code::NotFound);
        let closed = supervisor.close(ws, id, "ada", "mended").await.unwrap();
        assert_eq!(closed.timeline.last().unwrap().author, "ada");
        assert_eq!(supervisor.close(ws, id, "ada", "").await.unwrap_err().code(), Code::Precondition);
        assert_eq!((watch.only().await.incident, watch.only().await.failures), (None, 0));
        // The next failure is a new incident.
        watch.house.clock.advance(1);
        watch.finish(&deployment, None, "failed").await;
        watch.reach(|w| w.incident.is_some()).await;
        running.end().await;
        let open = supervisor.list(ws, Some(IncidentStatus::Open), Some(deployment.bot), None, 10).await.unwrap();
        assert_eq!(open.items.len(), 1);
        let page = supervisor.list(ws, None, None, None, 1).await.unwrap();
        let rest = supervisor.list(ws, None, None, page.next.as_deref(), 1).await.unwrap();
        assert_eq!((rest.items[0].id, rest.next), (id, None));
    })
    .await;
}

#[tokio::test]
async fn a_loop_that_was_cut_is_one_incident() {
    on_each(async |db| {
        let watch = watch(db);
        let deployment = watch.arm(Restart::Never, None).await;
        let running = watch.run();
        for _ in 0..3 {
            let data = json!({"trigger": deployment.bot, "bot": deployment.bot, "bot_name": "bot",
                "deployment": deployment.deployment, "environment": "prod", "event": "a.b", "depth": 16});
            watch.house.bus.publish(watch.house.workspace, "trigger.stopped", data).await.unwrap();
        }
        let incident = until(async || watch.incidents().await.pop()).await;
        assert_eq!(incident.kind, IncidentKind::Loop);
        let whole = async || {
            let detail = watch.supervisor.get(watch.house.workspace, incident.id).await.unwrap();
            (detail.timeline.len() == 3).then_some(())
        };
        until(whole).await;
        running.end().await;
        assert_eq!(watch.incidents().await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_bot_that_cannot_be_started_is_tried_again_and_reported() {
    on_each(async |db| {
        let watch = watch(db);
        for _ in 0..3 {
            watch.house.starter.refuse(Error::invalid("the input lacks \"n\""));
        }
        watch.arm(Restart::Always, None).await;
        let running = watch.run();
        for failures in 1..=3 {
            let waiting = watch.reach(|w| w.failures == failures).await;
            watch.house.clock.advance(waiting.next_start.unwrap() - now(&watch));
        }
        watch.reach(|w| w.state == "running").await;
        running.end().await;
        let incident = watch.incidents().await.remove(0);
        let detail = watch.supervisor.get(watch.house.workspace, incident.id).await.unwrap();
        assert!(detail.timeline[0].text.contains("could not be started"));
    })
    .await;
}

#[tokio::test]
async fn two_nodes_count_a_failure_once() {
    on_each(async |db| {
        let watch = watch(db);
        let health = Health { succeeded_within: None, failures: 5 };
        let deployment = watch.arm(Restart::Never, Some(health)).await;
        let nodes = [watch.run(), watch.run()];
        for _ in 0..4 {
            watch.finish(&deployment, None, "failed").await;
        }
        let last = watch.house.bus.last().await.unwrap();
        until(async || (watch.house.bus.offset(super::watch::CONSUMER).await.unwrap() >= last).then_some(())).await;
        for node in nodes {
            node.end().await;
        }
        assert_eq!(watch.only().await.failures, 4);
        assert!(watch.incidents().await.is_empty());
    })
    .await;
}
