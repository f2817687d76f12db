//! Weaves the meter, JSON-friendly arithmetic and forgiving paths into a parsed expression.
//!
//! Every place where CEL would loop, copy or scan gets a call that charges for
//! it first: `@range` around what a loop runs over, `@copy` around what is put
//! into a list or map, `@scan` around arguments of functions. Everything is
//! charged unless it is known to be cheap, so a function that is added later
//! is safe by default.

use cel::common::ast::{
    CallExpr, EntryExpr, Expr, IdedEntryExpr, IdedExpr, ListExpr, LiteralValue, MapEntryExpr, operators,
};

use super::meter::METER;
use super::references::is_namespace;

/// The instrumented form of `expr`.
pub(super) fn instrument(expr: IdedExpr) -> IdedExpr {
    let id = expr.id;
    let expr = match expr.expr {
        Expr::Call(call) => self::call(call),
        Expr::Comprehension(mut loops) => {
            let weight = weight(&loops.loop_cond) + weight(&loops.loop_step);
            let range = instrument(loops.iter_range);
            loops.iter_range =
                IdedExpr { id: range.id, expr: function("@range", vec![ident(METER), integer(weight), range]) };
            loops.accu_init = copied(loops.accu_init);
            loops.loop_cond = instrument(loops.loop_cond);
            loops.loop_step = instrument(loops.loop_step);
            loops.result = instrument(loops.result);
            Expr::Comprehension(loops)
        }
        Expr::List(list) => Expr::List(ListExpr {
            elements: list.elements.into_iter().map(copied).collect(),
            optional_indices: list.optional_indices,
        }),
        Expr::Map(mut map) => {
            map.entries = map.entries.into_iter().map(entry).collect();
            Expr::Map(map)
        }
        Expr::Select(select) if select.test => {
            let (root, mut path) = split_path(*select.operand);
            path.push(text(&select.field));
            function("@has", vec![instrument(root), list(path)])
        }
        Expr::Select(mut select) => {
            select.operand = Box::new(instrument(*select.operand));
            Expr::Select(select)
        }
        other => other,
    };
    IdedExpr { id, expr }
}

fn call(mut call: CallExpr) -> Expr {
    match (call.func_name.as_str(), call.target.is_some(), call.args.len()) {
        // `@result + [x]`, the step of `map` and `filter`, is recognised by its shape.
        (operators::ADD, false, 2) if is_hidden(&call.args[0]) => {
            call.args = call.args.into_iter().map(instrument).collect();
            Expr::Call(call)
        }
        (operators::ADD, false, 2) => with_meter("@add", call),
        (operators::SUBSTRACT, false, 2) => plain("@sub", call),
        (operators::MULTIPLY, false, 2) => plain("@mul", call),
        (operators::DIVIDE, false, 2) => plain("@div", call),
        ("default", false, 2) => {
            let mut args = call.args.into_iter();
            let (Some(value), Some(otherwise)) = (args.next(), args.next()) else { return Expr::Unspecified };
            let (root, path) = split_path(value);
            function("@default", vec![instrument(root), list(path), instrument(otherwise)])
        }
        ("replace", true, 2) => with_meter("@replace", call),
        ("split", true, 1 | 2) => with_meter("@split", call),
        ("join", true, 0 | 1) => with_meter("@join", call),
        ("indexOf", true, 1) => scanned("@indexOf", call),
        ("lastIndexOf", true, 1) => scanned("@lastIndexOf", call),
        ("distinct", true, 0) => scanned("unique", call),
        ("json", _, _) => with_meter("@json", call),
        ("range", true, 1) => {
            call.args = call.args.into_iter().map(|a| metered("@count", instrument(a))).collect();
            Expr::Call(call)
        }
        ("matches", ..) => {
            let pattern = call.args.pop().map(|p| metered("@pattern", instrument(p)));
            let mut call = scan_arguments(call);
            call.args.extend(pattern);
            Expr::Call(call)
        }
        ("size", ..) => {
            call.target = call.target.map(|t| Box::new(metered("@glance", instrument(*t))));
            call.args = call.args.into_iter().map(|a| metered("@glance", instrument(a))).collect();
            Expr::Call(call)
        }
        (operators::IN, false, 2) => {
            let container = call.args.pop().map(|c| metered("@members", instrument(c)));
            let mut call = scan_arguments(call);
            call.args.extend(container);
            Expr::Call(call)
        }
        _ if is_structural(&call) => {
            call.target = call.target.map(|t| Box::new(instrument(*t)));
            call.args = call.args.into_iter().map(instrument).collect();
            Expr::Call(call)
        }
        _ => Expr::Call(scan_arguments(call)),
    }
}

/// Calls whose arguments need no charge: they look at one value and no deeper.
fn is_structural(call: &CallExpr) -> bool {
    let comparison = matches!(
        call.func_name.as_str(),
        operators::EQUALS
            | operators::NOT_EQUALS
            | operators::LESS
            | operators::LESS_EQUALS
            | operators::GREATER
            | operators::GREATER_EQUALS
    );
    if comparison {
        // Beside a short literal, a comparison ends at once.
        return call.args.iter().any(|a| matches!(a.expr, Expr::Literal(_)));
    }
    matches!(
        call.func_name.as_str(),
        operators::LOGICAL_AND
            | operators::LOGICAL_OR
            | operators::LOGICAL_NOT
            | operators::CONDITIONAL
            | operators::INDEX
            | operators::OPT_INDEX
            | operators::OPT_SELECT
            | operators::NEGATE
            | operators::NOT_STRICTLY_FALSE
            | operators::MODULO
    )
}

