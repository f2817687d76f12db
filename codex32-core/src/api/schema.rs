//! JSON Schemas of the operations: generated from the types once, given to OpenAPI
//! and MCP as they are, and enforced on every call.

use super::erased::Erased;
use super::operation::Kind;
use crate::error::{Error, Fault, Result};
use indexmap::IndexMap;
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// Where OpenAPI 3.1 keeps shared schemas.
const COMPONENTS: &str = "/components/schemas";

/// Schemas of one operation.
#[derive(Debug, Clone)]
pub struct OperationSchemas {
    /// Of the input; refers to [`Schemas::definitions`].
    pub input: Value,
    /// Of the output or of each item.
    pub output: Value,
}

/// Schemas of all operations with the definitions they share.
#[derive(Debug)]
pub struct Schemas {
    /// Shared definitions by type name.
    pub definitions: IndexMap<String, Value>,
    /// By operation name.
    pub operations: IndexMap<&'static str, OperationSchemas>,
    validators: IndexMap<&'static str, jsonschema::Validator>,
}

/// Gives integers the bounds of their Rust type, which schemars leaves out.
#[derive(Debug, Clone)]
struct Bounds;

impl Transform for Bounds {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else { return };
        let format = object.get("format").and_then(Value::as_str).unwrap_or_default();
        let (low, high) = match format {
            "uint8" => (json!(0), json!(u8::MAX)),
            "uint16" => (json!(0), json!(u16::MAX)),
            "uint32" | "uint" => (json!(0), json!(u32::MAX)),
            // JSON numbers are exact to 2^53 everywhere.
            "uint64" => (json!(0), json!(9_007_199_254_740_991_u64)),
            "int32" => (json!(i32::MIN), json!(i32::MAX)),
            "int64" | "int" => (json!(-9_007_199_254_740_991_i64), json!(9_007_199_254_740_991_i64)),
            _ => return,
        };
        object.entry("minimum").or_insert(low);
        object.entry("maximum").or_insert(high);
    }
}

fn generator(serialize: bool) -> SchemaGenerator {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = COMPONENTS.into();
    settings.meta_schema = None;
    if serialize {
        settings.contract = schemars::generate::Contract::Serialize;
    }
    settings.transforms.push(Box::new(Bounds));
    SchemaGenerator::new(settings)
}

