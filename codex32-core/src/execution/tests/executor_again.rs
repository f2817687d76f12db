//! The executor on both databases: journals followed once more, forks, and other versions.

use super::blueprints::{act, approve, await_event, bot, call, parallel, retried, sleep, step};
use super::world::{Life, World};
use crate::blueprint::{ApprovalWait, Blueprint, Step};
use crate::error::Code;
use crate::execution::{Fork, Replay, Status};
use crate::id::ExecutionId;
use crate::storage::testing::on_each;
use indexmap::IndexMap;
use serde_json::{Value, json};

async fn replayed(life: &Life, id: ExecutionId) -> Replay {
    let version = life.world.version("b");
    life.executor.replay(life.world.workspace, id, Some(version)).await.unwrap()
}

async fn migrate(life: &Life, id: ExecutionId) -> crate::error::Result<()> {
    life.executor.migrate(life.world.workspace, id, life.world.version("b"), "ann").await
}

fn returns(what: &str, steps: Vec<Step>) -> Blueprint {
    Blueprint { output: Some(json!(what)), ..bot(steps) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_shows_where_another_version_would_part() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", bot(vec![act("a", json!({"value": 1})), step("b"), sleep("w", 1_000)]));
        let life = world.live(db).await;
        let id = life.start("b", json!({})).await;
        life.reach(id, Status::Waiting).await;
        world.clock.advance(1_000);
        life.end(id).await;
        let same = replayed(&life, id).await;
        assert!(same.same && same.followed == same.entries && same.divergence.is_none(), "{same:?}");
        let done = world.effects.calls().len();

        // What an input says is not in the journal: what came of it is.
        world.redeploy("b", bot(vec![act("a", json!({"value": 2})), step("b"), sleep("w", 1_000)]));
        assert!(replayed(&life, id).await.same);

        world.redeploy("b", bot(vec![step("a"), step("other"), sleep("w", 1_000)]));
        let other = replayed(&life, id).await;
        let at = other.divergence.as_ref().unwrap();
        assert_eq!((other.followed, at.seq, at.step.as_str()), (3, 4, "b"));
        assert_eq!(at.recorded, "the step \"b\" begins (attempt 1)");
        assert_eq!(at.instead.as_deref(), Some("the step \"other\" begins (attempt 1)"));
        assert_eq!((other.version, other.same), (3, false));

        world.redeploy("b", bot(vec![step("a"), step("b"), sleep("w", 2_000)]));
        let longer = replayed(&life, id).await.divergence.unwrap();
        assert!(longer.recorded.contains("waits until 2023") && longer.step == "w", "{longer:?}");

        world.redeploy("b", returns("{{ steps.a }}", vec![step("a"), step("b"), sleep("w", 1_000)]));
        let result = replayed(&life, id).await.divergence.unwrap();
        assert_eq!(
            (result.recorded.as_str(), result.instead.as_deref()),
            ("it has succeeded with null", Some("it has succeeded with 1"))
        );

        let shorter = vec![step("a"), step("b"), sleep("w", 1_000), step("more")];
        world.redeploy("b", bot(shorter));
        let more = replayed(&life, id).await.divergence.unwrap();
        assert_eq!(more.instead.as_deref(), Some("the step \"more\" begins (attempt 1)"));
        assert_eq!(world.effects.calls().len(), done, "nothing is performed");
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_tells_what_would_be_tried_again() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", bot(vec![act("a", json!({"fail": "unavailable"}))]));
        let life = world.live(db).await;
        let id = life.run_to_end("b", json!({})).await.id;
        assert!(replayed(&life, id).await.same);
        world.redeploy("b", bot(vec![retried(3, step("a"))]));
        let at = replayed(&life, id).await.divergence.unwrap();
        assert!(at.recorded.contains("is not tried again"), "{at:?}");
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_of_another_bot_is_refused() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", bot(vec![sleep("w", 1_000)]));
        world.bot("other", bot(vec![step("a")]));
        let life = world.live(db).await;
        let id = life.start("b", json!({})).await;
        life.reach(id, Status::Waiting).await;
        let (ws, other) = (world.workspace, world.version("other"));
        let errors = [
            life.executor.replay(ws, id, Some(other)).await.unwrap_err(),
            life.executor.migrate(ws, id, other, "ann").await.unwrap_err(),
            life.executor.fork(ws, id, Fork { version: Some(other), ..Fork::default() }, "ann").await.unwrap_err(),
        ];
        assert!(errors.iter().all(|error| error.code() == Code::Invalid), "{errors:?}");
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_goes_on_with_another_version() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", bot(vec![act("a", json!({"value": 1})), sleep("w", 1_000), step("z")]));
        let life = world.live(db.clone()).await;
        let id = life.start("b", json!({})).await;
        life.reach(id, Status::Waiting).await;
        let before = life.get(id).await.version;
        world
            .redeploy("b", returns("{{ steps.n }}", vec![step("a"), sleep("w", 1_000), act("n", json!({"value": 9}))]));
        migrate(&life, id).await.unwrap();
        let moved = life.reach(id, Status::Waiting).await;
        assert_eq!((moved.version, moved.version == before), (world.version("b"), false));
        // It is so for whoever takes it up, too.
        life.stop().await;
        let life = world.live(db).await;
        world.clock.advance(1_000);
        let end = life.end(id).await;
        assert_eq!((end.status, end.output), (Status::Succeeded, Some(json!(9))));
        assert_eq!(world.effects.calls(), ["a", "n"]);
        assert!(life.kinds(id).await.contains(&"migrated".to_owned()));
        assert!(migrate(&life, id).await.is_ok(), "it has that version");
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_goes_on_with_another_version_and_is_not_begun_again() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", bot(vec![act("a", json!({"hold": true, "value": 1})), step("z")]));
        let life = world.live(db).await;
        let id = life.start("b", json!({})).await;
        life.performing("a").await;
        world.redeploy("b", bot(vec![step("a"), act("n", json!({"value": "{{ steps.a }}"}))]));
        migrate(&life, id).await.unwrap();
        world.effects.release();
        assert_eq!(life.end(id).await.output, Some(json!(1)));
        assert_eq!(world.effects.calls(), ["a", "n"], "each once");
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_execution_is_moved_and_stays_paused() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", bot(vec![sleep("w", 1_000)]));
        let life = world.live(db).await;
        let id = life.start("b", json!({})).await;
        life.reach(id, Status::Waiting).await;
        life.executor.pause(world.workspace, id, "ann").await.unwrap();
        life.reach(id, Status::Paused).await;
        world.redeploy("b", bot(vec![sleep("w", 1_000), step("n")]));
        migrate(&life, id).await.unwrap();
        assert_eq!(life.reach(id, Status::Paused).await.version, world.version("b"));
        life.executor.resume(world.workspace, id, "ann").await.unwrap();
        life.reach(id, Status::Waiting).await;
        world.clock.advance(1_000);
        life.end(id).await;
        assert_eq!(world.effects.calls(), ["n"]);
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_have_gone_another_way_is_refused_and_changes_nothing() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", bot(vec![step("a"), sleep("w", 1_000)]));
        let life = world.live(db).await;
        let id = life.start("b", json!({})).await;
        let before = life.reach(id, Status::Waiting).await;
        let kinds = life.kinds(id).await;
        for steps in [
            vec![step("x"), sleep("w", 1_000)],
            vec![step("a"), sleep("w", 2_000)],
            vec![step("a"), step("w")],
            vec![sleep("w", 1_000)],
        ] {
            world.redeploy("b", bot(steps));
            let error = migrate(&life, id).await.unwrap_err();
            assert_eq!(error.code(), Code::Precondition);
            assert!(error.message().contains("entry "), "{error}");
        }
        assert_eq!((life.get(id).await.version, life.kinds(id).await), (before.version, kinds));
        world.clock.advance(1_000);
        life.end(id).await;
        assert_eq!(migrate(&life, id).await.unwrap_err().code(), Code::Precondition, "it is finished");
        life.stop().await;
    })
    .await;
}

