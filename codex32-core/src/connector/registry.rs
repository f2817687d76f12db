//! All connectors of an engine, by name.

use super::native::{ActionFn, Native};
use super::net::Net;
use super::validate::Checker;
use super::{ActionContext, Connector, Polled, builtin};
use crate::catalogue::{ActionSpec, Catalogue, ConnectorSpec};
use crate::error::{Error, Result};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// The connectors of an engine: the built-in ones and those that the embedding
/// program registers. Registering takes effect at once, for running bots too.
pub struct Connectors {
    net: Arc<Net>,
    inner: RwLock<Inner>,
}

struct Inner {
    catalogue: Arc<Catalogue>,
    connectors: HashMap<String, Arc<dyn Connector>>,
    natives: HashMap<String, Arc<Native>>,
    /// Compiled schemas: of inputs by `connector.action` or `connector.trigger`, of connections by `connector`.
    checkers: HashMap<String, Arc<Lazy>>,
}

/// A schema that is compiled when it is first used, so that the engine starts at once.
struct Lazy {
    name: String,
    schema: Value,
    checker: OnceLock<Result<Checker>>,
}

impl Lazy {
    fn get(&self) -> Result<&Checker> {
        self.checker.get_or_init(|| Checker::new(&self.name, &self.schema)).as_ref().map_err(Clone::clone)
    }
}

impl std::fmt::Debug for Connectors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connectors")
    }
}

impl Default for Connectors {
    fn default() -> Self {
        Connectors::new(Net::default())
    }
}

impl Connectors {
    /// The built-in connectors over `net`.
    #[must_use]
    pub fn new(net: Net) -> Connectors {
        let net = Arc::new(net);
        let connectors = builtin::all(&net).into_iter().map(|c| (c.name().to_owned(), c)).collect();
        let catalogue = Arc::new(Catalogue::builtin().clone());
        let checkers = catalogue.connectors().flat_map(checkers).collect();
        Connectors { net, inner: RwLock::new(Inner { catalogue, connectors, natives: HashMap::new(), checkers }) }
    }

    /// What the connectors can do at this moment.
    #[must_use]
    pub fn catalogue(&self) -> Arc<Catalogue> {
        self.read(|inner| inner.catalogue.clone())
    }

    /// The guarded way to the network, for connectors of the embedding program.
    #[must_use]
    pub fn net(&self) -> Arc<Net> {
        self.net.clone()
    }

    /// Adds a connector, or puts it in the place of the one of its name.
    ///
    /// # Errors
    /// `invalid` where a name or schema is not right or the two names differ.
    pub fn register(&self, connector: Arc<dyn Connector>, spec: ConnectorSpec) -> Result<()> {
        if connector.name() != spec.name {
            let message = format!("the connector is named {} and its description {}", connector.name(), spec.name);
            return Err(Error::invalid(message));
        }
        check_names(&spec)?;
        let compiled = checkers(&spec);
        compiled.iter().try_for_each(|(_, lazy)| lazy.get().map(|_| ()))?;
        self.write(|inner| {
            let prefix = format!("{}.", spec.name);
            inner.checkers.retain(|name, _| *name != spec.name && !name.starts_with(&prefix));
            inner.checkers.extend(compiled);
            inner.natives.remove(&spec.name);
            inner.connectors.insert(spec.name.clone(), connector);
            inner.catalogue = Arc::new(inner.catalogue.as_ref().clone().with(spec));
        });
        Ok(())
    }

    /// Adds one action that is a function, such as `crm.lookup`; the connector
    /// appears with its first action. An action of the same name is replaced.
    ///
    /// # Errors
    /// `invalid` for a name or schema that is not right, `conflict` where the
    /// connector's name belongs to one that is no collection of functions.
    pub fn register_action(&self, connector: &str, action: ActionSpec, run: ActionFn) -> Result<()> {
        let native = self.write(|inner| match inner.natives.get(connector) {
            Some(native) => Ok(native.clone()),
            None if inner.connectors.contains_key(connector) => {
                Err(Error::conflict(format!("{connector} is a connector already and takes no further actions"))
                    .hint("choose another name before the dot"))
            }
            None => Ok(Arc::new(Native::new(connector))),
        })?;
        let mut spec = self.catalogue().connector(connector).cloned().unwrap_or_else(|| ConnectorSpec {
            name: connector.to_owned(),
            title: connector.to_owned(),
            summary: "Functions of the embedding program.".into(),
            synonyms: Vec::new(),
            connection: None,
            connection_optional: false,
            actions: Vec::new(),
            triggers: Vec::new(),
        });
        let name = action.name.clone();
        spec.actions.retain(|a| a.name != name);
        spec.actions.push(action);
        self.register(native.clone(), spec)?;
        native.add(&name, run);
        self.write(|inner| inner.natives.insert(connector.to_owned(), native));
        Ok(())
    }

