//! Functions of the embedding program as actions and as whole bots.
//!
//! A function registered as `greet` is the action `native.greet`; as `crm.add_lead` it
//! is the action `add_lead` of a connector `crm` of its own. Blueprints, validation, the
//! builder and the documentation see it like any other action.

use crate::blueprint::{Blueprint, Dependencies, Limits, Permissions, Restart, Retention, Step, StepKind, Trigger};
use crate::catalogue::{ActionSpec, ConnectorSpec};
use crate::connector::{ActionContext, Connector};
use crate::error::{Code, Error, Result};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, PoisonError, RwLock};

/// Family of functions that were registered without one.
pub const FAMILY: &str = "native";

/// A function of the embedding program.
pub type NativeFunction = Arc<dyn Fn(Value, ActionContext) -> BoxFuture<'static, Result<Value>> + Send + Sync>;

/// What people and programs are told about a function.
///
/// ```
/// use codex32_core::sandbox::NativeAction;
/// let action = NativeAction::new("crm.add_lead").summary("Adds a lead to the CRM").idempotent(true);
/// assert_eq!(action.address(), ("crm", "add_lead"));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NativeAction {
    name: String,
    title: Option<String>,
    summary: Option<String>,
    input: Value,
    output: Value,
    idempotent: bool,
}

impl NativeAction {
    /// An action `name` or `family.name` that takes any object.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        NativeAction {
            name: name.into(),
            title: None,
            summary: None,
            input: json!({"type": "object"}),
            output: json!({}),
            idempotent: false,
        }
    }
    /// Name for people.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }
    /// What it does, in a sentence.
    #[must_use]
    pub fn summary(mut self, summary: impl Into<String>) -> Self {
        self.summary = Some(summary.into());
        self
    }
    /// JSON Schema of its input.
    #[must_use]
    pub fn input(mut self, schema: Value) -> Self {
        self.input = schema;
        self
    }
    /// JSON Schema of its output.
    #[must_use]
    pub fn output(mut self, schema: Value) -> Self {
        self.output = schema;
        self
    }
    /// Whether doing it twice equals doing it once.
    #[must_use]
    pub fn idempotent(mut self, idempotent: bool) -> Self {
        self.idempotent = idempotent;
        self
    }
    /// Family and name.
    #[must_use]
    pub fn address(&self) -> (&str, &str) {
        self.name.split_once('.').unwrap_or((FAMILY, &self.name))
    }
    /// The address as `use:` takes it.
    #[must_use]
    pub fn full_name(&self) -> String {
        let (family, name) = self.address();
        format!("{family}.{name}")
    }

    fn check(&self) -> Result<()> {
        let word = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_lowercase())
                && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        let (family, name) = self.address();
        if !word(family) || !word(name) || self.name.len() > 100 {
            return Err(Error::invalid(format!("\"{}\" cannot name an action", self.name.escape_debug()))
                .hint("use `name` or `family.name` of lower-case letters, digits and `_`"));
        }
        for (what, schema) in [("input", &self.input), ("output", &self.output)] {
            if let Err(error) = jsonschema::validator_for(schema) {
                return Err(Error::invalid(format!(
                    "the {what} schema of \"{}\" is not JSON Schema: {error}",
                    self.name
                )));
            }
        }
        Ok(())
    }

    fn spec(&self) -> ActionSpec {
        let (_, name) = self.address();
        let spoken = name.replace('_', " ");
        ActionSpec {
            name: name.to_owned(),
            title: self.title.clone().unwrap_or_else(|| spoken.clone()),
            summary: self
                .summary
                .clone()
                .unwrap_or_else(|| format!("The program's own function {}.", self.full_name())),
            synonyms: Vec::new(),
            input: self.input.clone(),
            output: self.output.clone(),
            phrase: spoken,
            idempotent: self.idempotent,
            example: json!({}),
        }
    }
}

/// A connector whose actions are functions of the embedding program. Functions may be
/// added while it is in use.
pub struct FunctionConnector {
    family: String,
    functions: RwLock<BTreeMap<String, (NativeAction, NativeFunction)>>,
}

impl FunctionConnector {
    fn new(family: &str) -> Self {
        FunctionConnector { family: family.to_owned(), functions: RwLock::new(BTreeMap::new()) }
    }

    /// Its entry for the catalogue, with the functions registered by now.
    #[must_use]
    pub fn spec(&self) -> ConnectorSpec {
        let functions = self.functions.read().unwrap_or_else(PoisonError::into_inner);
        ConnectorSpec {
            name: self.family.clone(),
            title: self.family.replace('_', " "),
            summary: "Functions of the program that the engine is part of.".to_owned(),
            synonyms: Vec::new(),
            connection: None,
            connection_optional: true,
            actions: functions.values().map(|(action, _)| action.spec()).collect(),
            triggers: Vec::new(),
        }
    }
}