/// The journal says of both only that the step was begun.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_step_of_another_kind_is_refused() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", bot(vec![await_event("w", "tick", None, None)]));
        world.bot("child", bot(vec![step("c")]));
        let life = world.live(db).await;
        let id = life.start("b", json!({})).await;
        life.reach(id, Status::Waiting).await;
        world.redeploy("b", bot(vec![call("w", "child", json!({}), true)]));
        let error = migrate(&life, id).await.unwrap_err();
        assert!(error.message().contains("waits for an event and would be one that calls a bot"), "{error}");
        let kinds = life.kinds(id).await;
        assert_eq!(kinds.last().map(String::as_str), Some("migration_refused"));
        life.bus.publish(world.workspace, "tick", json!(1)).await.unwrap();
        assert_eq!(life.end(id).await.output, Some(json!(1)), "it goes on as it was");
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_takes_the_filter_of_the_other_version() {
    on_each(async |db| {
        let world = World::new();
        let waits = |filter: &str| bot(vec![await_event("w", "tick", Some(filter), None)]);
        world.bot("b", waits("event.n > 5"));
        let life = world.live(db).await;
        let id = life.start("b", json!({})).await;
        life.reach(id, Status::Waiting).await;
        world.redeploy("b", waits("event.n < 5"));
        migrate(&life, id).await.unwrap();
        life.reach(id, Status::Waiting).await;
        life.bus.publish(world.workspace, "tick", json!({"n": 9})).await.unwrap();
        life.bus.publish(world.workspace, "tick", json!({"n": 1})).await.unwrap();
        assert_eq!(life.end(id).await.output, Some(json!({"n": 1})));
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn open_questions_and_branches_are_moved() {
    on_each(async |db| {
        let world = World::new();
        let wait = ApprovalWait { message: "Go?".into(), ..ApprovalWait::default() };
        let both = |last: &str| {
            let branches = IndexMap::from([
                ("a".to_owned(), vec![approve("ask", wait.clone()), step(last)]),
                ("b".to_owned(), vec![act("held", json!({"hold": true})), sleep("w", 1_000)]),
            ]);
            bot(vec![parallel("par", branches)])
        };
        world.bot("b", both("old"));
        let life = world.live(db).await;
        let id = life.start("b", json!({})).await;
        life.performing("par.b/held").await;
        world.redeploy("b", both("new"));
        migrate(&life, id).await.unwrap();
        let yes = crate::execution::Answer { approved: true, by: "ann".into(), comment: None };
        life.executor.answer(world.workspace, id, "par.a/ask", yes).await.unwrap();
        life.performing("par.a/new").await;
        world.effects.release();
        life.reach(id, Status::Waiting).await;
        world.clock.advance(1_000);
        assert_eq!(life.end(id).await.status, Status::Succeeded);
        assert_eq!(world.effects.calls().iter().filter(|call| *call == "par.b/held").count(), 1);
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_runs_with_what_is_different() {
    on_each(async |db| {
        let world = World::new();
        let steps = vec![
            act("a", json!({"value": "{{ input.n }}"})),
            act("b", json!({"value": "{{ input.n * 10 + steps.a }}"})),
        ];
        world.bot("b", bot(steps));
        let life = world.live(db).await;
        let first = life.run_to_end("b", json!({"n": 1})).await;
        let fork = async |fork: Fork| life.executor.fork(world.workspace, first.id, fork, "ann").await;
        let ended = async |wanted: Fork| {
            let id = fork(wanted).await.unwrap().id;
            life.end(id).await
        };
        let input = Some(json!({"n": 2}));
        let anew = ended(Fork { input: input.clone(), ..Fork::default() }).await;
        assert_eq!((anew.output, anew.input, anew.retry_of), (Some(json!(22)), json!({"n": 2}), Some(first.id)));
        let from = ended(Fork { input, from: Some("b".into()), ..Fork::default() }).await;
        assert_eq!(from.output, Some(json!(21)), "the result of `a` is that of the first");
        assert_eq!(world.effects.calls().iter().filter(|call| *call == "a").count(), 2);

        world.redeploy("b", bot(vec![step("a"), act("c", json!({"value": "{{ steps.a + 100 }}"}))]));
        let version = Some(world.version("b"));
        let other = ended(Fork { version, from: Some("c".into()), ..Fork::default() }).await;
        assert_eq!((other.output, Some(other.version)), (Some(json!(101)), version));
        let error = fork(Fork { version, from: Some("b".into()), ..Fork::default() }).await.unwrap_err();
        assert_eq!((error.code(), error.faults()[0].pointer.as_str()), (Code::Invalid, "/from"));
        let error = fork(Fork { input: Some(Value::from(1)), ..Fork::default() }).await.unwrap_err();
        assert_eq!(error.code(), Code::Invalid);
        life.stop().await;
    })
    .await;
}
