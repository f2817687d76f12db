//! Incidents: what callers see of them and do about them.

use super::{Supervisor, store};
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::id::{BotId, DeploymentId, ExecutionId, IncidentId, WorkspaceId};
use crate::storage::entity::{incident_entries, incidents};
use crate::storage::page::{MAX_LIMIT, Page, decode};
use schemars::JsonSchema;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};

/// Longest comment, in characters.
const MAX_COMMENT: usize = 2_000;

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IncidentKind {
    /// It failed several times in a row.
    Failing,
    /// It did not succeed within its time.
    Overdue,
    /// Bots started each other without end.
    Loop,
}

impl IncidentKind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            IncidentKind::Failing => "failing",
            IncidentKind::Overdue => "overdue",
            IncidentKind::Loop => "loop",
        }
    }
}

/// Where an incident stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IncidentStatus {
    /// Nobody has said that they look after it.
    Open,
    /// Somebody looks after it.
    Acknowledged,
    /// It is over.
    Closed,
}

impl IncidentStatus {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            IncidentStatus::Open => "open",
            IncidentStatus::Acknowledged => "acknowledged",
            IncidentStatus::Closed => "closed",
        }
    }
}

/// Something the supervisor saw go wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Incident {
    /// Identity; sorts by opening.
    pub id: IncidentId,
    /// The bot.
    pub bot: BotId,
    /// Its name.
    pub bot_name: String,
    /// The deployment, where it is about one.
    pub deployment: Option<DeploymentId>,
    /// Its environment.
    pub environment: String,
    /// What went wrong.
    pub kind: IncidentKind,
    /// Where it stands.
    pub status: IncidentStatus,
    /// What is wrong, in a line.
    pub title: String,
    /// UTC milliseconds.
    pub opened_at: Millis,
    /// UTC milliseconds.
    pub updated_at: Millis,
    /// UTC milliseconds.
    pub closed_at: Option<Millis>,
}

/// An incident with its timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IncidentDetail {
    /// The incident.
    pub incident: Incident,
    /// What happened and what was done, oldest first.
    pub timeline: Vec<IncidentEntry>,
}

/// One entry of a timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IncidentEntry {
    /// UTC milliseconds.
    pub at: Millis,
    /// `opened`, `failure`, `overdue`, `restart`, `acknowledged`, `note` or `closed`.
    pub kind: String,
    /// Who did it; `supervisor` for the engine.
    pub author: String,
    /// What happened.
    pub text: String,
    /// The execution that it is about.
    pub execution: Option<ExecutionId>,
}

impl Supervisor {
    /// Incidents of a workspace, newest first.
    ///
    /// # Errors
    /// `invalid` for a cursor that no list gave.
    pub async fn list(
        &self,
        workspace: WorkspaceId,
        status: Option<IncidentStatus>,
        bot: Option<BotId>,
        cursor: Option<&str>,
        limit: u64,
    ) -> Result<Page<Incident>> {
        let limit = limit.clamp(1, MAX_LIMIT);
        let mut query = incidents::Entity::find().filter(incidents::Column::WorkspaceId.eq(workspace.0));
        if let Some(status) = status {
            query = query.filter(incidents::Column::Status.eq(status.as_str()));
        }
        if let Some(bot) = bot {
            query = query.filter(incidents::Column::BotId.eq(bot.0));
        }
        if let Some(cursor) = cursor {
            query = query.filter(incidents::Column::Id.lt(decode(cursor)?));
        }
        let rows = query.order_by_desc(incidents::Column::Id).limit(limit + 1).all(self.parts.db.read()).await?;
        let rows = rows.into_iter().map(incident).collect::<Result<Vec<_>>>()?;
        Ok(Page::cut(rows, limit, |incident| incident.id.0))
    }

