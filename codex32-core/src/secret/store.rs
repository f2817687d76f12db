//! Rows of secrets and of the keys that encrypt them.

use super::key::Wrapped;
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::id::{TokenId, WorkspaceId};
use crate::storage::entity::{data_keys, secrets};
use crate::storage::{Only as _, Tx};
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Set};

pub(super) async fn data_key(db: &impl ConnectionTrait, ws: WorkspaceId) -> Result<Option<data_keys::Model>> {
    Ok(data_keys::Entity::find_by_id(ws.0).only(db).await?)
}

/// Stores a workspace's first key; of two at once the first one stays.
pub(super) async fn add_data_key(tx: &Tx, now: Millis, ws: WorkspaceId, wrapped: Wrapped) -> Result<()> {
    let row = data_keys::ActiveModel {
        workspace_id: Set(ws.0),
        master: Set(wrapped.master),
        wrapped: Set(wrapped.bytes),
        revision: Set(0),
        created_at: Set(now),
        updated_at: Set(now),
    };
    let other = OnConflict::column(data_keys::Column::WorkspaceId).do_nothing().to_owned();
    data_keys::Entity::insert(row).on_conflict(other).exec_without_returning(tx).await?;
    Ok(())
}

/// Replaces a wrapped key, unless somebody else did meanwhile.
pub(super) async fn rewrap(tx: &Tx, now: Millis, old: &data_keys::Model, wrapped: Wrapped) -> Result<bool> {
    let done = data_keys::Entity::update_many()
        .col_expr(data_keys::Column::Master, Expr::value(wrapped.master))
        .col_expr(data_keys::Column::Wrapped, Expr::value(wrapped.bytes))
        .col_expr(data_keys::Column::UpdatedAt, Expr::value(now))
        .filter(data_keys::Column::WorkspaceId.eq(old.workspace_id))
        .filter(data_keys::Column::Wrapped.eq(old.wrapped.clone()))
        .exec(tx)
        .await?;
    Ok(done.rows_affected == 1)
}

/// Workspaces after `after` whose key is not wrapped by `master`, a few at a time.
pub(super) async fn wrapped_otherwise(
    db: &impl ConnectionTrait,
    master: &str,
    after: Option<uuid::Uuid>,
) -> Result<Vec<data_keys::Model>> {
    let mut query = data_keys::Entity::find().filter(data_keys::Column::Master.ne(master));
    if let Some(after) = after {
        query = query.filter(data_keys::Column::WorkspaceId.gt(after));
    }
    Ok(query.order_by_asc(data_keys::Column::WorkspaceId).limit(100).all(db).await?)
}

pub(super) async fn any_data_key(db: &impl ConnectionTrait) -> Result<Option<data_keys::Model>> {
    Ok(data_keys::Entity::find().limit(1).one(db).await?)
}

/// Counts a change of the workspace's secrets and holds its row, so that changes take turns.
pub(super) async fn touch(tx: &Tx, now: Millis, ws: WorkspaceId) -> Result<()> {
    data_keys::Entity::update_many()
        .col_expr(data_keys::Column::Revision, Expr::col(data_keys::Column::Revision).add(1))
        .col_expr(data_keys::Column::UpdatedAt, Expr::value(now))
        .filter(data_keys::Column::WorkspaceId.eq(ws.0))
        .exec(tx)
        .await?;
    Ok(())
}

pub(super) async fn find(db: &impl ConnectionTrait, ws: WorkspaceId, name: &str) -> Result<Option<secrets::Model>> {
    let query = secrets::Entity::find().filter(secrets::Column::WorkspaceId.eq(ws.0));
    Ok(query.filter(secrets::Column::Name.eq(name)).only(db).await?)
}

pub(super) async fn find_many(
    db: &impl ConnectionTrait,
    ws: WorkspaceId,
    names: &[String],
) -> Result<Vec<secrets::Model>> {
    let query = secrets::Entity::find().filter(secrets::Column::WorkspaceId.eq(ws.0));
    Ok(query.filter(secrets::Column::Name.is_in(names)).all(db).await?)
}

/// All of a workspace; there are at most a thousand, and small ones.
pub(super) async fn all(db: &impl ConnectionTrait, ws: WorkspaceId) -> Result<Vec<secrets::Model>> {
    let query = secrets::Entity::find().filter(secrets::Column::WorkspaceId.eq(ws.0));
    Ok(query.order_by_asc(secrets::Column::Id).all(db).await?)
}

pub(super) async fn page(
    db: &impl ConnectionTrait,
    ws: WorkspaceId,
    after: Option<uuid::Uuid>,
    limit: u64,
) -> Result<Vec<secrets::Model>> {
    let mut query = secrets::Entity::find().filter(secrets::Column::WorkspaceId.eq(ws.0));
    if let Some(after) = after {
        query = query.filter(secrets::Column::Id.gt(after));
    }
    Ok(query.order_by_asc(secrets::Column::Id).limit(limit).all(db).await?)
}

/// Refuses what would go beyond the workspace's share. Sizes are added up here, since
/// the databases give sums different types.
pub(super) async fn check_room(tx: &Tx, ws: WorkspaceId, name: &str, size: i64) -> Result<()> {
    let sizes: Vec<i64> = secrets::Entity::find()
        .select_only()
        .column(secrets::Column::Size)
        .filter(secrets::Column::WorkspaceId.eq(ws.0))
        .filter(secrets::Column::Name.ne(name))
        .into_tuple()
        .all(tx)
        .await?;
    if sizes.len() >= super::MAX_SECRETS {
        return Err(Error::precondition(format!("the workspace holds {} secrets already", super::MAX_SECRETS))
            .hint("delete some that are no longer used"));
    }
    if sizes.iter().sum::<i64>() + size > super::MAX_TOTAL {
        return Err(Error::precondition(format!("the workspace's secrets would exceed {} bytes", super::MAX_TOTAL))
            .hint("a secret is a credential; keep documents elsewhere"));
    }
    Ok(())
}

pub(super) async fn insert(
    tx: &Tx,
    now: Millis,
    ws: WorkspaceId,
    name: &str,
    sealed: Vec<u8>,
    size: i64,
) -> Result<()> {
    let row = secrets::ActiveModel {
        id: Set(TokenId::at(now).0),
        workspace_id: Set(ws.0),
        name: Set(name.to_owned()),
        version: Set(1),
        size: Set(size),
        ciphertext: Set(sealed),
        created_at: Set(now),
        updated_at: Set(now),
    };
    secrets::Entity::insert(row).exec_without_returning(tx).await?;
    Ok(())
}

pub(super) async fn update(tx: &Tx, now: Millis, old: &secrets::Model, sealed: Vec<u8>, size: i64) -> Result<()> {
    secrets::Entity::update_many()
        .col_expr(secrets::Column::Version, Expr::value(old.version + 1))
        .col_expr(secrets::Column::Size, Expr::value(size))
        .col_expr(secrets::Column::Ciphertext, Expr::value(sealed))
        .col_expr(secrets::Column::UpdatedAt, Expr::value(now))
        .filter(secrets::Column::Id.eq(old.id))
        .exec(tx)
        .await?;
    Ok(())
}

pub(super) async fn delete(tx: &Tx, ws: WorkspaceId, name: &str) -> Result<bool> {
    let done = secrets::Entity::delete_many()
        .filter(secrets::Column::WorkspaceId.eq(ws.0))
        .filter(secrets::Column::Name.eq(name))
        .exec(tx)
        .await?;
    Ok(done.rows_affected > 0)
}
