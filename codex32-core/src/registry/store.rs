//! Rows of bots, versions, files and deployments. Every query is bound to a workspace.

use super::text::{Files, Reading};
use crate::access::Caller;
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::id::{BotId, DeploymentId, VersionId, WorkspaceId};
use crate::storage::entity::{bots, deployments, version_files, versions, workspaces};
use crate::storage::{Only as _, Tx};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select, Set};
use uuid::Uuid;

/// File rows that go into one statement, below the databases' limits on bound values.
const FILES_AT_ONCE: usize = 50;

pub(super) fn bots_of(ws: WorkspaceId) -> Select<bots::Entity> {
    bots::Entity::find().filter(bots::Column::WorkspaceId.eq(ws.0))
}

pub(super) async fn bot(db: &impl ConnectionTrait, ws: WorkspaceId, id: BotId) -> Result<bots::Model> {
    let row = bots_of(ws).filter(bots::Column::Id.eq(id.0)).only(db).await?;
    row.ok_or_else(|| Error::not_found("bot", id))
}

/// The bot's row, held until the transaction ends, so that changes of one bot take turns.
pub(super) async fn hold(tx: &Tx, ws: WorkspaceId, id: BotId) -> Result<bots::Model> {
    let row = bots_of(ws).filter(bots::Column::Id.eq(id.0)).lock_exclusive().one(tx).await?;
    row.ok_or_else(|| Error::not_found("bot", id))
}

/// Like [`hold`], for a bot that must not be deleted.
pub(super) async fn hold_live(tx: &Tx, ws: WorkspaceId, id: BotId) -> Result<bots::Model> {
    let row = hold(tx, ws, id).await?;
    if row.deleted_at.is_some() {
        return Err(Error::precondition(format!("the bot \"{}\" is deleted", row.name)).hint("restore it first"));
    }
    Ok(row)
}

pub(super) async fn live_by_name(
    db: &impl ConnectionTrait,
    ws: WorkspaceId,
    name: &str,
) -> Result<Option<bots::Model>> {
    let query = bots_of(ws).filter(bots::Column::Name.eq(name)).filter(bots::Column::DeletedAt.is_null());
    Ok(query.only(db).await?)
}

pub(super) async fn workspace(db: &impl ConnectionTrait, ws: WorkspaceId) -> Result<workspaces::Model> {
    let row = workspaces::Entity::find_by_id(ws.0).only(db).await?;
    row.ok_or_else(|| Error::not_found("workspace", ws))
}

pub(super) async fn insert_bot(
    tx: &Tx,
    now: Millis,
    caller: &Caller,
    reading: &Reading,
    applied: bool,
) -> Result<bots::Model> {
    let row = bots::ActiveModel {
        id: Set(BotId::at(now).0),
        workspace_id: Set(caller.workspace.0),
        name: Set(reading.blueprint.name.clone()),
        description: Set(reading.blueprint.description.clone()),
        latest: Set(0),
        created_by: Set(caller.user.map(|user| user.0)),
        created_at: Set(now),
        updated_at: Set(now),
        keep_ms: Set(None),
        keep_count: Set(None),
        archived: Set(true),
        applied: Set(applied),
        deleted_at: Set(None),
        purged_at: Set(None),
    };
    Ok(bots::Entity::insert(row).exec_with_returning(tx).await?)
}

pub(super) async fn insert_version(
    tx: &Tx,
    now: Millis,
    caller: &Caller,
    bot: &bots::Model,
    reading: &Reading,
    note: Option<String>,
) -> Result<versions::Model> {
    let id = VersionId::at(now).0;
    let row = versions::ActiveModel {
        id: Set(id),
        workspace_id: Set(bot.workspace_id),
        bot_id: Set(bot.id),
        number: Set(bot.latest + 1),
        digest: Set(reading.digest.clone()),
        blueprint: Set(reading.text.clone()),
        note: Set(note),
        created_by: Set(caller.user.map(|user| user.0)),
        created_at: Set(now),
    };
    let row = versions::Entity::insert(row).exec_with_returning(tx).await?;
    let files: Vec<_> = reading
        .files
        .iter()
        .map(|(path, content)| version_files::ActiveModel {
            id: Set(VersionId::at(now).0),
            workspace_id: Set(bot.workspace_id),
            version_id: Set(id),
            path: Set(path.clone()),
            content: Set(content.clone()),
        })
        .collect();
    for some in files.chunks(FILES_AT_ONCE) {
        version_files::Entity::insert_many(some.to_vec()).exec_without_returning(tx).await?;
    }
    bots::Entity::update_many()
        .set(bots::ActiveModel {
            latest: Set(row.number),
            description: Set(reading.blueprint.description.clone()),
            keep_ms: Set(reading.blueprint.retention.age.map(|age| i64::try_from(age.0).unwrap_or(i64::MAX))),
            keep_count: Set(reading.blueprint.retention.count.map(i64::from)),
            archived: Set(!reading.blueprint.retention.unarchived),
            updated_at: Set(now),
            ..Default::default()
        })
        .filter(bots::Column::Id.eq(bot.id))
        .exec(tx)
        .await?;
    Ok(row)
}

