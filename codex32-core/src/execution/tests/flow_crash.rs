//! Flow control under random starts, cancellations and crashes: a place is never given
//! twice and never lost.

use super::blueprints::{act, sleep};
use super::crash::Crash;
use super::flow::{nothing_is_left, places, ruled};
use super::world::{Life, World};
use crate::blueprint::{Concurrency, Debounce, Flow, OnConflict, Pace, Singleton, Span};
use crate::clock::Clock;
use crate::execution::flow::{Stage, Ticket};
use crate::execution::store::{Gate, Store, Whose, hold};
use crate::id::ExecutionId;
use crate::storage::Db;
use crate::storage::entity::{executions, flow_slots, flow_tickets};
use crate::storage::testing::{on_each, sqlite};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use serde_json::json;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use uuid::Uuid;

/// What somebody does.
#[derive(Debug, Clone)]
enum Deed {
    Start {
        bot: &'static str,
        key: u8,
        priority: i8,
    },
    /// Cancels the one that was started by this deed, if it was one.
    Cancel(usize),
    Pass(i64),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let bot = prop::sample::select(vec!["paced", "alone", "quiet"]);
    let start = (bot, 0..2_u8, -2..3_i8).prop_map(|(bot, key, priority)| Deed::Start { bot, key, priority });
    vec(
        prop_oneof![6 => start, 1 => (0..20_usize).prop_map(Deed::Cancel), 2 => (1..8_000_i64).prop_map(Deed::Pass)],
        4..20,
    )
}

/// Bots whose rules are passed one after the other.
fn world() -> World {
    let world = World::new();
    let steps = || vec![act("a", json!({"value": 1})), sleep("s", 3_000), act("z", json!({"value": 2}))];
    let key = || Some("string(input.key)".to_owned());
    let throttle = Some(Pace { limit: 2, per: Span(5_000), key: None });
    let within = Some(Span(20_000));
    let paced = Flow { throttle, start_within: within, priority: Some("input.priority".into()), ..places(2) };
    // All its keys share one place.
    let concurrency = Some(Concurrency { limit: 1, key: None });
    let singleton = Some(Singleton { key: key(), on_conflict: OnConflict::Cancel });
    let alone = Flow { singleton, concurrency, ..Flow::default() };
    let debounce = Some(Debounce { wait: Span(2_000), at_most: Some(Span(5_000)), key: key() });
    let quiet = Flow { debounce, ..places(1) };
    world.bot("paced", ruled(paced, steps()));
    world.bot("alone", ruled(alone, steps()));
    world.bot("quiet", ruled(quiet, steps()));
    world
}

