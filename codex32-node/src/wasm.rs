//! The browser's functions: text in, plain objects out. No state, no I/O.
//!
//! Types are in `wasm.d.ts`, which becomes part of the package's own. Field names are
//! those of the REST API.

use codex32_core::Error;
use codex32_core::blueprint::{self, Blueprint, Diagnostics};
use codex32_core::catalogue::Catalogue;
use codex32_core::recur::Schedule;
use codex32_core::understand::{self, Context};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use wasm_bindgen::prelude::*;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = include_str!("wasm.d.ts");

#[wasm_bindgen]
extern "C" {
    /// The present in the browser, for calls that do not name one.
    #[wasm_bindgen(js_namespace = Date, js_name = now)]
    fn present() -> f64;

    /// The exception that is thrown.
    #[wasm_bindgen(js_name = Error)]
    type JsError;
    #[wasm_bindgen(constructor, js_class = "Error")]
    fn new(message: &str) -> JsError;
    #[wasm_bindgen(method, setter)]
    fn set_name(this: &JsError, name: &str);
    #[wasm_bindgen(method, setter)]
    fn set_code(this: &JsError, code: &str);
    #[wasm_bindgen(method, setter)]
    fn set_hint(this: &JsError, hint: Option<&str>);
}

/// A plain object; what serde can write, JavaScript can hold.
fn object(value: &impl Serialize) -> Result<JsValue, JsValue> {
    value.serialize(&serde_wasm_bindgen::Serializer::json_compatible()).map_err(JsValue::from)
}

/// An exception with the stable code and the hint of an error.
fn exception(error: &Error) -> JsValue {
    let thrown = JsError::new(error.message());
    thrown.set_name("Codex32Error");
    thrown.set_code(error.code().as_str());
    thrown.set_hint(error.hint_text());
    thrown.into()
}

/// An object that the caller gave, or the default for none.
fn options<T: Default + for<'de> Deserialize<'de>>(given: JsValue, what: &str) -> Result<T, JsValue> {
    let refuse = |why: String| exception(&Error::invalid(format!("{what}: {why}")));
    // By way of JSON: straight from JavaScript, fields that nobody knows pass unseen.
    let mut given: Value = serde_wasm_bindgen::from_value(given).map_err(|e| refuse(e.to_string()))?;
    match &mut given {
        Value::Null => return Ok(T::default()),
        Value::Object(fields) => fields.retain(|_, value| !value.is_null()),
        _ => {}
    }
    serde_json::from_value(given).map_err(|e| refuse(e.to_string()))
}

/// A blueprint that can be read, whatever a catalogue says about it.
fn readable(text: &str) -> Result<Blueprint, JsValue> {
    blueprint::parse(text).map_err(|found| exception(&Error::from(found)))
}

/// Reads a blueprint: its JSON form, or null, and all mistakes of form.
#[wasm_bindgen(unchecked_return_type = "Parsed")]
pub fn parse(text: &str) -> Result<JsValue, JsValue> {
    let (read, found) = match blueprint::parse(text) {
        Ok(read) => (blueprint::to_json(&read), Diagnostics::new()),
        Err(found) => (Value::Null, found),
    };
    object(&json!({"blueprint": read, "diagnostics": found}))
}

/// All that is wrong with a blueprint, against the built-in connectors, with places.
#[wasm_bindgen(unchecked_return_type = "Diagnostic[]")]
pub fn validate(text: &str) -> Result<JsValue, JsValue> {
    let (_, found) = blueprint::check(text, Catalogue::builtin());
    object(&found)
}

/// A blueprint in plain English. Throws where the text cannot be read.
#[wasm_bindgen]
pub fn explain(text: &str) -> Result<String, JsValue> {
    Ok(blueprint::explain(&readable(text)?, Catalogue::builtin()))
}

/// What is known besides the sentence.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DraftContext {
    now: Option<f64>,
    timezone: Option<String>,
    email: Option<String>,
    bots: Vec<String>,
    connections: Vec<String>,
    answers: BTreeMap<String, String>,
}

/// A bot from a sentence, with what was assumed and what must be asked.
#[wasm_bindgen(unchecked_return_type = "Draft")]
pub fn draft(
    text: &str,
    #[wasm_bindgen(unchecked_optional_param_type = "DraftContext")] context: JsValue,
) -> Result<JsValue, JsValue> {
    let given: DraftContext = options(context, "context")?;
    let context = Context {
        now: given.now.unwrap_or_else(present) as i64,
        timezone: given.timezone.unwrap_or_default(),
        email: given.email,
        bots: given.bots,
        connections: given.connections,
        answers: given.answers,
    };
    let draft = understand::draft(text, Catalogue::builtin(), &context);
    object(&json!({
        "blueprint": draft.blueprint.as_ref().map(blueprint::print),
        "explanation": draft.explanation,
        "assumptions": draft.assumptions,
        "questions": draft.questions,
        "confidence": draft.confidence,
        "not_understood": draft.not_understood,
    }))
}

/// From when, where and how many.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RunOptions {
    from: Option<f64>,
    timezone: Option<String>,
    count: Option<u32>,
}

/// When a schedule (a phrase or a cron expression) comes next. Throws where it is not understood.
#[wasm_bindgen(js_name = nextRuns, unchecked_return_type = "NextRuns")]
pub fn next_runs(
    schedule: &str,
    #[wasm_bindgen(unchecked_optional_param_type = "RunOptions")] options_given: JsValue,
) -> Result<JsValue, JsValue> {
    let given: RunOptions = options(options_given, "options")?;
    let from = given.from.unwrap_or_else(present) as i64;
    let zone = given.timezone.as_deref().unwrap_or("UTC");
    let zone: chrono_tz::Tz = zone.parse().map_err(|_| {
        exception(
            &Error::invalid(format!("there is no time zone \"{zone}\"")).hint("use an IANA name such as Europe/Berlin"),
        )
    })?;
    let schedule = Schedule::parse_at(schedule, from, zone).map_err(|e| exception(&e))?;
    let count = given.count.unwrap_or(5).min(1_000) as usize;
    object(&json!({
        "description": schedule.describe(),
        "cron": schedule.cron(),
        "timezone": schedule.zone().unwrap_or(zone).name(),
        "next": schedule.upcoming(from, zone, count),
    }))
}

/// The JSON Schema of blueprints, for an editor's completion.
#[wasm_bindgen(unchecked_return_type = "object")]
pub fn schema() -> Result<JsValue, JsValue> {
    object(&blueprint::json_schema())
}
