//! The table `triggers`.

use super::spec::{Kind, Spec};
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::id::{BotId, WorkspaceId};
use crate::schedule::jitter;
use crate::storage::entity::triggers;
use crate::storage::{Only as _, Tx};
use sea_orm::ActiveValue::Set;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

/// The armed webhook at `path`.
pub(crate) async fn by_path(
    db: &impl ConnectionTrait,
    workspace: WorkspaceId,
    path: &str,
) -> Result<Option<triggers::Model>> {
    let query = triggers::Entity::find()
        .filter(triggers::Column::WorkspaceId.eq(workspace.0))
        .filter(triggers::Column::Path.eq(path));
    Ok(query.only(db).await?)
}

/// What earlier deployments of the bot to this environment left behind.
pub(super) async fn retired(
    tx: &Tx,
    workspace: WorkspaceId,
    bot: BotId,
    environment: &str,
) -> Result<Vec<(triggers::Model, Spec)>> {
    let rows = triggers::Entity::find()
        .filter(triggers::Column::WorkspaceId.eq(workspace.0))
        .filter(triggers::Column::BotId.eq(bot.0))
        .filter(triggers::Column::Environment.eq(environment))
        .filter(triggers::Column::Active.eq(false))
        .all(tx)
        .await?;
    rows.into_iter().map(|row| Spec::from_text(&row.spec).map(|spec| (row, spec))).collect()
}

pub(super) async fn delete(tx: &Tx, ids: impl IntoIterator<Item = Uuid>) -> Result<()> {
    let ids: Vec<Uuid> = ids.into_iter().collect();
    if !ids.is_empty() {
        triggers::Entity::delete_many().filter(triggers::Column::Id.is_in(ids)).exec(tx).await?;
    }
    Ok(())
}

/// When a trigger is due next and when the dispatcher looks at it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) next_due: Option<Millis>,
    pub(crate) wake_at: Option<Millis>,
}

impl Due {
    pub(crate) fn with_jitter(trigger: Uuid, due: Option<Millis>, jitter_ms: u64) -> Due {
        Due { next_due: due, wake_at: due.map(|due| due + jitter(trigger, due, jitter_ms)) }
    }
}

/// Triggers of a kind that are to be looked at by `now`, those due first in front.
pub(super) async fn due(db: &impl ConnectionTrait, kind: Kind, now: Millis, limit: u64) -> Result<Vec<Uuid>> {
    let ids = triggers::Entity::find()
        .select_only()
        .column(triggers::Column::Id)
        .filter(triggers::Column::Kind.eq(kind.as_str()))
        .filter(triggers::Column::WakeAt.lte(now))
        .order_by_asc(triggers::Column::WakeAt)
        .limit(limit)
        .into_tuple::<Uuid>()
        .all(db)
        .await?;
    Ok(ids)
}

/// When the next trigger of a kind is to be looked at.
pub(super) async fn next_wake(db: &impl ConnectionTrait, kind: Kind) -> Result<Option<Millis>> {
    let next = triggers::Entity::find()
        .select_only()
        .column(triggers::Column::WakeAt)
        .filter(triggers::Column::Kind.eq(kind.as_str()))
        .filter(triggers::Column::WakeAt.is_not_null())
        .order_by_asc(triggers::Column::WakeAt)
        .limit(1)
        .into_tuple::<i64>()
        .one(db)
        .await?;
    Ok(next)
}

pub(super) async fn find(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<triggers::Model>> {
    Ok(triggers::Entity::find_by_id(id).one(db).await?)
}

/// An armed trigger, held until the transaction ends; nobody else changes it meanwhile.
pub(crate) async fn locked(tx: &Tx, id: Uuid) -> Result<Option<triggers::Model>> {
    let mut query = triggers::Entity::find_by_id(id).filter(triggers::Column::Active.eq(true));
    if tx.get_database_backend() == DbBackend::Postgres {
        query = query.lock_exclusive();
    }
    Ok(query.one(tx).await?)
}

/// Takes the lease of a poll that is due. Until the lease ends it is not looked at again.
pub(super) async fn claim(
    tx: &Tx,
    id: Uuid,
    lease: Uuid,
    now: Millis,
    until: Millis,
) -> Result<Option<triggers::Model>> {
    let free = |row: &triggers::Model| row.enabled && row.wake_at.is_some_and(|at| at <= now);
    let Some(row) = locked(tx, id).await?.filter(free) else { return Ok(None) };
    let change = triggers::ActiveModel {
        id: Set(id),
        lease: Set(Some(lease)),
        lease_until: Set(Some(until)),
        wake_at: Set(Some(until)),
        ..Default::default()
    };
    change.update(tx).await?;
    Ok(Some(row))
}

/// Gives a lease back without having looked.
pub(super) async fn release(tx: &Tx, id: Uuid, lease: Uuid, now: Millis) -> Result<()> {
    triggers::Entity::update_many()
        .set(triggers::ActiveModel {
            lease: Set(None),
            lease_until: Set(None),
            wake_at: Set(Some(now)),
            ..Default::default()
        })
        .filter(triggers::Column::Id.eq(id))
        .filter(triggers::Column::Lease.eq(lease))
        .exec(tx)
        .await?;
    Ok(())
}

/// Moves a trigger on after it did what it was due for.
pub(super) async fn succeed(
    tx: &Tx,
    row: &triggers::Model,
    due: Due,
    cursor: Option<String>,
    fired: bool,
    now: Millis,
) -> Result<()> {
    let change = triggers::ActiveModel {
        id: Set(row.id),
        next_due: Set(due.next_due),
        wake_at: Set(due.wake_at),
        cursor: Set(cursor),
        lease: Set(None),
        lease_until: Set(None),
        failures: Set(0),
        last_error: Set(None),
        last_fired: Set(if fired { Some(now) } else { row.last_fired }),
        updated_at: Set(now),
        ..Default::default()
    };
    change.update(tx).await?;
    Ok(())
}

/// Notes that a trigger without a time of its own started an execution.
pub(crate) async fn fired(tx: &Tx, row: &triggers::Model, now: Millis) -> Result<()> {
    let change = triggers::ActiveModel {
        id: Set(row.id),
        failures: Set(0),
        last_error: Set(None),
        last_fired: Set(Some(now)),
        updated_at: Set(now),
        ..Default::default()
    };
    change.update(tx).await?;
    Ok(())
}

/// Notes a failure and when to try again.
pub(super) async fn fail(tx: &Tx, row: &triggers::Model, error: &Error, due: Due, now: Millis) -> Result<()> {
    let change = triggers::ActiveModel {
        id: Set(row.id),
        next_due: Set(due.next_due),
        wake_at: Set(due.wake_at.filter(|_| row.enabled)),
        lease: Set(None),
        lease_until: Set(None),
        failures: Set(row.failures.saturating_add(1)),
        last_error: Set(Some(text_of(error))),
        updated_at: Set(now),
        ..Default::default()
    };
    change.update(tx).await?;
    Ok(())
}

/// Notes what went wrong without changing when the trigger is due.
pub(crate) async fn note_error(tx: &Tx, id: Uuid, error: &Error, now: Millis) -> Result<()> {
    let change = triggers::ActiveModel {
        id: Set(id),
        last_error: Set(Some(text_of(error))),
        updated_at: Set(now),
        ..Default::default()
    };
    change.update(tx).await?;
    Ok(())
}

/// The error in a line of bounded length.
fn text_of(error: &Error) -> String {
    const LONGEST: usize = 1_000;
    let text = format!("{}: {error}", error.code());
    text.chars().take(LONGEST).collect()
}