impl Schemas {
    /// Generates the schemas of `operations`.
    ///
    /// # Errors
    /// `internal` where two different types share a name or a schema does not compile:
    /// a fault of the table, found by its test.
    pub fn of(operations: &[&'static dyn Erased]) -> Result<Schemas> {
        let (mut inputs, mut outputs) = (generator(false), generator(true));
        let mut schemas: IndexMap<&'static str, OperationSchemas> = IndexMap::new();
        for operation in operations {
            let input = operation.input(&mut inputs).to_value();
            let output = operation.output(&mut outputs).to_value();
            schemas.insert(operation.meta().name, OperationSchemas { input, output });
        }
        let mut definitions = IndexMap::new();
        for (name, schema) in outputs.take_definitions(true).into_iter().chain(inputs.take_definitions(true)) {
            if let Some(before) = definitions.insert(name.clone(), schema.clone())
                && before != schema
            {
                return Err(Error::internal(format!("the type {name} differs as input and as output")));
            }
        }
        definitions.sort_keys();
        let mut validators = IndexMap::new();
        for operation in operations {
            let name = operation.meta().name;
            let validator = jsonschema::options()
                .should_validate_formats(true)
                .build(&standalone(&schemas[name].input, &definitions))
                .map_err(|e| Error::internal(format!("the input schema of {name}: {e}")))?;
            validators.insert(name, validator);
        }
        Ok(Schemas { definitions, operations: schemas, validators })
    }

    /// The input schema of `operation` with every definition that it reaches under `$defs`.
    #[must_use]
    pub fn standalone_input(&self, operation: &str) -> Option<Value> {
        self.operations.get(operation).map(|s| standalone(&s.input, &self.definitions))
    }

    /// The output schema of `operation` with every definition that it reaches under `$defs`.
    #[must_use]
    pub fn standalone_output(&self, operation: &str) -> Option<Value> {
        self.operations.get(operation).map(|s| standalone(&s.output, &self.definitions))
    }

    /// Checks `input` against the schema of `operation`.
    ///
    /// # Errors
    /// `invalid` with a fault for each place.
    pub fn check(&self, operation: &str, input: &Value) -> Result<()> {
        let Some(validator) = self.validators.get(operation) else {
            return Err(Error::not_found("operation", operation));
        };
        let faults: Vec<Fault> = validator
            .iter_errors(input)
            .take(20)
            .map(|e| Fault { pointer: e.instance_path().to_string(), message: shorten(&e.to_string()) })
            .collect();
        match faults.as_slice() {
            [] => Ok(()),
            [first, ..] => {
                let place = if first.pointer.is_empty() { "the input" } else { &first.pointer };
                Err(Error::invalid(format!("{place}: {}", first.message)).with_faults(faults))
            }
        }
    }
}

/// A fault quotes the input; long inputs are cut.
fn shorten(message: &str) -> String {
    const MOST: usize = 300;
    if message.chars().count() <= MOST {
        return message.to_owned();
    }
    let mut text: String = message.chars().take(MOST).collect();
    text.push('…');
    text
}

/// A copy of `schema` that stands alone: what it reaches is copied under `$defs`.
fn standalone(schema: &Value, definitions: &IndexMap<String, Value>) -> Value {
    let mut root = schema.clone();
    let mut reached = Map::new();
    let mut open = Vec::new();
    rebase(&mut root, &mut open);
    while let Some(name) = open.pop() {
        if reached.contains_key(&name) {
            continue;
        }
        let Some(definition) = definitions.get(&name) else { continue };
        let mut definition = definition.clone();
        rebase(&mut definition, &mut open);
        reached.insert(name, definition);
    }
    if !reached.is_empty()
        && let Some(object) = root.as_object_mut()
    {
        object.insert("$defs".into(), Value::Object(reached));
    }
    root
}

/// Points references at `$defs` and collects their names.
fn rebase(value: &mut Value, open: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(target)) = object.get_mut("$ref")
                && let Some(name) = target.strip_prefix("#/components/schemas/").map(str::to_owned)
            {
                *target = format!("#/$defs/{name}");
                open.push(name);
            }
            object.values_mut().for_each(|v| rebase(v, open));
        }
        Value::Array(items) => items.iter_mut().for_each(|v| rebase(v, open)),
        _ => {}
    }
}

/// Whole numbers written with a fraction (`5.0`) are integers in JSON Schema and not
/// for serde: the fields of the input are brought to one form.
#[must_use]
pub fn normalise(mut input: Value) -> Value {
    if let Value::Object(fields) = &mut input {
        for value in fields.values_mut() {
            if let Some(float) = value.as_f64().filter(|f| value.is_f64() && f.fract() == 0.0 && f.abs() < 9e15) {
                *value = json!(float as i64);
            }
        }
    }
    input
}

/// The table as data, for those who read it over an operation or the command line.
#[must_use]
pub fn describe(operations: &[&'static dyn Erased], schemas: &Schemas) -> Vec<Value> {
    operations
        .iter()
        .map(|operation| {
            let meta = operation.meta();
            json!({
                "name": meta.name,
                "kind": meta.kind,
                "route": { "method": meta.method, "path": format!("/api/v1{}", meta.path) },
                "permission": meta.permission,
                "summary": meta.summary,
                "description": meta.description,
                "idempotent": meta.idempotent,
                "destructive": meta.destructive,
                "paged": meta.paged,
                "stream": meta.kind == Kind::Stream,
                "since": meta.since,
                "deprecated": meta.deprecated,
                "input": schemas.standalone_input(meta.name),
                "output": schemas.standalone_output(meta.name),
            })
        })
        .collect()
}
