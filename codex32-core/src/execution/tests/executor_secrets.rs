//! Secrets reach a step and nothing else.

use super::blueprints::{act, await_event, bot, branch, call, run, step};
use super::world::World;
use crate::blueprint::{Step, StepKind};
use crate::error::Code;
use crate::execution::Status;
use crate::storage::testing::on_each;
use serde_json::json;

fn with_env(step: Step, name: &str, value: &str) -> Step {
    match step.kind {
        StepKind::Run { language, source, with, .. } => Step {
            kind: StepKind::Run { language, source, with, env: [(name.to_owned(), value.to_owned())].into() },
            ..step
        },
        _ => panic!("not a script"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_handed_to_the_step_and_written_nowhere() {
    on_each(async |db| {
        let world = World::new();
        let mut blueprint = bot(vec![
            act("a", json!({"value": "key={{ secrets.api_key }}", "log": "using {{ secrets.api_key }}"})),
            with_env(run("s", "return 1"), "KEY", "{{ secrets.api_key }}"),
            act("b", json!({"fail": "failed", "text": "no such key {{ secrets.api_key }}"})),
        ]);
        blueprint.permissions.secrets = vec!["api_key".into()];
        world.bot("b", blueprint);
        let life = world.live(db).await;
        life.secrets.set(world.workspace, "api_key", "s3cr3t-value").await.unwrap();
        let execution = life.run_to_end("b", json!({})).await;
        let inputs = world.effects.inputs.lock().unwrap().clone();
        assert_eq!(inputs[0].1["value"], "key=s3cr3t-value", "the step has it");
        assert_eq!(inputs[1].1["env"]["KEY"], "s3cr3t-value");
        let journal = life.executor.journal(world.workspace, execution.id, 0, 100).await.unwrap();
        let lines = life.executor.logs(world.workspace, execution.id, 0, 100).await.unwrap();
        let events = life.bus.list(world.workspace, 0, 100).await.unwrap();
        let text = serde_json::to_string(&(&journal, &lines, &execution, &events)).unwrap();
        assert!(!text.contains("s3cr3t"), "{text}");
        assert!(text.contains("key=***") && text.contains("using ***") && text.contains("no such key ***"));
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_not_declared_or_not_set_is_refused() {
    on_each(async |db| {
        let world = World::new();
        world.bot("undeclared", bot(vec![act("a", json!({"value": "{{ secrets.api_key }}"}))]));
        world.bot("all", bot(vec![act("a", json!({"value": "{{ secrets }}"}))]));
        let mut unset = bot(vec![act("a", json!({"value": "{{ secrets.other }}"}))]);
        unset.permissions.secrets = vec!["other".into()];
        world.bot("unset", unset);
        let life = world.live(db).await;
        life.secrets.set(world.workspace, "api_key", "s3cr3t-value").await.unwrap();
        for (name, code) in [("undeclared", Code::Forbidden), ("all", Code::Invalid), ("unset", Code::NotFound)] {
            let error = life.run_to_end(name, json!({})).await.error.unwrap();
            assert_eq!(error.code, code, "{name}: {}", error.message);
        }
        assert!(world.effects.calls().is_empty());
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_not_in_scope_elsewhere() {
    on_each(async |db| {
        let world = World::new();
        let mut blueprints = vec![
            bot(vec![branch("i", "secrets.api_key == 'x'", vec![step("a")], vec![])]),
            bot(vec![call("c", "other", json!({"k": "{{ secrets.api_key }}"}), true)]),
        ];
        let mut output = bot(vec![step("fine")]);
        output.output = Some(json!("{{ secrets.api_key }}"));
        blueprints.push(output);
        world.bot("other", bot(vec![]));
        let life = world.live(db).await;
        life.secrets.set(world.workspace, "api_key", "s3cr3t-value").await.unwrap();
        for (n, mut blueprint) in blueprints.into_iter().enumerate() {
            blueprint.permissions.secrets = vec!["api_key".into()];
            let name = format!("b{n}");
            world.bot(&name, blueprint);
            let execution = life.run_to_end(&name, json!({})).await;
            assert_eq!(execution.status, Status::Failed);
            let text = serde_json::to_string(&execution).unwrap();
            assert!(!text.contains("s3cr3t"), "{text}");
        }
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_a_filter_matches_nothing() {
    on_each(async |db| {
        let world = World::new();
        let mut blueprint = bot(vec![await_event("w", "some.event", Some("event.k == secrets.api_key"), None)]);
        blueprint.permissions.secrets = vec!["api_key".into()];
        world.bot("b", blueprint);
        let life = world.live(db).await;
        life.secrets.set(world.workspace, "api_key", "s3cr3t-value").await.unwrap();
        let id = life.start("b", json!({})).await;
        life.reach(id, Status::Waiting).await;
        life.bus.emit(world.workspace, "some.event", json!({"k": "s3cr3t-value"}), 0).await.unwrap();
        life.executor.signal(world.workspace, id, "some.event", json!({"k": "s3cr3t-value"})).await.unwrap();
        let error = life.end(id).await.error.unwrap();
        assert_eq!(error.code, Code::Invalid, "the signal shows the mistake; the event does not match");
        life.stop().await;
    })
    .await;
}
