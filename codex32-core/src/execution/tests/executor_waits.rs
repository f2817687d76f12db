//! The executor on both databases: waiting costs rows and nothing else.

use super::blueprints::{act, approve, ask, await_event, bot, branch, call, parallel, retried, sleep, step};
use super::world::{Life, World};
use crate::blueprint::{ApprovalWait, Escalation, OnTimeout, Remind, Span, Step};
use crate::error::Code;
use crate::execution::{Answer, Status, StepStatus};
use crate::storage::testing::on_each;
use indexmap::IndexMap;
use serde_json::{Value, json};

async fn parked(life: &Life) {
    life.until("no driver", async || (life.executor.active() == 0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_holds_no_task_and_ends_in_time() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", bot(vec![sleep("w", 86_400_000), step("a")]));
        let life = world.live(db).await;
        let id = life.start("b", json!({})).await;
        life.reach(id, Status::Waiting).await;
        parked(&life).await;
        let steps = life.executor.steps(world.workspace, id).await.unwrap();
        assert_eq!(steps[0].status, StepStatus::Waiting);
        assert!(steps[0].due.is_some());
        world.clock.advance(86_399_999);
        assert_eq!(life.get(id).await.status, Status::Waiting);
        world.clock.advance(1);
        assert_eq!(life.end(id).await.status, Status::Succeeded);
        let names: Vec<String> =
            life.bus.list(world.workspace, 0, 10).await.unwrap().into_iter().map(|e| e.name).collect();
        assert_eq!(names, ["execution.started", "execution.waiting", "execution.finished"]);
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_fires_while_something_else_runs() {
    on_each(async |db| {
        let world = World::new();
        let branches = IndexMap::from([
            ("a".to_owned(), vec![act("held", json!({"hold": true}))]),
            ("b".to_owned(), vec![sleep("w", 5_000), step("after")]),
        ]);
        world.bot("b", bot(vec![parallel("par", branches)]));
        let life = world.live(db).await;
        let id = life.start("b", json!({})).await;
        life.performing("par.a/held").await;
        world.clock.advance(5_000);
        life.performing("par.b/after").await;
        world.effects.release();
        assert_eq!(life.end(id).await.status, Status::Succeeded);
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_waits_without_a_driver() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", bot(vec![retried(2, act("a", json!({"fail": "unavailable", "times": 1, "value": 7})))]));
        let life = world.live(db).await;
        let id = life.start("b", json!({})).await;
        life.reach(id, Status::Waiting).await;
        parked(&life).await;
        world.clock.advance(1_000);
        assert_eq!(life.end(id).await.output, Some(json!(7)));
        let names: Vec<String> =
            life.bus.list(world.workspace, 0, 10).await.unwrap().into_iter().map(|e| e.name).collect();
        assert_eq!(names, ["execution.started", "execution.finished"], "it is no news that a step is tried again");
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_on_the_bus_ends_the_wait_that_wants_it() {
    on_each(async |db| {
        let world = World::new();
        let wait = await_event("w", "order.paid", Some("event.id == input.id"), None);
        world.bot("b", bot(vec![wait]));
        let life = world.live(db).await;
        life.bus.emit(world.workspace, "order.paid", json!({"id": "mine", "early": true}), 0).await.unwrap();
        let id = life.start("b", json!({"id": "mine"})).await;
        let other = life.start("b", json!({"id": "theirs"})).await;
        life.reach(id, Status::Waiting).await;
        life.reach(other, Status::Waiting).await;
        parked(&life).await;
        let elsewhere = crate::id::WorkspaceId(uuid::Uuid::from_u128(2));
        life.bus.emit(elsewhere, "order.paid", json!({"id": "mine", "elsewhere": true}), 0).await.unwrap();
        life.bus.emit(world.workspace, "order.sent", json!({"id": "mine"}), 0).await.unwrap();
        life.bus.emit(world.workspace, "order.paid", json!({"id": "mine", "n": 1}), 0).await.unwrap();
        life.bus.emit(world.workspace, "order.paid", json!({"id": "mine", "n": 2}), 0).await.unwrap();
        let execution = life.end(id).await;
        assert_eq!(execution.output, Some(json!({"id": "mine", "n": 1})));
        assert_eq!(life.get(other).await.status, Status::Waiting);
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_reaches_an_execution_that_waits_runs_or_has_not_begun() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", bot(vec![act("a", json!({"hold": true})), await_event("w", "go.on", None, None)]));
        let still = world.still(db, None).await;
        let early = still.start("b", json!({})).await;
        still.executor.signal(world.workspace, early, "go.on", json!("early")).await.unwrap();
        let life = still.run();
        let running = life.start("b", json!({})).await;
        life.until("both", async || (world.effects.calls().len() == 2).then_some(())).await;
        life.executor.signal(world.workspace, running, "go.on", json!("running")).await.unwrap();
        let waiting = life.start("b", json!({})).await;
        world.effects.release();
        life.reach(waiting, Status::Waiting).await;
        life.executor.signal(world.workspace, waiting, "go.on", json!("waiting")).await.unwrap();
        for (id, expected) in [(early, "early"), (running, "running"), (waiting, "waiting")] {
            assert_eq!(life.end(id).await.output, Some(json!(expected)));
        }
        let error = life.executor.signal(world.workspace, early, "go.on", json!(1)).await.unwrap_err();
        assert_eq!(error.code(), Code::Precondition);
        let error = life.executor.signal(world.workspace, early, "", json!(1)).await.unwrap_err();
        assert_eq!(error.code(), Code::Invalid);
        life.stop().await;
    })
    .await;
}

fn approval() -> Step {
    let with = json!({"value": "{{ approval.approve_url }}", "no": "{{ approval.decline_url }}", "log": "{{ approval.approve_url }}"});
    let (message, timeout) = ("pay {{ input.n }}?".into(), Some(Span(60_000)));
    approve("ok", ApprovalWait { message, ask: Some(ask(with)), timeout, ..ApprovalWait::default() })
}

fn token(input: &Value) -> String {
    let url = input["value"].as_str().unwrap();
    let rest = url.strip_prefix("http://127.0.0.1:7832/approve/").unwrap();
    rest.strip_suffix("?answer=yes").unwrap().to_owned()
}

fn answer(approved: bool) -> Answer {
    Answer { approved, by: "ann".into(), comment: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_answered_by_its_token_once() {
    on_each(async |db| {
        let world = World::new();
        let yes = branch("i", "steps.ok.approved", vec![act("paid", json!({"value": "paid"}))], vec![]);
        world.bot("b", bot(vec![approval(), yes]));
        let life = world.live(db).await;
        let id = life.start("b", json!({"n": 5})).await;
        life.reach(id, Status::Waiting).await;
        let open = life.executor.approvals(world.workspace, None, 10).await.unwrap().items;
        assert_eq!((open.len(), open[0].message.as_str(), open[0].path.as_str()), (1, "pay 5?", "ok"));
        let input = world.effects.inputs.lock().unwrap()[0].1.clone();
        let token = token(&input);
        let (workspace, shown) = life.executor.approval(&token).await.unwrap();
        assert_eq!((workspace, shown.execution), (world.workspace, id));
        assert_eq!(life.executor.answer_approval("wrong", answer(true)).await.unwrap_err().code(), Code::NotFound);
        assert_eq!(life.executor.answer_approval(&token, answer(true)).await.unwrap(), id);
        assert_eq!(life.end(id).await.output, Some(json!("paid")));
        let again = life.executor.answer_approval(&token, answer(false)).await.unwrap_err();
        assert_eq!(again.code(), Code::Precondition);
        assert!(life.executor.approvals(world.workspace, None, 10).await.unwrap().items.is_empty());
        let journal = life.executor.journal(world.workspace, id, 0, 100).await.unwrap();
        let lines = life.executor.logs(world.workspace, id, 0, 100).await.unwrap();
        let text = serde_json::to_string(&(journal, lines)).unwrap();
        assert!(!text.contains(&token) && text.contains("/approve/***"), "{text}");
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_who_was_asked_may_answer_and_the_first_counts() {
    on_each(async |db| {
        let world = World::new();
        let with = |who: &str| ask(json!({"value": "{{ approval.approve_url }}", "to": who}));
        let hour = Span(3_600_000);
        let wait = ApprovalWait {
            message: "pay?".into(),
            ask: Some(with("ann")),
            remind: Some(Remind { every: hour, times: 1, ask: None }),
            escalate: vec![Escalation { after: Span(2 * hour.0), ask: with("boss") }],
            timeout: Some(Span(9 * hour.0)),
            on_timeout: OnTimeout::Decline,
        };
        world.bot("b", bot(vec![approve("ok", wait)]));
        let life = world.live(db).await;
        let (id, late) = (life.start("b", json!({})).await, life.start("b", json!({})).await);
        let asked = async |count: usize| {
            life.until("the questions", async || (world.effects.calls().len() == count).then_some(())).await;
            life.reach(id, Status::Waiting).await;
            life.reach(late, Status::Waiting).await;
            parked(&life).await;
        };
        for count in [2, 4, 6] {
            asked(count).await;
            world.clock.advance(3_600_000);
        }
        let mut tokens = Vec::new();
        for (path, input) in world.effects.inputs.lock().unwrap().iter() {
            tokens.push((path.clone(), token(input)));
        }
        let mut mine = Vec::new();
        for (path, token) in &tokens {
            if life.executor.approval(token).await.unwrap().1.execution == id {
                mine.push((path.as_str(), token.as_str()));
            }
        }
        assert_eq!(mine.iter().map(|(path, _)| *path).collect::<Vec<_>>(), ["ok/ask", "ok/remind0", "ok/escalate0"]);
        life.executor.answer_approval(mine[1].1, answer(true)).await.unwrap();
        let error = life.executor.answer_approval(mine[2].1, answer(false)).await.unwrap_err();
        assert_eq!(error.code(), Code::Precondition);
        assert_eq!(life.end(id).await.output.unwrap()["approved"], json!(true));
        world.clock.advance(9 * 3_600_000);
        assert_eq!(life.end(late).await.output.unwrap(), json!({"approved": false, "by": "timeout", "comment": null}));
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_answered_by_someone_of_the_workspace_or_times_out() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", bot(vec![approval()]));
        let life = world.live(db).await;
        let declined = life.start("b", json!({"n": 5})).await;
        let late = life.start("b", json!({"n": 6})).await;
        life.reach(declined, Status::Waiting).await;
        life.reach(late, Status::Waiting).await;
        let elsewhere = crate::id::WorkspaceId(uuid::Uuid::from_u128(2));
        let error = life.executor.answer(elsewhere, declined, "ok", answer(true)).await.unwrap_err();
        assert_eq!(error.code(), Code::NotFound);
        life.executor.answer(world.workspace, declined, "ok", answer(false)).await.unwrap();
        assert_eq!(life.end(declined).await.output.unwrap()["approved"], json!(false));
        world.clock.advance(60_000);
        assert_eq!(life.end(late).await.error.unwrap().code, Code::Timeout);
        let error = life.executor.answer(world.workspace, late, "ok", answer(true)).await.unwrap_err();
        assert_eq!(error.code(), Code::Precondition);
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_waits_for_its_child_without_a_driver() {
    on_each(async |db| {
        let world = World::new();
        world.bot("parent", bot(vec![call("c", "child", json!({}), true)]));
        world.bot("child", bot(vec![sleep("w", 10_000), act("a", json!({"value": 5}))]));
        let life = world.live(db).await;
        let id = life.start("parent", json!({})).await;
        life.reach(id, Status::Waiting).await;
        let child =
            life.until("the child", async || life.executor.steps(world.workspace, id).await.unwrap()[0].child).await;
        life.reach(child, Status::Waiting).await;
        parked(&life).await;
        world.clock.advance(10_000);
        assert_eq!(life.end(id).await.output, Some(json!(5)));
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn open_approvals_are_paged_within_an_execution_too() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", bot(vec![super::blueprints::foreach("each", "[1, 2, 3, 4, 5]", 5, vec![approval()])]));
        let life = world.live(db).await;
        let id = life.start("b", json!({"n": 5})).await;
        life.reach(id, Status::Waiting).await;
        let mut paths = Vec::new();
        let mut cursor = None;
        loop {
            let page = life.executor.approvals(world.workspace, cursor.as_deref(), 2).await.unwrap();
            paths.extend(page.items.into_iter().map(|approval| approval.path));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(paths, (0..5).map(|n| format!("each[{n}]/ok")).collect::<Vec<_>>());
        let error = life.executor.approvals(world.workspace, Some("?"), 2).await.unwrap_err();
        assert_eq!(error.code(), Code::Invalid);
        life.stop().await;
    })
    .await;
}
