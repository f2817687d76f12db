//! The tables `supervised`, `incidents` and `incident_entries`.

use super::incident::{IncidentKind, IncidentStatus};
use super::state::Effect;
use crate::clock::{Clock, Millis};
use crate::error::Result;
use crate::event::Bus;
use crate::id::{IncidentId, WorkspaceId};
use crate::storage::Tx;
use crate::storage::entity::{incident_entries, incidents, supervised};
use sea_orm::ActiveValue::Set;
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, IntoActiveModel, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect,
};
use serde_json::{Value, json};
use uuid::Uuid;

/// Entries that the supervisor adds to one incident at most; people's are not counted.
pub(super) const MAX_ENTRIES: u64 = 200;
/// Rows that are looked at in one go.
const BATCH: u64 = 100;
/// Longest text of an entry, in characters.
const MAX_TEXT: usize = 2_000;
const SUPERVISOR: &str = "supervisor";

pub(super) async fn locked(tx: &Tx, deployment: Uuid) -> Result<Option<supervised::Model>> {
    let mut query = supervised::Entity::find_by_id(deployment);
    if tx.get_database_backend() == DbBackend::Postgres {
        query = query.lock_exclusive();
    }
    Ok(query.one(tx).await?)
}

pub(super) async fn find(db: &impl ConnectionTrait, deployment: Uuid) -> Result<Option<supervised::Model>> {
    Ok(supervised::Entity::find_by_id(deployment).one(db).await?)
}

pub(super) async fn save(tx: &Tx, mut row: supervised::Model, now: Millis) -> Result<()> {
    row.updated_at = now;
    row.into_active_model().reset_all().update(tx).await?;
    Ok(())
}

pub(super) async fn remove(tx: &Tx, deployment: Uuid) -> Result<()> {
    supervised::Entity::delete_by_id(deployment).exec(tx).await?;
    Ok(())
}

/// Deployments with something due by `now`, by the column that says when.
pub(super) async fn due(db: &impl ConnectionTrait, column: supervised::Column, now: Millis) -> Result<Vec<Uuid>> {
    let ids = supervised::Entity::find()
        .select_only()
        .column(supervised::Column::DeploymentId)
        .filter(column.lte(now))
        .order_by_asc(column)
        .limit(BATCH)
        .into_tuple::<Uuid>()
        .all(db)
        .await?;
    Ok(ids)
}

/// The next time in a column.
pub(super) async fn next(db: &impl ConnectionTrait, column: supervised::Column) -> Result<Option<Millis>> {
    let next = supervised::Entity::find()
        .select_only()
        .column(column)
        .filter(column.is_not_null())
        .order_by_asc(column)
        .limit(1)
        .into_tuple::<i64>()
        .one(db)
        .await?;
    Ok(next)
}

pub(super) async fn incident(
    db: &impl ConnectionTrait,
    workspace: WorkspaceId,
    id: IncidentId,
) -> Result<Option<incidents::Model>> {
    let query = incidents::Entity::find_by_id(id.0).filter(incidents::Column::WorkspaceId.eq(workspace.0));
    Ok(query.one(db).await?)
}

pub(super) async fn locked_incident(
    tx: &Tx,
    workspace: WorkspaceId,
    id: IncidentId,
) -> Result<Option<incidents::Model>> {
    let mut query = incidents::Entity::find_by_id(id.0).filter(incidents::Column::WorkspaceId.eq(workspace.0));
    if tx.get_database_backend() == DbBackend::Postgres {
        query = query.lock_exclusive();
    }
    Ok(query.one(tx).await?)
}

