//! Versions, compiled once and kept while they are used.

use crate::error::{Error, Fault, Result};
use crate::execution::flow::{Flow, Ticket};
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
pub(crate) struct Compiled {
    plan: SharedBlueprint,
    inputs: Option<Validator>,
    /// As they are stored.
    runs_on: String,
    flow: Option<Flow>,
}

impl Compiled {
    fn new(version: &LoadedVersion) -> Result<Compiled> {
        let plan = Arc::new(CompiledBlueprint::compile(&version.blueprint)?);
        let inputs = version.blueprint.inputs.as_ref().map(jsonschema::draft202012::new).transpose();
        let inputs = inputs.map_err(|e| Error::invalid(format!("the blueprint's `inputs` is no JSON Schema: {e}")))?;
        let flow = Flow::compile(&version.blueprint.flow)?;
        let mut runs_on = version.blueprint.runs_on.clone();
        runs_on.extend(version.blueprint.native.as_ref().map(labels::of_native));
        Ok(Compiled { plan, inputs, runs_on: labels::stored(&runs_on), flow })
    }

    /// The labels that its executions ask for, as they are stored.
    pub(crate) fn runs_on(&self) -> &str {
        &self.runs_on
    }

    /// Whether it has rules of flow control.
    pub(crate) fn has_rules(&self) -> bool {
        self.flow.is_some()
    }

    /// What its rules say of a start; `None` where it has none.
    ///
    /// # Errors
    /// `invalid` where a key cannot be worked out.
    pub(crate) fn ticket(&self, input: &Value, trigger: &Value) -> Result<Option<Arc<Ticket>>> {
        self.flow.as_ref().map(|flow| flow.ticket(input, trigger).map(Arc::new)).transpose()
    }
}

impl Ready {
    /// The labels that its executions ask for, as they are stored.
    pub(crate) fn runs_on(&self) -> &str {
        self.compiled.runs_on()
    }

    /// See [`Compiled::ticket`].
    pub(crate) fn ticket(&self, input: &Value, trigger: &Value) -> Result<Option<Arc<Ticket>>> {
        self.compiled.ticket(input, trigger)
    }

    /// The same for an execution that takes up another again, whose input is `input`.
    pub(crate) fn ticket_again(&self, input: &Value, trigger: &Value) -> Result<Option<Arc<Ticket>>> {
        let Some(flow) = &self.compiled.flow else { return Ok(None) };
        // The keys of a batch are those of its first item.
        let first = input.get("items").and_then(|items| items.get(0)).filter(|_| flow.gathers());
        let ticket = flow.ticket(first.unwrap_or(input), trigger)?;
        Ok(Some(Arc::new(ticket.again())))
    }

    /// Whether an execution that takes up another again can have its `input`: each item of
    /// a batch is what a start was given.
    ///
    /// # Errors
    /// `invalid` with every place where it cannot.
    pub(crate) fn check_again(&self, input: &Value) -> Result<()> {
        let gathers = self.compiled.flow.as_ref().is_some_and(Flow::gathers);
        match input.get("items").and_then(Value::as_array).filter(|_| gathers) {
            Some(items) => items.iter().try_for_each(|item| self.check(item)),
            None => self.check(input),
        }
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

    /// What never changes about a version. Read from the database only where the version
    /// was not asked for lately: this is called within transactions.
    ///
    /// # Errors
    /// Those of [`Versions::get`].
    pub(crate) async fn compiled(&self, workspace: WorkspaceId, id: VersionId) -> Result<Arc<Compiled>> {
        match self.cache.get(&(workspace, id)).await {
            Some(compiled) => Ok(compiled),
            None => Ok(self.get(workspace, id).await?.compiled),
        }
    }
}
