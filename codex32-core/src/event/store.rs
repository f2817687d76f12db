//! The tables `events` and `event_offsets`.

use super::{Announcement, Event};
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::id::WorkspaceId;
use crate::storage::entity::{event_offsets, events};
use crate::storage::{Script, Tx, insert_all};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Statement,
};
use serde_json::Value;

/// Key of the advisory lock that orders publishers on PostgreSQL.
const PUBLISH_LOCK: i64 = 0x636f_6465_7833_3201;
/// Rows of one statement, below the limit on bound values of either database.
const INSERT_BATCH: usize = 1_024;
/// Rows deleted in one transaction.
const PRUNE_BATCH: u64 = 500;

pub(super) async fn insert(
    tx: &Tx,
    workspace: WorkspaceId,
    at: Millis,
    name: &str,
    data: &Value,
    depth: u32,
) -> Result<i64> {
    hold(tx).await?;
    Ok(events::Entity::insert(row(workspace, at, name, data, depth)).exec(tx).await?.last_insert_id)
}

pub(super) async fn insert_many(tx: &Tx, at: Millis, told: Vec<Announcement>) -> Result<()> {
    if told.is_empty() {
        return Ok(());
    }
    hold(tx).await?;
    let mut script = Script::new(tx);
    publish(&mut script, at, &told);
    script.run().await
}

/// Adds the inserts of `told`. On PostgreSQL [`hold`] comes first.
pub(super) fn publish(script: &mut Script<'_>, at: Millis, told: &[Announcement]) {
    for told in told.chunks(INSERT_BATCH) {
        let rows = told.iter().map(|one| row(one.workspace, at, one.name, &one.data, one.depth));
        if let Some(insert) = insert_all(rows.collect()) {
            script.push(&insert);
        }
    }
}

fn row(workspace: WorkspaceId, at: Millis, name: &str, data: &Value, depth: u32) -> events::ActiveModel {
    events::ActiveModel {
        seq: NotSet,
        workspace_id: Set(workspace.0),
        at: Set(at),
        name: Set(name.to_owned()),
        data: Set(data.to_string()),
        depth: Set(i32::try_from(depth).unwrap_or(i32::MAX)),
    }
}

/// Makes later publishers wait until `tx` ends. SQLite has one writer at any rate.
pub(super) async fn hold(tx: &Tx) -> Result<()> {
    if tx.get_database_backend() == DbBackend::Postgres {
        // Without it a number could become visible after a larger one, and a reader would pass it over.
        let lock = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT pg_advisory_xact_lock($1)",
            [PUBLISH_LOCK.into()],
        );
        tx.execute_raw(lock).await?;
    }
    Ok(())
}

pub(super) async fn page(
    db: &impl ConnectionTrait,
    workspace: Option<WorkspaceId>,
    after: i64,
    limit: u64,
) -> Result<Vec<Event>> {
    let mut query = events::Entity::find().filter(events::Column::Seq.gt(after));
    if let Some(workspace) = workspace {
        query = query.filter(events::Column::WorkspaceId.eq(workspace.0));
    }
    let rows = query.order_by_asc(events::Column::Seq).limit(limit).all(db).await?;
    rows.into_iter().map(event).collect()
}

/// Events of all workspaces, each with the bytes of its data.
pub(super) async fn sized_page(db: &impl ConnectionTrait, after: i64, limit: u64) -> Result<Vec<(Event, usize)>> {
    let query = events::Entity::find().filter(events::Column::Seq.gt(after));
    let rows = query.order_by_asc(events::Column::Seq).limit(limit).all(db).await?;
    let sized = |row: events::Model| {
        let bytes = row.data.len();
        Ok((event(row)?, bytes))
    };
    rows.into_iter().map(sized).collect()
}

fn event(row: events::Model) -> Result<Event> {
    let data = serde_json::from_str(&row.data)
        .map_err(|_| Error::internal(format!("the data of event {} is not JSON", row.seq)))?;
    Ok(Event {
        seq: row.seq,
        workspace: WorkspaceId(row.workspace_id),
        at: row.at,
        name: row.name,
        data,
        depth: u32::try_from(row.depth).unwrap_or(0),
    })
}

