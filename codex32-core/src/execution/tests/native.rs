//! Native functions on both databases: calls, waits, faults of determinism.

use super::blueprints::{act, bot, sleep, step};
use super::world::{Effects, Life, World};
use crate::blueprint::{Native, Retry, Span};
use crate::error::{Code, Error, Result};
use crate::execution::{Ctx, Execution, Status, StepOptions, StepStatus, WaitOptions};
use crate::id::ExecutionId;
use crate::storage::testing::on_each;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Run = futures::future::BoxFuture<'static, Result<Value>>;
type Function = fn(Ctx) -> Run;

const HOUR: Duration = Duration::from_secs(3_600);

/// A step that is counted and gives `value`.
pub(super) async fn does(ctx: &Ctx, effects: &Arc<Effects>, name: &str, value: Value) -> Result<Value> {
    let effects = effects.clone();
    ctx.step_with(name, StepOptions::default(), move |attempt| {
        let (effects, value) = (effects.clone(), value.clone());
        async move {
            effects.inputs.lock().unwrap().push((attempt.step, value.clone()));
            *effects.done.lock().unwrap().entry(attempt.idempotency_key).or_default() += 1;
            Ok(value)
        }
    })
    .await
}

async fn parked(life: &Life, id: ExecutionId) -> Execution {
    let waiting = life.reach(id, Status::Waiting).await;
    life.until("no driver", async || (life.executor.active() == 0).then_some(())).await;
    waiting
}

async fn signal(life: &Life, id: ExecutionId, name: &str, payload: Value) {
    life.executor.signal(life.world.workspace, id, name, payload).await.unwrap();
}

