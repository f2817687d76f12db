//! The variables of an expression.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

/// The variables that programs and templates see.
///
/// Cloning costs a few pointers, so a loop makes a child scope for each round.
/// Conversion to CEL happens on evaluation, and only of what is read.
///
/// ```
/// use codex32_core::expr::{Program, Scope};
/// use serde_json::json;
/// let scope = Scope::new().with("input", json!({"usd": 41_000}));
/// let low = Program::compile("input.usd < 50000")?;
/// assert!(low.condition(&scope)?);
/// # Ok::<(), codex32_core::expr::ExprError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Scope {
    variables: BTreeMap<Arc<str>, Variable>,
}

/// One variable.
#[derive(Debug, Clone)]
enum Variable {
    Value(Arc<Value>),
    /// An object whose fields are set one by one (`steps`).
    Object(Arc<BTreeMap<String, Arc<Value>>>),
}

impl Scope {
    /// A scope without variables.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the variable `name`.
    pub fn set(&mut self, name: &str, value: Value) -> &mut Self {
        self.variables.insert(name.into(), Variable::Value(Arc::new(value)));
        self
    }

    /// Sets the variable `name` to a value that others hold too.
    pub fn set_shared(&mut self, name: &str, value: Arc<Value>) -> &mut Self {
        self.variables.insert(name.into(), Variable::Value(value));
        self
    }

    /// The same scope with the variable `name` set.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.set(name, value);
        self
    }

    /// Sets `name.field` and leaves the other fields of `name` as they are.
    /// Where `name` was not made by this function, it is replaced by an object
    /// (that keeps its fields, if it was one).
    pub fn set_field(&mut self, name: &str, field: &str, value: Value) -> &mut Self {
        self.set_field_shared(name, field, Arc::new(value))
    }

    /// Like [`Scope::set_field`], with a value that others hold too.
    pub fn set_field_shared(&mut self, name: &str, field: &str, value: Arc<Value>) -> &mut Self {
        let variable = self.variables.entry(name.into()).or_insert_with(|| Variable::Object(Arc::default()));
        if let Variable::Value(old) = variable {
            let fields = match old.as_ref() {
                Value::Object(map) => map.iter().map(|(k, v)| (k.clone(), Arc::new(v.clone()))).collect(),
                _ => BTreeMap::new(),
            };
            *variable = Variable::Object(Arc::new(fields));
        }
        if let Variable::Object(fields) = variable {
            Arc::make_mut(fields).insert(field.to_owned(), value);
        }
        self
    }

    /// The names of the variables.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.keys().map(AsRef::as_ref)
    }

    /// A copy of the variable `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Value> {
        self.root(name).map(Lookup::to_json)
    }

    /// The variable `name` without copying it.
    pub(super) fn root(&self, name: &str) -> Option<Lookup<'_>> {
        self.variables.get(name).map(|variable| match variable {
            Variable::Value(value) => Lookup::Value(value),
            Variable::Object(fields) => Lookup::Fields(fields),
        })
    }
}

/// A variable or what lies inside it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lookup<'s> {
    Value(&'s Value),
    Fields(&'s BTreeMap<String, Arc<Value>>),
}

impl<'s> Lookup<'s> {
    /// The field `name`, if this is an object that has it.
    pub(super) fn field(self, name: &str) -> Option<Lookup<'s>> {
        match self {
            Lookup::Value(value) => value.as_object()?.get(name).map(Lookup::Value),
            Lookup::Fields(fields) => fields.get(name).map(|v| Lookup::Value(v)),
        }
    }

    /// The names of the fields, if this is an object.
    pub(super) fn fields(self) -> Option<Vec<&'s str>> {
        match self {
            Lookup::Value(value) => Some(value.as_object()?.keys().map(String::as_str).collect()),
            Lookup::Fields(fields) => Some(fields.keys().map(String::as_str).collect()),
        }
    }

    /// What kind of value this is, for people.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Lookup::Fields(_) | Lookup::Value(Value::Object(_)) => "an object",
            Lookup::Value(Value::Null) => "null",
            Lookup::Value(Value::Bool(_)) => "true or false",
            Lookup::Value(Value::Number(_)) => "a number",
            Lookup::Value(Value::String(_)) => "a text",
            Lookup::Value(Value::Array(_)) => "a list",
        }
    }

    /// A copy as JSON.
    pub(super) fn to_json(self) -> Value {
        match self {
            Lookup::Value(value) => value.clone(),
            Lookup::Fields(fields) => {
                Value::Object(fields.iter().map(|(k, v)| (k.clone(), (**v).clone())).collect::<Map<_, _>>())
            }
        }
    }
}
