//! The executor on both databases: taking back what was done.

use super::blueprints::{act, attempt, bot, call, fail, retried, step, undone};
use super::world::World;
use crate::blueprint::Step;
use crate::execution::{Status, StepStatus};
use crate::storage::testing::on_each;
use serde_json::json;

fn reserve(id: &str) -> Step {
    undone(act(id, json!({"value": {"id": id}})), act("u", json!({"value": "{{ result.id }}"})))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_execution_takes_back_what_it_did() {
    on_each(async |db| {
        let world = World::new();
        let child = undone(call("c", "child", json!({}), true), call("u", "back", json!({"of": "{{ result }}"}), true));
        let late =
            undone(act("late", json!({"value": 1})), retried(2, act("u", json!({"fail": "unavailable", "times": 1}))));
        let stubborn = undone(act("b", json!({"value": 1})), act("u", json!({"fail": "forbidden"})));
        world.bot("b", bot(vec![reserve("a"), child, late, stubborn, fail("bad", "no")]));
        world.bot("child", bot(vec![act("made", json!({"value": 5}))]));
        world.bot("back", bot(vec![act("unmade", json!({"value": "{{ input.of }}"}))]));
        let life = world.live(db).await;
        let id = life.start("b", json!({})).await;
        life.performing("late/undo").await;
        life.reach(id, Status::Waiting).await;
        world.clock.advance(1_000);
        let execution = life.end(id).await;
        let error = execution.error.unwrap();
        assert_eq!((execution.status, error.step.as_str()), (Status::Failed, "bad"));
        assert_eq!(error.message, "no; 1 step could not be undone");
        assert_eq!(error.not_undone[0].step, "b");
        let calls = world.effects.calls();
        assert_eq!(calls, ["a", "made", "late", "b", "b/undo", "late/undo", "late/undo", "unmade", "a/undo"]);
        assert_eq!(world.effects.inputs.lock().unwrap().last().unwrap().1, json!({"value": "a"}));
        let steps = life.executor.steps(world.workspace, id).await.unwrap();
        let undone: Vec<&str> = steps.iter().filter(|s| s.undone).map(|s| s.path.as_str()).collect();
        assert_eq!(undone, ["a", "c", "late"]);
        let failed = steps.iter().find(|s| s.path == "b/undo").unwrap();
        assert_eq!(failed.status, StepStatus::Failed);
        assert!(world.effects.wrong.lock().unwrap().is_empty());
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_execution_takes_back_what_it_did() {
    on_each(async |db| {
        let world = World::new();
        let steps = vec![reserve("a"), act("held", json!({"hold": true}))];
        world.bot("b", bot(vec![attempt("t", steps, vec![], vec![step("tidy")])]));
        let life = world.live(db).await;
        let id = life.start("b", json!({})).await;
        life.performing("t/body/held").await;
        life.executor.cancel(world.workspace, id, "ann", None).await.unwrap();
        let execution = life.end(id).await;
        assert_eq!(
            (execution.status, execution.error.unwrap().message.as_str()),
            (Status::Cancelled, "cancelled by ann")
        );
        assert_eq!(world.effects.calls()[2..], ["t/finally/tidy", "t/body/a/undo"]);
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_undone_is_done_again_when_it_is_taken_up_again() {
    on_each(async |db| {
        let world = World::new();
        let careful = attempt("t", vec![reserve("b"), fail("bad", "no")], vec![step("caught")], vec![]);
        let steps =
            vec![step("before"), careful, reserve("a"), step("after"), act("bad_too", json!({"fail": "failed"}))];
        world.bot("b", bot(steps));
        let life = world.live(db).await;
        let failed = life.run_to_end("b", json!({})).await;
        assert_eq!(failed.error.unwrap().step, "bad_too");
        let again = life.executor.retry(world.workspace, failed.id, None, "user:ann").await.unwrap();
        life.end(again.id).await;
        let count = |path: &str| world.effects.count(path);
        assert_eq!((count("a"), count("a/undo"), count("after")), (2, 2, 2), "from what was undone on");
        assert_eq!((count("before"), count("t/body/b"), count("t/body/b/undo"), count("t/catch/caught")), (1, 1, 1, 1));
        let inside = life.executor.retry(world.workspace, failed.id, Some("t/catch/caught"), "user:ann").await.unwrap();
        life.end(inside.id).await;
        assert_eq!((count("t/body/b"), count("t/body/b/undo"), count("t/catch/caught")), (1, 1, 2));
        let body = life.executor.retry(world.workspace, failed.id, Some("t/body/bad"), "user:ann").await.unwrap();
        life.end(body.id).await;
        assert_eq!((count("t/body/b"), count("t/body/b/undo")), (2, 2), "it was undone: it is done again");
        life.stop().await;
    })
    .await;
}
