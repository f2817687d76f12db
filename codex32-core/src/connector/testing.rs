//! What tests call connectors with.

pub(crate) mod smtp;

use super::{ActionContext, Connectors, KvChange, Lookup, Net, Network, Polled, Services};
use crate::blueprint::Permissions;
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, Result};
use crate::id::{BotId, ExecutionId, WorkspaceId};
use crate::observe::{LogSink, Stream};
use crate::queue::SendOptions;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Connectors with a context that remembers what was done through it.
pub(crate) struct Harness {
    pub(crate) connectors: Connectors,
    pub(crate) cx: ActionContext,
    pub(crate) done: Arc<Done>,
}

/// What connectors did through their services and logs.
#[derive(Default)]
pub(crate) struct Done {
    pub(crate) lines: Mutex<Vec<(Stream, String)>>,
    pub(crate) events: Mutex<Vec<(String, Value)>>,
    pub(crate) replies: Mutex<Vec<(u16, Value, Value)>>,
    pub(crate) notices: Mutex<Vec<(String, String, String)>>,
    pub(crate) updates: Mutex<Vec<(String, KvChange)>>,
    pub(crate) messages: Mutex<Vec<(String, Value, SendOptions)>>,
}

impl LogSink for Done {
    fn line(&self, stream: Stream, text: &str) {
        self.lines.lock().unwrap().push((stream, text.to_owned()));
    }
}

#[async_trait::async_trait]
impl Services for Done {
    async fn publish(&self, _cx: &ActionContext, event: &str, data: Value) -> Result<()> {
        self.events.lock().unwrap().push((event.to_owned(), data));
        Ok(())
    }
    async fn reply(&self, _cx: &ActionContext, status: u16, headers: Value, body: Value) -> Result<()> {
        self.replies.lock().unwrap().push((status, headers, body));
        Ok(())
    }
    async fn notify(&self, _cx: &ActionContext, title: &str, text: &str, severity: &str) -> Result<()> {
        self.notices.lock().unwrap().push((title.to_owned(), text.to_owned(), severity.to_owned()));
        Ok(())
    }
    async fn kv_get(&self, _cx: &ActionContext, key: &str) -> Result<Option<Value>> {
        Ok((key == "known").then(|| json!(7)))
    }
    async fn kv_update(&self, _cx: &ActionContext, key: &str, change: KvChange) -> Result<Value> {
        let result = match &change {
            KvChange::Add(by) => json!(by),
            KvChange::Append { item, .. } => json!([item]),
            KvChange::Swap(_) => json!({"changed": true, "before": 1, "first": false}),
            KvChange::Set(value) => value.clone(),
            KvChange::Delete => json!("gone"),
        };
        self.updates.lock().unwrap().push((key.to_owned(), change));
        Ok(result)
    }
    async fn kv_list(&self, _cx: &ActionContext, prefix: &str) -> Result<Vec<String>> {
        Ok(vec![format!("{prefix}a"), format!("{prefix}b")])
    }
    async fn queue_send(&self, _cx: &ActionContext, queue: &str, body: Value, options: SendOptions) -> Result<Uuid> {
        self.messages.lock().unwrap().push((queue.to_owned(), body, options));
        Ok(Uuid::nil())
    }
}

/// Names with fixed addresses; others have none.
pub(crate) struct Names(pub(crate) HashMap<&'static str, Vec<IpAddr>>);

impl Names {
    pub(crate) fn of(names: &[(&'static str, &[&str])]) -> Names {
        let addresses = |list: &[&str]| list.iter().map(|ip| ip.parse().unwrap()).collect();
        Names(names.iter().map(|(name, list)| (*name, addresses(list))).collect())
    }
}

#[async_trait::async_trait]
impl Lookup for Names {
    async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>> {
        self.0.get(name).cloned().ok_or_else(|| Error::unavailable(format!("the host {name} has no address")))
    }
}

impl Harness {
    pub(crate) fn new() -> Harness {
        Harness::with(Connectors::default(), Arc::new(SystemClock))
    }

    pub(crate) fn with_names(names: &[(&'static str, &[&str])]) -> Harness {
        Harness::with(Connectors::new(Net::with_lookup(Arc::new(Names::of(names)))), Arc::new(SystemClock))
    }

    pub(crate) fn with(connectors: Connectors, clock: Arc<dyn Clock>) -> Harness {
        let (done, now) = (Arc::new(Done::default()), clock.now());
        let cx = ActionContext {
            workspace: WorkspaceId::at(now),
            bot: Some(BotId::at(now)),
            bot_name: "tester".into(),
            execution: Some(ExecutionId::at(now)),
            step: "step1".into(),
            attempt: 1,
            idempotency_key: "key-1".into(),
            deadline: None,
            network: Network::default(),
            connection: None,
            cancel: CancellationToken::new(),
            log: done.clone(),
            clock,
            services: done.clone(),
        };
        Harness { connectors, cx, done }
    }

    /// May reach these hosts, private ones included.
    pub(crate) fn reaching(mut self, hosts: &[&str]) -> Harness {
        let network = hosts.iter().map(|h| (*h).to_owned()).collect();
        let files = self.cx.network.permissions.files.clone();
        self.cx.network = Network {
            permissions: Arc::new(Permissions { network, files, secrets: Vec::new() }),
            private_allowed: true,
        };
        self
    }

    /// May touch these folders.
    pub(crate) fn touching(mut self, folders: &[&std::path::Path]) -> Harness {
        let files = folders.iter().map(|f| f.to_str().unwrap().to_owned()).collect();
        let network = self.cx.network.permissions.network.clone();
        self.cx.network.permissions = Arc::new(Permissions { network, files, secrets: Vec::new() });
        self
    }

    pub(crate) fn connected(mut self, connection: Value) -> Harness {
        self.cx.connection = Some(connection);
        self
    }

    /// Calls an action; what it gives must satisfy the catalogue.
    pub(crate) async fn call(&self, full: &str, input: Value) -> Result<Value> {
        let output = self.connectors.call(full, &self.cx, input).await?;
        let schema = self.connectors.catalogue().action(full).unwrap().output.clone();
        satisfies(full, &schema, &output);
        Ok(output)
    }

    /// Looks for news; each event must satisfy the catalogue.
    pub(crate) async fn poll(&self, full: &str, input: Value, cursor: Option<Value>) -> Result<Polled> {
        let polled = self.connectors.poll(full, &self.cx, input, cursor).await?;
        let schema = self.connectors.catalogue().trigger(full).unwrap().event.clone();
        polled.events.iter().for_each(|event| satisfies(full, &schema, event));
        Ok(polled)
    }
}

/// Output has no member that its schema does not tell of, and those of the right type.
fn satisfies(full: &str, schema: &Value, output: &Value) {
    if let Err(e) = jsonschema::draft202012::new(schema).unwrap().validate(output) {
        panic!("{full} gave {output}, but {} {e}", e.instance_path());
    }
    if let (Some(properties), Some(members)) = (schema["properties"].as_object(), output.as_object()) {
        for member in members.keys() {
            assert!(properties.contains_key(member), "{full} gave `{member}`, which the catalogue does not tell of");
        }
    }
}

/// An HTTP server for a test; it ends with the test's runtime.
pub(crate) async fn serve(app: axum::Router) -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}
