//! Why an evaluation failed, in words, by name and type and never by value.

use cel::ExecutionError;
use cel::common::ast::{Expr, IdedExpr};

use super::Program;
use crate::expr::BUDGET;
use crate::expr::error::ExprError;
use crate::expr::functions::friendly;
use crate::expr::names::{listing, suggest};
use crate::expr::scope::{Lookup, Scope};

/// The expression would take too much work.
pub(super) fn too_costly(source: &str) -> ExprError {
    ExprError::at(0, source.len(), format!("the expression would take more than {BUDGET} units of work on this data"))
        .hint("loop over less, or do it in a `run` step")
}

/// What `error` means for `program` in `scope`.
pub(super) fn failure(program: &Program, scope: &Scope, error: &ExecutionError) -> ExprError {
    if let Some(broken) = broken_path(program, scope, error) {
        return broken;
    }
    let whole = |message: String| ExprError::at(0, program.source.len(), message);
    match error {
        ExecutionError::UndeclaredReference(name) => whole(format!("there is no variable or function `{name}`")),
        ExecutionError::NoSuchKey(name) => {
            let (offset, length) = field_place(program, name);
            ExprError::at(offset, length, format!("there is no field `{name}`"))
                .hint(format!("if it may be missing, write `default(….{name}, …)`"))
        }
        ExecutionError::NoSuchOverload(overload) => {
            let types: Vec<&str> = overload.argument_types().iter().map(|t| friendly(t)).collect();
            operator(&whole, overload.function(), &types)
        }
        ExecutionError::UnexpectedType { got, want } => {
            let want = if want == "iterable" { "a list" } else { friendly(want) };
            whole(format!("{want} is needed here, not {}", friendly(got)))
        }
        ExecutionError::FunctionError { function, message } => {
            whole(format!("`{}`: {message}", function.trim_start_matches('@')))
        }
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => whole("division by zero".to_owned()),
        ExecutionError::Overflow(..) => whole("the number is too large".to_owned()),
        ExecutionError::IndexOutOfBounds(_) => whole("the list has no element at this index".to_owned()),
        ExecutionError::DuplicateKey(_) => whole("a key of the map is given twice".to_owned()),
        ExecutionError::ValuesNotComparable(..) => whole("these values cannot be compared".to_owned()),
        ExecutionError::UnsupportedKeyType(_) => whole("a value of this type cannot be the key of a map".to_owned()),
        ExecutionError::UnsupportedIndex(..) => whole("this value cannot be used as an index".to_owned()),
        ExecutionError::InvalidArgumentCount { expected, actual } => {
            whole(format!("a function takes {expected} arguments, {actual} were given"))
        }
        _ => whole("the expression cannot be evaluated on this data".to_owned()),
    }
}

fn operator(whole: &dyn Fn(String) -> ExprError, function: &str, types: &[&str]) -> ExprError {
    let sign = function.trim_matches(['_', '@']);
    let error = match (sign, types) {
        ("[_]" | "[", [of, by, ..]) => whole(format!("{of} cannot be indexed by {by}")),
        (".", [of, ..]) => whole(format!("{of} has no fields")),
        (sign, [one]) => whole(format!("`{sign}` does not work on {one}")),
        (sign, [a, b]) if !sign.chars().any(char::is_alphanumeric) => {
            whole(format!("`{sign}` does not work on {a} and {b}"))
        }
        (sign, several) => whole(format!("`{sign}` does not work on ({})", several.join(", "))),
    };
    let number_and_text = types.contains(&"a text") && types.iter().any(|t| t.ends_with("number"));
    if number_and_text {
        error.hint("convert one of them: `string(x)`, `int(x)` or `double(x)`")
    } else if types.contains(&"null") {
        error.hint("if it may be missing, write `default(x, …)`")
    } else {
        error
    }
}

/// The first path of the program that breaks off in `scope`, if the error may come from one.
fn broken_path(program: &Program, scope: &Scope, error: &ExecutionError) -> Option<ExprError> {
    let missing_field = match error {
        ExecutionError::NoSuchKey(name) => Some(name.as_str()),
        ExecutionError::UndeclaredReference(_) | ExecutionError::NoSuchOverload(_) => None,
        ExecutionError::UnexpectedType { .. } => None,
        _ => return None,
    };
    program.references.iter().find_map(|reference| {
        let Some(mut value) = scope.root(&reference.root) else {
            let ExecutionError::UndeclaredReference(name) = error else { return None };
            return (name.as_str() == reference.root).then(|| missing_variable(scope, reference.offset, name));
        };
        let mut walked = reference.root.clone();
        for field in &reference.path {
            match value.field(field) {
                Some(inner) => value = inner,
                None => {
                    if missing_field.is_some_and(|missing| missing != field) {
                        return None;
                    }
                    let offset = reference.offset + walked.len() + 1;
                    return Some(missing(&walked, field, value, offset));
                }
            }
            walked = format!("{walked}.{field}");
        }
        None
    })
}

fn missing_variable(scope: &Scope, offset: usize, name: &str) -> ExprError {
    let names: Vec<&str> = scope.names().collect();
    let error = ExprError::at(offset, name.len(), format!("there is no variable `{name}` here"));
    match suggest(name, names.iter().copied()) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint(format!("there are {}", listing(&names))),
    }
}

fn missing(walked: &str, field: &str, value: Lookup<'_>, offset: usize) -> ExprError {
    let Some(fields) = value.fields() else {
        let error =
            ExprError::at(offset, field.len(), format!("`{walked}` is {} and has no field `{field}`", value.kind()));
        let hint = format!("if it may be missing, write `default({walked}.{field}, …)`");
        return if value.kind() == "null" { error.hint(hint) } else { error };
    };
    let message = match fields.as_slice() {
        [] => format!("`{walked}` has no field `{field}`; it is empty"),
        fields => format!("`{walked}` has no field `{field}`; it has {}", listing(fields)),
    };
    let error = ExprError::at(offset, field.len(), message);
    match suggest(field, fields.iter().copied()) {
        Some(near) => error.hint(format!("did you mean `{walked}.{near}`?")),
        None => error.hint(format!("if it may be missing, write `default({walked}.{field}, …)`")),
    }
}

/// Where the program first reads a field `name`.
fn field_place(program: &Program, name: &str) -> (usize, usize) {
    fn find(expr: &IdedExpr, name: &str) -> Option<u64> {
        match &expr.expr {
            Expr::Select(select) if select.field == name => Some(expr.id),
            Expr::Select(select) => find(&select.operand, name),
            Expr::Call(call) => call.target.iter().map(AsRef::as_ref).chain(&call.args).find_map(|e| find(e, name)),
            Expr::Comprehension(l) => [&l.iter_range, &l.accu_init, &l.loop_cond, &l.loop_step, &l.result]
                .into_iter()
                .find_map(|e| find(e, name)),
            Expr::List(list) => list.elements.iter().find_map(|e| find(e, name)),
            _ => None,
        }
    }
    match find(&program.written, name) {
        Some(id) => (super::offset_of(&program.positions, id) + 1, name.len()),
        None => (0, program.source.len()),
    }
}
