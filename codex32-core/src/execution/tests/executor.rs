//! The executor on both databases: starting, steps, logs, watching.

use super::blueprints::{act, bot, call, foreach, limited, parallel, retried, run, step};
use super::world::{PATIENCE, World};
use crate::error::Code;
use crate::execution::{Event, Filter, Status, StepStatus, WatchItem};
use crate::id::WorkspaceId;
use crate::storage::Backend;
use crate::storage::testing::on_each;
use futures::StreamExt;
use indexmap::IndexMap;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_runs_and_everything_about_it_can_be_read() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", bot(vec![act("one", json!({"value": "{{ input.n }}"})), run("two", "return 2")]));
        let life = world.live(db).await;
        let execution = life.run_to_end("b", json!({"n": 1})).await;
        assert_eq!(execution.status, Status::Succeeded);
        assert_eq!(execution.output.as_ref().unwrap()["code"], "return 2");
        assert!(execution.error.is_none() && execution.started_at.is_some() && execution.finished_at.is_some());
        let steps = life.executor.steps(world.workspace, execution.id).await.unwrap();
        assert_eq!(steps.iter().map(|s| s.path.as_str()).collect::<Vec<_>>(), ["one", "two"]);
        assert!(steps.iter().all(|s| s.status == StepStatus::Succeeded && s.attempt == 1));
        assert_eq!(life.kinds(execution.id).await.len(), 6);
        let events: Vec<_> = life.bus.list(world.workspace, 0, 10).await.unwrap();
        assert_eq!(
            events.iter().map(|e| e.name.as_str()).collect::<Vec<_>>(),
            ["execution.started", "execution.finished"]
        );
        let end = &events[1].data;
        assert_eq!((end["status"].as_str(), end["bot_name"].as_str()), (Some("succeeded"), Some("b")));
        assert_eq!(end["execution"], json!(execution.id));
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_started_before_anyone_runs_waits_in_the_database() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", bot(vec![step("a")]));
        let still = world.still(db, None).await;
        let id = still.start("b", json!({})).await;
        assert_eq!(still.get(id).await.status, Status::Queued);
        let life = still.run();
        assert_eq!(life.end(id).await.status, Status::Succeeded);
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_the_same_key_gives_the_first_execution() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", bot(vec![step("a")]));
        world.bot("c", bot(vec![step("a")]));
        let life = world.live(db).await;
        let mut start = world.start("b", json!({}));
        start.idempotency_key = Some("k".into());
        let first = life.executor.start(start.clone()).await.unwrap();
        let again = life.executor.start(start.clone()).await.unwrap();
        assert!(!first.existing && again.existing);
        assert_eq!(first.id, again.id);
        let mut other = world.start("c", json!({}));
        other.idempotency_key = Some("k".into());
        let other = life.executor.start(other).await.unwrap();
        assert!(!other.existing, "another bot has its own keys");
        life.end(first.id).await;
        life.end(other.id).await;
        assert_eq!(world.effects.count("a"), 2, "once for each bot");
        start.idempotency_key = Some(String::new());
        assert_eq!(life.executor.start(start).await.unwrap_err().code(), Code::Invalid);
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_refused_and_nothing_is_stored() {
    on_each(async |db| {
        let world = World::new();
        let mut blueprint = bot(vec![step("a")]);
        blueprint.inputs = Some(json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}));
        world.bot("b", blueprint);
        let life = world.live(db).await;
        for (input, code) in [
            (json!({}), Code::Invalid),
            (json!({"n": "one"}), Code::Invalid),
            (json!([1]), Code::Invalid),
            (json!({"n": 1, "text": "x".repeat(1_100_000)}), Code::TooLarge),
        ] {
            let error = life.started("b", input).await.unwrap_err();
            assert_eq!(error.code(), code, "{error}");
            assert!(!error.faults().is_empty());
        }
        let page = life.executor.list(world.workspace, &Filter::default(), None, 10).await.unwrap();
        assert!(page.items.is_empty());
        assert!(life.bus.list(world.workspace, 0, 10).await.unwrap().is_empty());
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_in_a_transaction_counts_with_it() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", bot(vec![step("a")]));
        let life = world.live(db.clone()).await;
        for commits in [false, true] {
            let (executor, start) = (life.executor.clone(), world.start("b", json!({})));
            let result = db
                .write(move |tx| {
                    Box::pin(async move {
                        let started = executor.start_in(tx, start).await?;
                        if commits { Ok(started.id) } else { Err(crate::Error::conflict("no")) }
                    })
                })
                .await;
            life.executor.wake();
            match result {
                Ok(id) => assert_eq!(life.end(id).await.status, Status::Succeeded),
                Err(error) => assert_eq!(error.message(), "no"),
            }
        }
        let page = life.executor.list(world.workspace, &Filter::default(), None, 10).await.unwrap();
        assert_eq!(page.items.len(), 1);
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_filtered_and_paged_and_of_one_workspace() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", bot(vec![step("a")]));
        world.bot("bad", bot(vec![act("a", json!({"fail": "failed"}))]));
        let life = world.live(db).await;
        let mut ids = Vec::new();
        for _ in 0..5 {
            world.clock.advance(10);
            ids.push(life.run_to_end("b", json!({})).await.id);
        }
        let bad = life.run_to_end("bad", json!({})).await.id;
        let list = async |filter: Filter, cursor: Option<String>, limit| {
            life.executor.list(world.workspace, &filter, cursor.as_deref(), limit).await.unwrap()
        };
        let first = list(Filter { bot: Some("b".into()), ..Filter::default() }, None, 3).await;
        assert_eq!(first.items.iter().map(|e| e.id).collect::<Vec<_>>(), [ids[4], ids[3], ids[2]]);
        let rest = list(Filter { bot: Some("b".into()), ..Filter::default() }, first.next, 3).await;
        assert_eq!(rest.items.iter().map(|e| e.id).collect::<Vec<_>>(), [ids[1], ids[0]]);
        assert!(rest.next.is_none());
        let failed = list(Filter { status: Some(Status::Failed), ..Filter::default() }, None, 10).await;
        assert_eq!(failed.items.iter().map(|e| e.id).collect::<Vec<_>>(), [bad]);
        let other = WorkspaceId(Uuid::from_u128(2));
        assert!(life.executor.list(other, &Filter::default(), None, 10).await.unwrap().items.is_empty());
        for error in [
            life.executor.get(other, bad).await.unwrap_err(),
            life.executor.steps(other, bad).await.unwrap_err(),
            life.executor.journal(other, bad, 0, 1).await.unwrap_err(),
            life.executor.logs(other, bad, 0, 1).await.unwrap_err(),
            life.executor.cancel(other, bad, "eve", None).await.unwrap_err(),
            life.executor.signal(other, bad, "x.y", json!(1)).await.unwrap_err(),
            life.executor.retry(other, bad, None, "eve").await.unwrap_err(),
            life.executor.watch(other, bad, 0).await.err().unwrap(),
        ] {
            assert_eq!(error.code(), Code::NotFound);
        }
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_sees_everything_once_and_in_order() {
    on_each(async |db| {
        let world = World::new();
        let steps = vec![
            act("a", json!({"log": "one\ntwo"})),
            act("b", json!({"hold": true, "log": "three"})),
            act("c", json!({"log": "four"})),
        ];
        world.bot("b", bot(steps));
        let life = world.live(db).await;
        let id = life.start("b", json!({})).await;
        let watch = |after| life.executor.watch(world.workspace, id, after);
        let early = watch(0).await.unwrap();
        life.performing("b").await;
        let collected = tokio::spawn(early.map(|item| item.unwrap()).collect::<Vec<_>>());
        world.effects.release();
        let seen = tokio::time::timeout(PATIENCE, collected).await.unwrap().unwrap();
        assert!(matches!(seen.last(), Some(WatchItem::Entry(e)) if matches!(e.event, Event::Finished { .. })));
        let numbers: Vec<i64> = seen.iter().map(WatchItem::seq).collect();
        assert_eq!(numbers, (1..=i64::try_from(seen.len()).unwrap()).collect::<Vec<_>>());
        let late: Vec<_> = watch(0).await.unwrap().map(|item| item.unwrap()).collect().await;
        assert_eq!(late, seen, "the same afterwards");
        let all: Vec<_> = watch(-1).await.unwrap().map(|item| item.unwrap()).collect().await;
        assert_eq!(all, seen, "before the first is all");
        let rest: Vec<_> = watch(4).await.unwrap().map(|item| item.unwrap()).collect().await;
        assert_eq!(rest, seen[4..], "from a place on");
        let none: Vec<_> = watch(i64::try_from(seen.len()).unwrap()).await.unwrap().collect::<Vec<_>>().await;
        assert!(none.is_empty());
        let position = |what: &dyn Fn(&WatchItem) -> bool| seen.iter().position(what).unwrap();
        let two = position(&|item| matches!(item, WatchItem::Log(line) if line.text == "two" && line.step == "a"));
        let done = position(
            &|item| matches!(item, WatchItem::Entry(e) if matches!(&e.event, Event::StepSucceeded { path, .. } if path == "a")),
        );
        assert!(two < done, "lines are written before the result");
        let lines = life.executor.logs(world.workspace, id, 0, 10).await.unwrap();
        assert_eq!(lines.iter().map(|l| l.text.as_str()).collect::<Vec<_>>(), ["one", "two", "three", "four"]);
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_an_end_gives_up_in_time() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", bot(vec![act("a", json!({"hold": true}))]));
        let life = world.live(db).await;
        let id = life.start("b", json!({})).await;
        let error = life.executor.wait(world.workspace, id, Duration::from_millis(30)).await.unwrap_err();
        assert_eq!(error.code(), Code::Timeout);
        world.effects.release();
        assert_eq!(life.end(id).await.status, Status::Succeeded);
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_is_held_to_its_time_and_to_its_size() {
    on_each(async |db| {
        let world = World::new();
        world.bot("slow", bot(vec![limited(500, act("a", json!({"hold": true})))]));
        world.bot("big", bot(vec![act("a", json!({"size": 1_100_000}))]));
        world.bot("panics", bot(vec![act("a", json!({"panic": true}))]));
        let life = world.live(db).await;
        let id = life.start("slow", json!({})).await;
        life.performing("a").await;
        world.clock.advance(500);
        let error = life.end(id).await.error.unwrap();
        assert_eq!((error.code, error.step.as_str()), (Code::Timeout, "a"));
        assert_eq!(*world.effects.stopped.lock().unwrap(), ["a"]);
        let error = life.run_to_end("big", json!({})).await.error.unwrap();
        assert_eq!(error.code, Code::TooLarge);
        let error = life.run_to_end("panics", json!({})).await.error.unwrap();
        assert_eq!(error.code, Code::Internal);
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_cannot_be_rendered_fails_its_step() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", bot(vec![retried(3, act("a", json!({"value": "{{ input.nothing }}"})))]));
        let life = world.live(db).await;
        let execution = life.run_to_end("b", json!({})).await;
        let error = execution.error.unwrap();
        assert_eq!((error.code, error.step.as_str()), (Code::Invalid, "a"));
        assert!(error.message.contains("`with`"), "{}", error.message);
        assert!(world.effects.calls().is_empty());
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_calls_another_once_and_is_told_of_its_end() {
    on_each(async |db| {
        let world = World::new();
        world.bot(
            "parent",
            bot(vec![
                foreach("each", "[1, 2, 3]", 2, vec![call("c", "child", json!({"n": "{{ item }}"}), true)]),
                call("later", "child", json!({"n": 9}), false),
            ]),
        );
        world.bot("child", bot(vec![act("a", json!({"value": "{{ input.n * 2 }}"}))]));
        world.bot("asks", bot(vec![call("c", "nobody", json!({}), true)]));
        let life = world.live(db.clone()).await;
        let execution = life.run_to_end("parent", json!({})).await;
        assert_eq!(execution.status, Status::Succeeded, "{:?}", execution.error);
        let steps = life.executor.steps(world.workspace, execution.id).await.unwrap();
        let outputs: Vec<&Value> = steps[..3].iter().map(|s| s.output.as_ref().unwrap()).collect();
        let mut numbers: Vec<i64> = outputs.iter().map(|v| v.as_i64().unwrap()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [2, 4, 6]);
        let children = Filter { parent: Some(execution.id), ..Filter::default() };
        let children = life.executor.list(world.workspace, &children, None, 10).await.unwrap().items;
        assert_eq!(children.len(), 4);
        for child in children {
            assert_eq!(life.end(child.id).await.status, Status::Succeeded);
            assert_eq!(child.trigger["type"], "call");
        }
        let error = life.run_to_end("asks", json!({})).await.error.unwrap();
        assert_eq!(error.code, Code::NotFound);
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bot_that_calls_itself_is_stopped_somewhere() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", bot(vec![call("c", "b", json!({}), true)]));
        let life = world.live(db).await;
        let error = life.run_to_end("b", json!({})).await.error.unwrap();
        assert_eq!(error.code, Code::TooLarge);
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_executions_are_driven_at_a_time() {
    on_each(async |db| {
        let mut world = World::new();
        world.config.concurrency = 2;
        world.bot("b", bot(vec![act("a", json!({"hold": true}))]));
        let life = world.live(db).await;
        let mut ids = Vec::new();
        for _ in 0..5 {
            ids.push(life.start("b", json!({})).await);
        }
        life.until("two calls", async || (world.effects.calls().len() == 2).then_some(())).await;
        assert_eq!(life.executor.active(), 2);
        world.effects.release();
        for id in ids {
            assert_eq!(life.end(id).await.status, Status::Succeeded);
        }
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_executions_at_once_lose_nothing() {
    on_each(async |db| {
        let world = World::new();
        let branches =
            IndexMap::from([("a".to_owned(), vec![step("x")]), ("b".to_owned(), vec![step("y"), step("z")])]);
        world.bot("b", bot(vec![parallel("par", branches), foreach("each", "[1, 2, 3]", 2, vec![step("r")])]));
        let count = if db.backend() == Backend::Sqlite { 60 } else { 30 };
        let life = world.live(db).await;
        let starts = (0..count).map(|_| life.start("b", json!({})));
        for id in futures::future::join_all(starts).await {
            assert_eq!(life.end(id).await.status, Status::Succeeded);
        }
        let done = world.effects.done.lock().unwrap().clone();
        assert_eq!(done.len(), count * 6);
        assert!(done.values().all(|n| *n == 1));
        assert!(world.effects.wrong.lock().unwrap().is_empty());
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_log_is_streamed_whole() {
    on_each(async |db| {
        let world = World::new();
        let text: Vec<String> = (0..1_500).map(|n| n.to_string()).collect();
        world.bot("b", bot(vec![act("a", json!({"log": text.join("\n")})), act("z", json!({"log": "last"}))]));
        let life = world.live(db).await;
        let id = life.start("b", json!({})).await;
        let items = life.executor.watch(world.workspace, id, 0).await.unwrap();
        let items: Vec<WatchItem> = items.map(|item| item.unwrap()).collect().await;
        let lines: Vec<&str> = items
            .iter()
            .filter_map(|item| match item {
                WatchItem::Log(line) => Some(line.text.as_str()),
                WatchItem::Entry(_) => None,
            })
            .collect();
        assert_eq!(lines[..1_500], text);
        assert_eq!(lines[1_500..], ["last"]);
        assert_eq!(items.len(), lines.len() + 6);
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_goes_away_leaves_nothing_undriven() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", bot(vec![step("a")]));
        let life = world.live(db).await;
        for polls in 1..12 {
            let mut start = Box::pin(life.started("b", json!({})));
            for _ in 0..polls {
                if futures::poll!(&mut start).is_ready() {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        let running = |status| Filter { status: Some(status), ..Filter::default() };
        life.until("all to end", async || {
            for status in [Status::Queued, Status::Running] {
                let page = life.executor.list(world.workspace, &running(status), None, 1).await.unwrap();
                if !page.items.is_empty() {
                    return None;
                }
            }
            (life.executor.active() == 0).then_some(())
        })
        .await;
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_without_a_driver_is_found() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", bot(vec![step("a")]));
        let still = world.still(db, None).await;
        let id = still.start("b", json!({})).await;
        still.executor.claim_and_forget().await;
        assert_eq!(still.get(id).await.status, Status::Running);
        let life = still.run();
        life.until("its end", async || {
            world.clock.advance(1_000);
            life.get(id).await.status.is_finished().then_some(())
        })
        .await;
        life.stop().await;
    })
    .await;
}
