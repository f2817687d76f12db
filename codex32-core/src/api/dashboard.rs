//! `dashboard`: the figures on the first page.

use super::operation::{Meta, Method, Operation};
use crate::access::{Caller, Permission};
use crate::engine::Engine;
use crate::error::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Gives the figures.
pub struct Figures;

/// Over which time.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FiguresInput {
    /// The last so many hours, 1 to 720.
    #[serde(default = "hours")]
    #[schemars(range(min = 1, max = 720))]
    pub hours: u32,
}

const fn hours() -> u32 {
    24
}

/// Figures of the workspace.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct FigureSet {
    /// Bots that are not deleted.
    pub bots: u64,
    /// Bots that are at work somewhere.
    pub deployed: u64,
    /// Executions in the time that ended well.
    pub succeeded: u64,
    /// Executions in the time that failed.
    pub failed: u64,
    /// Executions that are held, queued, running, waiting or paused now.
    pub active: u64,
    /// Approvals that somebody must answer.
    pub approvals: u64,
    /// Incidents that are open.
    pub incidents: u64,
}

impl Operation for Figures {
    const META: Meta =
        Meta::read("dashboard.figures", Method::Get, "/dashboard/figures", "Give the workspace's figures.")
            .needs(Permission::BotsRead);
    type Input = FiguresInput;
    type Output = FigureSet;
    async fn run(engine: &Engine, caller: &Caller, input: FiguresInput) -> Result<FigureSet> {
        engine.figures(caller.workspace, input.hours).await
    }
}
