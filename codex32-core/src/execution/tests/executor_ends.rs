//! The executor on both databases: cancelling, pausing, taking up again, shutting down.

use super::blueprints::{act, attempt, bot, call, foreach, parallel, sleep, step};
use super::world::World;
use crate::error::Code;
use crate::execution::{Status, StepStatus};
use crate::storage::testing::on_each;
use indexmap::IndexMap;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_stops_what_runs_and_the_children() {
    on_each(async |db| {
        let world = World::new();
        let branches = IndexMap::from([
            ("a".to_owned(), vec![act("held", json!({"hold": true}))]),
            ("b".to_owned(), vec![call("c", "child", json!({}), true)]),
        ]);
        world.bot("parent", bot(vec![attempt("t", vec![parallel("par", branches)], vec![], vec![step("tidy")])]));
        world.bot("child", bot(vec![act("inner", json!({"hold": true}))]));
        let life = world.live(db).await;
        let id = life.start("parent", json!({})).await;
        life.performing("t/body/par.a/held").await;
        life.performing("inner").await;
        life.executor.cancel(world.workspace, id, "ann", Some("enough")).await.unwrap();
        let execution = life.end(id).await;
        assert_eq!(execution.status, Status::Cancelled);
        assert_eq!(execution.error.unwrap().message, "cancelled by ann: enough");
        assert_eq!(world.effects.count("t/finally/tidy"), 1);
        let steps = life.executor.steps(world.workspace, id).await.unwrap();
        let child = steps.iter().find_map(|s| s.child).unwrap();
        assert_eq!(life.end(child).await.status, Status::Cancelled);
        life.until("both to stop", async || (world.effects.stopped.lock().unwrap().len() == 2).then_some(())).await;
        let held = steps.iter().find(|s| s.path.ends_with("held")).unwrap();
        assert_eq!(held.status, StepStatus::Cancelled);
        let error = life.executor.cancel(world.workspace, id, "ann", None).await.unwrap_err();
        assert_eq!(error.code(), Code::Precondition);
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_or_has_not_begun_can_be_cancelled() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", bot(vec![sleep("w", 1_000_000)]));
        let still = world.still(db, None).await;
        let queued = still.start("b", json!({})).await;
        still.executor.cancel(world.workspace, queued, "ann", None).await.unwrap();
        let life = still.run();
        assert_eq!(life.end(queued).await.status, Status::Cancelled);
        let waiting = life.start("b", json!({})).await;
        life.reach(waiting, Status::Waiting).await;
        life.executor.cancel(world.workspace, waiting, "ann", None).await.unwrap();
        assert_eq!(life.end(waiting).await.status, Status::Cancelled);
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_execution_stands_still_until_it_is_resumed() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", bot(vec![act("a", json!({"hold": true})), sleep("w", 1_000), step("c")]));
        let life = world.live(db).await;
        let id = life.start("b", json!({})).await;
        life.performing("a").await;
        life.executor.pause(world.workspace, id, "ann").await.unwrap();
        life.reach(id, Status::Paused).await;
        world.effects.release();
        life.until("no driver", async || (life.executor.active() == 0).then_some(())).await;
        assert!(life.kinds(id).await.contains(&"step_succeeded a".to_owned()), "what ran is recorded");
        world.clock.advance(100_000);
        assert_eq!(life.get(id).await.status, Status::Paused);
        life.executor.resume(world.workspace, id, "ann").await.unwrap();
        assert_eq!(life.end(id).await.status, Status::Succeeded, "the time had come meanwhile");
        let waiting = life.start("b", json!({})).await;
        life.reach(waiting, Status::Waiting).await;
        life.executor.pause(world.workspace, waiting, "ann").await.unwrap();
        life.reach(waiting, Status::Paused).await;
        world.clock.advance(100_000);
        assert_eq!(life.get(waiting).await.status, Status::Paused);
        life.executor.resume(world.workspace, waiting, "ann").await.unwrap();
        assert_eq!(life.end(waiting).await.status, Status::Succeeded);
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_execution_can_be_cancelled() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", bot(vec![act("a", json!({"hold": true}))]));
        let life = world.live(db).await;
        let id = life.start("b", json!({})).await;
        life.performing("a").await;
        life.executor.pause(world.workspace, id, "ann").await.unwrap();
        life.reach(id, Status::Paused).await;
        life.executor.cancel(world.workspace, id, "ann", None).await.unwrap();
        assert_eq!(life.end(id).await.status, Status::Cancelled);
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_execution_goes_on_from_the_step_that_failed() {
    on_each(async |db| {
        let world = World::new();
        let steps = vec![
            act("a", json!({"value": 1})),
            foreach("each", "[10, 20]", 1, vec![act("r", json!({"value": "{{ item + steps.a }}"}))]),
            act("b", json!({"fail": "failed"})),
            act("c", json!({"value": "{{ steps.each }}"})),
        ];
        world.bot("b", bot(steps.clone()));
        let life = world.live(db).await;
        let failed = life.run_to_end("b", json!({})).await;
        assert_eq!(failed.error.unwrap().step, "b");
        let again = life.executor.retry(world.workspace, failed.id, None, "user:ann").await.unwrap();
        let execution = life.end(again.id).await;
        assert_eq!((execution.status, execution.retry_of), (Status::Failed, Some(failed.id)));
        assert_eq!((world.effects.count("a"), world.effects.count("each[1]/r")), (1, 1), "not computed again");
        let calls = world.effects.calls();
        assert_eq!(calls.iter().filter(|path| *path == "b").count(), 2);
        let steps = life.executor.steps(world.workspace, again.id).await.unwrap();
        assert!(steps.iter().filter(|s| s.path != "b").all(|s| s.copied));
        let earlier = life.executor.retry(world.workspace, again.id, Some("each[1]/r"), "user:ann").await.unwrap();
        life.end(earlier.id).await;
        assert_eq!((world.effects.count("a"), world.effects.count("each[0]/r")), (1, 1));
        assert_eq!(world.effects.count("each[1]/r"), 2);
        let error = life.executor.retry(world.workspace, failed.id, Some("nowhere"), "ann").await.unwrap_err();
        assert_eq!(error.code(), Code::Invalid);
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_over_and_failed_is_retried_without_a_place() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", bot(vec![act("a", json!({"hold": true}))]));
        let life = world.live(db).await;
        let id = life.start("b", json!({})).await;
        let error = life.executor.retry(world.workspace, id, None, "ann").await.unwrap_err();
        assert_eq!(error.code(), Code::Precondition);
        world.effects.release();
        life.end(id).await;
        let error = life.executor.retry(world.workspace, id, None, "ann").await.unwrap_err();
        assert_eq!(error.code(), Code::Precondition);
        let again = life.executor.retry(world.workspace, id, Some("a"), "ann").await.unwrap();
        assert_eq!(life.end(again.id).await.status, Status::Succeeded);
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_execution_goes_on_where_it_was() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", bot(vec![step("a"), act("b", json!({"hold": true, "value": 3}))]));
        let life = world.live(db).await;
        let id = life.start("b", json!({})).await;
        life.performing("b").await;
        life.executor.cancel(world.workspace, id, "ann", None).await.unwrap();
        life.end(id).await;
        world.effects.release();
        let again = life.executor.retry(world.workspace, id, None, "ann").await.unwrap();
        assert_eq!(life.end(again.id).await.output, Some(json!(3)));
        assert_eq!(world.effects.count("a"), 1);
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_records_what_ends_in_time_and_the_rest_goes_on_later() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", bot(vec![step("a"), act("held", json!({"hold": true})), step("c")]));
        let life = world.live(db.clone()).await;
        let id = life.start("b", json!({})).await;
        life.performing("held").await;
        life.stop().await;
        let again = world.still(db, None).await;
        assert_eq!(again.get(id).await.status, Status::Queued);
        let again = again.run();
        world.effects.release();
        assert_eq!(again.end(id).await.status, Status::Succeeded);
        assert_eq!(world.effects.count("a"), 1);
        assert_eq!(world.effects.calls(), ["a", "held", "held", "c"]);
        assert!(world.effects.wrong.lock().unwrap().is_empty());
        again.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_whose_version_is_gone_fails_and_says_so() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", bot(vec![sleep("w", 1_000)]));
        let life = world.live(db.clone()).await;
        let id = life.start("b", json!({})).await;
        life.reach(id, Status::Waiting).await;
        life.stop().await;
        let mut forgetful = World::new();
        forgetful.clock = world.clock.clone();
        forgetful.keys = world.keys.clone();
        let life = forgetful.live(db).await;
        world.clock.advance(1_000);
        let execution = life.end(id).await;
        assert_eq!(execution.error.unwrap().code, Code::NotFound);
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_waits_for_a_database_that_is_away() {
    on_each(async |db| {
        let world = World::new();
        world.bot("parent", bot(vec![call("c", "child", json!({}), true)]));
        world.bot("child", bot(vec![step("inner")]));
        world.bots.away.store(2, std::sync::atomic::Ordering::SeqCst);
        let life = world.live(db).await;
        let id = life.start("parent", json!({})).await;
        life.until("its end", async || {
            world.clock.advance(500);
            life.get(id).await.status.is_finished().then_some(())
        })
        .await;
        assert_eq!(life.end(id).await.status, Status::Succeeded);
        life.stop().await;
    })
    .await;
}
