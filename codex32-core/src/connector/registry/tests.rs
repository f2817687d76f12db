use super::*;
use crate::connector::testing::Harness;
use crate::error::Code;
use serde_json::json;
use std::collections::BTreeSet;

/// Words in parentheses of a `match action` cannot be read at run time, so each name is
/// called: an action that is missing answers with `not_found` and its own name.
#[tokio::test]
async fn catalogue_and_connectors_match_in_both_directions() {
    let harness = Harness::new();
    let catalogue = harness.connectors.catalogue();
    let described: BTreeSet<String> = catalogue.connectors().map(|c| c.name.clone()).collect();
    let built: BTreeSet<String> = builtin::all(&harness.connectors.net()).iter().map(|c| c.name().to_owned()).collect();
    assert_eq!(described, built);

    // Without permissions and connection nothing is reached; only that the name is known matters.
    harness.cx.cancel.cancel();
    for (connector, action) in catalogue.actions() {
        let full = format!("{}.{}", connector.name, action.name);
        let instance = harness.connectors.find(&full, "action", |_| true).unwrap().0;
        let input = harness.connectors.check(&full, action.example.clone()).unwrap();
        if let Err(e) = instance.call(&action.name, &harness.cx, input).await {
            assert_ne!(e.to_string(), format!("there is no action \"{full}\""), "{full} is not implemented");
        }
        let unknown = instance.call("no_such_action", &harness.cx, action.example.clone()).await;
        assert!(unknown.is_err(), "{} performs anything", connector.name);
    }
    for (connector, trigger) in catalogue.triggers() {
        let full = format!("{}.{}", connector.name, trigger.name);
        let instance = harness.connectors.find(&full, "trigger", |_| true).unwrap().0;
        let input = harness.connectors.check(&full, trigger.example.clone()).unwrap();
        if let Err(e) = instance.poll(&trigger.name, &harness.cx, input, None).await {
            assert_ne!(e.to_string(), format!("there is no trigger \"{full}\""), "{full} is not implemented");
        }
    }
}

#[test]
fn every_schema_compiles_and_every_example_satisfies_its_own() {
    let catalogue = Catalogue::builtin();
    let check = |name: String, schema: &Value, example: &Value| {
        Checker::new(&name, schema)
            .and_then(|c| c.check(&name, example.clone()))
            .unwrap_or_else(|e| panic!("{name}: {e}"));
    };
    for (connector, action) in catalogue.actions() {
        let name = format!("{}.{}", connector.name, action.name);
        check(name.clone(), &action.input, &action.example);
        Checker::new(&name, &action.output).unwrap();
    }
    for (connector, trigger) in catalogue.triggers() {
        let name = format!("{}.{}", connector.name, trigger.name);
        check(name.clone(), &trigger.input, &trigger.example);
        Checker::new(&name, &trigger.event).unwrap();
    }
    for connector in catalogue.connectors() {
        if let Some(schema) = &connector.connection {
            Checker::new(&connector.name, schema).unwrap();
        }
    }
}

fn spec(name: &str) -> ConnectorSpec {
    serde_json::from_value(json!({"name": name, "title": "T", "summary": "S.", "actions": [action("look", "integer")]}))
        .unwrap()
}

fn action(name: &str, kind: &str) -> Value {
    json!({
        "name": name, "title": "T", "summary": "S.", "phrase": "look",
        "input": {"type": "object", "required": ["n"], "additionalProperties": false, "properties": {"n": {"type": kind}}},
        "output": {}, "example": {"n": 1}
    })
}

struct Own(&'static str);

#[async_trait::async_trait]
impl Connector for Own {
    fn name(&self) -> &str {
        self.0
    }
    async fn call(&self, _action: &str, _cx: &ActionContext, input: Value) -> Result<Value> {
        Ok(json!({"saw": input["n"]}))
    }
}

#[tokio::test]
async fn a_registered_connector_is_called_with_checked_input() {
    let harness = Harness::new();
    harness.connectors.register(Arc::new(Own("own")), spec("own")).unwrap();
    assert_eq!(harness.call("own.look", json!({"n": 3})).await.unwrap(), json!({"saw": 3}));
    let e = harness.call("own.look", json!({"n": "three"})).await.unwrap_err();
    assert_eq!((e.code(), e.faults()[0].pointer.as_str()), (Code::Invalid, "/n"));
    assert_eq!(harness.call("own.other", json!({})).await.unwrap_err().code(), Code::NotFound);
    // Its place can be taken, and the schema with it.
    let mut other = spec("own");
    other.actions = vec![serde_json::from_value(action("look", "string")).unwrap()];
    harness.connectors.register(Arc::new(Own("own")), other).unwrap();
    assert!(harness.call("own.look", json!({"n": "three"})).await.is_ok());
}

#[test]
fn what_is_registered_wrongly_changes_nothing() {
    let connectors = Connectors::default();
    let mut broken = spec("own");
    broken.actions[0].input = json!({"type": "no such type"});
    for (connector, spec) in [("own", spec("other")), ("Bad Name", spec("Bad Name")), ("own", broken)] {
        assert_eq!(connectors.register(Arc::new(Own(connector)), spec).unwrap_err().code(), Code::Invalid);
    }
    assert_eq!(connectors.catalogue().connectors().count(), Catalogue::builtin().connectors().count());
}

#[tokio::test]
async fn functions_become_actions() {
    let harness = Harness::new();
    let run = |factor: i64| -> ActionFn {
        Arc::new(move |_cx, input| Box::pin(async move { Ok(json!(input["n"].as_i64().unwrap_or(0) * factor)) }))
    };
    let described = |name: &str| serde_json::from_value(action(name, "integer")).unwrap();
    harness.connectors.register_action("sums", described("double"), run(2)).unwrap();
    harness.connectors.register_action("sums", described("triple"), run(3)).unwrap();
    assert_eq!(harness.call("sums.double", json!({"n": 5})).await.unwrap(), json!(10));
    assert_eq!(harness.call("sums.triple", json!({"n": 5})).await.unwrap(), json!(15));
    harness.connectors.register_action("sums", described("double"), run(20)).unwrap();
    assert_eq!(harness.call("sums.double", json!({"n": 5})).await.unwrap(), json!(100));
    assert_eq!(harness.connectors.catalogue().connector("sums").unwrap().actions.len(), 2);
    let taken = harness.connectors.register_action("http", described("steal"), run(1)).unwrap_err();
    assert_eq!(taken.code(), Code::Conflict);
}

#[tokio::test]
async fn a_missing_connection_is_told_and_a_stored_one_is_checked() {
    let harness = Harness::new();
    let e = harness.call("slack.send", json!({"text": "hi"})).await.unwrap_err();
    assert_eq!(e.code(), Code::Precondition);
    assert!(e.hint_text().unwrap().contains("connection:slack"));
    let check = |name, value| harness.connectors.validate_connection(name, value);
    assert!(check("slack", json!({"token": "xoxb"})).unwrap()["base_url"].is_string());
    assert_eq!(check("slack", json!({"channel": "#a"})).unwrap_err().code(), Code::Invalid);
    assert_eq!(check("csv", json!({})).unwrap_err().code(), Code::Precondition);
    assert_eq!(check("nope", json!({})).unwrap_err().code(), Code::NotFound);
}