fn one_of_each(effects: Arc<Effects>) -> impl Fn(Ctx, Value) -> Run {
    move |ctx, input| {
        let effects = effects.clone();
        Box::pin(async move {
            let charged = does(&ctx, &effects, "charge", input["amount"].clone()).await?;
            ctx.sleep("cool-off", HOUR).await?;
            let paid = ctx.signal("paid").await?;
            let child = ctx.child("child", json!({})).await?;
            let (a, b) =
                futures::join!(does(&ctx, &effects, "send", json!("a")), does(&ctx, &effects, "send", json!("b")));
            Ok(json!({"charged": charged, "paid": paid, "child": child, "sent": [a?, b?]}))
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_does_each_thing_once_and_waits_without_memory() {
    on_each(async |db| {
        let world = World::new();
        let held = Arc::new(());
        let (runs, alive) = (Arc::new(AtomicUsize::new(0)), held.clone());
        let each = one_of_each(world.effects.clone());
        let counted = runs.clone();
        world.native("b", move |ctx: Ctx, input: Value| {
            counted.fetch_add(1, Ordering::SeqCst);
            let (run, alive) = (each(ctx, input), alive.clone());
            async move {
                let _alive = alive;
                run.await
            }
        });
        world.bot("child", bot(vec![sleep("w", 10_000), act("c", json!({"value": 5}))]));
        let life = world.live(db).await;
        let id = life.start("b", json!({"amount": 3})).await;
        let waiting = parked(&life, id).await;
        assert_eq!(waiting.runs_on, ["native:b"]);
        assert_eq!(Arc::strong_count(&held), 2, "the function is dropped while it waits");
        world.clock.advance(3_600_000);
        life.until("the second wait", async || (runs.load(Ordering::SeqCst) == 2).then_some(())).await;
        parked(&life, id).await;
        signal(&life, id, "paid", json!({"by": "ann"})).await;
        life.until("the child", async || {
            let steps = life.executor.steps(world.workspace, id).await.unwrap();
            steps.iter().any(|step| step.path == "child" && step.child.is_some()).then_some(())
        })
        .await;
        parked(&life, id).await;
        world.clock.advance(10_000);
        let execution = life.end(id).await;
        assert_eq!(
            execution.output,
            Some(json!({"charged": 3, "paid": {"by": "ann"}, "child": 5, "sent": ["a", "b"]})),
            "{execution:?}"
        );
        let kinds = life.kinds(id).await;
        assert_eq!(
            kinds[..15],
            [
                "started",
                "step_scheduled charge",
                "step_succeeded charge",
                "timer_set cool-off",
                "timer_fired cool-off",
                "step_succeeded cool-off",
                "step_scheduled paid",
                "signal_received",
                "step_succeeded paid",
                "step_scheduled child",
                "child_started child",
                "child_finished child",
                "step_succeeded child",
                "step_scheduled send",
                "step_scheduled send#2",
            ]
        );
        assert_eq!((kinds.len(), kinds[17].as_str()), (18, "finished"), "the two in either order");
        let steps = life.executor.steps(world.workspace, id).await.unwrap();
        assert!(steps.iter().all(|step| step.status == StepStatus::Succeeded), "{steps:?}");
        for path in ["charge", "send", "send#2"] {
            assert_eq!(world.effects.count(path), 1, "{path}");
        }
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_is_tried_again_with_the_same_key_and_held_to_its_time() {
    on_each(async |db| {
        let world = World::new();
        let effects = world.effects.clone();
        world.native("b", move |ctx: Ctx, _: Value| {
            let effects = effects.clone();
            async move {
                let retry = Retry { attempts: 3, delay: Span(1_000), jitter: 0.0, ..Retry::default() };
                let options = StepOptions { retry: Some(retry), timeout: None };
                let tried = ctx
                    .step_with("flaky", options, move |attempt| {
                        let effects = effects.clone();
                        async move {
                            effects.inputs.lock().unwrap().push((attempt.idempotency_key, json!(attempt.number)));
                            if attempt.number < 3 { Err(Error::unavailable("busy")) } else { Ok(attempt.number) }
                        }
                    })
                    .await?;
                let options = StepOptions { timeout: Some(Duration::from_secs(5)), retry: None };
                let hangs = ctx.step_with("hangs", options, |_| std::future::pending::<Result<Value>>()).await;
                Ok(json!({"tried": tried, "hangs": hangs.unwrap_err().code().as_str()}))
            }
        });
        let life = world.live(db).await;
        let id = life.start("b", json!({})).await;
        let execution = life
            .until("the end", async || {
                let running = life.get(id).await;
                // Retries wait without a driver; the attempt that hangs has one.
                world.clock.advance(1_000);
                running.status.is_finished().then_some(running)
            })
            .await;
        assert_eq!(execution.output, Some(json!({"tried": 3, "hangs": "timeout"})), "{execution:?}");
        let key = format!("{id}:flaky");
        let expected: Vec<_> = (1..=3).map(|number| (key.clone(), json!(number))).collect();
        assert_eq!(*world.effects.inputs.lock().unwrap(), expected);
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_fails_a_step_or_the_function_and_nothing_else() {
    on_each(async |db| {
        let world = World::new();
        world.native("b", |ctx: Ctx, input: Value| async move {
            let body = || async { panic!("as it was told") };
            let caught = ctx.step::<Value, _, _>("falls", body).await.unwrap_err();
            assert!(input["panic"].is_null(), "as it was told");
            Ok(json!([caught.code().as_str(), caught.message()]))
        });
        let life = world.live(db).await;
        let told = life.run_to_end("b", json!({})).await;
        assert_eq!(told.output, Some(json!(["internal", "the step panicked; the engine's log has the details"])));
        let error = life.run_to_end("b", json!({"panic": true})).await.error.unwrap();
        assert_eq!((error.code, error.message.contains("the function panicked")), (Code::Internal, true));
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_names_its_step_and_is_taken_up_from_there() {
    on_each(async |db| {
        let world = World::new();
        let (effects, broken) = (world.effects.clone(), Arc::new(AtomicUsize::new(1)));
        let switch = broken.clone();
        world.native("b", move |ctx: Ctx, _: Value| {
            let (effects, switch) = (effects.clone(), switch.clone());
            async move {
                let first = does(&ctx, &effects, "first", json!(1)).await?;
                let second = ctx.step("second", move || {
                    let broken = switch.load(Ordering::SeqCst) == 1;
                    async move { if broken { Err(Error::new(Code::Failed, "it broke")) } else { Ok(2) } }
                });
                Ok(json!([first, second.await?]))
            }
        });
        let life = world.live(db).await;
        let failed = life.run_to_end("b", json!({})).await;
        let error = failed.error.clone().unwrap();
        assert_eq!((error.code, error.step.as_str(), error.message.as_str()), (Code::Failed, "second", "it broke"));
        broken.store(0, Ordering::SeqCst);
        let again = life.executor.retry(world.workspace, failed.id, None, "user:ann").await.unwrap().id;
        assert_eq!(life.end(again).await.output, Some(json!([1, 2])));
        assert_eq!(world.effects.count("first"), 1, "its result was taken over");
        let from = life.executor.retry(world.workspace, again, Some("first"), "user:ann").await.unwrap().id;
        assert_eq!(life.end(from).await.output, Some(json!([1, 2])));
        assert_eq!(world.effects.count("first"), 2, "it was to be done again");
        let error = life.executor.retry(world.workspace, again, Some("third"), "user:ann").await.unwrap_err();
        assert_eq!(error.code(), Code::Invalid);
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_drops_what_runs_and_tells_the_function() {
    on_each(async |db| {
        let world = World::new();
        let (effects, told) = (world.effects.clone(), Arc::new(Mutex::new(Vec::new())));
        let (tell, held) = (told.clone(), Arc::new(()));
        let alive = held.clone();
        world.native("b", move |ctx: Ctx, _: Value| {
            let (effects, tell, alive) = (effects.clone(), tell.clone(), alive.clone());
            async move {
                let step = ctx.step("hangs", move || {
                    let alive = alive.clone();
                    async move {
                        let _alive = alive;
                        std::future::pending::<Result<Value>>().await
                    }
                });
                let (step, child) = futures::join!(step, ctx.child("child", json!({})));
                for error in [step.unwrap_err(), child.unwrap_err()] {
                    tell.lock().unwrap().push(error.code());
                }
                let late = does(&ctx, &effects, "late", json!(1)).await.unwrap_err().code();
                tell.lock().unwrap().push(late);
                Ok(json!("in vain"))
            }
        });
        world.bot("child", bot(vec![act("c", json!({"hold": true}))]));
        let life = world.live(db).await;
        let id = life.start("b", json!({})).await;
        life.performing("c").await;
        life.executor.cancel(world.workspace, id, "ann", Some("enough")).await.unwrap();
        let execution = life.end(id).await;
        let error = execution.error.unwrap();
        assert_eq!((execution.status, error.code), (Status::Cancelled, Code::Cancelled));
        assert_eq!(error.message, "cancelled by ann: enough");
        life.until("its child is told to stop", async || {
            let stopped = world.effects.stopped.lock().unwrap().clone();
            (stopped == ["c"]).then_some(())
        })
        .await;
        life.until("the function is told", async || {
            (*told.lock().unwrap() == [Code::Cancelled; 3] && life.executor.active() == 0).then_some(())
        })
        .await;
        assert_eq!(world.effects.count("late"), 0);
        assert_eq!(Arc::strong_count(&held), 2, "the body was dropped; the function itself keeps one");
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_function_begins_nothing_until_it_is_resumed() {
    on_each(async |db| {
        let world = World::new();
        let effects = world.effects.clone();
        world.native("b", move |ctx: Ctx, _: Value| {
            let effects = effects.clone();
            async move {
                ctx.signal("go").await?;
                does(&ctx, &effects, "after", json!(7)).await
            }
        });
        let life = world.live(db).await;
        let id = life.start("b", json!({})).await;
        parked(&life, id).await;
        life.executor.pause(world.workspace, id, "ann").await.unwrap();
        life.reach(id, Status::Paused).await;
        signal(&life, id, "go", json!(1)).await;
        assert_eq!((life.get(id).await.status, world.effects.count("after")), (Status::Paused, 0));
        life.executor.resume(world.workspace, id, "ann").await.unwrap();
        assert_eq!(life.end(id).await.output, Some(json!(7)));
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_and_events_reach_who_waits_for_them() {
    on_each(async |db| {
        let world = World::new();
        world.native("b", |ctx: Ctx, _: Value| async move {
            let first = ctx.signal("go").await?;
            let second = ctx.signal("go").await?;
            let filter = Some("event.n == 2".to_owned());
            let event = ctx.event("order.paid", WaitOptions { filter, timeout: None }).await?;
            let late = ctx.signal_within("never", HOUR).await.unwrap_err();
            let bad = WaitOptions { filter: Some("event.".to_owned()), timeout: None };
            let bad = ctx.event("order.paid", bad).await.unwrap_err();
            let name = ctx.signal("a/b").await.unwrap_err();
            let codes = [late.code(), bad.code(), name.code()].map(Code::as_str);
            Ok(json!([first, second, event, codes]))
        });
        let life = world.live(db).await;
        let id = life.start("b", json!({})).await;
        signal(&life, id, "go", json!("first")).await;
        signal(&life, id, "go", json!("second")).await;
        life.until("the wait for the event", async || {
            life.kinds(id).await.contains(&"step_scheduled order.paid".to_owned()).then_some(())
        })
        .await;
        parked(&life, id).await;
        for n in [1, 2] {
            life.bus.emit(world.workspace, "order.paid", json!({"n": n}), 0).await.unwrap();
        }
        life.until("the last wait", async || {
            life.kinds(id).await.contains(&"step_scheduled never".to_owned()).then_some(())
        })
        .await;
        parked(&life, id).await;
        world.clock.advance(3_600_000);
        let expected = json!(["first", "second", {"n": 2}, ["timeout", "invalid", "invalid"]]);
        assert_eq!(life.end(id).await.output, Some(expected));
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_not_registered_a_function_leaves_its_executions() {
    on_each(async |db| {
        let world = World::new();
        world.native("b", |ctx: Ctx, _: Value| async move { ctx.step("a", || async { Ok(json!(1)) }).await });
        let mine = world.natives.lock().unwrap().pop().unwrap();
        let life = world.live(db).await;
        let id = life.start("b", json!({})).await;
        life.until("what is missing is told", async || {
            let missing = life.executor.missing_labels(&life.get(id).await).await.unwrap();
            (missing == ["native:b"]).then_some(())
        })
        .await;
        let other = Native { revision: Some("2".into()), ..mine.0.clone() };
        life.executor.register(&other, mine.1.clone()).await;
        // A bot that anybody can drive is driven meanwhile, so that the other would have been.
        world.bot("plain", bot(vec![step("s")]));
        life.run_to_end("plain", json!({})).await;
        assert_eq!(life.get(id).await.status, Status::Queued, "another revision is another function");
        life.executor.register(&mine.0, mine.1).await;
        assert_eq!(life.end(id).await.output, Some(json!(1)));
        life.stop().await;
    })
    .await;
}

/// Runs `first` until it waits for `go`, then `second` in its place. Gives how it ends.
async fn changed(db: crate::storage::Db, first: Function, second: Function) -> Execution {
    let world = World::new();
    let runs = AtomicUsize::new(0);
    world.native(
        "b",
        move |ctx: Ctx, _: Value| {
            if runs.fetch_add(1, Ordering::SeqCst) == 0 { first(ctx) } else { second(ctx) }
        },
    );
    let life = world.live(db).await;
    let id = life.start("b", json!({})).await;
    parked(&life, id).await;
    signal(&life, id, "go", json!(1)).await;
    let execution = life.end(id).await;
    life.stop().await;
    execution
}

fn charge_and_wait(ctx: Ctx) -> Run {
    Box::pin(async move {
        ctx.step("charge", || async { Ok(1) }).await?;
        ctx.signal("go").await
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_does_something_else_is_found_out() {
    on_each(async |db| {
        let same = changed(db, charge_and_wait, charge_and_wait).await;
        assert_eq!(same.output, Some(json!(1)), "{same:?}");
    })
    .await;
    let others: [(Function, &str); 4] = [
        (
            |ctx| {
                Box::pin(async move {
                    ctx.step("refund", || async { Ok(1) }).await?;
                    ctx.signal("go").await
                })
            },
            "call 1 was the step `charge`, now it is the step `refund`",
        ),
        (
            |ctx| Box::pin(async move { ctx.sleep("charge", HOUR).await.map(|()| json!(1)) }),
            "call 1 was the step `charge`, now it is the sleep `charge`",
        ),
        (
            |ctx| Box::pin(async move { ctx.step("charge", || async { Ok(json!(1)) }).await }),
            "call 2 was the signal `go`, now it is the end of the function",
        ),
        (
            |ctx| Box::pin(async move { ctx.signal("go").await }),
            "call 1 was the step `charge`, now it is the signal `go`",
        ),
    ];
    for (other, what) in others {
        on_each(async |db| {
            let error = changed(db, charge_and_wait, other).await.error.unwrap();
            assert_eq!(error.code, Code::Nondeterministic, "{error:?}");
            assert!(error.message.ends_with(what), "{}", error.message);
            assert!(error.hint.is_some() && error.faults.len() == 1);
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_drawn_and_said_and_who_was_first_stay_the_same() {
    on_each(async |db| {
        let world = World::new();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let note = seen.clone();
        world.native("b", move |ctx: Ctx, _: Value| {
            let note = note.clone();
            async move {
                ctx.log("it begins");
                let mut own = vec![json!(ctx.now()), json!(ctx.uuid()), json!(ctx.random()), json!(ctx.random())];
                let (slow, quick) = (Box::pin(ctx.sleep("slow", HOUR)), Box::pin(ctx.signal("quick")));
                let first = match futures::future::select(slow, quick).await {
                    futures::future::Either::Left(_) => "slow",
                    futures::future::Either::Right(_) => "quick",
                };
                own.extend([json!(first), json!(ctx.now())]);
                ctx.step("mark", || async { Ok(()) }).await?;
                note.lock().unwrap().push(own.clone());
                ctx.signal("go").await?;
                Ok(Value::from(own))
            }
        });
        let life = world.live(db).await;
        let id = life.start("b", json!({})).await;
        parked(&life, id).await;
        world.clock.advance(1_000);
        signal(&life, id, "quick", json!(1)).await;
        life.until("it comes to its last wait", async || {
            life.kinds(id).await.contains(&"step_scheduled go".to_owned()).then_some(())
        })
        .await;
        parked(&life, id).await;
        // Both are over by then; the first stays the first.
        world.clock.advance(3_600_000);
        life.until("the time is over", async || {
            life.kinds(id).await.contains(&"step_succeeded slow".to_owned()).then_some(())
        })
        .await;
        signal(&life, id, "go", json!(1)).await;
        let execution = life.end(id).await;
        let seen = seen.lock().unwrap().clone();
        assert!(seen.len() > 1 && seen.iter().all(|one| *one == seen[0]), "{seen:?}");
        assert_eq!(execution.output, Some(Value::from(seen[0].clone())));
        assert_eq!(seen[0][4], "quick");
        assert!(seen[0][2] != seen[0][3] && seen[0][5].as_i64() > seen[0][0].as_i64());
        let lines = life.executor.logs(world.workspace, id, 0, 10).await.unwrap();
        assert_eq!(lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>(), ["it begins"]);
        life.stop().await;
    })
    .await;
}
