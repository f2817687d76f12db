//! Between JSON and CEL values.

use std::collections::HashMap;

use cel::common::types::{
    CelBool, CelBytes, CelDouble, CelDuration, CelInt, CelList, CelMap, CelMapKey, CelNull, CelOptional, CelString,
    CelTimestamp, CelType, CelUInt,
};
use cel::common::value::Val;
use serde_json::{Map, Number, Value};

use super::references::Wanted;
use super::scope::Lookup;

/// The part of `from` that `wanted` names, as a CEL value that borrows its texts.
pub(super) fn variable<'v>(from: Lookup<'v>, wanted: &Wanted) -> Box<dyn Val + 'v> {
    match from {
        Lookup::Value(value) => part(value, wanted),
        Lookup::Fields(fields) => {
            let entries = fields.iter().filter_map(|(name, value)| {
                let value = if wanted.whole { to_cel(value) } else { part(value, wanted.fields.get(name)?) };
                Some((CelMapKey::String(name.as_str().into()), value))
            });
            Box::new(CelMap::from(entries.collect::<HashMap<_, _>>()))
        }
    }
}

fn part<'v>(value: &'v Value, wanted: &Wanted) -> Box<dyn Val + 'v> {
    match value {
        Value::Object(fields) if !wanted.whole => {
            let entries = wanted.fields.iter().filter_map(|(name, inner)| {
                let (name, value) = fields.get_key_value(name)?;
                Some((CelMapKey::String(name.as_str().into()), part(value, inner)))
            });
            Box::new(CelMap::from(entries.collect::<HashMap<_, _>>()))
        }
        _ => to_cel(value),
    }
}

/// `value` as a CEL value that borrows its texts.
pub(super) fn to_cel(value: &Value) -> Box<dyn Val + '_> {
    match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(b) => Box::new(CelBool::from(*b)),
        Value::Number(n) => number(n),
        Value::String(s) => Box::new(CelString::from(s.as_str())),
        Value::Array(items) => Box::new(CelList::from(items.iter().map(to_cel).collect::<Vec<_>>())),
        Value::Object(fields) => {
            let entries = fields.iter().map(|(k, v)| (CelMapKey::String(k.as_str().into()), to_cel(v)));
            Box::new(CelMap::from(entries.collect::<HashMap<_, _>>()))
        }
    }
}

fn number<'v>(n: &Number) -> Box<dyn Val + 'v> {
    if let Some(i) = n.as_i64() {
        Box::new(CelInt::from(i))
    } else if let Some(u) = n.as_u64() {
        Box::new(CelUInt::from(u))
    } else {
        Box::new(CelDouble::from(n.as_f64().unwrap_or(f64::NAN)))
    }
}

/// `value` with all its texts owned, so that it outlives the JSON it came from.
pub(super) fn to_static(value: &Value) -> Box<dyn Val> {
    match value {
        Value::String(s) => Box::new(CelString::from(s.clone())),
        Value::Array(items) => Box::new(CelList::from(items.iter().map(to_static).collect::<Vec<_>>())),
        Value::Object(fields) => {
            let entries = fields.iter().map(|(k, v)| (CelMapKey::String(k.clone().into()), to_static(v)));
            Box::new(CelMap::from(entries.collect::<HashMap<_, _>>()))
        }
        Value::Number(n) => number(n),
        Value::Bool(b) => Box::new(CelBool::from(*b)),
        Value::Null => Box::new(CelNull),
    }
}

/// `value` as JSON: timestamps as RFC 3339, durations as `1.5s`, bytes as text
/// where they are UTF-8, absent optionals as null. A number that JSON cannot
/// hold (NaN, infinity) and values of other types are errors that name the type.
pub(super) fn to_json(value: &dyn Val) -> Result<Value, String> {
    if let Some(v) = value.downcast_ref::<CelString>() {
        return Ok(Value::from(v.inner()));
    }
    if let Some(list) = value.downcast_ref::<CelList>() {
        return list.inner().iter().map(|v| to_json(v.as_ref())).collect::<Result<_, _>>().map(Value::Array);
    }
    if let Some(map) = value.downcast_ref::<CelMap>() {
        return object(map);
    }
    if let Some(v) = value.downcast_ref::<CelInt>() {
        return Ok(Value::from(*v.inner()));
    }
    if let Some(v) = value.downcast_ref::<CelUInt>() {
        return Ok(Value::from(*v.inner()));
    }
    if let Some(v) = value.downcast_ref::<CelDouble>() {
        let number = Number::from_f64(*v.inner());
        return number.map(Value::Number).ok_or_else(|| "a number that is not finite".to_owned());
    }
    if let Some(v) = value.downcast_ref::<CelBool>() {
        return Ok(Value::from(*v.inner()));
    }
    if value.downcast_ref::<CelNull>().is_some() {
        return Ok(Value::Null);
    }
    other_to_json(value)
}

fn other_to_json(value: &dyn Val) -> Result<Value, String> {
    if let Some(v) = value.downcast_ref::<CelTimestamp>() {
        return Ok(Value::from(v.inner().to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)));
    }
    if let Some(v) = value.downcast_ref::<CelDuration>() {
        let seconds = v.inner().num_milliseconds() as f64 / 1_000.0;
        return Ok(Value::from(format!("{seconds}s")));
    }
    if let Some(v) = value.downcast_ref::<CelBytes>() {
        let text = std::str::from_utf8(v.inner());
        return text.map(Value::from).map_err(|_| "bytes that are not text".to_owned());
    }
    if let Some(v) = value.downcast_ref::<CelOptional>() {
        return v.inner().map_or(Ok(Value::Null), to_json);
    }
    if let Some(v) = value.downcast_ref::<CelType>() {
        return Ok(Value::from(v.name()));
    }
    Err(format!("a value of type {}", value.get_type().name()))
}

/// A CEL map as an object with its keys in order (CEL maps have none).
fn object(map: &CelMap<'_>) -> Result<Value, String> {
    let mut entries: Vec<(&CelMapKey<'_>, Value)> = Vec::with_capacity(map.inner().len());
    for (key, value) in map.inner() {
        entries.push((key, to_json(value.as_ref())?));
    }
    entries.sort_by(|a, b| a.0.cmp(b.0));
    let fields = entries.into_iter().map(|(key, value)| (key_text(key), value));
    Ok(Value::Object(fields.collect::<Map<_, _>>()))
}

/// A map key as text.
pub(super) fn key_text(key: &CelMapKey<'_>) -> String {
    match key {
        CelMapKey::String(s) => s.inner().to_owned(),
        CelMapKey::Int(i) => i.inner().to_string(),
        CelMapKey::UInt(u) => u.inner().to_string(),
        CelMapKey::Bool(b) => b.inner().to_string(),
    }
}
