//! Expressions in plain English, for read-backs.

use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue, operators};

use super::program::Program;
use super::references::chain;

/// A function or method of two operands and how it reads.
const RELATIONS: [(&str, &str); 11] = [
    (operators::LESS, "is below"),
    (operators::LESS_EQUALS, "is at most"),
    (operators::GREATER, "is above"),
    (operators::GREATER_EQUALS, "is at least"),
    (operators::EQUALS, "is"),
    (operators::NOT_EQUALS, "is not"),
    (operators::IN, "is in"),
    ("contains", "contains"),
    ("startsWith", "starts with"),
    ("endsWith", "ends with"),
    ("matches", "matches"),
];

const ARITHMETIC: [(&str, &str); 5] = [
    (operators::ADD, "plus"),
    (operators::SUBSTRACT, "minus"),
    (operators::MULTIPLY, "times"),
    (operators::DIVIDE, "divided by"),
    (operators::MODULO, "modulo"),
];

/// Fields that say by themselves what is true, and how they and their opposites read.
const STATES: [(&str, &str, &str); 3] = [
    ("up", "it is up", "it is down"),
    ("changed", "it has changed", "it has not changed"),
    ("approved", "it was approved", "it was not approved"),
];

impl Program {
    /// The expression in plain English, where it is of a common kind; else its source.
    ///
    /// ```
    /// use codex32_core::expr::Program;
    /// let program = Program::compile("steps.price.body.usd < 50000 && input.on")?;
    /// assert_eq!(program.in_words(), "usd is below 50000 and on is true");
    /// # Ok::<(), codex32_core::expr::ExprError>(())
    /// ```
    #[must_use]
    pub fn in_words(&self) -> String {
        truth(self.written(), &[]).unwrap_or_else(|| format!("`{}`", self.source()))
    }

    /// The value of the expression as a noun: "usd", "the items whose status is "open"".
    #[must_use]
    pub fn as_noun(&self) -> String {
        noun(self.written(), &[]).unwrap_or_else(|| format!("`{}`", self.source()))
    }
}

/// `expr` as a statement. `own` are names of loop variables, whose fields go without them.
fn truth(expr: &IdedExpr, own: &[&str]) -> Option<String> {
    let call = match &expr.expr {
        Expr::Call(call) => connective(call, own).or_else(|| relation(call, own)),
        _ => None,
    };
    if call.is_some() {
        return call;
    }
    match &expr.expr {
        Expr::Literal(LiteralValue::Boolean(b)) => Some(if *b.inner() { "always" } else { "never" }.to_owned()),
        Expr::Select(select) if select.test => {
            let path = path_words(expr, own)?;
            Some(format!("there is {path}"))
        }
        Expr::Comprehension(loops) => quantified(loops, own),
        _ => match state(expr) {
            Some((yes, _)) => Some(yes.to_owned()),
            None => noun(expr, own).map(|noun| format!("{noun} is true")),
        },
    }
}

/// How a field of a step that says by itself what is true reads, and its opposite.
fn state(expr: &IdedExpr) -> Option<(&'static str, &'static str)> {
    let (_, root, path) = chain(expr)?;
    let last = path.last().filter(|_| root == "steps" && path.len() > 1)?;
    STATES.iter().find(|(name, ..)| name == last).map(|(_, yes, no)| (*yes, *no))
}

fn connective(call: &CallExpr, own: &[&str]) -> Option<String> {
    match (call.func_name.as_str(), call.args.as_slice()) {
        // "has(x.status) && x.status == 'open'": that there is one goes without saying.
        (operators::LOGICAL_AND, [a, b]) if tested(a).is_some_and(|what| mentions(b, &what)) => truth(b, own),
        (operators::LOGICAL_AND, [a, b]) => Some(format!("{} and {}", inner(a, own)?, inner(b, own)?)),
        (operators::LOGICAL_OR, [a, b]) => Some(format!("{} or {}", inner(a, own)?, inner(b, own)?)),
        (operators::LOGICAL_NOT, [a]) => Some(match &a.expr {
            Expr::Select(select) if select.test => format!("there is no {}", path_words(a, own)?),
            Expr::Call(_) | Expr::Comprehension(_) => format!("it is not so that {}", truth(a, own)?),
            _ => match state(a) {
                Some((_, no)) => no.to_owned(),
                None => format!("{} is not true", noun(a, own)?),
            },
        }),
        _ => None,
    }
}