/// Events that a transaction publishes at its end: on PostgreSQL publishing holds the
/// bus, and a row that is locked after that could be held by one who waits for the bus.
#[derive(Default)]
pub(super) struct Outbox(Vec<(WorkspaceId, &'static str, Value)>);

impl Outbox {
    fn add(&mut self, name: &'static str, row: &incidents::Model, text: &str) {
        let data = json!({
            "incident": row.id, "bot": row.bot_id, "bot_name": row.bot_name, "deployment": row.deployment_id,
            "environment": row.environment, "kind": row.kind, "title": row.title, "text": text,
        });
        self.0.push((WorkspaceId(row.workspace_id), name, data));
    }

    pub(super) async fn publish(self, tx: &Tx, clock: &dyn Clock) -> Result<()> {
        for (workspace, name, data) in self.0 {
            Bus::publish_in(tx, clock, workspace, name, data).await?;
        }
        Ok(())
    }
}

/// Writes what was decided about a deployment's incident, and notes it on the row.
pub(super) async fn apply(
    tx: &Tx,
    clock: &dyn Clock,
    outbox: &mut Outbox,
    row: &mut supervised::Model,
    effects: Vec<Effect>,
) -> Result<()> {
    let workspace = WorkspaceId(row.workspace_id);
    for effect in effects {
        match effect {
            Effect::Open { kind, title, text, execution } => {
                let about = About { kind, title, deployment: Some(row.deployment_id) };
                let bot = Whose { workspace, bot: row.bot_id, bot_name: &row.bot_name, environment: &row.environment };
                let id = open(tx, clock, outbox, bot, about, &text, execution).await?;
                row.incident_id = Some(id.0);
            }
            Effect::Note { kind, text, execution } => {
                if let Some(id) = row.incident_id {
                    note(tx, clock, workspace, id, kind, &text, execution).await?;
                }
            }
            Effect::Close { text } => {
                if let Some(id) = row.incident_id.take() {
                    let open = locked_incident(tx, workspace, IncidentId(id)).await?;
                    if let Some(incident) = open.filter(|i| i.status != IncidentStatus::Closed.as_str()) {
                        close(tx, clock, outbox, incident, SUPERVISOR, &text).await?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// What an incident is about.
pub(super) struct About {
    pub(super) kind: IncidentKind,
    pub(super) title: String,
    pub(super) deployment: Option<Uuid>,
}

/// Whose incident it is.
pub(super) struct Whose<'a> {
    pub(super) workspace: WorkspaceId,
    pub(super) bot: Uuid,
    pub(super) bot_name: &'a str,
    pub(super) environment: &'a str,
}

pub(super) async fn open(
    tx: &Tx,
    clock: &dyn Clock,
    outbox: &mut Outbox,
    whose: Whose<'_>,
    about: About,
    text: &str,
    execution: Option<Uuid>,
) -> Result<IncidentId> {
    let now = clock.now();
    let id = IncidentId::at(now);
    let row = incidents::Model {
        id: id.0,
        workspace_id: whose.workspace.0,
        bot_id: whose.bot,
        bot_name: whose.bot_name.to_owned(),
        deployment_id: about.deployment,
        environment: whose.environment.to_owned(),
        kind: about.kind.as_str().to_owned(),
        status: IncidentStatus::Open.as_str().to_owned(),
        title: about.title,
        opened_at: now,
        updated_at: now,
        closed_at: None,
    };
    incidents::Entity::insert(row.clone().into_active_model().reset_all()).exec_without_returning(tx).await?;
    entry(tx, clock, whose.workspace, id.0, ("opened", SUPERVISOR, text), execution).await?;
    metrics::counter!("codex32_incidents_opened_total", "kind" => about.kind.as_str()).increment(1);
    outbox.add("incident.opened", &row, text);
    Ok(id)
}

/// Adds to the timeline of an incident, as long as it is not too long already.
pub(super) async fn note(
    tx: &Tx,
    clock: &dyn Clock,
    workspace: WorkspaceId,
    incident: Uuid,
    kind: &str,
    text: &str,
    execution: Option<Uuid>,
) -> Result<()> {
    let query = incident_entries::Entity::find().filter(incident_entries::Column::IncidentId.eq(incident));
    if query.count(tx).await? < MAX_ENTRIES {
        entry(tx, clock, workspace, incident, (kind, SUPERVISOR, text), execution).await?;
    }
    let touched = incidents::ActiveModel { id: Set(incident), updated_at: Set(clock.now()), ..Default::default() };
    touched.update(tx).await?;
    Ok(())
}

async fn entry(
    tx: &Tx,
    clock: &dyn Clock,
    workspace: WorkspaceId,
    incident: Uuid,
    (kind, author, text): (&str, &str, &str),
    execution: Option<Uuid>,
) -> Result<()> {
    // Entries of the same millisecond keep their order: the number of those before is in the id.
    let before =
        incident_entries::Entity::find().filter(incident_entries::Column::IncidentId.eq(incident)).count(tx).await?;
    let row = incident_entries::ActiveModel {
        id: Set(ordered(clock.now(), before)),
        workspace_id: Set(workspace.0),
        incident_id: Set(incident),
        at: Set(clock.now()),
        kind: Set(kind.to_owned()),
        author: Set(author.to_owned()),
        text: Set(text.chars().take(MAX_TEXT).collect()),
        execution_id: Set(execution),
    };
    incident_entries::Entity::insert(row).exec_without_returning(tx).await?;
    Ok(())
}

/// A UUIDv7 whose first random bits are `before`.
fn ordered(now: Millis, before: u64) -> Uuid {
    let mut bytes = *IncidentId::at(now).0.as_bytes();
    let count = u16::try_from(before).unwrap_or(u16::MAX).min(0x0fff);
    bytes[6] = 0x70 | (count >> 8) as u8;
    bytes[7] = (count & 0xff) as u8;
    Uuid::from_bytes(bytes)
}

pub(super) async fn acknowledge(
    tx: &Tx,
    clock: &dyn Clock,
    row: incidents::Model,
    by: &str,
    comment: &str,
) -> Result<()> {
    let change = incidents::ActiveModel {
        id: Set(row.id),
        status: Set(IncidentStatus::Acknowledged.as_str().to_owned()),
        updated_at: Set(clock.now()),
        ..Default::default()
    };
    change.update(tx).await?;
    entry(tx, clock, WorkspaceId(row.workspace_id), row.id, ("acknowledged", by, comment), None).await
}

pub(super) async fn close(
    tx: &Tx,
    clock: &dyn Clock,
    outbox: &mut Outbox,
    row: incidents::Model,
    by: &str,
    text: &str,
) -> Result<()> {
    let now = clock.now();
    let change = incidents::ActiveModel {
        id: Set(row.id),
        status: Set(IncidentStatus::Closed.as_str().to_owned()),
        updated_at: Set(now),
        closed_at: Set(Some(now)),
        ..Default::default()
    };
    change.update(tx).await?;
    entry(tx, clock, WorkspaceId(row.workspace_id), row.id, ("closed", by, text), None).await?;
    outbox.add("incident.closed", &row, text);
    Ok(())
}

/// Lets the deployment of an incident that people closed begin anew.
pub(super) async fn let_go(tx: &Tx, id: IncidentId, now: Millis) -> Result<()> {
    supervised::Entity::update_many()
        .set(supervised::ActiveModel {
            incident_id: Set(None),
            failures: Set(0),
            updated_at: Set(now),
            ..Default::default()
        })
        .filter(supervised::Column::IncidentId.eq(id.0))
        .exec(tx)
        .await?;
    Ok(())
}

/// The open incident of a kind about a deployment.
pub(super) async fn find_open(
    tx: &Tx,
    workspace: WorkspaceId,
    kind: IncidentKind,
    deployment: Option<Uuid>,
) -> Result<Option<incidents::Model>> {
    let query = incidents::Entity::find()
        .filter(incidents::Column::WorkspaceId.eq(workspace.0))
        .filter(incidents::Column::Status.ne(IncidentStatus::Closed.as_str()))
        .filter(incidents::Column::Kind.eq(kind.as_str()))
        .filter(incidents::Column::DeploymentId.eq(deployment))
        .order_by_desc(incidents::Column::Id);
    Ok(query.one(tx).await?)
}
