//! From the arguments to the input of an operation.

use base64::Engine as _;
use clap::ArgMatches;
use codex32_core::api::shape::{Shape, Shapes, Type};
use codex32_core::error::{Error, Result};
use serde_json::{Map, Value};
use std::io::Read;

/// The input object that `matches` give for `shape`.
pub(crate) fn of(shapes: &Shapes, shape: &Shape, matches: &ArgMatches) -> Result<Value> {
    let mut input = Map::new();
    for field in &shape.input {
        let Some(values) = matches.try_get_many::<String>(&field.name).ok().flatten() else { continue };
        let values: Vec<&String> = values.collect();
        let raw = shape.meta.raw_input.is_some_and(|raw| raw.field == field.name);
        let value = match (&field.ty, values.as_slice()) {
            (_, [path]) if raw => Value::from(base64::engine::general_purpose::STANDARD.encode(read_bytes(path)?)),
            (Type::List(item), values) => {
                let mut all = Vec::new();
                for value in values {
                    all.push(shapes.read(item, value).map_err(|e| named(e, &field.name))?);
                }
                Value::Array(all)
            }
            (ty, [.., last]) => one(shapes, ty, last).map_err(|e| named(e, &field.name))?,
            (_, []) => continue,
        };
        input.insert(field.name.clone(), value);
    }
    Ok(Value::Object(input))
}

fn one(shapes: &Shapes, ty: &Type, text: &str) -> Result<Value> {
    match (ty, text.strip_prefix('@')) {
        (Type::Any | Type::Map(_) | Type::Ref(_), Some(path)) => shapes.read(ty, &read_text(path)?),
        _ => shapes.read(ty, text),
    }
}

fn named(error: Error, field: &str) -> Error {
    let message = error.message().to_owned();
    error.context(format_args!("--{}", field.replace('_', "-"))).at(format!("/{field}"), message)
}

/// The bytes of the file `path`, or of standard input for `-`.
pub(crate) fn read_bytes(path: &str) -> Result<Vec<u8>> {
    if path == "-" {
        let mut bytes = Vec::new();
        return match std::io::stdin().lock().read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(e) => Err(Error::invalid(format!("read standard input: {e}"))),
        };
    }
    std::fs::read(path).map_err(|e| Error::invalid(format!("read {path}: {e}")))
}

/// The text of the file `path`, or of standard input for `-`.
pub(crate) fn read_text(path: &str) -> Result<String> {
    String::from_utf8(read_bytes(path)?).map_err(|_| Error::invalid(format!("{path} is not UTF-8 text")))
}