/// What `has()` asks for.
fn tested(expr: &IdedExpr) -> Option<(&str, Vec<String>)> {
    match &expr.expr {
        Expr::Select(select) if select.test => chain(expr).map(|(_, root, path)| (root, path)),
        _ => None,
    }
}

/// Whether `expr` is, or compares, `what`.
fn mentions(expr: &IdedExpr, what: &(&str, Vec<String>)) -> bool {
    match &expr.expr {
        Expr::Call(call) => call.target.iter().map(AsRef::as_ref).chain(&call.args).any(|e| mentions(e, what)),
        _ => chain(expr).is_some_and(|(_, root, path)| root == what.0 && path == what.1),
    }
}

/// An operand of `and` and `or`; where the two mix, brackets keep the meaning.
fn inner(expr: &IdedExpr, own: &[&str]) -> Option<String> {
    let words = truth(expr, own)?;
    let is_or = matches!(&expr.expr, Expr::Call(call) if call.func_name == operators::LOGICAL_OR);
    Some(if is_or { format!("({words})") } else { words })
}

fn relation(call: &CallExpr, own: &[&str]) -> Option<String> {
    let (_, verb) = RELATIONS.iter().find(|(name, _)| *name == call.func_name)?;
    let (left, right) = match (&call.target, call.args.as_slice()) {
        (Some(target), [right]) => (target.as_ref(), right),
        (None, [left, right]) => (left, right),
        _ => return None,
    };
    if matches!(right.expr, Expr::Literal(LiteralValue::Null)) {
        let subject = noun(left, own)?;
        return match call.func_name.as_str() {
            operators::EQUALS => Some(format!("there is no {subject}")),
            operators::NOT_EQUALS => Some(format!("there is {subject}")),
            _ => None,
        };
    }
    if let (Some(size), Expr::Literal(LiteralValue::Int(n))) = (sized(left), &right.expr) {
        let subject = noun(size, own)?;
        match (call.func_name.as_str(), *n.inner()) {
            (operators::GREATER, 0) | (operators::NOT_EQUALS, 0) => return Some(format!("there are any {subject}")),
            (operators::EQUALS, 0) => return Some(format!("there are no {subject}")),
            _ => {}
        }
    }
    Some(format!("{} {verb} {}", noun(left, own)?, noun(right, own)?))
}

/// What `size(x)` and `x.size()` measure.
fn sized(expr: &IdedExpr) -> Option<&IdedExpr> {
    match &expr.expr {
        Expr::Call(call) if call.func_name == "size" => call.target.as_deref().or(call.args.first()),
        _ => None,
    }
}

/// `exists` and `all`.
fn quantified(loops: &ComprehensionExpr, own: &[&str]) -> Option<String> {
    let Expr::Call(step) = &loops.loop_step.expr else { return None };
    let [_, condition] = step.args.as_slice() else { return None };
    let of = noun(&loops.iter_range, own)?;
    let condition = truth(condition, &[own, &[loops.iter_var.as_str()]].concat())?;
    match step.func_name.as_str() {
        operators::LOGICAL_OR => Some(format!("one of {of} has it that {condition}")),
        operators::LOGICAL_AND => Some(format!("each of {of} has it that {condition}")),
        _ => None,
    }
}

fn noun(expr: &IdedExpr, own: &[&str]) -> Option<String> {
    if chain(expr).is_some() {
        return path_words(expr, own);
    }
    match &expr.expr {
        Expr::Literal(literal) => literal_words(literal),
        Expr::Call(call) => call_words(call, own),
        Expr::Comprehension(loops) => filtered(loops, own),
        Expr::List(list) => {
            let items: Option<Vec<String>> = list.elements.iter().map(|e| noun(e, own)).collect();
            items.map(|items| items.join(", "))
        }
        _ => None,
    }
}

