use crate::blueprint::Permissions;
use crate::catalogue::{ConnectorSpec, TriggerSpec};
use crate::clock::SimulatedClock;
use crate::connector::{ActionContext, Connector, Connectors, KvChange, Network, Polled, Services};
use crate::error::{Code, Error, Result};
use crate::id::{BotId, TriggerId, WorkspaceId};
use crate::secret::{KeyRing, Secrets};
use crate::storage::testing::on_each;
use crate::trigger::{ConnectorPoller, Look, Poller};
use serde_json::{Value, json};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

const NOW: i64 = 1_700_000_000_000;

/// Gives back what it was asked with; fails where it is told to.
struct Mirror;

#[async_trait::async_trait]
impl Connector for Mirror {
    fn name(&self) -> &str {
        "mirror"
    }
    async fn call(&self, action: &str, _: &ActionContext, _: Value) -> Result<Value> {
        Err(Error::not_found("action", action))
    }
    async fn poll(&self, trigger: &str, cx: &ActionContext, input: Value, cursor: Option<Value>) -> Result<Polled> {
        if input["fail"] == true {
            return Err(Error::unavailable(format!("the server refused the key {}", input["key"])));
        }
        let event = json!({"trigger": trigger, "input": input, "connection": cx.connection, "cursor": cursor});
        Ok(Polled { events: vec![event], cursor: json!(1) })
    }
}

/// A poll uses none of these.
struct NoServices;

#[async_trait::async_trait]
impl Services for NoServices {
    async fn publish(&self, _: &ActionContext, _: &str, _: Value) -> Result<()> {
        Err(Error::precondition("none here"))
    }
    async fn reply(&self, _: &ActionContext, _: u16, _: Value, _: Value) -> Result<()> {
        Err(Error::precondition("none here"))
    }
    async fn notify(&self, _: &ActionContext, _: &str, _: &str, _: &str) -> Result<()> {
        Err(Error::precondition("none here"))
    }
    async fn kv_get(&self, _: &ActionContext, _: &str) -> Result<Option<Value>> {
        Err(Error::precondition("none here"))
    }
    async fn kv_update(&self, _: &ActionContext, _: &str, _: KvChange) -> Result<Value> {
        Err(Error::precondition("none here"))
    }
    async fn kv_list(&self, _: &ActionContext, _: &str) -> Result<Vec<String>> {
        Err(Error::precondition("none here"))
    }
}

fn connectors() -> Connectors {
    let connectors = Connectors::default();
    let object = json!({"type": "object"});
    let trigger = TriggerSpec {
        name: "new".into(),
        title: "News".into(),
        summary: "Gives back what it was asked with.".into(),
        synonyms: Vec::new(),
        input: object.clone(),
        event: object.clone(),
        phrase: "something is new".into(),
        every_ms: 1_000,
        example: json!({}),
    };
    let spec = ConnectorSpec {
        name: "mirror".into(),
        title: "Mirror".into(),
        summary: "For tests.".into(),
        synonyms: Vec::new(),
        connection: Some(object),
        connection_optional: true,
        actions: Vec::new(),
        triggers: vec![trigger],
    };
    connectors.register(Arc::new(Mirror), spec).unwrap();
    connectors
}

fn look(workspace: WorkspaceId, with: Value, secrets: &[&str]) -> Look {
    let secrets: Vec<String> = secrets.iter().map(|name| (*name).to_owned()).collect();
    Look {
        workspace,
        bot: BotId::at(NOW),
        bot_name: "bot".into(),
        trigger: TriggerId::at(NOW),
        source: "mirror.new".into(),
        with,
        connection: None,
        network: Network {
            permissions: Arc::new(Permissions { secrets: secrets.clone(), ..Permissions::default() }),
            private_allowed: false,
        },
        secrets,
        cursor: Some(json!(7)),
        deadline: NOW + 1_000,
        cancel: CancellationToken::new(),
    }
}

#[tokio::test]
async fn a_look_has_its_secrets_and_its_connection_and_no_others() {
    on_each(async |db| {
        let clock = Arc::new(SimulatedClock::at(NOW));
        let secrets = Secrets::open(db.clone(), clock.clone(), Arc::new(KeyRing::fresh())).await.unwrap();
        let workspace = WorkspaceId::at(NOW);
        secrets.set(workspace, "feed_key", "s3cr3t-value").await.unwrap();
        secrets.set_connection(workspace, "mirror", &json!({"url": "http://127.0.0.1"})).await.unwrap();
        let poller = ConnectorPoller::new(Arc::new(connectors()), secrets, Arc::new(NoServices), clock);
        let with = json!({"key": "{{ secrets.feed_key }}", "fixed": 1});
        let polled = poller.poll(look(workspace, with.clone(), &["feed_key"])).await.unwrap();
        let expected = json!({"trigger": "new", "input": {"key": "s3cr3t-value", "fixed": 1},
            "connection": {"url": "http://127.0.0.1"}, "cursor": 7});
        assert_eq!(polled.events, [expected]);
        let refused = poller.poll(look(workspace, with, &["other"])).await.unwrap_err();
        assert_eq!(refused.code(), Code::Forbidden);
        let with = json!({"key": "{{ secrets.feed_key }}", "fail": true});
        let failed = poller.poll(look(workspace, with, &["feed_key"])).await.unwrap_err();
        assert!(failed.message().contains("refused the key") && !failed.message().contains("s3cr3t-value"), "{failed}");
        let unknown = Look { source: "mirror.old".into(), ..look(workspace, json!({}), &[]) };
        assert_eq!(poller.poll(unknown).await.unwrap_err().code(), Code::NotFound);
    })
    .await;
}
