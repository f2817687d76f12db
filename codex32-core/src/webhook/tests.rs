//! Webhooks on real databases.

use super::*;
use crate::blueprint::{Respond, Trigger, WebhookTrigger};
use crate::clock::SimulatedClock;
use crate::error::{Code, Error};
use crate::storage::testing::on_each;
use crate::trigger::testing::{House, eventually, until};
use serde_json::json;
use tokio::sync::watch;

const NOW: i64 = 1_700_000_000_000;

/// One secret, `key`.
struct OneKey;

#[async_trait::async_trait]
impl Signer for OneKey {
    async fn key(&self, _: WorkspaceId, name: &str) -> Result<Option<SecretString>> {
        Ok((name == "key").then(|| SecretString::from("swordfish")))
    }
}

/// Executions that end when the test says so.
#[derive(Default)]
struct Ending {
    end: watch::Sender<Option<End>>,
}

#[async_trait::async_trait]
impl Ends for Ending {
    async fn ended(&self, _: WorkspaceId, _: ExecutionId) -> Result<End> {
        let mut end = self.end.subscribe();
        let end = end.wait_for(Option::is_some).await.map_err(|_| Error::internal("the test is over"))?;
        end.clone().ok_or_else(|| Error::internal("no end"))
    }
}

struct Door {
    house: House,
    webhooks: Webhooks,
    ending: Arc<Ending>,
}

fn door(db: Db) -> Door {
    let house = House::new(db.clone(), NOW);
    let ending = Arc::new(Ending::default());
    let webhooks = Webhooks::new(Parts {
        db,
        clock: Arc::new(house.clock.clone()),
        starter: house.starter.clone(),
        signer: Arc::new(OneKey),
        ends: ending.clone(),
        config: Config { max_body: 1_000, ..Config::default() },
    });
    Door { house, webhooks, ending }
}

fn hook(path: &str) -> WebhookTrigger {
    WebhookTrigger {
        path: path.into(),
        method: "POST".into(),
        secret: None,
        require: Vec::new(),
        respond: Respond::Accepted,
    }
}

fn post(body: &str, headers: &[(&str, &str)]) -> Request {
    let mut all = vec![("content-type".to_owned(), "application/json".to_owned())];
    all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Request {
        method: "POST".into(),
        headers: all,
        query: "from=test".into(),
        body: Bytes::from(body.to_owned()),
        remote: Some("192.0.2.7".into()),
    }
}

impl Door {
    async fn arm(&self, trigger: WebhookTrigger) {
        self.house.arm(&self.house.deployment("bot"), vec![Trigger::Webhook(trigger)]).await.unwrap();
    }
    async fn send(&self, path: &str, request: Request) -> Result<Outcome> {
        self.webhooks.receive(self.house.workspace, path, request).await
    }
}