/// The same call by another name, its target as first argument.
fn plain(name: &str, call: CallExpr) -> Expr {
    let target = call.target.map(|t| *t);
    function(name, target.into_iter().chain(call.args).map(instrument).collect())
}

/// The same call by another name, its target as first argument, all arguments charged.
fn scanned(name: &str, call: CallExpr) -> Expr {
    let target = call.target.map(|t| *t);
    function(name, target.into_iter().chain(call.args).map(scan).collect())
}

/// As [`plain`], with the meter before the arguments: the function charges itself.
fn with_meter(name: &str, call: CallExpr) -> Expr {
    let target = call.target.map(|t| *t);
    let args = target.into_iter().chain(call.args).map(instrument);
    function(name, std::iter::once(ident(METER)).chain(args).collect())
}

fn scan_arguments(mut call: CallExpr) -> CallExpr {
    call.target = call.target.map(|target| {
        let namespace = matches!(&target.expr, Expr::Ident(name) if is_namespace(name));
        if namespace { target } else { Box::new(scan(*target)) }
    });
    call.args = call.args.into_iter().map(scan).collect();
    call
}

fn scan(expr: IdedExpr) -> IdedExpr {
    match expr.expr {
        Expr::Literal(_) => expr,
        _ => metered("@scan", instrument(expr)),
    }
}

/// An element that will be owned: charged as a copy where it may be borrowed.
fn copied(expr: IdedExpr) -> IdedExpr {
    let borrowed = match &expr.expr {
        Expr::Ident(_) | Expr::Select(_) => true,
        Expr::Call(call) => !matches!(
            call.func_name.as_str(),
            operators::ADD | operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE | operators::MODULO
        ),
        _ => false,
    };
    if borrowed { metered("@copy", instrument(expr)) } else { instrument(expr) }
}

fn entry(entry: IdedEntryExpr) -> IdedEntryExpr {
    let expr = match entry.expr {
        EntryExpr::MapEntry(e) => {
            EntryExpr::MapEntry(MapEntryExpr { key: instrument(e.key), value: copied(e.value), optional: e.optional })
        }
        field => field,
    };
    IdedEntryExpr { id: entry.id, expr }
}

/// `a.b[0].c` as `a` and the keys `"b"`, `0`, `"c"`.
fn split_path(expr: IdedExpr) -> (IdedExpr, Vec<IdedExpr>) {
    let mut keys = Vec::new();
    let mut node = expr;
    loop {
        node = match node.expr {
            Expr::Select(select) if !select.test => {
                keys.push(text(&select.field));
                *select.operand
            }
            Expr::Call(mut call) if call.func_name == operators::INDEX && call.args.len() == 2 => {
                keys.extend(call.args.pop().map(instrument));
                call.args.swap_remove(0)
            }
            other => {
                keys.reverse();
                return (IdedExpr { id: node.id, expr: other }, keys);
            }
        }
    }
}

/// Whether `expr` is a variable that no source can name.
fn is_hidden(expr: &IdedExpr) -> bool {
    matches!(&expr.expr, Expr::Ident(name) if name.starts_with('@'))
}

/// How many nodes one evaluation of `expr` visits; loops inside charge for themselves.
fn weight(expr: &IdedExpr) -> i64 {
    1 + match &expr.expr {
        Expr::Call(call) => call.target.iter().map(AsRef::as_ref).chain(&call.args).map(weight).sum(),
        Expr::Select(select) => weight(&select.operand),
        Expr::List(list) => list.elements.iter().map(weight).sum(),
        Expr::Map(map) => {
            let entries = map.entries.iter().map(|entry| match &entry.expr {
                EntryExpr::MapEntry(e) => weight(&e.key) + weight(&e.value),
                EntryExpr::StructField(field) => weight(&field.value),
            });
            entries.sum()
        }
        Expr::Comprehension(_) | Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) | Expr::Unspecified => 0,
    }
}

fn metered(name: &str, expr: IdedExpr) -> IdedExpr {
    IdedExpr { id: expr.id, expr: function(name, vec![ident(METER), expr]) }
}

fn function(name: &str, args: Vec<IdedExpr>) -> Expr {
    Expr::Call(CallExpr { func_name: name.to_owned(), target: None, args })
}

fn ident(name: &str) -> IdedExpr {
    IdedExpr { id: 0, expr: Expr::Ident(name.to_owned()) }
}

fn integer(value: i64) -> IdedExpr {
    IdedExpr { id: 0, expr: Expr::Literal(LiteralValue::Int(value.into())) }
}

fn text(value: &str) -> IdedExpr {
    IdedExpr { id: 0, expr: Expr::Literal(LiteralValue::String(value.to_owned().into())) }
}

fn list(elements: Vec<IdedExpr>) -> IdedExpr {
    IdedExpr { id: 0, expr: Expr::List(ListExpr::new(elements)) }
}
