//! The input of an operation from a request: path, query and body, merged into one
//! object. Nothing is taken twice, and nothing unknown is dropped in silence.

use crate::problem::Failure;
use crate::shell::App;
use axum::body::Body;
use axum::extract::Query;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use base64::Engine as _;
use bytes::{Bytes, BytesMut};
use codex32_core::api::shape::Field;
use codex32_core::api::{Kind, Meta, Raw};
use codex32_core::error::{Code, Error, Result};
use futures::StreamExt;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};

/// The input for `meta`. `values` are those of the path, in order.
pub(crate) async fn gather(
    app: &App,
    meta: &'static Meta,
    values: &[String],
    parts: &Parts,
    body: Body,
) -> Result<Value, Failure> {
    let shapes = &app.table.shapes;
    let fields = shapes.operation(meta.name).map(|shape| shape.input.as_slice()).unwrap_or_default();
    let mut input = Map::new();
    for (name, text) in meta.path_fields().into_iter().zip(values) {
        let field = field(fields, name).ok_or_else(|| Error::internal(format!("{} has no field {name}", meta.name)))?;
        input.insert(name.to_owned(), read_text(app, field, text)?);
    }
    for (name, text) in query(parts)? {
        let Some(field) = field(fields, &name).filter(|_| takes_query(meta, &name)) else {
            return Err(unknown(meta, fields, &name).into());
        };
        if input.contains_key(&name) {
            return Err(twice(&name).into());
        }
        let value = read_text(app, field, &text)?;
        input.insert(name, value);
    }
    resume(app, meta, fields, &parts.headers, &mut input)?;
    let given = match meta.raw_input {
        Some(raw) => raw_body(app, raw, &parts.headers, body).await?,
        None if meta.method.has_body() => json_body(app, &parts.headers, body).await?.unwrap_or_default(),
        None => {
            read(app, &parts.headers, body, 0).await?;
            Map::new()
        }
    };
    for (name, value) in given {
        if input.insert(name.clone(), value).is_some() {
            return Err(twice(&name).into());
        }
    }
    Ok(Value::Object(input))
}

fn field<'a>(fields: &'a [Field], name: &str) -> Option<&'a Field> {
    fields.iter().find(|field| field.name == name)
}

/// Whether `name` may stand in the query: with a JSON body, everything else stands there.
fn takes_query(meta: &Meta, name: &str) -> bool {
    let in_body = meta.method.has_body() && meta.raw_input.is_none();
    !in_body && meta.raw_input.is_none_or(|raw| raw.field != name)
}

fn query(parts: &Parts) -> Result<Vec<(String, String)>> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
        .map_err(|_| Error::invalid("the query of the address cannot be read"))?;
    Ok(pairs)
}

fn read_text(app: &App, field: &Field, text: &str) -> Result<Value> {
    app.table.shapes.read(&field.ty, text).map_err(|error| {
        let fault = error.message().to_owned();
        error.context(&field.name).at(format!("/{}", field.name), fault)
    })
}

fn twice(name: &str) -> Error {
    Error::invalid(format!("{name} is given twice")).at(format!("/{name}"), "given twice")
}

fn unknown(meta: &Meta, fields: &[Field], name: &str) -> Error {
    let name: String = name.chars().take(80).collect();
    let mut taken: Vec<&str> = fields.iter().map(|f| f.name.as_str()).filter(|f| takes_query(meta, f)).collect();
    taken.retain(|f| !meta.path_fields().contains(f));
    let hint = match taken.as_slice() {
        [] => "this address takes no query".to_owned(),
        _ => format!("the query takes {}", taken.join(", ")),
    };
    Error::invalid(format!("there is no query parameter \"{name}\" here")).at(format!("/{name}"), "unknown").hint(hint)
}

/// A browser that lost a stream asks for what follows the last item that it saw; it does
/// so at the address it began with, so the header outranks the query.
fn resume(app: &App, meta: &Meta, fields: &[Field], headers: &HeaderMap, input: &mut Map<String, Value>) -> Result<()> {
    let (Kind::Stream, Some(name)) = (meta.kind, meta.resume) else { return Ok(()) };
    let Some(last) = headers.get("last-event-id") else { return Ok(()) };
    let last = last.to_str().map_err(|_| Error::invalid("the header Last-Event-ID is not text"))?;
    if let Some(field) = field(fields, name)
        && !last.is_empty()
    {
        input.insert(name.to_owned(), read_text(app, field, last).map_err(|e| e.context("Last-Event-ID"))?);
    }
    Ok(())
}

