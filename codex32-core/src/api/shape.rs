//! The types of the operations in a small form of our own, from which the command
//! line, the Python and TypeScript clients and the reference chapter are derived.
//!
//! The form is deliberately poor: objects, string enumerations, lists, maps and free
//! JSON. A test refuses an operation whose types do not fit it.

use super::erased::Erased;
use super::operation::Meta;
use super::schema::Schemas;
use crate::error::{Error, Result};
use indexmap::IndexMap;
use serde_json::Value;

/// The type of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Type {
    /// Any JSON.
    Any,
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// A list.
    List(Box<Type>),
    /// Text to value.
    Map(Box<Type>),
    /// A definition by name.
    Ref(String),
}

/// A field of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name in JSON.
    pub name: String,
    /// Its documentation.
    pub doc: String,
    /// Its type.
    pub ty: Type,
    /// Whether it must be there.
    pub required: bool,
    /// Whether it may be null.
    pub nullable: bool,
    /// What stands for it where it is absent.
    pub default: Option<Value>,
}

/// A named type.
#[derive(Debug, Clone, PartialEq)]
pub enum Definition {
    /// An object.
    Object {
        /// Documentation.
        doc: String,
        /// Fields in order.
        fields: Vec<Field>,
    },
    /// One of several texts.
    Enumeration {
        /// Documentation.
        doc: String,
        /// Value and documentation.
        values: Vec<(String, String)>,
    },
}

/// An operation with its types.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Its metadata.
    pub meta: &'static Meta,
    /// Its input.
    pub input: Vec<Field>,
    /// Its output, or each item.
    pub output: Type,
}

/// All operations and the types they share.
#[derive(Debug, Clone)]
pub struct Shapes {
    /// By name.
    pub definitions: IndexMap<String, Definition>,
    /// In the order of the table.
    pub operations: Vec<Shape>,
}

impl Shapes {
    /// Derives the shapes of `operations`.
    ///
    /// # Errors
    /// `internal` naming the type that does not fit the form.
    pub fn of(operations: &[&'static dyn Erased], schemas: &Schemas) -> Result<Shapes> {
        let mut definitions = IndexMap::new();
        for (name, schema) in &schemas.definitions {
            definitions.insert(name.clone(), definition(name, schema)?);
        }
        let mut shapes = Vec::new();
        for operation in operations {
            let meta = operation.meta();
            let schema = &schemas.operations[meta.name];
            let input = match ty(meta.name, &schema.input)?.0 {
                Type::Ref(name) => match definitions.get(&name) {
                    Some(Definition::Object { fields, .. }) => fields.clone(),
                    _ => return Err(misfit(meta.name, "the input must be an object")),
                },
                _ => return Err(misfit(meta.name, "the input must be a named object")),
            };
            shapes.push(Shape { meta, input, output: ty(meta.name, &schema.output)?.0 });
        }
        Ok(Shapes { definitions, operations: shapes })
    }

    /// The operation `name`.
    #[must_use]
    pub fn operation(&self, name: &str) -> Option<&Shape> {
        self.operations.iter().find(|shape| shape.meta.name == name)
    }

    /// Reads `text` (a query parameter or an argument) as a value of `ty`.
    ///
    /// # Errors
    /// `invalid` saying what was expected.
    pub fn read(&self, ty: &Type, text: &str) -> Result<Value> {
        let bad = |what: &str| Error::invalid(format!("\"{text}\" is not {what}"));
        match ty {
            Type::String => Ok(Value::from(text)),
            Type::Ref(name) => match self.definitions.get(name) {
                Some(Definition::Enumeration { .. }) => Ok(Value::from(text)),
                _ => serde_json::from_str(text).map_err(|_| bad("a JSON object")),
            },
            Type::Integer => text.parse::<i64>().map(Value::from).map_err(|_| bad("a whole number")),
            Type::Number => text
                .parse::<f64>()
                .ok()
                .and_then(serde_json::Number::from_f64)
                .map(Value::Number)
                .ok_or_else(|| bad("a number")),
            Type::Boolean => text.parse::<bool>().map(Value::from).map_err(|_| bad("true or false")),
            // Text that is no JSON is taken as it stands, so that nobody must quote it twice.
            Type::Any => Ok(serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))),
            Type::List(item) => {
                if text.trim_start().starts_with('[') {
                    return serde_json::from_str(text).map_err(|_| bad("a JSON list"));
                }
                text.split(',').filter(|part| !part.is_empty()).map(|part| self.read(item, part)).collect()
            }
            Type::Map(_) => serde_json::from_str(text).map_err(|_| bad("a JSON object")),
        }
    }
}

