//! Input against its schema: compiled once, with messages that say what is allowed.

use crate::error::{Error, Fault, Result};
use jsonschema::Validator;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::{Map, Value};

/// Faults that are reported at most.
const MAX_FAULTS: usize = 20;

/// A compiled schema.
#[derive(Debug)]
pub(super) struct Checker {
    schema: Value,
    validator: Validator,
}

impl Checker {
    /// Compiles `schema` (draft 2020-12).
    ///
    /// # Errors
    /// `invalid` where it is no schema.
    pub(super) fn new(what: &str, schema: &Value) -> Result<Checker> {
        let validator = jsonschema::draft202012::new(schema)
            .map_err(|e| Error::invalid(format!("the schema of {what} is no JSON Schema: {e}")))?;
        Ok(Checker { schema: schema.clone(), validator })
    }

    /// Checks `input` and fills in the schema's defaults.
    ///
    /// # Errors
    /// `invalid` with a fault for each place. No value of the input appears in it:
    /// it could be a secret.
    pub(super) fn check(&self, what: &str, mut input: Value) -> Result<Value> {
        let faults: Vec<Fault> =
            self.validator.iter_errors(&input).take(MAX_FAULTS).flat_map(|e| self.faults(&e)).collect();
        if faults.is_empty() {
            complete(&self.schema, &mut input);
            return Ok(input);
        }
        let told: Vec<String> = faults
            .iter()
            .map(|f| if f.pointer.is_empty() { f.message.clone() } else { format!("{} {}", f.pointer, f.message) })
            .collect();
        Err(Error::invalid(format!("the input of {what} is not right: {}", told.join("; ")))
            .with_faults(faults)
            .hint(format!("`codex32 connectors show {what}` describes the input")))
    }

    fn faults(&self, e: &jsonschema::ValidationError<'_>) -> Vec<Fault> {
        let pointer = e.instance_path().as_str().to_owned();
        let fault = |pointer: String, message: String| Fault { pointer, message };
        match e.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } => {
                let known = self.known(e.schema_path().as_str());
                let say = |name: &String| fault(format!("{pointer}/{name}"), unknown(name, &known));
                unexpected.iter().map(say).collect()
            }
            ValidationErrorKind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                vec![fault(format!("{pointer}/{name}"), "is missing".into())]
            }
            kind => vec![fault(pointer, message(kind, e.instance()))],
        }
    }

    /// The properties of the object schema that stands around `path`.
    fn known(&self, path: &str) -> Vec<String> {
        let around = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let properties = self.schema.pointer(around).and_then(|s| s.get("properties")).and_then(Value::as_object);
        properties.map(|p| p.keys().cloned().collect()).unwrap_or_default()
    }
}

fn unknown(name: &str, known: &[String]) -> String {
    let near = known.iter().map(|k| (strsim::jaro_winkler(name, k), k)).max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((score, close)) if score > 0.8 => format!("is unknown; did you mean `{close}`?"),
        _ if known.is_empty() => "is unknown; nothing is expected here".into(),
        _ => format!("is unknown; there are {}", known.join(", ")),
    }
}

fn message(kind: &ValidationErrorKind, instance: &Value) -> String {
    use ValidationErrorKind as K;
    match kind {
        K::Type { kind: TypeKind::Single(t) } => {
            format!("must be {}, but is {}", article(&t.to_string()), name(instance))
        }
        K::Type { kind: TypeKind::Multiple(types) } => {
            let types: Vec<String> = types.iter().map(|t| article(&t.to_string())).collect();
            format!("must be {}, but is {}", types.join(" or "), name(instance))
        }
        K::Enum { options } => {
            let options = options.as_array().map(|o| o.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
            format!("must be one of {}", options.unwrap_or_default())
        }
        K::Minimum { limit } => format!("must be at least {limit}"),
        K::Maximum { limit } => format!("must be at most {limit}"),
        K::MinLength { limit: 1 } | K::MinItems { limit: 1 } | K::MinProperties { limit: 1 } => {
            "must not be empty".into()
        }
        K::MinLength { limit } => format!("must have at least {limit} characters"),
        K::MaxLength { limit } => format!("must have at most {limit} characters"),
        K::MinItems { limit } | K::MinProperties { limit } => format!("must have at least {limit} items"),
        K::MaxItems { limit } => format!("must have at most {limit} items"),
        K::MaxProperties { limit } => format!("must have at most {limit} of its fields"),
        K::Pattern { pattern } => format!("must match {pattern}"),
        K::AnyOf { .. } => "lacks what it needs: see its description".into(),
        other => format!("does not satisfy `{}` of its schema", other.keyword()),
    }
}

fn article(kind: &str) -> String {
    match kind {
        "integer" | "array" | "object" => format!("an {kind}"),
        "null" => "null".into(),
        _ => format!("a {kind}"),
    }
}

fn name(value: &Value) -> String {
    article(match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    })
}

/// Fills in defaults, and writes 5.0 as 5 where an integer is asked for (JSON Schema
/// takes both for the same, serde does not).
fn complete(schema: &Value, value: &mut Value) {
    if schema.get("type").is_some_and(|t| t == "integer")
        && let Some(whole) = value.as_f64().filter(|n| !value.is_i64() && !value.is_u64() && n.fract() == 0.0)
    {
        *value = Value::from(whole as i64);
    }
    match value {
        Value::Object(map) => complete_object(schema, map),
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                items.iter_mut().for_each(|item| complete(schema, item));
            }
        }
        _ => {}
    }
}

fn complete_object(schema: &Value, map: &mut Map<String, Value>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    for (name, property) in properties {
        match (map.get_mut(name), property.get("default")) {
            (Some(value), _) => complete(property, value),
            (None, Some(default)) => {
                map.insert(name.clone(), default.clone());
            }
            (None, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn checker() -> Checker {
        let schema = json!({
            "type": "object", "required": ["url"], "additionalProperties": false,
            "properties": {
                "url": {"type": "string", "minLength": 1},
                "timeout": {"type": "string", "default": "30s"},
                "mode": {"enum": ["a", "b"]},
                "count": {"type": "integer", "minimum": 1},
                "nested": {"type": "object", "properties": {"depth": {"type": "integer", "default": 3}}}
            }
        });
        Checker::new("x.y", &schema).unwrap()
    }

    #[test]
    fn every_fault_is_told_with_its_place_and_without_the_value() {
        let input = json!({"urll": "s3cret", "mode": "s3cret", "count": 0, "timeout": 7});
        let e = checker().check("x.y", input).unwrap_err();
        let told: Vec<_> = e.faults().iter().map(|f| (f.pointer.as_str(), f.message.as_str())).collect();
        for expected in [
            ("/urll", "is unknown; did you mean `url`?"),
            ("/url", "is missing"),
            ("/mode", "must be one of \"a\", \"b\""),
            ("/count", "must be at least 1"),
            ("/timeout", "must be a string, but is a number"),
        ] {
            assert!(told.contains(&expected), "{expected:?} not in {told:?}");
        }
        assert!(!e.to_string().contains("s3cret"), "{e}");
    }

    #[test]
    fn defaults_are_filled_in_and_whole_numbers_are_integers() {
        let done = checker().check("x.y", json!({"url": "u", "count": 2.0, "nested": {}})).unwrap();
        assert_eq!(done, json!({"url": "u", "count": 2, "nested": {"depth": 3}, "timeout": "30s"}));
        assert!(done["count"].is_i64());
    }
}
