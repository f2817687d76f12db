//! Versions, compiled once and kept while they are used.

use crate::error::{Error, Fault, Result};
use crate::execution::labels;
use crate::execution::plan::{CompiledBlueprint, SharedBlueprint};
use crate::execution::ports::{BotSource, LoadedVersion};
use crate::id::{VersionId, WorkspaceId};
use jsonschema::Validator;
use moka::future::Cache;
use serde_json::Value;
use std::sync::Arc;

/// Versions that are kept.
const CAPACITY: u64 = 500;
/// Faults of an input that are told at most.
const MAX_FAULTS: usize = 20;

/// A version ready to be run.
pub(crate) struct Ready {
    pub(crate) version: Arc<LoadedVersion>,
    pub(crate) plan: SharedBlueprint,
    compiled: Arc<Compiled>,
}

/// What never changes about a version.
struct Compiled {
    plan: SharedBlueprint,
    inputs: Option<Validator>,
    /// As they are stored.
    runs_on: String,
}

impl Compiled {
    fn new(version: &LoadedVersion) -> Result<Compiled> {
        let plan = Arc::new(CompiledBlueprint::compile(&version.blueprint)?);
        let inputs = version.blueprint.inputs.as_ref().map(jsonschema::draft202012::new).transpose();
        let inputs = inputs.map_err(|e| Error::invalid(format!("the blueprint's `inputs` is no JSON Schema: {e}")))?;
        Ok(Compiled { plan, inputs, runs_on: labels::stored(&version.blueprint.runs_on) })
    }
}

impl Ready {
    /// The labels that its executions ask for, as they are stored.
    pub(crate) fn runs_on(&self) -> &str {
        &self.compiled.runs_on
    }

    /// Whether the bot can be started with `input`.
    ///
    /// # Errors
    /// `invalid` with every place where it cannot.
    pub(crate) fn check(&self, input: &Value) -> Result<()> {
        if !input.is_object() {
            return Err(Error::invalid("the input is not an object").at("/input", "not an object"));
        }
        let Some(inputs) = &self.compiled.inputs else { return Ok(()) };
        let faults: Vec<Fault> = inputs
            .iter_errors(input)
            .take(MAX_FAULTS)
            .map(|e| Fault {
                pointer: format!("/input{}", e.instance_path().as_str()),
                // The value itself may be something that should not be in a message.
                message: e.masked().to_string(),
            })
            .collect();
        if faults.is_empty() {
            return Ok(());
        }
        let bot = &self.version.bot_name;
        Err(Error::invalid(format!("the input does not fit what the bot \"{bot}\" takes"))
            .with_faults(faults)
            .hint("see `inputs` of its blueprint"))
    }
}

/// Versions by workspace and id: a version of one workspace is never given to another.
pub(crate) struct Versions {
    bots: Arc<dyn BotSource>,
    cache: Cache<(WorkspaceId, VersionId), Arc<Compiled>>,
}

impl Versions {
    pub(super) fn new(bots: Arc<dyn BotSource>) -> Versions {
        Versions { bots, cache: Cache::new(CAPACITY) }
    }

    /// A version ready to be run.
    ///
    /// # Errors
    /// `not_found`, `invalid` where it cannot be compiled.
    pub(crate) async fn get(&self, workspace: WorkspaceId, id: VersionId) -> Result<Ready> {
        // Asked for each time: whether it may reach private addresses can change.
        let version = self.bots.version(workspace, id).await?;
        let compile = async { Compiled::new(&version).map(Arc::new) };
        let compiled = self.cache.try_get_with((workspace, id), compile).await;
        let compiled = compiled.map_err(|error: Arc<Error>| (*error).clone())?;
        Ok(Ready { version, plan: compiled.plan.clone(), compiled })
    }

    /// The labels that the executions of a version ask for, as they are stored. Read from
    /// the database only where the version was not asked for lately: this is called within
    /// transactions.
    ///
    /// # Errors
    /// Those of [`Versions::get`].
    pub(crate) async fn runs_on(&self, workspace: WorkspaceId, id: VersionId) -> Result<String> {
        match self.cache.get(&(workspace, id)).await {
            Some(compiled) => Ok(compiled.runs_on.clone()),
            None => Ok(self.get(workspace, id).await?.runs_on().to_owned()),
        }
    }
}