fn literal_words(literal: &LiteralValue) -> Option<String> {
    Some(match literal {
        LiteralValue::String(s) => format!("\"{}\"", s.inner()),
        LiteralValue::Int(n) => n.inner().to_string(),
        LiteralValue::UInt(n) => n.inner().to_string(),
        LiteralValue::Double(n) => n.inner().to_string(),
        LiteralValue::Boolean(b) => b.inner().to_string(),
        LiteralValue::Null => "nothing".to_owned(),
        LiteralValue::Bytes(_) => return None,
    })
}

fn call_words(call: &CallExpr, own: &[&str]) -> Option<String> {
    if let Some((_, word)) = ARITHMETIC.iter().find(|(name, _)| *name == call.func_name) {
        let [a, b] = call.args.as_slice() else { return None };
        return Some(format!("{} {word} {}", noun(a, own)?, noun(b, own)?));
    }
    // "has(x.items) ? x.items : x": the part, where it is one.
    if let (operators::CONDITIONAL, [test, part, _]) = (call.func_name.as_str(), call.args.as_slice()) {
        let what = tested(test)?;
        return if mentions(part, &what) { noun(part, own) } else { None };
    }
    let subject = call.target.as_deref().or(call.args.first())?;
    let subject = || noun(subject, own);
    Some(match call.func_name.as_str() {
        "size" => format!("the number of {}", subject()?),
        "default" | "int" | "double" | "string" | "trim" | "lowerAscii" | "upperAscii" | "json" | "round" => subject()?,
        "first" => format!("the first of {}", subject()?),
        "last" => format!("the last of {}", subject()?),
        "sum" => format!("the sum of {}", subject()?),
        "avg" => format!("the average of {}", subject()?),
        "min" if call.args.len() == 1 => format!("the least of {}", subject()?),
        "max" if call.args.len() == 1 => format!("the greatest of {}", subject()?),
        operators::INDEX => match call.args.get(1).map(|i| &i.expr) {
            Some(Expr::Literal(LiteralValue::Int(i))) if *i.inner() == 0 => format!("the first of {}", subject()?),
            _ => return None,
        },
        operators::NEGATE => format!("minus {}", subject()?),
        "timestamp" | "duration" => subject()?,
        _ => return None,
    })
}

/// `list.filter(x, condition)`, alone or inside a `map`.
fn filtered(loops: &ComprehensionExpr, own: &[&str]) -> Option<String> {
    let of = noun(&loops.iter_range, own)?;
    let variable = [own, &[loops.iter_var.as_str()]].concat();
    let appended = |step: &IdedExpr| match &step.expr {
        Expr::Call(add) if add.func_name == operators::ADD => match &add.args.get(1)?.expr {
            Expr::List(list) => list.elements.first().cloned(),
            _ => None,
        },
        _ => None,
    };
    match &loops.loop_step.expr {
        Expr::Call(step) if step.func_name == operators::CONDITIONAL => {
            let condition = truth(step.args.first()?, &variable)?;
            let element = appended(step.args.get(1)?)?;
            let is_filter = matches!(&element.expr, Expr::Ident(name) if *name == loops.iter_var);
            is_filter.then(|| format!("{of} whose {condition}"))
        }
        _ => {
            let element = appended(&loops.loop_step)?;
            Some(format!("{} of each of {of}", noun(&element, &variable)?))
        }
    }
}

