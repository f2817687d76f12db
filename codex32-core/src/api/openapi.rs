//! The OpenAPI 3.1 document, derived from the table.

use super::operation::{Kind, Meta, Raw, Surface};
use super::schema::Schemas;
use super::shape::{Definition, Shapes, Type};
use crate::error::{Code, Error};
use serde_json::{Map, Value, json};

/// Codes that any operation with a caller may give.
const COMMON: [Code; 5] = [Code::Invalid, Code::Unauthenticated, Code::Forbidden, Code::RateLimited, Code::Internal];

/// The document for `version` of the product.
#[must_use]
pub fn document(shapes: &Shapes, schemas: &Schemas, version: &str) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for shape in &shapes.operations {
        let meta = shape.meta;
        if !meta.offered_on(Surface::Rest) {
            continue;
        }
        let item = paths.entry(format!("/api/v1{}", meta.path)).or_insert_with(|| json!({}));
        if let Some(item) = item.as_object_mut() {
            item.insert(meta.method.as_str().to_lowercase(), operation(shapes, schemas, meta));
        }
    }
    let mut definitions: Map<String, Value> =
        schemas.definitions.iter().map(|(name, schema)| (name.clone(), schema.clone())).collect();
    definitions.insert("Problem".into(), problem());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Codex-32",
            "version": version,
            "description": "Say in plain words what should be automated and get a bot.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags(shapes),
        "paths": paths,
        "components": {
            "schemas": definitions,
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "An API token: `c32_...`" },
            },
        },
    })
}

fn tags(shapes: &Shapes) -> Vec<Value> {
    let mut names: Vec<&str> = shapes.operations.iter().map(|shape| shape.meta.group()).collect();
    names.dedup();
    names.into_iter().map(|name| json!({ "name": name })).collect()
}

fn operation(shapes: &Shapes, schemas: &Schemas, meta: &'static Meta) -> Value {
    let mut object = json!({
        "operationId": meta.name,
        "tags": [meta.group()],
        "summary": meta.summary,
        "responses": responses(schemas, meta),
        "x-codex32-kind": meta.kind,
        "x-codex32-permission": meta.permission,
        "security": if meta.authenticated { json!([{ "token": [] }]) } else { json!([]) },
    });
    if !meta.description.is_empty() {
        object["description"] = json!(meta.description);
    }
    if meta.deprecated.is_some() {
        object["deprecated"] = json!(true);
    }
    let parameters = parameters(shapes, schemas, meta);
    if !parameters.is_empty() {
        object["parameters"] = Value::Array(parameters);
    }
    if let Some(body) = body(shapes, schemas, meta) {
        object["requestBody"] = body;
    }
    object
}

/// The properties of the input with their schemas, following its reference.
fn properties<'a>(schemas: &'a Schemas, meta: &Meta) -> (Map<String, Value>, Vec<&'a str>) {
    let input = &schemas.operations[meta.name].input;
    let target = input.get("$ref").and_then(Value::as_str).and_then(|r| r.rsplit('/').next()).unwrap_or_default();
    let definition = schemas.definitions.get(target);
    let properties =
        definition.and_then(|d| d.get("properties")).and_then(Value::as_object).cloned().unwrap_or_default();
    let required = definition
        .and_then(|d| d.get("required"))
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    (properties, required)
}

fn parameters(shapes: &Shapes, schemas: &Schemas, meta: &Meta) -> Vec<Value> {
    let (properties, required) = properties(schemas, meta);
    let in_path = meta.path_fields();
    let mut parameters = Vec::new();
    for (name, schema) in &properties {
        let path = in_path.contains(&name.as_str());
        if !path && (meta.method.has_body() && meta.raw_input.is_none()) {
            continue;
        }
        if meta.raw_input.is_some_and(|raw| raw.field == name) {
            continue;
        }
        let mut parameter = json!({
            "name": name,
            "in": if path { "path" } else { "query" },
            "required": path || required.contains(&name.as_str()),
        });
        if let Some(text) = schema.get("description") {
            parameter["description"] = text.clone();
        }
        let schema = without_null(schema);
        if is_json(shapes, meta, name) && !path {
            parameter["content"] = json!({ "application/json": { "schema": schema } });
        } else {
            if schema.get("type").and_then(Value::as_str) == Some("array") {
                // Lists are written `a,b`; a name that is repeated is refused.
                parameter["style"] = json!("form");
                parameter["explode"] = json!(false);
            }
            parameter["schema"] = schema;
        }
        parameters.push(parameter);
    }
    parameters
}

/// The schema of a parameter: text in an address cannot be null, it is there or not.
fn without_null(schema: &Value) -> Value {
    let mut schema = schema.clone();
    let Some(object) = schema.as_object_mut() else { return schema };
    if object.get("default").is_some_and(Value::is_null) {
        object.shift_remove("default");
    }
    if let Some(Value::Array(names)) = object.get_mut("type") {
        names.retain(|name| name != "null");
        if let [one] = names.as_slice() {
            let one = one.clone();
            object.insert("type".into(), one);
        }
    }
    if let Some(Value::Array(values)) = object.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if let Some(Value::Array(options)) = object.get_mut("anyOf") {
        options.retain(|option| option.get("type").and_then(Value::as_str) != Some("null"));
        if let [Value::Object(one)] = options.as_slice() {
            let one = one.clone();
            object.shift_remove("anyOf");
            for (key, value) in one {
                object.entry(key).or_insert(value);
            }
        }
    }
    schema
}

