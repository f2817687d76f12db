//! The executor on both databases: going on as a new execution.

use super::blueprints::{act, await_signal, bot, call, go_on, guarded};
use super::world::{Life, PATIENCE, World};
use crate::blueprint::{Blueprint, Step};
use crate::error::Code;
use crate::execution::{Execution, Status};
use crate::id::{DeploymentId, ExecutionId};
use crate::storage::testing::on_each;
use serde_json::{Value, json};
use uuid::Uuid;

/// Goes on until `n` is `last`, and returns what `step` gives then.
fn counting(step: Step, last: u32) -> Blueprint {
    let id = step.id.clone();
    let again = guarded(&format!("input.n < {last}"), go_on("again", json!({"n": "{{ input.n + 1 }}"})));
    Blueprint { output: Some(json!(format!("{{{{ steps.{id} }}}}"))), ..bot(vec![step, again]) }
}

/// The whole chain that begins with `id`.
async fn chain(life: &Life, id: ExecutionId) -> Vec<Execution> {
    let mut chain = vec![life.end(id).await];
    while let Some(next) = chain.last().unwrap().continued_as {
        chain.push(life.end(next).await);
    }
    chain
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_goes_on_as_a_new_one() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", counting(act("a", json!({"value": "{{ input.n }}"})), 3));
        let life = world.live(db).await;
        let id = life.start("b", json!({"n": 1})).await;
        let chain = chain(&life, id).await;
        assert_eq!(chain.iter().map(|e| e.input["n"].clone()).collect::<Vec<_>>(), [json!(1), json!(2), json!(3)]);
        assert!(chain.iter().all(|e| e.status == Status::Succeeded && e.trigger == json!({"type": "manual"})));
        assert_eq!(chain[2].output, Some(json!(3)));
        assert_eq!((chain[0].continues, chain[1].continues), (None, Some(id)));
        assert_eq!((chain[1].continued_as, chain[2].continued_as), (Some(chain[2].id), None));
        let steps = life.executor.steps(world.workspace, id).await.unwrap();
        assert_eq!(steps[1].child, Some(chain[1].id));
        let names: Vec<String> =
            life.bus.list(world.workspace, 0, 20).await.unwrap().into_iter().map(|e| e.name).collect();
        let started = "execution.started";
        let continued = "execution.continued";
        assert_eq!(names, [started, started, continued, started, continued, "execution.finished"]);
        let error = life.executor.retry(world.workspace, id, None, "ann").await.unwrap_err();
        assert_eq!(error.code(), Code::Precondition);
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_starts_it_and_waits_gets_the_end_of_the_chain() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", counting(act("a", json!({"value": "{{ input.n }}"})), 3));
        let life = world.live(db).await;
        let (end, steps, _) = life.executor.run_to_end(world.start("b", json!({"n": 1})), PATIENCE).await.unwrap();
        assert_eq!((end.output, end.continued_as), (Some(json!(3)), None));
        assert_eq!(steps[0].output, Some(json!(3)));
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_waits_for_the_whole_chain() {
    on_each(async |db| {
        let world = World::new();
        world.bot("parent", bot(vec![call("c", "child", json!({"n": 1}), true)]));
        world.bot("child", counting(await_signal("w", "tick", None, None), 3));
        let life = world.live(db).await;
        let id = life.start("parent", json!({})).await;
        let child =
            async || life.executor.steps(world.workspace, id).await.unwrap().first().and_then(|step| step.child);
        let first = life.until("the child", child).await;
        life.reach(first, Status::Waiting).await;
        life.executor.signal(world.workspace, first, "tick", json!(1)).await.unwrap();
        let second = life.until("the second", async || child().await.filter(|id| *id != first)).await;
        life.reach(second, Status::Waiting).await;
        assert_eq!(life.get(second).await.parent, Some(id));
        // Who knows only the first reaches the one that goes on.
        life.executor.signal(world.workspace, first, "tick", json!(2)).await.unwrap();
        life.until("the third", async || child().await.filter(|id| *id != second)).await;
        life.executor.signal(world.workspace, first, "tick", json!(3)).await.unwrap();
        assert_eq!(life.end(id).await.output, Some(json!(3)));
        let error = life.executor.signal(world.workspace, first, "tick", json!(4)).await.unwrap_err();
        assert_eq!(error.code(), Code::Precondition, "the chain is over");
        let id = life.start("parent", json!({})).await;
        let child =
            async || life.executor.steps(world.workspace, id).await.unwrap().first().and_then(|step| step.child);
        let first = life.until("the child", child).await;
        life.executor.signal(world.workspace, first, "tick", json!(1)).await.unwrap();
        let second = life.until("the second", async || child().await.filter(|id| *id != first)).await;
        life.executor.cancel(world.workspace, id, "ann", None).await.unwrap();
        assert_eq!(life.end(id).await.status, Status::Cancelled);
        assert_eq!(life.end(second).await.status, Status::Cancelled, "the one that goes on is cancelled");
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_move_on_in_their_order() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", counting(await_signal("w", "tick", None, None), 4));
        let still = world.still(db, None).await;
        let id = still.start("b", json!({"n": 1})).await;
        for n in 1..=4 {
            still.executor.signal(world.workspace, id, "tick", json!(n)).await.unwrap();
        }
        let life = still.run();
        let chain = chain(&life, id).await;
        assert_eq!((chain.len(), chain[3].output.clone()), (4, Some(json!(4))));
        let mut taken = Vec::new();
        for one in &chain {
            let steps = life.executor.steps(world.workspace, one.id).await.unwrap();
            taken.extend(steps.iter().find(|step| step.path == "w").and_then(|step| step.output.clone()));
        }
        assert_eq!(taken, [1, 2, 3, 4].map(Value::from));
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deployed_by_then_goes_on() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", counting(await_signal("w", "tick", None, None), 2));
        let life = world.live(db).await;
        let plain = life.start("b", json!({"n": 1})).await;
        let mut start = world.start("b", json!({"n": 1}));
        start.deployment = Some(DeploymentId(Uuid::from_u128(9)));
        let deployed = life.executor.start(start.clone()).await.unwrap().id;
        let refused = life.executor.start(start).await.unwrap().id;
        for id in [plain, deployed, refused] {
            life.reach(id, Status::Waiting).await;
        }
        world.redeploy("b", bot(vec![act("new", json!({"value": "new"}))]));
        life.executor.signal(world.workspace, plain, "tick", json!(1)).await.unwrap();
        life.executor.signal(world.workspace, deployed, "tick", json!(1)).await.unwrap();
        let next = life.end(deployed).await.continued_as.unwrap();
        let next = life.end(next).await;
        assert_eq!(
            (next.output, next.deployment),
            (Some(json!("new")), None),
            "what is deployed says by which deployment"
        );
        assert_ne!(next.version, life.get(deployed).await.version);
        let same = life.end(plain).await.continued_as.unwrap();
        life.reach(same, Status::Waiting).await;
        assert_eq!(life.get(same).await.version, life.get(plain).await.version);
        let inputs = json!({"type": "object", "required": ["other"]});
        world.redeploy("b", Blueprint { inputs: Some(inputs), ..bot(vec![]) });
        life.executor.signal(world.workspace, refused, "tick", json!(1)).await.unwrap();
        let error = life.end(refused).await.error.unwrap();
        assert_eq!((error.code, error.step.as_str()), (Code::Invalid, "again"));
        life.stop().await;
    })
    .await;
}