/// `steps.price.body.usd` as "usd".
fn path_words(expr: &IdedExpr, own: &[&str]) -> Option<String> {
    let (_, root, path) = chain(expr)?;
    let spoken = |name: &str| name.replace('_', " ");
    let last = path.last().map(|name| spoken(name));
    Some(match (root, path.as_slice()) {
        (root, []) if own.contains(&root) => "it".to_owned(),
        (root, _) if own.contains(&root) => last?,
        ("steps", []) => "all results".to_owned(),
        ("steps", [step]) => result_of(step),
        ("steps", [step, part]) if part == "body" => format!("the body of {}", spoken(step)),
        ("input", []) => "the input".to_owned(),
        ("event", []) => "the event".to_owned(),
        ("trigger", []) => "what started it".to_owned(),
        ("execution", [id]) if id == "started_at" => "the time of the start".to_owned(),
        ("error", []) => "the error".to_owned(),
        ("error", [part, ..]) => format!("the {} of the error", spoken(part)),
        ("secrets", [name]) => format!("the secret {name}"),
        ("bot", [part]) => format!("the bot's {}", spoken(part)),
        ("trigger", [part, ..]) if part == "error" => "its error".to_owned(),
        ("item", []) => "it".to_owned(),
        (root, []) => format!("the {}", spoken(root)),
        ("input" | "steps" | "trigger" | "event" | "approval" | "execution" | "bot", _) => last?,
        (root, _) => format!("the {} of the {}", last?, spoken(root)),
    })
}

/// The result of a step; ids that the parser made up are numbers to people.
fn result_of(step: &str) -> String {
    match step.strip_prefix("step").filter(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())) {
        Some(number) => format!("the result of step {number}"),
        None => format!("the result of {}", step.replace('_', " ")),
    }
}

#[cfg(test)]
mod tests {
    use super::Program;

    #[test]
    fn conditions_read_as_sentences() {
        let cases = [
            ("steps.price.body.usd < 50000", "usd is below 50000"),
            ("steps.a.body.status == 'open' || input.force", "status is \"open\" or force is true"),
            ("!(steps.check.up)", "it is down"),
            ("steps.ask.approved && !steps.look.changed", "it was approved and it has not changed"),
            ("!input.up", "up is not true"),
            ("has(item.status) && item.status == 'open'", "the status of the item is \"open\""),
            ("has(input.a) && input.b", "there is a and b is true"),
            ("!has(steps.a.error)", "there is no error"),
            ("has(input.email) && input.email.contains('@')", "email contains \"@\""),
            ("size(steps.a.items) > 0", "there are any items"),
            ("size(steps.a.items) >= 3", "the number of items is at least 3"),
            ("input.x != null", "there is x"),
            ("item.status == 'open'", "the status of the item is \"open\""),
            ("steps.a.items.exists(i, i.n > 1)", "one of items has it that n is above 1"),
            ("input.a && (input.b || input.c)", "a is true and (b is true or c is true)"),
            ("error.code == 'timeout'", "the code of the error is \"timeout\""),
            ("input.kind in ['a', 'b']", "kind is in \"a\", \"b\""),
            ("input.x.matches('^a')", "x matches \"^a\""),
            ("input.?x.hasValue() == true", "`input.?x.hasValue() == true`"),
        ];
        for (source, expected) in cases {
            assert_eq!(Program::compile(source).unwrap().in_words(), expected, "{source}");
        }
    }

    #[test]
    fn values_read_as_nouns() {
        let cases = [
            ("steps.list.body.items", "items"),
            ("steps.list", "the result of list"),
            ("steps.step2.body", "the body of step2"),
            ("steps.step2", "the result of step 2"),
            ("steps.list.body.items.filter(i, i.status == 'open')", "items whose status is \"open\""),
            ("input.rows.map(r, r.id)", "id of each of rows"),
            ("input", "the input"),
            ("has(input.error.message) ? input.error.message : input.error", "message"),
            (
                "(has(steps.a.body.items) ? steps.a.body.items : steps.a.body).filter(i, has(i.n) && i.n > 1)",
                "items whose n is above 1",
            ),
            ("has(input.a) ? input.b : 1", "`has(input.a) ? input.b : 1`"),
            ("input.a + 1", "a plus 1"),
        ];
        for (source, expected) in cases {
            assert_eq!(Program::compile(source).unwrap().as_noun(), expected, "{source}");
        }
    }
}
