//! One compiled CEL expression.

use std::collections::BTreeMap;

use cel::Context;
use cel::common::ast::{EntryExpr, Expr, IdedExpr, SourceInfo};
use serde_json::Value;

use super::error::ExprError;
use super::functions::{self, NAMES};
use super::meter::{METER, Meter};
use super::names::{listing, suggest};
use super::references::{self, References, Wanted, chain, offset_of};
use super::rewrite::instrument;
use super::scope::{Lookup, Scope};
use super::{BUDGET, MAX_DEPTH, MAX_LOOPS, MAX_SOURCE, convert};

mod explain;
mod syntax;

/// A compiled CEL expression. Compile once, evaluate often.
///
/// ```
/// use codex32_core::expr::{Program, Scope};
/// use serde_json::json;
/// let program = Program::compile("steps.price.body.usd * 2 > 10")?;
/// let scope = Scope::new().with("steps", json!({"price": {"body": {"usd": 6.5}}}));
/// assert_eq!(program.eval(&scope)?, json!(true));
/// assert!(program.references().steps().contains("price"));
///
/// let error = Program::compile("steps.pricee.body").and_then(|p| p.eval(&scope)).unwrap_err();
/// assert_eq!(error.to_string(), "`steps` has no field `pricee`; it has `price`");
/// # Ok::<(), codex32_core::expr::ExprError>(())
/// ```
pub struct Program {
    source: String,
    /// As written, for messages.
    written: IdedExpr,
    positions: SourceInfo,
    /// With the meter woven in; this is what runs.
    woven: IdedExpr,
    references: References,
    wanted: BTreeMap<String, Wanted>,
}

impl Program {
    /// Compiles `source`.
    ///
    /// # Errors
    /// Syntax that is not CEL, unknown functions, and sources beyond
    /// [`MAX_SOURCE`], [`MAX_DEPTH`] or [`MAX_LOOPS`].
    pub fn compile(source: &str) -> Result<Self, ExprError> {
        if source.len() > MAX_SOURCE {
            let message = format!("the expression is {} bytes long; the limit is {MAX_SOURCE}", source.len());
            return Err(ExprError::at(0, 0, message));
        }
        if source.trim().is_empty() {
            return Err(ExprError::at(0, source.len(), "the expression is empty"));
        }
        syntax::check_shape(source)?;
        let env = functions::environment().map_err(|e| ExprError::at(0, 0, e.to_string()))?;
        let (written, positions) =
            env.parser().parse_with_source_info(source).map_err(|e| syntax::explain(source, &e))?;
        check(&written, &positions, 0, 0)?;
        let references = references::collect(&written, &positions);
        let wanted = references::wanted(&references);
        let woven = instrument(written.clone());
        Ok(Program { source: source.to_owned(), written, positions, woven, references, wanted })
    }

    /// The text that was compiled.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The parsed expression, as written.
    pub(super) fn written(&self) -> &IdedExpr {
        &self.written
    }

    /// What the expression reads.
    #[must_use]
    pub fn references(&self) -> &References {
        &self.references
    }

    /// The value of the expression.
    ///
    /// # Errors
    /// Missing variables and fields, operators on types they do not fit, and
    /// work beyond [`BUDGET`].
    pub fn eval(&self, scope: &Scope) -> Result<Value, ExprError> {
        if let Some(found) = self.lookup(scope) {
            return Ok(found.to_json());
        }
        let env = functions::environment().map_err(|e| ExprError::at(0, 0, e.to_string()))?;
        let meter = Meter::new(BUDGET);
        let mut context = Context::with_env(env);
        context.add_variable_as_val(METER, Box::new(meter.clone()));
        for (name, wanted) in &self.wanted {
            if let Some(root) = scope.root(name) {
                context.add_variable_as_val(name, convert::variable(root, wanted));
            }
        }
        let result = cel::Value::resolve_val(&self.woven, &context);
        if meter.is_exhausted() {
            return Err(explain::too_costly(&self.source));
        }
        match result {
            Ok(value) => convert::to_json(value.as_ref())
                .map_err(|what| ExprError::at(0, self.source.len(), format!("the result is {what}, not JSON"))),
            Err(error) => Err(explain::failure(self, scope, &error)),
        }
    }

