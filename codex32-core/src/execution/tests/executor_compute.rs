//! The executor on both databases: steps that touch nothing outside.

use super::blueprints::{attempt, bot, compute, foreach, limited, retried, step};
use super::world::World;
use crate::blueprint::{Blueprint, Permissions, Step};
use crate::execution::Status;
use crate::execution::store::Gate;
use crate::storage::testing::on_each;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

/// Notes what is written.
#[derive(Default)]
struct Writes(Mutex<Vec<&'static str>>);

#[async_trait::async_trait]
impl Gate for Writes {
    async fn pass(&self, what: &'static str, committed: bool) -> crate::error::Result<()> {
        if committed && matches!(what, "start" | "commit") {
            self.0.lock().unwrap().push(what);
        }
        Ok(())
    }
}

fn returns(what: &str, steps: Vec<Step>) -> Blueprint {
    Blueprint { output: Some(json!(what)), ..bot(steps) }
}

fn plus(id: &str, to: &str) -> Step {
    compute(id, json!({ "value": format!("{{{{ {to} + 1 }}}}") }))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_computes_is_written_with_what_follows() {
    on_each(async |db| {
        let world = World::new();
        let steps = vec![plus("a", "input.n"), plus("b", "steps.a"), step("act"), plus("c", "steps.b")];
        world.bot("b", returns("{{ steps.c }}", steps));
        let writes = Arc::new(Writes::default());
        let life = world.still(db, Some(writes.clone())).await.run();
        // Until its loops run, nothing is driven from its start.
        life.until("a start that is driven", async || {
            writes.0.lock().unwrap().clear();
            let ended = life.run_to_end("b", json!({"n": 1})).await;
            assert_eq!((ended.status, ended.output), (Status::Succeeded, Some(json!(4))));
            let kinds = life.kinds(ended.id).await;
            let wanted =
                ["a", "b", "act", "c"].map(|id| [format!("step_scheduled {id}"), format!("step_succeeded {id}")]);
            assert_eq!(kinds[1..kinds.len() - 1], wanted.concat(), "the journal is that of steps that are performed");
            // Its start and what comes before the action, and the action's result with all the rest.
            (*writes.0.lock().unwrap() == ["start", "commit"]).then_some(())
        })
        .await;
        assert!(world.effects.calls().iter().all(|call| call == "act"));
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_loop_is_written_in_pieces() {
    on_each(async |db| {
        let world = World::new();
        let items: Vec<u32> = (0..1_200).collect();
        let steps = vec![foreach("all", &json!(items).to_string(), 3, vec![plus("one", "item")])];
        world.bot("b", returns("{{ size(steps.all) }}", steps));
        let writes = Arc::new(Writes::default());
        let life = world.still(db, Some(writes.clone())).await.run();
        let ended = life.run_to_end("b", json!({})).await;
        assert_eq!((ended.status, ended.output), (Status::Succeeded, Some(json!(1_200))));
        let commits = writes.0.lock().unwrap().len();
        assert!((4..50).contains(&commits), "{commits} writes");
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_caught_and_tried_again_as_those_of_other_steps() {
    on_each(async |db| {
        let world = World::new();
        let again = retried(3, compute("again", json!({"fail": "unavailable"})));
        let caught = attempt("t", vec![again], vec![plus("why", "1")], vec![]);
        world.bot("b", returns("{{ steps.t }}", vec![caught]));
        world.bot("bad", bot(vec![plus("a", "input.missing")]));
        let life = world.live(db).await;
        let id = life.start("b", json!({})).await;
        for tries in 1..3 {
            life.until("a failure", async || {
                let failed = life.kinds(id).await.iter().filter(|kind| kind.starts_with("step_failed")).count();
                assert!(failed <= tries);
                (failed == tries).then_some(())
            })
            .await;
            life.reach(id, Status::Waiting).await;
            world.clock.advance(60_000);
        }
        assert_eq!(life.end(id).await.output, Some(json!(2)));
        let bad = life.run_to_end("bad", json!({})).await;
        assert_eq!((bad.status, bad.error.unwrap().step.as_str()), (Status::Failed, "a"));
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_a_time_or_reads_a_secret_is_performed() {
    on_each(async |db| {
        let world = World::new();
        let timed = limited(1_000, compute("timed", json!({"value": 1})));
        let secret = compute("secret", json!({"value": "{{ secrets.KEY }}"}));
        let permissions = Permissions { secrets: vec!["KEY".into()], ..Permissions::default() };
        world.bot("b", Blueprint { permissions, ..bot(vec![timed, secret]) });
        let life = world.live(db).await;
        life.secrets.set(world.workspace, "KEY", "a long secret").await.unwrap();
        let ended = life.run_to_end("b", json!({})).await;
        assert_eq!(world.effects.calls(), ["timed", "secret"], "{:?}", ended.error);
        let shown: Value = serde_json::to_value(&ended).unwrap();
        assert!(!shown.to_string().contains("a long secret"));
        life.stop().await;
    })
    .await;
}
