//! `workers`: the processes that execute.

use super::operation::{Meta, Method, Operation};
use super::wire::Nothing;
use crate::access::{Caller, Permission};
use crate::engine::Engine;
use crate::error::Result;
use crate::execution::Worker;
use schemars::JsonSchema;
use serde::Serialize;

/// Lists the workers.
pub struct List;

/// The workers on this database.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Workers {
    /// Oldest first.
    pub items: Vec<Worker>,
}

impl Operation for List {
    const META: Meta = Meta::read("workers.list", Method::Get, "/workers", "List the processes that execute bots.")
        .describe("Every `codex32 up` and `codex32 worker` on this database, and for an hour those that were lost.")
        .needs(Permission::SystemRead);
    type Input = Nothing;
    type Output = Workers;
    async fn run(engine: &Engine, _: &Caller, _: Nothing) -> Result<Workers> {
        Ok(Workers { items: engine.executor().workers().await? })
    }
}