    /// An incident with its timeline.
    ///
    /// # Errors
    /// `not_found` where the workspace has none of this id.
    pub async fn get(&self, workspace: WorkspaceId, id: IncidentId) -> Result<IncidentDetail> {
        let db = self.parts.db.read();
        let row = store::incident(db, workspace, id).await?.ok_or_else(|| Error::not_found("incident", id))?;
        let entries = incident_entries::Entity::find()
            .filter(incident_entries::Column::IncidentId.eq(id.0))
            .order_by_asc(incident_entries::Column::Id)
            .limit(store::MAX_ENTRIES * 2)
            .all(db)
            .await?;
        Ok(IncidentDetail { incident: incident(row)?, timeline: entries.into_iter().map(entry).collect() })
    }

    /// Says that `by` looks after an incident.
    ///
    /// # Errors
    /// `not_found`, `precondition` where it is closed, `invalid` for a comment that is too long.
    pub async fn acknowledge(
        &self,
        workspace: WorkspaceId,
        id: IncidentId,
        by: &str,
        comment: &str,
    ) -> Result<IncidentDetail> {
        self.change(workspace, id, IncidentStatus::Acknowledged, by, comment).await
    }

    /// Closes an incident by hand. Failures are counted from none again.
    ///
    /// # Errors
    /// `not_found`, `precondition` where it is closed, `invalid` for a comment that is too long.
    pub async fn close(
        &self,
        workspace: WorkspaceId,
        id: IncidentId,
        by: &str,
        comment: &str,
    ) -> Result<IncidentDetail> {
        self.change(workspace, id, IncidentStatus::Closed, by, comment).await
    }

    async fn change(
        &self,
        workspace: WorkspaceId,
        id: IncidentId,
        to: IncidentStatus,
        by: &str,
        comment: &str,
    ) -> Result<IncidentDetail> {
        if comment.chars().count() > MAX_COMMENT {
            return Err(Error::invalid(format!("the comment is longer than {MAX_COMMENT} characters"))
                .at("/comment", "too long"));
        }
        let (clock, by, comment) = (self.parts.clock.clone(), by.to_owned(), comment.to_owned());
        self.parts
            .db
            .write(move |tx| {
                Box::pin(async move {
                    let row = store::locked_incident(tx, workspace, id)
                        .await?
                        .ok_or_else(|| Error::not_found("incident", id))?;
                    if row.status == IncidentStatus::Closed.as_str() {
                        return Err(Error::precondition("the incident is closed"));
                    }
                    if to == IncidentStatus::Closed {
                        store::let_go(tx, id, clock.now()).await?;
                        let mut outbox = store::Outbox::default();
                        store::close(tx, &*clock, &mut outbox, row, &by, &comment).await?;
                        outbox.publish(tx, &*clock).await
                    } else {
                        store::acknowledge(tx, &*clock, row, &by, &comment).await
                    }
                })
            })
            .await?;
        self.parts.bus.wake();
        self.get(workspace, id).await
    }
}

pub(super) fn incident(row: incidents::Model) -> Result<Incident> {
    let unreadable = || Error::internal(format!("the incident {} has an unknown kind or status", row.id));
    let kind = match row.kind.as_str() {
        "failing" => IncidentKind::Failing,
        "overdue" => IncidentKind::Overdue,
        "loop" => IncidentKind::Loop,
        _ => return Err(unreadable()),
    };
    let status = match row.status.as_str() {
        "open" => IncidentStatus::Open,
        "acknowledged" => IncidentStatus::Acknowledged,
        "closed" => IncidentStatus::Closed,
        _ => return Err(unreadable()),
    };
    Ok(Incident {
        id: IncidentId(row.id),
        bot: BotId(row.bot_id),
        bot_name: row.bot_name,
        deployment: row.deployment_id.map(DeploymentId),
        environment: row.environment,
        kind,
        status,
        title: row.title,
        opened_at: row.opened_at,
        updated_at: row.updated_at,
        closed_at: row.closed_at,
    })
}

fn entry(row: incident_entries::Model) -> IncidentEntry {
    IncidentEntry {
        at: row.at,
        kind: row.kind,
        author: row.author,
        text: row.text,
        execution: row.execution_id.map(ExecutionId),
    }
}
