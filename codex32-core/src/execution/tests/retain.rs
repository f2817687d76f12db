//! Removing what is old, on both databases.

use super::blueprints::{act, await_signal, bot, sleep};
use super::world::{Life, World};
use crate::execution::{Filter, Keep, Status};
use crate::id::ExecutionId;
use crate::storage::Archive;
use crate::storage::entity::{event_waits, execution_logs, journal, signals, timers};
use crate::storage::testing::on_each;
use flate2::read::GzDecoder;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use serde_json::{Value, json};
use std::io::Read as _;
use std::path::Path;
use tokio_util::sync::CancellationToken;

fn keep(life: &Life, bot: &str) -> Keep {
    let start = life.world.start(bot, json!({}));
    Keep { workspace: start.workspace, bot: start.bot, bot_name: bot.to_owned(), age: None, count: None, archive: None }
}

async fn removed(life: &Life, keep: &Keep) -> u64 {
    life.executor.retain(keep, &CancellationToken::new()).await.unwrap()
}

async fn left(life: &Life) -> Vec<ExecutionId> {
    let page = life.executor.list(life.world.workspace, &Filter::default(), None, 200).await.unwrap();
    page.items.into_iter().rev().map(|execution| execution.id).collect()
}

/// Those of one millisecond have no order.
async fn run_next(life: &Life, bot: &str, input: Value) -> ExecutionId {
    life.world.clock.advance(1);
    life.run_to_end(bot, input).await.id
}

async fn entries(life: &Life, id: ExecutionId) -> u64 {
    journal::Entity::find().filter(journal::Column::ExecutionId.eq(id.0)).count(life.db.read()).await.unwrap()
}

