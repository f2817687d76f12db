//! `system`: whether the engine is well, which it is, and what happens in it.

use super::operation::{Meta, Method, Operation, StreamOperation};
use super::wire::Nothing;
use crate::access::{Caller, Permission};
use crate::engine::Engine;
use crate::error::{Code, Result};
use crate::event::{Event, check_custom};
use futures::stream::{BoxStream, StreamExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Whether the process answers.
pub struct Health;

/// State of the process.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HealthReport {
    /// Always `ok`; a process that is not well does not answer.
    pub status: String,
    /// Version of the product.
    pub version: String,
}

impl Operation for Health {
    const META: Meta =
        Meta::read("system.health", Method::Get, "/health", "Tell whether the process answers.").public();
    type Input = Nothing;
    type Output = HealthReport;
    async fn run(_: &Engine, _: &Caller, _: Nothing) -> Result<HealthReport> {
        Ok(HealthReport { status: "ok".into(), version: env!("CARGO_PKG_VERSION").into() })
    }
}

/// Whether the engine can work.
pub struct Ready;

/// What the engine needs to work.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ReadyReport {
    /// `ready`.
    pub status: String,
    /// The store behind the engine: `sqlite` or `postgres`.
    pub store: String,
}

impl Operation for Ready {
    const META: Meta = Meta::read("system.ready", Method::Get, "/ready", "Tell whether the engine can work.")
        .describe("Asks the database for a sign of life.")
        .errors(&[Code::Unavailable, Code::Busy])
        .public();
    type Input = Nothing;
    type Output = ReadyReport;
    async fn run(engine: &Engine, _: &Caller, _: Nothing) -> Result<ReadyReport> {
        engine.db().ping().await?;
        Ok(ReadyReport { status: "ready".into(), store: format!("{:?}", engine.db().backend()).to_lowercase() })
    }
}

/// Which version this is.
pub struct Version;

/// The version of the product.
#[derive(Debug, Serialize, JsonSchema)]
pub struct VersionReport {
    /// Name of the product.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Version of the API: `v1`.
    pub api: String,
    /// Version of the blueprint format: `v1`.
    pub blueprint: String,
}

impl Operation for Version {
    const META: Meta = Meta::read("system.version", Method::Get, "/version", "Tell which version this is.").public();
    type Input = Nothing;
    type Output = VersionReport;
    async fn run(_: &Engine, _: &Caller, _: Nothing) -> Result<VersionReport> {
        Ok(VersionReport {
            name: "codex32".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            api: "v1".into(),
            blueprint: "v1".into(),
        })
    }
}

/// Gives the measures.
pub struct Metrics;

/// Measures of the engine.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MetricsText {
    /// In the text format of Prometheus.
    pub text: String,
}

impl Operation for Metrics {
    const META: Meta =
        Meta::read("system.metrics", Method::Get, "/metrics", "Give the engine's measures, as Prometheus reads them.")
            .needs(Permission::SystemRead);
    type Input = Nothing;
    type Output = MetricsText;
    async fn run(engine: &Engine, _: &Caller, _: Nothing) -> Result<MetricsText> {
        Ok(MetricsText { text: engine.metrics() })
    }
}

/// Follows the workspace's events.
pub struct Events;

/// From where.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventsInput {
    /// Events after this number; by default those to come.
    #[serde(default)]
    pub after: Option<i64>,
}

impl StreamOperation for Events {
    const META: Meta = Meta::stream("system.events", "/events", "Follow what happens in the workspace.")
        .needs(Permission::EventsRead)
        .resume("after");
    type Input = EventsInput;
    type Item = Event;
    async fn open(engine: &Engine, caller: &Caller, input: EventsInput) -> Result<BoxStream<'static, Result<Event>>> {
        Ok(engine.bus().subscribe(caller.workspace, input.after).await?.map(Ok).boxed())
    }
}

/// Publishes an event.
pub struct Publish;

/// An event.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishInput {
    /// Name with a dot, such as `order.created`; not one of the engine's own.
    pub name: String,
    /// What happened.
    #[serde(default)]
    pub data: Option<Value>,
}

/// An event that was published.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Published {
    /// Its number on the bus.
    pub seq: i64,
}

impl Operation for Publish {
    const META: Meta =
        Meta::write("system.publish", Method::Post, "/events", "Publish an event that bots wait for or start by.")
            .needs(Permission::EventsPublish)
            .status(201)
            .positional(&["name", "data"])
            .example(r#"{"name": "order.created", "data": {"id": 7}}"#);
    type Input = PublishInput;
    type Output = Published;
    async fn run(engine: &Engine, caller: &Caller, input: PublishInput) -> Result<Published> {
        let data = input.data.unwrap_or_default();
        check_custom(&input.name, &data)?;
        Ok(Published { seq: engine.bus().publish(caller.workspace, &input.name, data).await? })
    }
}
