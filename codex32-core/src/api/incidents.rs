//! `incidents`: what the supervisor saw go wrong.

use super::operation::{Meta, Method, Operation};
use super::wire::limit;
use crate::access::{Caller, Permission};
use crate::engine::Engine;
use crate::error::{Code, Result};
use crate::id::IncidentId;
use crate::storage::page::Page;
use crate::supervisor::{Incident, IncidentDetail, IncidentStatus};
use schemars::JsonSchema;
use serde::Deserialize;

/// Lists incidents.
pub struct List;

/// Which incidents.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListIncidentsInput {
    /// Where they stand.
    #[serde(default)]
    pub status: Option<IncidentStatus>,
    /// Name or id of a bot.
    #[serde(default)]
    pub bot: Option<String>,
    /// `next` of the page before.
    #[serde(default)]
    pub cursor: Option<String>,
    /// Rows of a page, 1 to 200.
    #[serde(default = "limit")]
    #[schemars(range(min = 1, max = 200))]
    pub limit: u64,
}

impl Operation for List {
    const META: Meta = Meta::read("incidents.list", Method::Get, "/incidents", "List what went wrong, newest first.")
        .needs(Permission::IncidentsRead)
        .errors(&[Code::NotFound])
        .paged();
    type Input = ListIncidentsInput;
    type Output = Page<Incident>;
    async fn run(engine: &Engine, caller: &Caller, input: ListIncidentsInput) -> Result<Page<Incident>> {
        let bot = match &input.bot {
            Some(bot) => Some(engine.registry().find(caller.workspace, bot).await?.id),
            None => None,
        };
        engine.supervisor().list(caller.workspace, input.status, bot, input.cursor.as_deref(), input.limit).await
    }
}

/// An incident.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IncidentInput {
    /// Its id.
    pub id: IncidentId,
}

/// Shows an incident.
pub struct Get;

impl Operation for Get {
    const META: Meta =
        Meta::read("incidents.get", Method::Get, "/incidents/{id}", "Show an incident with its timeline.")
            .needs(Permission::IncidentsRead)
            .errors(&[Code::NotFound]);
    type Input = IncidentInput;
    type Output = IncidentDetail;
    async fn run(engine: &Engine, caller: &Caller, input: IncidentInput) -> Result<IncidentDetail> {
        engine.supervisor().get(caller.workspace, input.id).await
    }
}

/// Closes an incident.
pub struct Close;

/// An incident and a note.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CloseInput {
    /// Its id.
    pub id: IncidentId,
    /// What is to be known about it.
    #[serde(default)]
    #[schemars(length(max = 2000))]
    pub note: Option<String>,
}

impl Operation for Close {
    const META: Meta = Meta::write("incidents.close", Method::Post, "/incidents/{id}/close", "Close an incident.")
        .needs(Permission::IncidentsWrite)
        .errors(&[Code::NotFound, Code::Precondition]);
    type Input = CloseInput;
    type Output = IncidentDetail;
    async fn run(engine: &Engine, caller: &Caller, input: CloseInput) -> Result<IncidentDetail> {
        let note = input.note.as_deref().unwrap_or_default();
        engine.supervisor().close(caller.workspace, input.id, caller.label(), note).await
    }
}

/// Says that somebody looks at an incident.
pub struct Acknowledge;

impl Operation for Acknowledge {
    const META: Meta = Meta::write(
        "incidents.acknowledge",
        Method::Post,
        "/incidents/{id}/acknowledge",
        "Say that you look at an incident.",
    )
    .needs(Permission::IncidentsWrite)
    .errors(&[Code::NotFound, Code::Precondition]);
    type Input = CloseInput;
    type Output = IncidentDetail;
    async fn run(engine: &Engine, caller: &Caller, input: CloseInput) -> Result<IncidentDetail> {
        let note = input.note.as_deref().unwrap_or_default();
        engine.supervisor().acknowledge(caller.workspace, input.id, caller.label(), note).await
    }
}