#[async_trait::async_trait]
impl Connector for FunctionConnector {
    fn name(&self) -> &str {
        &self.family
    }

    async fn call(&self, action: &str, cx: &ActionContext, input: Value) -> Result<Value> {
        let function = {
            let functions = self.functions.read().unwrap_or_else(PoisonError::into_inner);
            functions.get(action).map(|(_, function)| function.clone())
        };
        let full_name = format!("{}.{action}", self.family);
        let Some(function) = function else { return Err(Error::not_found("action", full_name)) };
        let context = cx.clone();
        // The call itself may panic before there is a future to wait for.
        let guarded = AssertUnwindSafe(async move { function(input, context).await }).catch_unwind();
        tokio::select! {
            biased;
            () = cx.cancel.cancelled() => Err(Error::new(Code::Cancelled, format!("the function {full_name} was cancelled"))),
            result = guarded => result.unwrap_or_else(|panic| Err(panicked(&full_name, panic.as_ref()))),
        }
    }
}

fn panicked(name: &str, panic: &(dyn std::any::Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned());
    Error::new(Code::Failed, format!("the function {name} panicked: {text}"))
}

/// The functions that the embedding program registered.
///
/// ```
/// use codex32_core::sandbox::{NativeAction, NativeActions};
/// use serde_json::json;
/// let natives = NativeActions::default();
/// let connector = natives.register(NativeAction::new("double"), |input, _cx| async move {
///     Ok(json!(input["n"].as_i64().unwrap_or(0) * 2))
/// })?;
/// assert_eq!(connector.spec().actions[0].name, "double");
/// # codex32_core::Result::<()>::Ok(())
/// ```
#[derive(Clone, Default)]
pub struct NativeActions {
    families: Arc<RwLock<BTreeMap<String, Arc<FunctionConnector>>>>,
}

impl NativeActions {
    /// Registers `function`, in place of an earlier one of the same name. The connector
    /// returned, with its [`FunctionConnector::spec`], is to be put into the engine's
    /// registry of connectors (again, when it stood there before: its entry has grown).
    ///
    /// # Errors
    /// `invalid` for a name or schema that cannot be.
    pub fn register<F, Fut>(&self, action: NativeAction, function: F) -> Result<Arc<FunctionConnector>>
    where
        F: Fn(Value, ActionContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Value>> + Send + 'static,
    {
        self.register_boxed(action, Arc::new(move |input, cx| function(input, cx).boxed()))
    }

    /// As [`NativeActions::register`], for bindings that hold the function as an object.
    ///
    /// # Errors
    /// `invalid` for a name or schema that cannot be.
    pub fn register_boxed(&self, action: NativeAction, function: NativeFunction) -> Result<Arc<FunctionConnector>> {
        action.check()?;
        let (family, name) = action.address();
        let (family, name) = (family.to_owned(), name.to_owned());
        let mut families = self.families.write().unwrap_or_else(PoisonError::into_inner);
        let connector = families.entry(family.clone()).or_insert_with(|| Arc::new(FunctionConnector::new(&family)));
        connector.functions.write().unwrap_or_else(PoisonError::into_inner).insert(name, (action, function));
        Ok(connector.clone())
    }

    /// All families.
    #[must_use]
    pub fn connectors(&self) -> Vec<Arc<FunctionConnector>> {
        self.families.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

/// The blueprint of a bot that is one function: it calls the action with its input and
/// puts out what the function returns. A whole bot in the embedding program's own
/// language is registered as an action and made from this.
#[must_use]
pub fn function_bot(bot: &str, action: &NativeAction, on: Vec<Trigger>) -> Blueprint {
    Blueprint {
        name: bot.to_owned(),
        description: action.summary.clone(),
        on,
        inputs: None,
        permissions: Permissions::default(),
        dependencies: Dependencies::default(),
        limits: Limits::default(),
        runs_on: Vec::new(),
        flow: Default::default(),
        native: None,
        timeout: None,
        retention: Retention::default(),
        restart: Restart::default(),
        health: None,
        steps: vec![Step {
            id: "run".to_owned(),
            named: true,
            title: None,
            guard: None,
            retry: None,
            timeout: None,
            undo: None,
            kind: StepKind::Use { action: action.full_name(), with: json!("{{ input }}"), connection: None },
        }],
        output: None,
    }
}
