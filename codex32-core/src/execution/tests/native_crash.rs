//! The model, for a native function: killed between any two writes it ends as one that is not.

use super::crash::{Summary, live};
use super::native::does;
use super::world::{Effects, World};
use crate::blueprint::{Retry, Span};
use crate::error::{Error, Result};
use crate::execution::{Ctx, Status, StepOptions, WaitOptions};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Everything that a function can ask for, one after the other and at the same time.
async fn all(ctx: Ctx, effects: Arc<Effects>) -> Result<Value> {
    let first = does(&ctx, &effects, "first", json!(1)).await?;
    let retry = Retry { attempts: 2, delay: Span(1_000), jitter: 0.0, ..Retry::default() };
    let tried = effects.clone();
    let flaky = ctx.step_with("flaky", StepOptions { retry: Some(retry), timeout: None }, move |attempt| {
        let tried = tried.clone();
        async move {
            if attempt.number == 1 {
                return Err(Error::unavailable("busy"));
            }
            *tried.done.lock().unwrap().entry(attempt.idempotency_key).or_default() += 1;
            Ok(attempt.number)
        }
    });
    let flaky = flaky.await?;
    let fails = ctx.step::<Value, _, _>("fails", || async { Err(Error::invalid("it is no good")) }).await;
    let lane = async {
        ctx.sleep("nap", Duration::from_secs(60)).await?;
        does(&ctx, &effects, "rested", json!("nap")).await
    };
    let other = async {
        let child = ctx.child("child", json!({})).await?;
        let sent = does(&ctx, &effects, "called", child).await?;
        let event = ctx.event("go.on", WaitOptions { filter: Some("event.n == 1".into()), timeout: None }).await?;
        Ok::<_, Error>(json!([sent, event]))
    };
    let (lane, other) = futures::join!(lane, other);
    let signal = ctx.signal("sent").await?;
    let mut sent = Vec::new();
    for n in 0..3 {
        sent.push(does(&ctx, &effects, "each", json!(n)).await?);
    }
    let code = fails.unwrap_err().code().as_str();
    Ok(
        json!({"first": first, "flaky": flaky, "fails": code, "lane": lane?, "other": other?, "n": signal["n"], "sent": sent}),
    )
}

struct Case {
    world: World,
    folder: tempfile::TempDir,
}

impl Case {
    fn new() -> Case {
        let world = World::new();
        let effects = world.effects.clone();
        world.native("b", move |ctx: Ctx, _: Value| all(ctx, effects.clone()));
        world.bot("child", super::generate::child());
        Case { world, folder: tempfile::tempdir().unwrap() }
    }

    fn live(&self, at: usize) -> (Option<Summary>, usize) {
        live(&self.world, &format!("sqlite://{}/db", self.folder.path().display()), at)
    }
}

#[test]
fn a_function_that_crashes_at_any_place_does_the_same() {
    let calm = Case::new();
    let (expected, places) = calm.live(usize::MAX);
    let expected = expected.unwrap();
    assert_eq!(expected.status, Status::Succeeded, "{expected:#?}");
    assert!(places > 40, "there are {places} places");
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::SeqCst);
                    if at >= places {
                        return;
                    }
                    let case = Case::new();
                    let (before, _) = case.live(at);
                    let got = before.unwrap_or_else(|| case.live(usize::MAX).0.unwrap());
                    assert_eq!(got, expected, "after a crash at {at}");
                    let done = case.world.effects.done.lock().unwrap();
                    assert!(done.values().all(|times| *times <= 2), "after a crash at {at}: {done:?}");
                }
            });
        }
    });
}
