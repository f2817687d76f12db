//! Functions of the embedding program.

use super::*;
use crate::connector::{ActionContext, Connector, KvChange, Network, Services};
use crate::error::{Code, Error};
use serde_json::json;

struct NoServices;

#[async_trait::async_trait]
impl Services for NoServices {
    async fn publish(&self, _: &ActionContext, _: &str, _: Value) -> Result<()> {
        Err(Error::internal("no services"))
    }
    async fn reply(&self, _: &ActionContext, _: u16, _: Value, _: Value) -> Result<()> {
        Err(Error::internal("no services"))
    }
    async fn notify(&self, _: &ActionContext, _: &str, _: &str, _: &str) -> Result<()> {
        Err(Error::internal("no services"))
    }
    async fn kv_get(&self, _: &ActionContext, _: &str) -> Result<Option<Value>> {
        Err(Error::internal("no services"))
    }
    async fn kv_update(&self, _: &ActionContext, _: &str, _: KvChange) -> Result<Value> {
        Err(Error::internal("no services"))
    }
    async fn kv_list(&self, _: &ActionContext, _: &str) -> Result<Vec<String>> {
        Err(Error::internal("no services"))
    }
}

fn context() -> ActionContext {
    ActionContext {
        workspace: WorkspaceId::at(0),
        bot: None,
        bot_name: String::new(),
        execution: None,
        step: "greet".to_owned(),
        attempt: 1,
        idempotency_key: "key".to_owned(),
        deadline: None,
        network: Network::default(),
        connection: None,
        cancel: CancellationToken::new(),
        log: Arc::new(Lines::default()),
        clock: Arc::new(SystemClock),
        services: Arc::new(NoServices),
    }
}

#[tokio::test]
async fn a_closure_is_an_action() {
    let natives = NativeActions::default();
    let greet =
        NativeAction::new("greet").summary("Greets someone").input(json!({"type": "object", "required": ["name"]}));
    let connector = natives
        .register(greet, |input, cx| async move {
            Ok(json!(format!("{} from {}", input["name"].as_str().unwrap_or(""), cx.step)))
        })
        .unwrap();
    assert_eq!(connector.name(), FAMILY);
    assert_eq!(connector.call("greet", &context(), json!({"name": "Åse"})).await.unwrap(), json!("Åse from greet"));
    assert_eq!(connector.call("nothing", &context(), json!({})).await.unwrap_err().code(), Code::NotFound);

    // Its own family; a later one of the same name takes its place; the entry grows.
    for n in [1, 2] {
        natives.register(NativeAction::new("crm.add_lead"), move |_, _| async move { Ok(json!(n)) }).unwrap();
    }
    natives.register(NativeAction::new("crm.drop_lead"), |_, _| async { Ok(Value::Null) }).unwrap();
    let families: Vec<_> = natives.connectors();
    assert_eq!(families.iter().map(|c| c.spec().name).collect::<Vec<_>>(), ["crm", "native"]);
    let crm = &families[0];
    assert_eq!(crm.spec().actions.iter().map(|a| a.name.clone()).collect::<Vec<_>>(), ["add_lead", "drop_lead"]);
    assert_eq!(crm.call("add_lead", &context(), json!({})).await.unwrap(), json!(2));
}

#[tokio::test]
async fn a_panic_and_a_cancellation_are_errors() {
    let natives = NativeActions::default();
    let connector = natives
        .register(NativeAction::new("boom"), |input, _| async move {
            assert!(input["fine"].as_bool().unwrap_or(false), "it broke");
            std::future::pending::<Result<Value>>().await
        })
        .unwrap();
    let error = connector.call("boom", &context(), json!({})).await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::Failed, "the function native.boom panicked: it broke"));
    let cx = context();
    let (result, ()) = tokio::join!(connector.call("boom", &cx, json!({"fine": true})), async { cx.cancel.cancel() });
    assert_eq!(result.unwrap_err().code(), Code::Cancelled);
}

#[test]
fn refuses_names_and_schemas_that_cannot_be() {
    let natives = NativeActions::default();
    let register = |action: NativeAction| natives.register(action, |_, _| async { Ok(Value::Null) }).map(|_| ());
    for name in ["", "A", "a b", "a.b.c", ".a", "a.", "1a", "a-b"] {
        assert_eq!(register(NativeAction::new(name)).unwrap_err().code(), Code::Invalid, "{name:?}");
    }
    let error = register(NativeAction::new("a").input(json!({"type": "thing"}))).unwrap_err();
    assert!(error.message().starts_with("the input schema of \"a\" is not JSON Schema"), "{error}");
    assert!(natives.connectors().is_empty());
}

#[test]
fn a_function_can_be_a_whole_bot() {
    let action = NativeAction::new("crm.sync").summary("Syncs the CRM");
    let bot = function_bot("crm-sync", &action, vec![crate::blueprint::Trigger::Manual]);
    let crate::blueprint::StepKind::Use { action, with, .. } = &bot.steps[0].kind else { panic!("{bot:?}") };
    assert_eq!((action.as_str(), with), ("crm.sync", &json!("{{ input }}")));
    assert_eq!(bot.description.as_deref(), Some("Syncs the CRM"));
}