#[tokio::test]
async fn a_request_starts_the_bot_with_its_body() {
    on_each(async |db| {
        let door = door(db);
        door.arm(hook("leads/new")).await;
        let outcome = door.send("/leads/new", post(r#"{"email": "a@b"}"#, &[("Authorization", "x")])).await.unwrap();
        let start = door.house.starter.all().await.remove(0);
        assert_eq!(outcome, Outcome::Accepted { execution: start.id, existing: false });
        assert_eq!(start.input, json!({"email": "a@b"}));
        let trigger = start.trigger;
        assert_eq!(
            (&trigger["type"], &trigger["method"], &trigger["path"]),
            (&json!("webhook"), &json!("POST"), &json!("leads/new"))
        );
        assert_eq!((&trigger["query"], &trigger["body"]), (&json!({"from": "test"}), &json!({"email": "a@b"})));
        assert_eq!(trigger["headers"], json!({"content-type": "application/json"}));
        assert_eq!(door.house.only_trigger().await.last_fired, Some(NOW));
    })
    .await;
}

#[tokio::test]
async fn what_may_not_start_the_bot_does_not() {
    on_each(async |db| {
        let door = door(db);
        door.arm(WebhookTrigger { require: vec!["email".into()], ..hook("in") }).await;
        let code = async |path: &str, request: Request| door.send(path, request).await.unwrap_err().code();
        assert_eq!(code("out", post("{}", &[])).await, Code::NotFound);
        assert_eq!(code("in", post("{}", &[])).await, Code::Invalid);
        assert_eq!(code("in", post("{", &[])).await, Code::Invalid);
        assert_eq!(code("in", post(&"x".repeat(1_001), &[])).await, Code::TooLarge);
        let long = "k".repeat(600);
        assert_eq!(code("in", post(r#"{"email":1}"#, &[("Idempotency-Key", &long)])).await, Code::Invalid);
        let get = Request { method: "GET".into(), ..post(r#"{"email":1}"#, &[]) };
        assert_eq!(door.send("in", get).await.unwrap(), Outcome::MethodNotAllowed { allow: "POST".into() });
        let other = door.webhooks.receive(WorkspaceId::at(NOW), "in", post(r#"{"email":1}"#, &[])).await;
        assert_eq!(other.unwrap_err().code(), Code::NotFound);
        assert!(door.house.starter.all().await.is_empty());
        let id = door.house.only_trigger().await.id;
        crate::trigger::set_enabled(&door.house.db, &door.house.clock, door.house.workspace, id, false).await.unwrap();
        assert_eq!(code("in", post(r#"{"email":1}"#, &[])).await, Code::NotFound);
        assert!(door.house.starter.all().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_signed_hook_takes_signed_requests_only() {
    on_each(async |db| {
        let door = door(db);
        door.arm(WebhookTrigger { secret: Some("key".into()), ..hook("in") }).await;
        let good = sign(b"swordfish", None, b"{}").unwrap();
        let refused = door.send("in", post("{}", &[])).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
        // The signature is checked before the body is read.
        let forged = door.send("in", post("{ not json", &[(SIGNATURE_HEADER, &good)])).await.unwrap_err();
        assert_eq!(forged.code(), Code::Unauthenticated);
        door.send("in", post("{}", &[(SIGNATURE_HEADER, &good)])).await.unwrap();
        assert_eq!(door.house.starter.all().await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_hook_whose_secret_is_missing_takes_nothing() {
    on_each(async |db| {
        let door = door(db);
        door.arm(WebhookTrigger { secret: Some("gone".into()), ..hook("in") }).await;
        let empty = sign(b"", None, b"{}").unwrap();
        let refused = door.send("in", post("{}", &[(SIGNATURE_HEADER, &empty)])).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
        assert!(!refused.message().contains("gone"));
        assert!(door.house.only_trigger().await.last_error.unwrap().contains("gone"));
        assert!(door.house.starter.all().await.is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_delivery_that_is_repeated_starts_one_execution() {
    on_each(async |db| {
        let door = door(db);
        door.arm(hook("in")).await;
        let send = async |headers: &[(&str, &str)]| match door.send("in", post("{}", headers)).await.unwrap() {
            Outcome::Accepted { execution, existing } => (execution, existing),
            other => panic!("{other:?}"),
        };
        let first = send(&[("X-GitHub-Delivery", "d1")]).await;
        assert_eq!(send(&[("X-GitHub-Delivery", "d1")]).await, (first.0, true));
        assert_ne!(send(&[("X-GitHub-Delivery", "d2")]).await.0, first.0);
        assert_ne!(send(&[("Idempotency-Key", "d1")]).await.0, first.0);
        assert_ne!(send(&[]).await.0, send(&[]).await.0);
        assert_eq!(door.house.starter.all().await.len(), 5);
    })
    .await;
}

async fn waiting(door: &Door) -> ExecutionId {
    door.house.starter.reach(1).await[0].id
}

#[tokio::test]
async fn the_bot_s_answer_is_given_and_given_again() {
    on_each(async |db| {
        let door = door(db);
        door.arm(WebhookTrigger { respond: Respond::Reply, ..hook("in") }).await;
        let request = post("{}", &[("Idempotency-Key", "k")]);
        let reply = async {
            let id = waiting(&door).await;
            let ws = door.house.workspace;
            let headers = json!({"x-made-by": "bot"});
            door.webhooks.reply(ws, id, 201, headers.clone(), json!({"ok": true})).await.unwrap();
            // A step that is repeated after a crash.
            door.webhooks.reply(ws, id, 201, headers, json!({"ok": true})).await.unwrap();
            let second = door.webhooks.reply(ws, id, 200, Value::Null, json!("other")).await;
            assert_eq!(second.unwrap_err().code(), Code::Conflict);
        };
        let (outcome, ()) = eventually(async { tokio::join!(door.send("in", request.clone()), reply) }).await;
        let outcome = outcome.unwrap();
        let execution = waiting(&door).await;
        let headers = vec![("x-made-by".to_owned(), "bot".to_owned())];
        assert_eq!(outcome, Outcome::Answer { execution, status: 201, headers, body: json!({"ok": true}) });
        assert_eq!(door.send("in", request).await.unwrap(), outcome);
    })
    .await;
}

#[tokio::test]
async fn without_an_answer_the_end_is_the_answer() {
    on_each(async |db| {
        for (end, status, body) in [
            (End { succeeded: true, output: json!({"n": 1}) }, 200, Some(json!({"n": 1}))),
            (End { succeeded: false, output: Value::Null }, 502, None),
        ] {
            let door = door(db.clone());
            door.arm(WebhookTrigger { respond: Respond::Reply, ..hook("in") }).await;
            let finish = async {
                door.house.starter.reach(1).await;
                door.ending.end.send_replace(Some(end));
            };
            let (outcome, ()) = eventually(async { tokio::join!(door.send("in", post("{}", &[])), finish) }).await;
            let Outcome::Answer { status: given, body: text, .. } = outcome.unwrap() else { panic!("no answer") };
            assert_eq!(given, status);
            assert!(body.is_none_or(|body| body == text));
        }
    })
    .await;
}

#[tokio::test]
async fn a_bot_that_takes_too_long_goes_on_behind_a_202() {
    on_each(async |db| {
        let door = door(db);
        door.arm(WebhookTrigger { respond: Respond::Reply, ..hook("in") }).await;
        let clock: SimulatedClock = door.house.clock.clone();
        let pass = async {
            until(async || (!door.webhooks.waiting.lock().unwrap().is_empty()).then_some(())).await;
            clock.advance(30_000);
        };
        let (outcome, ()) = eventually(async { tokio::join!(door.send("in", post("{}", &[])), pass) }).await;
        assert!(matches!(outcome.unwrap(), Outcome::Accepted { existing: false, .. }));
        assert!(door.webhooks.waiting.lock().unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_cannot_be_sent_is_refused() {
    let db = crate::storage::testing::sqlite().await;
    let door = door(db.db.clone());
    let id = ExecutionId::at(NOW);
    let refused = async |status: u16, headers: Value, body: Value| {
        door.webhooks.reply(door.house.workspace, id, status, headers, body).await.unwrap_err().code()
    };
    assert_eq!(refused(99, Value::Null, Value::Null).await, Code::Invalid);
    assert_eq!(refused(600, Value::Null, Value::Null).await, Code::Invalid);
    for headers in [
        json!({"a\nb": "x"}),
        json!({"x": "a\r\nset-cookie: y"}),
        json!({"Set-Cookie": "y"}),
        json!({"Transfer-Encoding": "chunked"}),
        json!({"x": 1}),
        json!([]),
    ] {
        assert_eq!(refused(200, headers.clone(), Value::Null).await, Code::Invalid, "{headers}");
    }
    assert_eq!(refused(200, Value::Null, json!("x".repeat(1024 * 1024))).await, Code::TooLarge);
}