/// A JSON object from the body; `None` where there is no body.
pub(crate) async fn json_body(
    app: &App,
    headers: &HeaderMap,
    body: Body,
) -> Result<Option<Map<String, Value>>, Failure> {
    let bytes = read(app, headers, body, app.config.body_limit).await?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let media = media(headers);
    if !media
        .as_deref()
        .is_some_and(|m| m == "application/json" || (m.starts_with("application/") && m.ends_with("+json")))
    {
        return Err(Failure::media(media.as_deref(), "application/json"));
    }
    let object: Object = serde_json::from_slice(&bytes).map_err(|error| {
        Error::invalid(format!("the body is not a JSON object: {error}")).hint("send {} where there is no input")
    })?;
    Ok(Some(object.0))
}

/// The file of an operation that takes one; an empty body is no file.
async fn raw_body(app: &App, raw: Raw, headers: &HeaderMap, body: Body) -> Result<Map<String, Value>, Failure> {
    let bytes = read(app, headers, body, raw.limit).await?;
    if bytes.is_empty() {
        return Ok(Map::new());
    }
    let media = media(headers);
    if !media.as_deref().is_some_and(|m| m == essence(raw.media) || m == "application/octet-stream") {
        return Err(Failure::media(media.as_deref(), raw.media));
    }
    let text = base64::engine::general_purpose::STANDARD.encode(&bytes);
    Ok(Map::from_iter([(raw.field.to_owned(), Value::String(text))]))
}

fn essence(media: &str) -> String {
    media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The media type of the body, without parameters.
fn media(headers: &HeaderMap) -> Option<String> {
    let mut all = headers.get_all(header::CONTENT_TYPE).iter();
    let one = all.next().filter(|_| all.next().is_none())?;
    one.to_str().ok().map(essence)
}

/// Reads a body of at most `limit` bytes, within the time a body may take.
pub(crate) async fn read(app: &App, headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Failure> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    if announced.is_some_and(|length: u64| length > limit as u64) {
        return Err(too_large(limit).into());
    }
    let mut chunks = body.into_data_stream();
    let all = async {
        let mut bytes = BytesMut::new();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|e| Error::invalid(format!("the body broke off: {e}")))?;
            if bytes.len() + chunk.len() > limit {
                return Err(too_large(limit));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    };
    match tokio::time::timeout(app.config.body_timeout, all).await {
        Ok(read) => Ok(read?),
        Err(_) => Err(Error::new(Code::Timeout, "the body did not arrive in time").into()),
    }
}

fn too_large(limit: usize) -> Error {
    match limit {
        0 => Error::invalid("a body was sent where none is taken").hint("put the input into the query"),
        _ => Error::new(Code::TooLarge, format!("the body has more than {limit} bytes")),
    }
}

/// A JSON object without repeated keys, which parsers read differently.
struct Object(Map<String, Value>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Object, A::Error> {
                let mut fields = Map::new();
                while let Some((name, value)) = access.next_entry::<String, Value>()? {
                    if fields.contains_key(&name) {
                        return Err(serde::de::Error::custom(format!("{name} is given twice")));
                    }
                    fields.insert(name, value);
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_an_object_without_repeated_keys() {
        let read = |text: &str| serde_json::from_str::<Object>(text).map(|o| Value::Object(o.0));
        assert_eq!(read(r#"{"a": {"b": 1}}"#).unwrap(), serde_json::json!({"a": {"b": 1}}));
        for bad in [r#"{"a": 1, "a": 2}"#, "[]", "1", "null", "{", "{} x", r#"{"a": NaN}"#] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(read(&format!("{}1{}", r#"{"a":"#.repeat(10_000), "}".repeat(10_000))).is_err());
    }

    #[test]
    fn a_media_type_is_compared_without_its_parameters() {
        assert_eq!(essence("Application/JSON; charset=utf-8"), "application/json");
    }
}
