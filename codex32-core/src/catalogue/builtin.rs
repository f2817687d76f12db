//! The catalogue files that the engine brings along.
//!
//! A file is a [`ConnectorSpec`] as JSON with one abbreviation: `parts` at its top
//! names sets of properties, and `"$parts": [names]` in a schema stands for them.

use super::ConnectorSpec;
use serde_json::{Map, Value};

/// Every file of `data/`.
pub(super) const FILES: [(&str, &str); 21] = [
    ("http", include_str!("data/http.json")),
    ("rss", include_str!("data/rss.json")),
    ("email", include_str!("data/email.json")),
    ("slack", include_str!("data/slack.json")),
    ("discord", include_str!("data/discord.json")),
    ("telegram", include_str!("data/telegram.json")),
    ("webhook", include_str!("data/webhook.json")),
    ("file", include_str!("data/file.json")),
    ("kv", include_str!("data/kv.json")),
    ("sql", include_str!("data/sql.json")),
    ("transform", include_str!("data/transform.json")),
    ("text", include_str!("data/text.json")),
    ("csv", include_str!("data/csv.json")),
    ("json", include_str!("data/json.json")),
    ("xml", include_str!("data/xml.json")),
    ("crypto", include_str!("data/crypto.json")),
    ("delay", include_str!("data/delay.json")),
    ("log", include_str!("data/log.json")),
    ("notify", include_str!("data/notify.json")),
    ("event", include_str!("data/event.json")),
    ("queue", include_str!("data/queue.json")),
];

/// The specs in their order. A file that does not parse would be missing; a test proves that none is.
pub(super) fn specs() -> impl Iterator<Item = ConnectorSpec> {
    FILES.iter().filter_map(|(_, text)| parse(text).ok())
}

/// One file.
pub(super) fn parse(text: &str) -> Result<ConnectorSpec, serde_json::Error> {
    let mut file: Map<String, Value> = serde_json::from_str(text)?;
    let mut parts = match file.remove("parts") {
        Some(Value::Object(parts)) => parts,
        _ => Map::new(),
    };
    // A part may itself stand on the parts before it.
    for name in parts.keys().cloned().collect::<Vec<_>>() {
        let known = parts.clone();
        if let Some(part) = parts.get_mut(&name) {
            expand(part, &known);
        }
    }
    let mut spec = Value::Object(file);
    expand(&mut spec, &parts);
    serde_json::from_value(spec)
}

/// Puts the named properties in the place of each `$parts`, before the schema's own.
fn expand(value: &mut Value, parts: &Map<String, Value>) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(|v| expand(v, parts));
            let Some(Value::Array(names)) = map.remove("$parts") else { return };
            let mut properties = Map::new();
            for part in names.iter().filter_map(|n| parts.get(n.as_str()?)?.as_object()) {
                properties.extend(part.clone());
            }
            if let Some(Value::Object(own)) = map.remove("properties") {
                properties.extend(own);
            }
            map.insert("properties".into(), Value::Object(properties));
        }
        Value::Array(items) => items.iter_mut().for_each(|v| expand(v, parts)),
        _ => {}
    }
}
