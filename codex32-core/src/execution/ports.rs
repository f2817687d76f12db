//! What the executor needs from rooms above it and beside it.

use crate::blueprint::Blueprint;
use crate::connector::{ActionContext, Connectors};
use crate::error::{Error, Result};
use crate::id::{BotId, DeploymentId, VersionId, WorkspaceId};
use crate::sandbox::{Job, Runtimes};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A bot version, read and parsed.
#[derive(Debug, Clone)]
pub struct LoadedVersion {
    /// Its bot.
    pub bot: BotId,
    /// The bot's name.
    pub bot_name: String,
    /// The version.
    pub version: VersionId,
    /// Its number within the bot, 1 for the first.
    pub number: u32,
    /// The blueprint.
    pub blueprint: Arc<Blueprint>,
    /// Source files that belong to it, name to text.
    pub files: Arc<BTreeMap<String, String>>,
    /// Whether an admin stands behind it: then it may reach private addresses that it declares.
    pub private_network_allowed: bool,
}

/// The present deployment of a bot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The bot.
    pub bot: BotId,
    /// Its deployed version.
    pub version: VersionId,
    /// The deployment.
    pub deployment: Option<DeploymentId>,
}

/// Where bots come from; implemented by the registry.
#[async_trait::async_trait]
pub trait BotSource: Send + Sync {
    /// A stored version. The same id always gives the same version.
    ///
    /// # Errors
    /// `not_found` where it does not exist in this workspace.
    async fn version(&self, workspace: WorkspaceId, version: VersionId) -> Result<Arc<LoadedVersion>>;

    /// What a `call` of the bot `name` starts in this environment.
    ///
    /// # Errors
    /// `not_found` where there is no such bot, `precondition` where it is not deployed there.
    async fn deployed(&self, workspace: WorkspaceId, name: &str, environment: &str) -> Result<Target>;
}

/// What performs `use` steps; implemented by the connectors.
#[async_trait::async_trait]
pub trait Actions: Send + Sync {
    /// Performs `action` (`connector.action`).
    ///
    /// # Errors
    /// `invalid` where the input does not satisfy the action's schema, and those of the action.
    async fn call(&self, action: &str, cx: &ActionContext, input: Value) -> Result<Value>;

    /// Whether `action` touches nothing outside and is done at once.
    fn computes(&self, action: &str) -> bool {
        let _ = action;
        false
    }

    /// Performs an action that [`Actions::computes`].
    ///
    /// # Errors
    /// Those of [`Actions::call`].
    fn compute(&self, action: &str, input: Value) -> Result<Value> {
        let _ = input;
        Err(Error::internal(format!("{action} is not computed")))
    }
}

#[async_trait::async_trait]
impl Actions for Connectors {
    async fn call(&self, action: &str, cx: &ActionContext, input: Value) -> Result<Value> {
        Connectors::call(self, action, cx, input).await
    }

    fn computes(&self, action: &str) -> bool {
        Connectors::computes(self, action)
    }

    fn compute(&self, action: &str, input: Value) -> Result<Value> {
        Connectors::compute(self, action, input)
    }
}

/// What performs `run` steps; implemented by the runtimes.
#[async_trait::async_trait]
pub trait Scripts: Send + Sync {
    /// Runs a script to its end.
    ///
    /// # Errors
    /// Those of [`Runtime::run`](crate::sandbox::Runtime::run).
    async fn run(&self, job: Job) -> Result<Value>;
}

#[async_trait::async_trait]
impl Scripts for Runtimes {
    async fn run(&self, job: Job) -> Result<Value> {
        Runtimes::run(self, job).await
    }
}