/// The lines of all files below `folder`, in the order of their names.
fn archived(folder: &Path) -> Vec<Value> {
    let mut open = vec![folder.to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { open.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    let read = |path| {
        let mut text = String::new();
        GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    files.into_iter().flat_map(read).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_too_long_ago_goes_with_all_that_belongs_to_it() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", bot(vec![act("a", json!({"value": 1, "log": "one\ntwo"}))]));
        world.bot("slow", bot(vec![await_signal("w", "go", None, None), sleep("s", 1_000)]));
        world.bot("other", bot(vec![act("a", json!({}))]));
        let life = world.live(db).await;
        let slow = life.start("slow", json!({})).await;
        life.reach(slow, Status::Waiting).await;
        let old = [run_next(&life, "b", json!({})).await, run_next(&life, "b", json!({})).await];
        let other = run_next(&life, "other", json!({})).await;
        world.clock.advance(10_000);
        let young = run_next(&life, "b", json!({})).await;
        let keep = |bot: &str, age| Keep { age: Some(age), ..keep(&life, bot) };
        assert_eq!(removed(&life, &keep("b", 10_010)).await, 0, "nothing is so old");
        assert_eq!(removed(&life, &keep("b", 5_000)).await, 2);
        assert_eq!(left(&life).await, [slow, other, young]);
        assert_eq!((entries(&life, old[0]).await, entries(&life, young).await), (0, 4));
        assert_eq!(execution_logs::Entity::find().count(life.db.read()).await.unwrap(), 2);
        assert_eq!(removed(&life, &keep("slow", 5_000)).await, 0, "it is not finished");
        life.executor.signal(world.workspace, slow, "go", json!(1)).await.unwrap();
        life.until("the timer", async || {
            (timers::Entity::find().count(life.db.read()).await.unwrap() == 1).then_some(())
        })
        .await;
        world.clock.advance(1_000);
        life.end(slow).await;
        world.clock.advance(6_000);
        assert_eq!(removed(&life, &keep("slow", 5_000)).await, 1);
        let read = life.db.read();
        let rows = [
            timers::Entity::find().count(read).await.unwrap(),
            signals::Entity::find().count(read).await.unwrap(),
            event_waits::Entity::find().count(read).await.unwrap(),
        ];
        assert_eq!(rows, [0; 3]);
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_latest_are_kept_and_the_unfinished_with_them() {
    on_each(async |db| {
        let world = World::new();
        world.bot("b", bot(vec![act("a", json!({"hold": true}))]));
        let life = world.live(db).await;
        let held = life.start("b", json!({})).await;
        life.performing("a").await;
        let mut all = Vec::new();
        for _ in 0..5 {
            world.clock.advance(1);
            let id = life.start("b", json!({})).await;
            life.executor.cancel(world.workspace, id, "ann", None).await.unwrap();
            all.push(life.end(id).await.id);
        }
        assert_eq!(removed(&life, &Keep { count: Some(6), ..keep(&life, "b") }).await, 0);
        assert_eq!(removed(&life, &Keep { count: Some(2), ..keep(&life, "b") }).await, 3);
        assert_eq!(left(&life).await, [held, all[3], all[4]]);
        world.effects.release();
        life.end(held).await;
        assert_eq!(removed(&life, &Keep { count: Some(2), ..keep(&life, "b") }).await, 1);
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_is_in_the_archive() {
    on_each(async |db| {
        let folder = tempfile::tempdir().unwrap();
        let archive = Some(Archive::folder(folder.path()).unwrap());
        let world = World::new();
        world.bot("b", bot(vec![act("a", json!({"value": "{{ input.n }}", "log": "hello"}))]));
        let life = world.live(db).await;
        let mut all = Vec::new();
        for n in 0..3 {
            all.push(run_next(&life, "b", json!({"n": n})).await);
        }
        assert_eq!(removed(&life, &Keep { count: Some(1), archive, ..keep(&life, "b") }).await, 2);
        let lines = archived(folder.path());
        let of = |kind: &str| lines.iter().filter(|line| line["type"] == kind).collect::<Vec<_>>();
        let outputs: Vec<&Value> = of("execution").iter().map(|line| &line["execution"]["output"]).collect();
        assert_eq!(outputs, [&json!(0), &json!(1)]);
        assert_eq!(of("entry").len(), 8);
        assert_eq!(of("entry")[0]["execution"], json!(all[0]));
        assert_eq!(of("entry")[3]["entry"]["kind"], "finished");
        assert_eq!(of("log").iter().map(|line| &line["line"]["text"]).collect::<Vec<_>>(), ["hello"; 2]);
        life.stop().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_archive_nothing_goes() {
    on_each(async |db| {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("archive");
        let archive = Some(Archive::folder(&place).unwrap());
        let world = World::new();
        world.bot("b", bot(vec![act("a", json!({}))]));
        let life = world.live(db).await;
        let id = life.run_to_end("b", json!({})).await.id;
        world.clock.advance(10);
        std::fs::remove_dir(&place).unwrap();
        std::fs::write(&place, "no folder any more").unwrap();
        let keep = Keep { age: Some(1), archive, ..keep(&life, "b") };
        let error = life.executor.retain(&keep, &CancellationToken::new()).await.unwrap_err();
        assert_eq!(error.code(), crate::error::Code::Unavailable);
        assert_eq!(left(&life).await, [id]);
        life.stop().await;
    })
    .await;
}

/// More executions than one transaction removes, and one that is longer than that.
#[tokio::test(flavor = "multi_thread")]
async fn many_and_long_ones_go_in_pieces() {
    on_each(async |db| {
        let world = World::new();
        let items: Vec<u32> = (0..2_600).collect();
        world.bot("b", bot(vec![super::blueprints::foreach("each", "input.items", 50, vec![act("a", json!({}))])]));
        let life = world.live(db).await;
        let long = life.run_to_end("b", json!({"items": items})).await.id;
        assert!(entries(&life, long).await > 5_000);
        for _ in 0..120 {
            life.run_to_end("b", json!({"items": []})).await;
        }
        world.clock.advance(10);
        assert_eq!(removed(&life, &Keep { age: Some(1), ..keep(&life, "b") }).await, 121);
        assert_eq!(journal::Entity::find().count(life.db.read()).await.unwrap(), 0);
        life.stop().await;
    })
    .await;
}