pub(super) async fn last(db: &impl ConnectionTrait) -> Result<i64> {
    let row = events::Entity::find()
        .select_only()
        .column(events::Column::Seq)
        .order_by_desc(events::Column::Seq)
        .limit(1)
        .into_tuple::<i64>()
        .one(db)
        .await?;
    Ok(row.unwrap_or(0))
}

pub(super) async fn offset(db: &impl ConnectionTrait, consumer: &str) -> Result<i64> {
    Ok(event_offsets::Entity::find_by_id(consumer.to_owned()).one(db).await?.map_or(0, |row| row.seq))
}

/// Moves a consumer forward; it never goes back, also where two nodes read for it.
pub(super) async fn advance(tx: &impl ConnectionTrait, consumer: &str, seq: i64, now: Millis) -> Result<()> {
    let row = event_offsets::ActiveModel { consumer: Set(consumer.to_owned()), seq: Set(0), updated_at: Set(now) };
    let keep = OnConflict::column(event_offsets::Column::Consumer).do_nothing().to_owned();
    event_offsets::Entity::insert(row).on_conflict(keep).exec_without_returning(tx).await?;
    event_offsets::Entity::update_many()
        .set(event_offsets::ActiveModel { seq: Set(seq), updated_at: Set(now), ..Default::default() })
        .filter(event_offsets::Column::Consumer.eq(consumer))
        .filter(event_offsets::Column::Seq.lt(seq))
        .exec(tx)
        .await?;
    Ok(())
}

/// How far a consumer is; nobody else moves it on until `tx` ends.
pub(super) async fn hold_offset(tx: &Tx, consumer: &str, now: Millis) -> Result<i64> {
    advance(tx, consumer, 0, now).await?;
    let mut query = event_offsets::Entity::find_by_id(consumer.to_owned());
    if tx.get_database_backend() == DbBackend::Postgres {
        query = query.lock_exclusive();
    }
    Ok(query.one(tx).await?.map_or(0, |row| row.seq))
}

/// Forgets a consumer that has not read an event from before `cutoff`.
pub(super) async fn give_up(tx: &Tx, consumer: &str, cutoff: Millis) -> Result<bool> {
    let Some(row) = event_offsets::Entity::find_by_id(consumer.to_owned()).one(tx).await? else { return Ok(false) };
    let unread = events::Entity::find()
        .select_only()
        .column(events::Column::At)
        .filter(events::Column::Seq.gt(row.seq))
        .order_by_asc(events::Column::Seq)
        .limit(1)
        .into_tuple::<i64>()
        .one(tx)
        .await?;
    if unread.is_none_or(|at| at >= cutoff) {
        return Ok(false);
    }
    let gone = event_offsets::Entity::delete_many()
        .filter(event_offsets::Column::Consumer.eq(consumer))
        .filter(event_offsets::Column::Seq.eq(row.seq))
        .exec(tx)
        .await?;
    Ok(gone.rows_affected > 0)
}

/// Deletes the oldest events, as long as they are from before `cutoff` and read by all.
pub(super) async fn prune(tx: &Tx, cutoff: Millis) -> Result<u64> {
    let read_by_all = event_offsets::Entity::find()
        .order_by_asc(event_offsets::Column::Seq)
        .limit(1)
        .one(tx)
        .await?
        .map_or(i64::MAX, |row| row.seq);
    let oldest = events::Entity::find()
        .select_only()
        .columns([events::Column::Seq, events::Column::At])
        .order_by_asc(events::Column::Seq)
        .limit(PRUNE_BATCH)
        .into_tuple::<(i64, i64)>()
        .all(tx)
        .await?;
    let last = oldest.into_iter().take_while(|(seq, at)| *at < cutoff && *seq <= read_by_all).last();
    let Some((last, _)) = last else { return Ok(0) };
    let done = events::Entity::delete_many().filter(events::Column::Seq.lte(last)).exec(tx).await?;
    Ok(done.rows_affected)
}
