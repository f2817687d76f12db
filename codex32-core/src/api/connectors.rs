//! `connectors`: what bots can do, and the connections they do it with.

use super::operation::{Meta, Method, Operation};
use super::wire::{DONE, Done, Nothing, Paging};
use crate::access::{Caller, Permission};
use crate::catalogue::ConnectorSpec;
use crate::engine::Engine;
use crate::error::{Code, Error, Result};
use crate::secret::{SecretInfo, SecretKind};
use crate::storage::page::Page;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Lists connectors.
pub struct List;

/// A connector in a list.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ConnectorRow {
    /// Name in a blueprint.
    pub name: String,
    /// Name for people.
    pub title: String,
    /// What it is for.
    pub summary: String,
    /// What it can do.
    pub actions: Vec<String>,
    /// What it can watch.
    pub triggers: Vec<String>,
    /// Whether it needs a connection.
    pub needs_connection: bool,
}

/// Connectors.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ConnectorList {
    /// By name.
    pub items: Vec<ConnectorRow>,
}

impl Operation for List {
    const META: Meta = Meta::read("connectors.list", Method::Get, "/connectors", "List what bots can do.");
    type Input = Nothing;
    type Output = ConnectorList;
    async fn run(engine: &Engine, _: &Caller, _: Nothing) -> Result<ConnectorList> {
        let catalogue = engine.connectors().catalogue();
        let row = |c: &ConnectorSpec| ConnectorRow {
            name: c.name.clone(),
            title: c.title.clone(),
            summary: c.summary.clone(),
            actions: c.actions.iter().map(|a| format!("{}.{}", c.name, a.name)).collect(),
            triggers: c.triggers.iter().map(|t| format!("{}.{}", c.name, t.name)).collect(),
            needs_connection: c.connection.is_some(),
        };
        Ok(ConnectorList { items: catalogue.connectors().map(row).collect() })
    }
}

/// Shows a connector.
pub struct Get;

/// A connector.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectorInput {
    /// Its name.
    pub name: String,
}

impl Operation for Get {
    const META: Meta = Meta::read(
        "connectors.get",
        Method::Get,
        "/connectors/{name}",
        "Show a connector's actions, triggers and schemas.",
    )
    .errors(&[Code::NotFound]);
    type Input = ConnectorInput;
    type Output = ConnectorSpec;
    async fn run(engine: &Engine, _: &Caller, input: ConnectorInput) -> Result<ConnectorSpec> {
        let catalogue = engine.connectors().catalogue();
        catalogue.connector(&input.name).cloned().ok_or_else(|| Error::not_found("connector", &input.name))
    }
}

/// Calls an action.
pub struct Call;

/// An action and its input.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallActionInput {
    /// `connector.action`.
    pub action: String,
    /// Its input; an object.
    #[serde(default)]
    pub input: Option<Value>,
    /// Name of the connection; by default the connector's name.
    #[serde(default)]
    pub connection: Option<String>,
}

/// What an action gave.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CallActionOutput {
    /// Its output.
    pub output: Value,
}

impl Operation for Call {
    const META: Meta = Meta::write("connectors.call", Method::Post, "/connectors/call", "Try an action, outside of any bot.")
        .describe("Hosts that the input names count as declared; private addresses only for admins and owners. Files cannot be reached.")
        .needs(Permission::ConnectorsUse)
        .errors(&[Code::NotFound, Code::Failed, Code::Unavailable, Code::Timeout, Code::Precondition, Code::Unsupported, Code::Conflict])
        .positional(&["action", "input"])
        .example(r#"{"action": "text.render", "input": {"template": "hello {{ name }}", "data": {"name": "Ada"}}}"#);
    type Input = CallActionInput;
    type Output = CallActionOutput;
    async fn run(engine: &Engine, caller: &Caller, input: CallActionInput) -> Result<CallActionOutput> {
        let given = input.input.unwrap_or_else(|| serde_json::json!({}));
        let output = engine.try_action(caller, &input.action, given, input.connection.as_deref()).await?;
        Ok(CallActionOutput { output })
    }
}

/// Lists connections.
pub struct ListConnections;

impl Operation for ListConnections {
    const META: Meta = Meta::read(
        "connections.list",
        Method::Get,
        "/connections",
        "List the connections by name, without what is in them.",
    )
    .needs(Permission::SecretsRead)
    .paged();
    type Input = Paging;
    type Output = Page<SecretInfo>;
    async fn run(engine: &Engine, caller: &Caller, input: Paging) -> Result<Page<SecretInfo>> {
        let mut page = engine.secrets().list(caller.workspace, input.cursor.as_deref(), input.limit).await?;
        page.items.retain(|info| info.kind == SecretKind::Connection);
        Ok(page)
    }
}

/// Sets a connection.
pub struct SetConnection;

/// A connection.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetConnectionInput {
    /// Its name: the connector's, for the one that is used by default.
    pub name: String,
    /// What the connector's connection schema asks for.
    pub value: Value,
    /// The connector, where the name is another.
    #[serde(default)]
    pub connector: Option<String>,
}

impl Operation for SetConnection {
    const META: Meta = Meta::write(
        "connections.set",
        Method::Put,
        "/connections/{name}",
        "Set the credentials and addresses of a connector.",
    )
    .needs(Permission::ConnectionsWrite)
    .errors(&[Code::NotFound])
    .alias("connect")
    .positional(&["name", "value"])
    .example(r#"{"name": "slack", "value": {"webhook_url": "https://hooks.example.org/T000"}}"#);
    type Input = SetConnectionInput;
    type Output = Done;
    async fn run(engine: &Engine, caller: &Caller, input: SetConnectionInput) -> Result<Done> {
        let connector = input.connector.as_deref().unwrap_or(&input.name);
        let value = engine.connectors().validate_connection(connector, input.value)?;
        engine.secrets().set_connection(caller.workspace, &input.name, &value).await?;
        Ok(DONE)
    }
}

/// Deletes a connection.
pub struct DeleteConnection;

impl Operation for DeleteConnection {
    const META: Meta = Meta::write("connections.delete", Method::Delete, "/connections/{name}", "Delete a connection.")
        .needs(Permission::ConnectionsWrite)
        .errors(&[Code::NotFound]);
    type Input = ConnectorInput;
    type Output = Done;
    async fn run(engine: &Engine, caller: &Caller, input: ConnectorInput) -> Result<Done> {
        engine.secrets().delete_connection(caller.workspace, &input.name).await?;
        Ok(DONE)
    }
}
