//! `self`: the engine looks at itself: the table, the configuration, its state.

use super::operation::{Kind, Meta, Method, Operation};
use super::wire::Nothing;
use crate::access::{Caller, Permission};
use crate::engine::Engine;
use crate::error::Result;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// Lists the operations.
pub struct Operations;

/// One operation of the table.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OperationInfo {
    /// Its name.
    pub name: String,
    /// Reads, writes or streams.
    pub kind: Kind,
    /// HTTP method.
    pub method: Method,
    /// HTTP path.
    pub path: String,
    /// What the caller must be allowed to do.
    pub permission: Option<Permission>,
    /// What it does, in a line.
    pub summary: String,
    /// Schema of its input.
    pub input: Value,
    /// Schema of its output or of each item.
    pub output: Value,
}

/// The operation table.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OperationTable {
    /// Its rows.
    pub items: Vec<OperationInfo>,
}

impl Operation for Operations {
    const META: Meta =
        Meta::read("self.operations", Method::Get, "/self/operations", "List every operation with its schemas.");
    type Input = Nothing;
    type Output = OperationTable;
    async fn run(_: &Engine, _: &Caller, _: Nothing) -> Result<OperationTable> {
        let table = super::table()?;
        let items = table.operations.iter().map(|operation| {
            let meta = operation.meta();
            OperationInfo {
                name: meta.name.into(),
                kind: meta.kind,
                method: meta.method,
                path: format!("/api/v1{}", meta.path),
                permission: meta.permission,
                summary: meta.summary.into(),
                input: table.schemas.standalone_input(meta.name).unwrap_or_default(),
                output: table.schemas.standalone_output(meta.name).unwrap_or_default(),
            }
        });
        Ok(OperationTable { items: items.collect() })
    }
}

/// Shows the configuration.
pub struct ShowConfig;

/// The configuration in force, without secrets.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ConfigReport {
    /// Data folder.
    pub data: String,
    /// Store, its password hidden.
    pub store: String,
    /// Where people reach the server.
    pub public_url: String,
    /// IANA zone of schedules that name none.
    pub timezone: String,
    /// Executions driven at the same time.
    pub concurrency: u64,
    /// Calls per second that one caller may make.
    pub rate_per_second: u32,
}

impl Operation for ShowConfig {
    const META: Meta =
        Meta::read("self.config", Method::Get, "/self/config", "Show the configuration, secrets hidden.")
            .needs(Permission::SystemAdmin);
    type Input = Nothing;
    type Output = ConfigReport;
    async fn run(engine: &Engine, _: &Caller, _: Nothing) -> Result<ConfigReport> {
        let config = engine.config();
        Ok(ConfigReport {
            data: config.data.display().to_string(),
            store: config.shown_store(),
            public_url: config.public_url.clone(),
            timezone: config.timezone.clone(),
            concurrency: config.concurrency as u64,
            rate_per_second: config.rate_per_second,
        })
    }
}

/// Shows what the engine is doing.
pub struct State;

/// What the engine is doing.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StateReport {
    /// Whether it drives executions.
    pub started: bool,
    /// When it was opened, UTC milliseconds.
    pub opened_at: i64,
    /// The store behind it.
    pub store: String,
    /// What this machine lets scripts be limited by.
    pub doctor: Value,
}

impl Operation for State {
    const META: Meta = Meta::read(
        "self.state",
        Method::Get,
        "/self/state",
        "Show what the engine is doing and what this machine offers.",
    )
    .needs(Permission::SystemAdmin)
    .alias("doctor");
    type Input = Nothing;
    type Output = StateReport;
    async fn run(engine: &Engine, _: &Caller, _: Nothing) -> Result<StateReport> {
        Ok(StateReport {
            started: engine.is_started(),
            opened_at: engine.opened_at(),
            store: format!("{:?}", engine.db().backend()).to_lowercase(),
            doctor: engine.doctor().await,
        })
    }
}
