use super::*;
use serde_json::{Value, json};

/// Every schema in the catalogue with its place.
fn schemas() -> Vec<(String, &'static Value, bool)> {
    let mut all = Vec::new();
    for connector in Catalogue::builtin().connectors() {
        let name = &connector.name;
        all.extend(connector.connection.iter().map(|s| (format!("{name} connection"), s, true)));
        for action in &connector.actions {
            all.push((format!("{name}.{} input", action.name), &action.input, true));
            all.push((format!("{name}.{} output", action.name), &action.output, false));
        }
        for trigger in &connector.triggers {
            all.push((format!("{name}.{} input", trigger.name), &trigger.input, true));
            all.push((format!("{name}.{} event", trigger.name), &trigger.event, false));
        }
    }
    all
}

#[test]
fn every_file_parses_and_is_named_after_its_connector() {
    for (name, text) in builtin::FILES {
        let spec = builtin::parse(text).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(spec.name, name);
        assert!(!spec.actions.is_empty(), "{name} can do nothing");
    }
    assert_eq!(Catalogue::builtin().connectors().count(), builtin::FILES.len());
}

#[test]
fn inputs_are_closed_and_every_property_is_described() {
    fn walk(place: &str, schema: &Value) {
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
        for (name, property) in properties {
            let place = format!("{place}/{name}");
            assert!(property.get("description").is_some_and(Value::is_string), "{place} has no description");
            walk(&place, property);
            if let Some(items) = property.get("items") {
                walk(&format!("{place}/items"), items);
            }
        }
    }
    for (place, schema, closed) in schemas() {
        walk(&place, schema);
        assert!(!schema.to_string().contains("$part"), "{place} has an unknown part");
        if closed {
            assert_eq!(schema["type"], "object", "{place}");
            assert_eq!(schema["additionalProperties"], false, "{place}");
            for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                assert!(schema["properties"].get(name).is_some(), "{place} requires {name}, which it does not have");
            }
        }
    }
}

#[test]
fn phrases_name_only_members_of_the_input() {
    let spoken = Catalogue::builtin()
        .actions()
        .map(|(c, a)| (format!("{}.{}", c.name, a.name), &a.phrase, &a.input))
        .chain(Catalogue::builtin().triggers().map(|(c, t)| (format!("{}.{}", c.name, t.name), &t.phrase, &t.input)));
    for (name, phrase, input) in spoken {
        for member in phrase.split('{').skip(1).filter_map(|s| s.split_once('}')) {
            assert!(
                input["properties"].get(member.0).is_some(),
                "{name} says {{{}}}, which it does not have",
                member.0
            );
        }
        assert_eq!(phrase.matches('[').count(), phrase.matches(']').count(), "{name}");
    }
}

#[test]
fn names_are_found_and_unknown_ones_are_not() {
    let catalogue = Catalogue::builtin();
    assert!(catalogue.action("sql.insert").is_some());
    assert!(catalogue.trigger("file.new_file").is_some());
    for unknown in ["http", "http.", "http.fetch", ".get", "", "rss.new_item"] {
        assert!(catalogue.action(unknown).is_none(), "{unknown}");
    }
    assert!(catalogue.connector("slack").is_some_and(ConnectorSpec::needs_connection));
    assert!(catalogue.connector("http").is_some_and(|c| c.takes_connection() && !c.needs_connection()));
}

#[test]
fn an_extra_connector_takes_the_place_of_one_of_its_name() {
    let extra: ConnectorSpec = serde_json::from_value(json!({
        "name": "slack", "title": "Chat", "summary": "Own chat.", "synonyms": []
    }))
    .unwrap();
    let catalogue = Catalogue::builtin().clone().with(extra);
    assert_eq!(catalogue.connectors().count(), Catalogue::builtin().connectors().count());
    assert!(catalogue.action("slack.send").is_none());
    assert!(catalogue.action("http.get").is_some());
}

#[test]
fn phrases_are_filled() {
    let input = json!({"to": ["a@example.com", "b@example.com"], "subject": "Hi", "n": 3, "long": "x".repeat(500)});
    assert_eq!(
        fill("mail {to}[ about {subject}][ and {missing}]", &input),
        "mail a@example.com, b@example.com about \"Hi\""
    );
    assert_eq!(fill("{n} of {missing}", &input), "3 of ...");
    assert_eq!(fill("{long}", &input).chars().count(), 120);
    assert_eq!(fill("broken [piece {n", &input), "broken [piece n");
}
