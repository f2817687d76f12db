//! The functions that expressions have beside CEL's own, and the environment of all of them.

mod list;
mod metered;
mod number;

use std::sync::{Arc, LazyLock};

use cel::common::functions::Function;
use cel::common::types::{DYN_TYPE, Type};
use cel::common::value::{CowVal, FromVal, Val};
use cel::{DeclarationError, Env, ExecutionError, extensions};

/// What a function returns.
pub(super) type Outcome<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

/// Functions a user may call, beside those of CEL: name, number of arguments, implementation.
/// Each can be called as `f(x, y)` and as `x.f(y)`.
const OWN: [(&str, usize, Function); 13] = [
    ("toJson", 1, list::to_json),
    ("first", 1, list::first),
    ("last", 1, list::last),
    ("unique", 1, list::unique),
    ("sort", 1, list::sort),
    ("sum", 1, number::sum),
    ("avg", 1, number::avg),
    ("min", 1, number::min),
    ("min", 2, number::min),
    ("max", 1, number::max),
    ("max", 2, number::max),
    ("round", 1, number::round),
    ("round", 2, number::round),
];

/// Functions that only the compiler calls.
const HIDDEN: [(&str, usize, Function); 21] = [
    ("@add", 3, number::add),
    ("@sub", 2, number::sub),
    ("@mul", 2, number::mul),
    ("@div", 2, number::div),
    ("@has", 2, list::has),
    ("@default", 3, list::default),
    ("@indexOf", 2, list::index_of),
    ("@lastIndexOf", 2, list::last_index_of),
    ("@range", 3, metered::range),
    ("@copy", 2, metered::value),
    ("@scan", 2, metered::value),
    ("@glance", 2, metered::glance),
    ("@members", 2, metered::members),
    ("@count", 2, metered::count),
    ("@pattern", 2, metered::pattern),
    ("@replace", 4, metered::replace),
    ("@split", 3, metered::split),
    ("@split", 4, metered::split),
    ("@join", 2, metered::join),
    ("@join", 3, metered::join),
    ("@json", 2, metered::json),
];

/// Names of all functions and macros that source may call.
pub(super) const NAMES: [&str; 87] = [
    "abs",
    "all",
    "avg",
    "bitAnd",
    "bitNot",
    "bitOr",
    "bitShiftLeft",
    "bitShiftRight",
    "bitXor",
    "bool",
    "bytes",
    "ceil",
    "charAt",
    "contains",
    "default",
    "distinct",
    "double",
    "duration",
    "dyn",
    "endsWith",
    "exists",
    "exists_one",
    "filter",
    "first",
    "flatten",
    "floor",
    "format",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "greatest",
    "has",
    "hasValue",
    "indexOf",
    "int",
    "isFinite",
    "isInf",
    "isNaN",
    "join",
    "json",
    "last",
    "lastIndexOf",
    "least",
    "lowerAscii",
    "map",
    "matches",
    "max",
    "min",
    "none",
    "of",
    "ofNonZeroValue",
    "or",
    "orValue",
    "quote",
    "range",
    "replace",
    "reverse",
    "round",
    "sign",
    "size",
    "slice",
    "sort",
    "sortBy",
    "split",
    "sqrt",
    "startsWith",
    "string",
    "substring",
    "sum",
    "timestamp",
    "toJson",
    "trim",
    "trunc",
    "type",
    "uint",
    "unique",
    "upperAscii",
    "value",
    "optional",
    "math",
];

static ENVIRONMENT: LazyLock<Result<Arc<Env>, DeclarationError>> = LazyLock::new(|| build().map(Arc::new));

/// The one environment of all programs.
pub(super) fn environment() -> Result<Arc<Env>, DeclarationError> {
    ENVIRONMENT.clone()
}

fn build() -> Result<Env, DeclarationError> {
    let mut env = Env::stdlib();
    env.add_extension(extensions::strings)?;
    env.add_extension(extensions::lists)?;
    env.add_extension(extensions::math)?;
    for (name, arity, function) in OWN.into_iter().chain(HIDDEN) {
        env.add_overload(name, &format!("{name}/{arity}"), any(arity), function)?;
    }
    for (name, arity, function) in OWN {
        let id = format!("_.{name}/{arity}");
        env.add_member_overload(name, &id, DYN_TYPE, any(arity - 1), function)?;
    }
    Ok(env)
}

/// Parameters of any type.
fn any(count: usize) -> Vec<Type> {
    std::iter::repeat_with(|| DYN_TYPE).take(count).collect()
}

/// The arguments as an array.
fn take<'b, 'v, const N: usize>(args: Vec<CowVal<'b, 'v>>) -> Result<[CowVal<'b, 'v>; N], ExecutionError> {
    args.try_into().map_err(|args: Vec<_>| ExecutionError::invalid_argument_count(N, args.len()))
}

/// `value` as a `T`, or an error that names what `function` wants.
fn expect<'a, 'v, T: FromVal<'a, 'v>>(
    value: &'a (dyn Val + 'v),
    function: &str,
    want: &str,
) -> Result<&'a T, ExecutionError> {
    value
        .downcast_ref::<T>()
        .ok_or_else(|| ExecutionError::function_error(function, format!("wants {want}, not {}", type_name(value))))
}

/// The type of `value` as people call it.
pub(super) fn type_name(value: &dyn Val) -> &'static str {
    friendly(value.get_type().name())
}

/// A CEL type's name as people call it.
pub(super) fn friendly(cel: &str) -> &'static str {
    match cel {
        "string" => "a text",
        "int" | "uint" => "a whole number",
        "double" => "a number",
        "bool" => "true or false",
        "list" => "a list",
        "map" => "an object",
        "null_type" => "null",
        "bytes" => "bytes",
        "timestamp" | "google.protobuf.Timestamp" => "a time",
        "duration" | "google.protobuf.Duration" => "a duration",
        _ => "a value of another kind",
    }
}