pub(super) async fn version(
    db: &impl ConnectionTrait,
    ws: WorkspaceId,
    bot: BotId,
    number: i32,
) -> Result<versions::Model> {
    let row = versions::Entity::find()
        .filter(versions::Column::WorkspaceId.eq(ws.0))
        .filter(versions::Column::BotId.eq(bot.0))
        .filter(versions::Column::Number.eq(number))
        .one(db)
        .await?;
    row.ok_or_else(|| Error::not_found("version", number).hint("`codex32 versions` lists them"))
}

pub(super) async fn version_by_id(
    db: &impl ConnectionTrait,
    ws: WorkspaceId,
    id: VersionId,
) -> Result<Option<versions::Model>> {
    let query = versions::Entity::find().filter(versions::Column::WorkspaceId.eq(ws.0));
    Ok(query.filter(versions::Column::Id.eq(id.0)).only(db).await?)
}

pub(super) async fn files(db: &impl ConnectionTrait, ws: WorkspaceId, version: Uuid) -> Result<Files> {
    let rows = version_files::Entity::find()
        .filter(version_files::Column::WorkspaceId.eq(ws.0))
        .filter(version_files::Column::VersionId.eq(version))
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|row| (row.path, row.content)).collect())
}

pub(super) fn deployments_of(ws: WorkspaceId) -> Select<deployments::Entity> {
    deployments::Entity::find().filter(deployments::Column::WorkspaceId.eq(ws.0))
}

/// The present deployments of some bots, each with the number of its version.
pub(super) async fn present(
    db: &impl ConnectionTrait,
    ws: WorkspaceId,
    bots: &[Uuid],
) -> Result<Vec<(deployments::Model, i32)>> {
    let rows = deployments_of(ws)
        .filter(deployments::Column::BotId.is_in(bots.iter().copied()))
        .filter(deployments::Column::EndedAt.is_null())
        .order_by_asc(deployments::Column::Environment)
        .all(db)
        .await?;
    numbered(db, ws, rows).await
}

/// Deployments with the numbers of their versions.
pub(super) async fn numbered(
    db: &impl ConnectionTrait,
    ws: WorkspaceId,
    rows: Vec<deployments::Model>,
) -> Result<Vec<(deployments::Model, i32)>> {
    let numbers: Vec<(Uuid, i32)> = versions::Entity::find()
        .select_only()
        .columns([versions::Column::Id, versions::Column::Number])
        .filter(versions::Column::WorkspaceId.eq(ws.0))
        .filter(versions::Column::Id.is_in(rows.iter().map(|row| row.version_id)))
        .into_tuple()
        .all(db)
        .await?;
    let number = |id| numbers.iter().find(|(version, _)| *version == id).map_or(0, |(_, number)| *number);
    Ok(rows.into_iter().map(|row| (number(row.version_id), row)).map(|(number, row)| (row, number)).collect())
}

/// The present deployment of a bot in an environment.
pub(super) async fn present_in(
    db: &impl ConnectionTrait,
    ws: WorkspaceId,
    bot: BotId,
    environment: &str,
) -> Result<Option<deployments::Model>> {
    Ok(deployments_of(ws)
        .filter(deployments::Column::BotId.eq(bot.0))
        .filter(deployments::Column::Environment.eq(environment))
        .filter(deployments::Column::EndedAt.is_null())
        .only(db)
        .await?)
}

/// Changes a deployment's status; `ended` where it is no longer the present one.
pub(super) async fn set_status(
    tx: &Tx,
    now: Millis,
    id: DeploymentId,
    status: &str,
    ended: Option<Millis>,
) -> Result<()> {
    deployments::Entity::update_many()
        .set(deployments::ActiveModel {
            status: Set(status.to_owned()),
            updated_at: Set(now),
            ended_at: Set(ended),
            ..Default::default()
        })
        .filter(deployments::Column::Id.eq(id.0))
        .exec(tx)
        .await?;
    Ok(())
}