/// Does all of it, beginning anew what another life has done already: a start is known by
/// its key. Then lets the time pass until everything is over.
async fn act_out(life: &Life, deeds: &[Deed]) {
    let mut ids: Vec<Option<ExecutionId>> = Vec::new();
    for (n, deed) in deeds.iter().enumerate() {
        let mut id = None;
        match deed {
            Deed::Start { bot, key, priority } => {
                let mut start = life.world.start(bot, json!({"key": key.to_string(), "priority": priority, "n": n}));
                start.idempotency_key = Some(format!("deed{n}"));
                id = Some(life.executor.start(start).await.unwrap().id);
            }
            Deed::Cancel(which) => {
                if let Some(Some(id)) = ids.get(*which) {
                    // It may be over by now.
                    let _ = life.executor.cancel(life.world.workspace, *id, "ann", None).await;
                }
            }
            Deed::Pass(ms) => life.world.clock.advance(*ms),
        }
        ids.push(id);
        consistent(life).await;
    }
    let store = Store::new(life.db.clone(), Arc::new(life.world.clock.clone()));
    while open(life).await > 0 {
        consistent(life).await;
        if life.executor.active() == 0
            && let Some(due) = store.next_timer().await.unwrap()
        {
            life.world.clock.advance((due - life.world.clock.now()).max(0));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// How many are not over: one look, since they go from one state to another.
async fn open(life: &Life) -> u64 {
    let open = executions::Entity::find().filter(executions::Column::FinishedAt.is_null());
    open.count(life.db.read()).await.unwrap()
}

/// What is stored at one moment agrees with itself.
async fn consistent(life: &Life) {
    let (db, world) = (life.db.clone(), life.world.clone());
    let bots = ["paced", "alone", "quiet"].map(|name| world.start(name, json!({})));
    let whose: BTreeSet<Whose> = bots
        .iter()
        .map(|start| Whose { workspace: start.workspace.0, bot: start.bot.0, environment: start.environment.clone() })
        .collect();
    life.db
        .write(move |tx| {
            Box::pin(async move {
                hold(&db, tx, &whose).await?;
                let slots = flow_slots::Entity::find().all(tx).await?;
                let tickets = flow_tickets::Entity::find().all(tx).await?;
                let rows = executions::Entity::find().all(tx).await?;
                let status: HashMap<Uuid, String> = rows.iter().map(|row| (row.id, row.status.clone())).collect();
                agree(&slots, &tickets, &status);
                for row in rows.iter().filter(|row| row.status == "held") {
                    assert!(row.flow && tickets.iter().any(|ticket| ticket.execution_id == row.id), "{row:?}");
                }
                Ok(())
            })
        })
        .await
        .unwrap();
}

fn agree(slots: &[flow_slots::Model], tickets: &[flow_tickets::Model], status: &HashMap<Uuid, String>) {
    let mut taken: HashMap<(Uuid, String), i64> = HashMap::new();
    for ticket in tickets {
        let (stage, status) = (Stage::from_number(ticket.stage), &*status[&ticket.execution_id]);
        assert!(!["succeeded", "failed", "cancelled"].contains(&status), "{ticket:?} is {status}");
        assert!(stage != Stage::In || status != "held", "{ticket:?} may go");
        let rules: Ticket = serde_json::from_str(&ticket.rules).unwrap();
        for name in rules.held(stage) {
            *taken.entry((ticket.bot_id, name)).or_default() += 1;
        }
    }
    for slot in slots.iter().filter(|slot| slot.name.starts_with("concurrency") || slot.name.starts_with("singleton")) {
        let counted = taken.remove(&(slot.bot_id, slot.name.clone())).unwrap_or(0);
        assert_eq!(slot.taken, counted, "{slot:?} {tickets:?}");
        assert!(slot.taken <= slot.room, "{slot:?}");
        let waits = tickets.iter().any(|t| t.bot_id == slot.bot_id && t.waits_for.as_ref() == Some(&slot.name));
        assert!(slot.taken == slot.room || !waits, "{slot:?} has room for one of {tickets:?}");
    }
    assert!(taken.is_empty(), "{taken:?} are held in no slot");
}

/// One process: to the end, or to the crash. Gives whether it came to the end, and the
/// number of places where it could have crashed.
fn live(world: &World, url: &str, deeds: &[Deed], at: usize) -> (bool, usize) {
    let gate = Crash::new(at);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let ended = runtime.block_on(async {
        let to_the_end = async {
            let db = Db::open(url).await.unwrap();
            let life = world.still(db.clone(), Some(gate.clone() as Arc<dyn Gate>)).await.run();
            act_out(&life, deeds).await;
            nothing_is_left(&db).await;
        };
        tokio::select! {
            done = tokio::time::timeout(Duration::from_secs(60), to_the_end) => {
                done.expect("it comes to an end");
                true
            }
            () = gate.happened.cancelled() => false,
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(10));
    (ended, gate.passed.load(Ordering::SeqCst))
}

#[test]
fn places_survive_random_deeds_and_crashes() {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(12);
    let config = Config { cases, max_shrink_iters: 20, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&(deeds(), vec(0.0..1.0_f64, 0..4)), |(deeds, crashes)| {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let (calm, test) = runtime.block_on(async { (sqlite().await, sqlite().await) });
            let (_, places) = live(&world(), &calm.url, &deeds, usize::MAX);
            let world = world();
            let mut lives = crashes.iter().map(|share| (share * places as f64) as usize).chain([usize::MAX]);
            while !live(&world, &test.url, &deeds, lives.next().unwrap_or(usize::MAX)).0 {}
            let wrong = world.effects.wrong.lock().unwrap();
            prop_assert!(wrong.is_empty(), "{wrong:?}");
            Ok(())
        })
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_give_no_place_twice() {
    on_each(async |db| {
        let mut world = world();
        world.config.alone = false;
        let one = world.live(db.clone()).await;
        let other = world.live(db.clone()).await;
        let deeds = |shift: u8| -> Vec<Deed> {
            let start = |n: u8| Deed::Start {
                bot: ["paced", "alone", "quiet"][usize::from(n % 3)],
                key: (n + shift) % 2,
                priority: 0,
            };
            (0..12).map(start).chain([Deed::Cancel(3), Deed::Pass(2_500), Deed::Cancel(7)]).collect()
        };
        let (mine, theirs) = (deeds(0), deeds(1));
        tokio::join!(act_out(&one, &mine), async {
            // The same keys: each start is stored by one of the two.
            act_out(&other, &theirs).await;
        });
        nothing_is_left(&db).await;
        one.stop().await;
        other.stop().await;
    })
    .await;
}