    /// Performs the action `full` (`http.get`): checks the input against its schema,
    /// fills in defaults and calls the connector.
    ///
    /// # Errors
    /// `not_found` for an action that does not exist, `invalid` for the input,
    /// `precondition` where its connection is missing, and the connector's own.
    pub async fn call(&self, full: &str, cx: &ActionContext, input: Value) -> Result<Value> {
        let (connector, action) = self.find(full, "action", |c| c.action(full).is_some())?;
        self.check_connection(&connector, cx)?;
        let input = self.check(full, input)?;
        connector.call(action, cx, input).await
    }

    /// Whether the action `full` touches nothing outside and is done at once.
    #[must_use]
    pub fn computes(&self, full: &str) -> bool {
        let of = |inner: &Inner| {
            let (connector, action) = full.split_once('.')?;
            Some(inner.connectors.get(connector)?.computes(action))
        };
        self.read(of).unwrap_or(false)
    }

    /// Performs an action that [`Connectors::computes`], as [`Connectors::call`] does others.
    ///
    /// # Errors
    /// As [`Connectors::call`].
    pub fn compute(&self, full: &str, input: Value) -> Result<Value> {
        let (connector, action) = self.find(full, "action", |c| c.action(full).is_some())?;
        connector.compute(action, self.check(full, input)?)
    }

    /// Looks for news of the trigger `full` (`rss.new_item`) since `cursor`.
    ///
    /// # Errors
    /// As [`Connectors::call`].
    pub async fn poll(&self, full: &str, cx: &ActionContext, input: Value, cursor: Option<Value>) -> Result<Polled> {
        let (connector, trigger) = self.find(full, "trigger", |c| c.trigger(full).is_some())?;
        self.check_connection(&connector, cx)?;
        let input = self.check(full, input)?;
        connector.poll(trigger, cx, input, cursor).await
    }

    /// Checks a connection before it is stored, and fills in defaults.
    ///
    /// # Errors
    /// `not_found` for an unknown connector, `precondition` for one that takes no
    /// connection, `invalid` for a connection that is not right.
    pub fn validate_connection(&self, connector: &str, connection: Value) -> Result<Value> {
        let catalogue = self.catalogue();
        let spec = catalogue.connector(connector).ok_or_else(|| Error::not_found("connector", connector))?;
        if !spec.takes_connection() {
            return Err(Error::precondition(format!("{connector} takes no connection")));
        }
        self.check(connector, connection)
    }

    fn find<'n>(
        &self,
        full: &'n str,
        kind: &str,
        known: impl Fn(&Catalogue) -> bool,
    ) -> Result<(Arc<dyn Connector>, &'n str)> {
        let found = self.read(|inner| {
            let (connector, rest) = full.split_once('.')?;
            known(&inner.catalogue).then(|| Some((inner.connectors.get(connector)?.clone(), rest)))?
        });
        found.ok_or_else(|| Error::not_found(kind, full).hint("`codex32 connectors list` lists what there is"))
    }

    fn check(&self, name: &str, input: Value) -> Result<Value> {
        match self.read(|inner| inner.checkers.get(name).cloned()) {
            Some(lazy) => lazy.get()?.check(name, input),
            None => Err(Error::internal(format!("{name} has no compiled schema"))),
        }
    }

    fn check_connection(&self, connector: &Arc<dyn Connector>, cx: &ActionContext) -> Result<()> {
        let name = connector.name();
        let catalogue = self.catalogue();
        let Some(spec) = catalogue.connector(name) else { return Ok(()) };
        if cx.connection.is_none() && spec.needs_connection() {
            return Err(Error::precondition(format!("the workspace has no connection for {name}")).hint(format!(
                "store one as the secret `connection:{name}`; `codex32 connectors show {name}` says what it holds"
            )));
        }
        Ok(())
    }

    fn read<T>(&self, f: impl FnOnce(&Inner) -> T) -> T {
        f(&self.inner.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.inner.write().unwrap_or_else(PoisonError::into_inner))
    }
}

fn checkers(spec: &ConnectorSpec) -> Vec<(String, Arc<Lazy>)> {
    let connection = spec.connection.iter().map(|schema| (spec.name.clone(), schema));
    let actions = spec.actions.iter().map(|a| (format!("{}.{}", spec.name, a.name), &a.input));
    let triggers = spec.triggers.iter().map(|t| (format!("{}.{}", spec.name, t.name), &t.input));
    let lazy = |(name, schema): (String, &Value)| {
        let checker = Lazy { name: name.clone(), schema: schema.clone(), checker: OnceLock::new() };
        (name, Arc::new(checker))
    };
    connection.chain(actions).chain(triggers).map(lazy).collect()
}

fn check_names(spec: &ConnectorSpec) -> Result<()> {
    let good = |name: &str| {
        (1..=63).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let names = std::iter::once(&spec.name)
        .chain(spec.actions.iter().map(|a| &a.name))
        .chain(spec.triggers.iter().map(|t| &t.name));
    match names.into_iter().find(|name| !good(name)) {
        Some(bad) => Err(Error::invalid(format!("\"{bad}\" is no name of a connector, action or trigger"))
            .hint("use lower-case letters, digits and _, a letter first, 63 characters at most")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