fn misfit(place: &str, why: &str) -> Error {
    Error::internal(format!("the type of {place} does not fit the table: {why}"))
}

fn doc(schema: &Value) -> String {
    schema.get("description").and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn definition(name: &str, schema: &Value) -> Result<Definition> {
    if name.ends_with(|c: char| c.is_ascii_digit()) {
        return Err(misfit(name, "two types share the name"));
    }
    if let Some(values) = enumeration(schema) {
        return Ok(Definition::Enumeration { doc: doc(schema), values });
    }
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return Err(misfit(name, "it is neither an object nor an enumeration of texts"));
    }
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let mut fields = Vec::new();
    for (field, schema) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let (ty, nullable) = ty(&format!("{name}.{field}"), schema)?;
        fields.push(Field {
            name: field.clone(),
            doc: doc(schema),
            ty,
            required: required.contains(&field.as_str()),
            nullable,
            default: schema.get("default").filter(|d| !d.is_null()).cloned(),
        });
    }
    // What must be given comes first, as every language's parameters want it.
    fields.sort_by_key(|field| !field.required);
    Ok(Definition::Object { doc: doc(schema), fields })
}

fn enumeration(schema: &Value) -> Option<Vec<(String, String)>> {
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return values.iter().map(|v| Some((v.as_str()?.to_owned(), String::new()))).collect();
    }
    let mut all = Vec::new();
    for option in schema.get("oneOf")?.as_array()? {
        if let Some(value) = option.get("const").and_then(Value::as_str) {
            all.push((value.to_owned(), doc(option)));
        } else {
            all.extend(enumeration(option)?);
        }
    }
    Some(all)
}

/// The type of `schema` and whether it may be null.
fn ty(place: &str, schema: &Value) -> Result<(Type, bool)> {
    let Some(object) = schema.as_object() else { return Ok((Type::Any, true)) };
    if let Some(target) = object.get("$ref").and_then(Value::as_str) {
        let name = target.rsplit('/').next().unwrap_or_default();
        return Ok((Type::Ref(name.to_owned()), false));
    }
    if let Some(options) = object.get("anyOf").and_then(Value::as_array) {
        let (null, rest): (Vec<_>, Vec<_>) =
            options.iter().partition(|o| o.get("type").and_then(Value::as_str) == Some("null"));
        return match rest.as_slice() {
            [one] => Ok((ty(place, one)?.0, !null.is_empty())),
            _ => Err(misfit(place, "a choice between types")),
        };
    }
    let (name, nullable) = match object.get("type") {
        None => return Ok((Type::Any, true)),
        Some(Value::String(name)) => (name.as_str(), false),
        Some(Value::Array(names)) => {
            let rest: Vec<&str> = names.iter().filter_map(Value::as_str).filter(|n| *n != "null").collect();
            match rest.as_slice() {
                [one] => (*one, true),
                _ => return Err(misfit(place, "a choice between types")),
            }
        }
        Some(_) => return Err(misfit(place, "a type that is no name")),
    };
    let ty = match name {
        "string" => Type::String,
        "integer" => Type::Integer,
        "number" => Type::Number,
        "boolean" => Type::Boolean,
        "array" => Type::List(Box::new(match object.get("items") {
            Some(items) => ty(place, items)?.0,
            None => Type::Any,
        })),
        "object" if object.contains_key("properties") => return Err(misfit(place, "an object without a name")),
        "object" => Type::Map(Box::new(match object.get("additionalProperties") {
            Some(values) => ty(place, values)?.0,
            None => Type::Any,
        })),
        other => return Err(misfit(place, other)),
    };
    Ok((ty, nullable))
}