    /// The truth value of the expression.
    ///
    /// # Errors
    /// As [`Program::eval`], and values that are neither true nor false.
    pub fn condition(&self, scope: &Scope) -> Result<bool, ExprError> {
        let value = self.eval(scope)?;
        value.as_bool().ok_or_else(|| {
            let kind = Lookup::Value(&value).kind();
            ExprError::at(0, self.source.len(), format!("the condition is {kind}, not true or false"))
                .hint("compare it: `… != null`, `… == 1`, `size(…) > 0`")
        })
    }

    /// The value, where the expression is nothing but a path that exists.
    fn lookup<'s>(&self, scope: &'s Scope) -> Option<Lookup<'s>> {
        if contains_test(&self.written) {
            return None;
        }
        let (_, root, path) = chain(&self.written)?;
        path.iter().try_fold(scope.root(root)?, |value, field| value.field(field))
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Program").field(&self.source).finish()
    }
}

/// Whether a path is asked for and not read: `has(a.b)`.
fn contains_test(expr: &IdedExpr) -> bool {
    match &expr.expr {
        Expr::Select(select) => select.test || contains_test(&select.operand),
        _ => false,
    }
}

/// Refuses what is nested too deep, calls of unknown functions, and syntax that JSON has no use for.
fn check(expr: &IdedExpr, at: &SourceInfo, depth: usize, loops: usize) -> Result<(), ExprError> {
    let place = |message: String| ExprError::at(offset_of(at, expr.id), 0, message);
    if depth > MAX_DEPTH {
        return Err(place(format!("the expression is nested deeper than {MAX_DEPTH} levels")));
    }
    let check = |inner: &IdedExpr| check(inner, at, depth + 1, loops);
    match &expr.expr {
        Expr::Call(call) => {
            check_function(&call.func_name, call.args.len(), offset_of(at, expr.id), &at.source)?;
            call.target.as_deref().map_or(Ok(()), check)?;
            call.args.iter().try_for_each(check)
        }
        Expr::Comprehension(l) => {
            if loops >= MAX_LOOPS {
                return Err(place(format!("more than {MAX_LOOPS} loops are nested in each other")));
            }
            check(&l.iter_range)?;
            check(&l.accu_init)?;
            [&l.loop_cond, &l.loop_step, &l.result]
                .into_iter()
                .try_for_each(|inner| self::check(inner, at, depth + 1, loops + 1))
        }
        Expr::List(list) => list.elements.iter().try_for_each(check),
        Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
            EntryExpr::MapEntry(e) => check(&e.key).and_then(|()| check(&e.value)),
            EntryExpr::StructField(_) => Err(place("the map is not well formed".to_owned())),
        }),
        Expr::Select(select) => check(&select.operand),
        Expr::Struct(s) => {
            Err(place(format!("there is no message type `{}`; write a map: {{'key': value}}", s.type_name)))
        }
        Expr::Unspecified => Err(place("the expression is incomplete".to_owned())),
        Expr::Ident(_) | Expr::Literal(_) => Ok(()),
    }
}

fn check_function(name: &str, args: usize, offset: usize, source: &str) -> Result<(), ExprError> {
    let is_operator = name.starts_with(['_', '@', '!', '-']) || name.contains(".@");
    if is_operator || NAMES.contains(&name) {
        if name == "default" && args != 2 {
            let message = "`default` takes two arguments: a path and what to use where it is missing";
            return Err(ExprError::at(offset, name.len(), message));
        }
        return Ok(());
    }
    // The position of a call is that of its bracket; the name stands before it.
    let start = source.get(..offset).and_then(|before| before.rfind(name)).unwrap_or(offset);
    let error = ExprError::at(start, name.len(), format!("there is no function `{name}`"));
    Err(match suggest(name, NAMES) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None if name == "now" => error.hint("the time of the execution's start is `execution.started_at`"),
        None => error.hint(format!("some that exist: {}", listing(&["size", "contains", "default", "join", "sum"]))),
    })
}