/// Whether a query parameter carries JSON text.
fn is_json(shapes: &Shapes, meta: &Meta, field: &str) -> bool {
    let Some(shape) = shapes.operation(meta.name) else { return false };
    let Some(field) = shape.input.iter().find(|f| f.name == field) else { return false };
    match &field.ty {
        Type::Any | Type::Map(_) => true,
        Type::Ref(name) => matches!(shapes.definitions.get(name), Some(Definition::Object { .. })),
        _ => false,
    }
}

fn binary(raw: Raw) -> Value {
    json!({ raw.media: { "schema": { "type": "string", "format": "binary", "maxLength": raw.limit } } })
}

fn body(shapes: &Shapes, schemas: &Schemas, meta: &'static Meta) -> Option<Value> {
    if let Some(raw) = meta.raw_input {
        return Some(json!({ "required": true, "content": binary(raw) }));
    }
    if !meta.method.has_body() {
        return None;
    }
    let in_path = meta.path_fields();
    let shape = shapes.operation(meta.name)?;
    let (mut properties, required) = properties(schemas, meta);
    properties.retain(|name, _| !in_path.contains(&name.as_str()));
    if properties.is_empty() {
        return None;
    }
    let required: Vec<&str> = required.into_iter().filter(|name| !in_path.contains(name)).collect();
    let example: Value = serde_json::from_str(meta.example).unwrap_or_else(|_| json!({}));
    let example: Map<String, Value> = example
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| shape.input.iter().any(|f| f.name == **name) && !in_path.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    Some(json!({
        "required": !required.is_empty(),
        "content": { "application/json": {
            "schema": {
                "type": "object",
                "properties": properties,
                "required": required,
                "additionalProperties": false,
            },
            "example": example,
        } },
    }))
}

fn responses(schemas: &Schemas, meta: &'static Meta) -> Value {
    let mut responses = Map::new();
    let output = &schemas.operations[meta.name].output;
    let content = match (meta.raw_output, meta.kind) {
        (Some(raw), _) => binary(raw),
        // `itemSchema` is OpenAPI 3.2; 3.1 has no word for the items of a stream.
        (None, Kind::Stream) => json!({ "text/event-stream": {
            "schema": { "type": "string" }, "x-item-schema": output,
        } }),
        _ => json!({ "application/json": { "schema": output } }),
    };
    responses.insert(meta.status.to_string(), json!({ "description": "Success", "content": content }));
    let mut codes: Vec<Code> = COMMON.to_vec();
    codes.extend(meta.errors);
    codes.extend([Code::TooLarge, Code::Busy, Code::Timeout]);
    if !meta.authenticated {
        codes.retain(|code| !matches!(code, Code::Unauthenticated | Code::Forbidden) || meta.errors.contains(code));
    }
    let mut statuses: Vec<u16> = codes.iter().map(|code| code.http_status()).collect();
    statuses.sort_unstable();
    statuses.dedup();
    for status in statuses {
        let titles: Vec<&str> =
            Code::ALL.iter().filter(|c| c.http_status() == status && codes.contains(c)).map(|c| c.title()).collect();
        responses.insert(
            status.to_string(),
            json!({
                "description": titles.join("; "),
                "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
            }),
        );
    }
    if meta.method.has_body() || meta.raw_input.is_some() {
        responses.insert(
            "415".into(),
            json!({
                "description": "The body is of another media type",
                "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
            }),
        );
    }
    Value::Object(responses)
}

/// Schema of RFC 9457 problem details.
fn problem() -> Value {
    json!({
        "type": "object",
        "description": "Problem details (RFC 9457).",
        "required": ["type", "title", "status", "detail", "code"],
        "properties": {
            "type": { "type": "string", "format": "uri-reference", "description": "Page of the error code." },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string", "description": "What was wrong with which input." },
            "code": { "type": "string", "enum": Code::ALL.map(Code::as_str) },
            "hint": { "type": "string", "description": "What to do about it." },
            "faults": { "type": "array", "items": {
                "type": "object",
                "required": ["pointer", "message"],
                "properties": { "pointer": { "type": "string" }, "message": { "type": "string" } },
            } },
            "retry_after_ms": { "type": "integer", "description": "When a retry is worth it." },
            "request_id": { "type": "string", "description": "Names the request in the server's log." },
        },
    })
}

/// `error` as problem details. What went wrong inside the engine stays in its log.
#[must_use]
pub fn problem_of(error: &Error) -> Value {
    let code = error.code();
    let detail = if code == Code::Internal { "the engine failed; its log says more" } else { error.message() };
    let mut problem = json!({
        "type": format!("/docs/errors#{code}"),
        "title": code.title(),
        "status": code.http_status(),
        "detail": detail,
        "code": code,
    });
    if let Some(hint) = error.hint_text() {
        problem["hint"] = json!(hint);
    }
    if !error.faults().is_empty() {
        problem["faults"] = json!(error.faults());
    }
    if let Some(ms) = error.retry_after() {
        problem["retry_after_ms"] = json!(ms);
    }
    problem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_there_or_not_but_never_null() {
        let plain = without_null(&json!({"type": ["string", "null"], "default": null, "maxLength": 9}));
        assert_eq!(plain, json!({"type": "string", "maxLength": 9}));
        let choice = json!({"description": "d", "anyOf": [{"$ref": "#/components/schemas/X"}, {"type": "null"}]});
        assert_eq!(without_null(&choice), json!({"description": "d", "$ref": "#/components/schemas/X"}));
        let both = json!({"type": ["string", "integer"], "enum": ["a", 1, null]});
        assert_eq!(without_null(&both), json!({"type": ["string", "integer"], "enum": ["a", 1]}));
    }
}
