//! JSON values whose strings hold `{{ CEL }}`.

use serde_json::{Map, Value};

use super::error::ExprError;
use super::program::Program;
use super::references::References;
use super::scope::Scope;

/// A compiled template.
///
/// A string that is exactly one `{{ expr }}` becomes the value of the
/// expression, with its type. Any other string with `{{ }}` in it becomes text:
/// strings as they are, null as nothing, everything else as JSON. Keys of
/// objects are never templates. To write two braces, write `{{ '{{' }}`.
///
/// ```
/// use codex32_core::expr::{Scope, Template};
/// use serde_json::json;
/// let template = Template::compile(&json!({
///     "usd": "{{ input.usd }}",
///     "text": "now at {{ input.usd }} USD",
/// })).map_err(|mut errors| errors.remove(0).1)?;
/// let scope = Scope::new().with("input", json!({"usd": 41.5}));
/// assert_eq!(template.render(&scope)?, json!({"usd": 41.5, "text": "now at 41.5 USD"}));
/// # Ok::<(), codex32_core::expr::ExprError>(())
/// ```
#[derive(Debug)]
pub struct Template {
    node: Node,
    references: References,
}

#[derive(Debug)]
enum Node {
    Literal(Value),
    Value(Box<Program>),
    Text(Vec<Part>),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

#[derive(Debug)]
enum Part {
    Text(String),
    Value(Box<Program>),
}

/// A piece of a string: where it starts and what it is.
enum Piece<'t> {
    Text(&'t str),
    /// The source between the braces and its offset in the string.
    Expression(&'t str, usize),
}

impl Template {
    /// Compiles all strings of `value`.
    ///
    /// # Errors
    /// Every string that does not compile, with its JSON pointer; offsets are
    /// in bytes from the start of that string.
    pub fn compile(value: &Value) -> Result<Self, Vec<(String, ExprError)>> {
        let mut errors = Vec::new();
        let mut references = References::default();
        let node = build(value, &mut String::new(), &mut references, &mut errors);
        if errors.is_empty() { Ok(Template { node, references }) } else { Err(errors) }
    }

    /// Compiles one string.
    ///
    /// # Errors
    /// As [`Program::compile`], with offsets from the start of `text`.
    pub fn compile_text(text: &str) -> Result<Self, ExprError> {
        let mut references = References::default();
        let node = text_node(text, &mut references)?;
        Ok(Template { node, references })
    }

    /// What the expressions read. For a template of one string the offsets are
    /// those in the string.
    #[must_use]
    pub fn references(&self) -> &References {
        &self.references
    }

    /// The expression, where the template is exactly one.
    #[must_use]
    pub fn expression(&self) -> Option<&Program> {
        match &self.node {
            Node::Value(program) => Some(program),
            _ => None,
        }
    }

    /// Whether there is no expression in it.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        fn literal(node: &Node) -> bool {
            match node {
                Node::Literal(_) => true,
                Node::Value(_) | Node::Text(_) => false,
                Node::List(items) => items.iter().all(literal),
                Node::Map(fields) => fields.iter().all(|(_, node)| literal(node)),
            }
        }
        literal(&self.node)
    }

    /// The value with all expressions evaluated in `scope`.
    ///
    /// # Errors
    /// The first expression that cannot be evaluated (see [`Program::eval`]).
    pub fn render(&self, scope: &Scope) -> Result<Value, ExprError> {
        render(&self.node, scope)
    }

    /// As [`Template::render`], as text (strings as they are, null as nothing, the rest as JSON).
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn render_text(&self, scope: &Scope) -> Result<String, ExprError> {
        let mut text = String::new();
        push(&mut text, render(&self.node, scope)?);
        Ok(text)
    }

    /// The template with its expressions in plain English, as a JSON value of
    /// the same shape: a lone `{{ steps.price.body.usd }}` becomes `usd`, inside
    /// a text it becomes `<usd>`.
    #[must_use]
    pub fn in_words(&self) -> Value {
        fn words(node: &Node) -> Value {
            match node {
                Node::Literal(value) => value.clone(),
                Node::Value(program) => Value::String(program.as_noun()),
                Node::Text(parts) => Value::String(parts.iter().fold(String::new(), |text, part| match part {
                    Part::Text(literal) => text + literal,
                    Part::Value(program) => format!("{text}<{}>", program.as_noun()),
                })),
                Node::List(items) => Value::Array(items.iter().map(words).collect()),
                Node::Map(fields) => Value::Object(fields.iter().map(|(k, n)| (k.clone(), words(n))).collect()),
            }
        }
        words(&self.node)
    }

    /// Whether `text` has an expression in it.
    #[must_use]
    pub fn is_template(text: &str) -> bool {
        text.contains("{{")
    }
}

fn build(value: &Value, at: &mut String, refs: &mut References, errors: &mut Vec<(String, ExprError)>) -> Node {
    match value {
        Value::String(text) if Template::is_template(text) => match text_node(text, refs) {
            Ok(node) => node,
            Err(error) => {
                errors.push((at.clone(), error));
                Node::Literal(Value::Null)
            }
        },
        Value::Array(items) => {
            let nodes = items.iter().enumerate().map(|(i, item)| below(&i.to_string(), item, at, refs, errors));
            let nodes: Vec<Node> = nodes.collect();
            if nodes.iter().all(|n| matches!(n, Node::Literal(_))) {
                Node::Literal(value.clone())
            } else {
                Node::List(nodes)
            }
        }
        Value::Object(fields) => {
            let nodes = fields.iter().map(|(k, v)| (k.clone(), below(k, v, at, refs, errors)));
            let nodes: Vec<(String, Node)> = nodes.collect();
            if nodes.iter().all(|(_, n)| matches!(n, Node::Literal(_))) {
                Node::Literal(value.clone())
            } else {
                Node::Map(nodes)
            }
        }
        other => Node::Literal(other.clone()),
    }
}

fn below(
    key: &str,
    value: &Value,
    at: &mut String,
    refs: &mut References,
    errors: &mut Vec<(String, ExprError)>,
) -> Node {
    let length = at.len();
    at.push('/');
    at.push_str(&key.replace('~', "~0").replace('/', "~1"));
    let node = build(value, at, refs, errors);
    at.truncate(length);
    node
}

fn text_node(text: &str, references: &mut References) -> Result<Node, ExprError> {
    let pieces = split(text)?;
    if let [Piece::Expression(source, offset)] = pieces.as_slice() {
        return compile(source, *offset, references).map(Node::Value);
    }
    if pieces.iter().all(|p| matches!(p, Piece::Text(_))) {
        return Ok(Node::Literal(Value::from(text)));
    }
    let parts = pieces.into_iter().map(|piece| match piece {
        Piece::Text(text) => Ok(Part::Text(text.to_owned())),
        Piece::Expression(source, offset) => compile(source, offset, references).map(Part::Value),
    });
    parts.collect::<Result<_, _>>().map(Node::Text)
}

fn compile(source: &str, offset: usize, references: &mut References) -> Result<Box<Program>, ExprError> {
    let program = Program::compile(source).map_err(|e| e.moved(offset))?;
    references.extend(program.references(), offset);
    Ok(Box::new(program))
}

/// The pieces of a string.
fn split(text: &str) -> Result<Vec<Piece<'_>>, ExprError> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(open) = text[at..].find("{{").map(|i| at + i) {
        if open > at {
            pieces.push(Piece::Text(&text[at..open]));
        }
        let start = open + 2;
        let Some(end) = end_of_expression(&text[start..]).map(|i| start + i) else {
            return Err(ExprError::at(open, 2, "`{{` is not closed").hint("end the expression with `}}`"));
        };
        pieces.push(Piece::Expression(&text[start..end], start));
        at = end + 2;
    }
    if at < text.len() {
        pieces.push(Piece::Text(&text[at..]));
    }
    Ok(pieces)
}

/// Where the `}}` is that ends an expression: not inside a text, not the end of a map.
fn end_of_expression(source: &str) -> Option<usize> {
    let bytes = source.as_bytes();
    let mut braces = 0_usize;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' | b'\'' => {
                let raw = at > 0 && matches!(bytes[at - 1], b'r' | b'R');
                at = end_of_text(bytes, at, raw)?;
                continue;
            }
            b'{' => braces += 1,
            b'}' if braces > 0 => braces -= 1,
            b'}' if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            _ => {}
        }
        at += 1;
    }
    None
}

/// Just behind the text that starts with the quote at `at`.
fn end_of_text(bytes: &[u8], at: usize, raw: bool) -> Option<usize> {
    let quote = bytes[at];
    let triple = bytes[at..].starts_with(&[quote; 3]);
    let width = if triple { 3 } else { 1 };
    let mut at = at + width;
    while at < bytes.len() {
        if bytes[at] == b'\\' && !raw {
            at += 2;
        } else if bytes[at..].starts_with(&[quote; 3][..width]) {
            return Some(at + width);
        } else {
            at += 1;
        }
    }
    None
}

fn render(node: &Node, scope: &Scope) -> Result<Value, ExprError> {
    Ok(match node {
        Node::Literal(value) => value.clone(),
        Node::Value(program) => program.eval(scope)?,
        Node::Text(parts) => {
            let mut text = String::new();
            for part in parts {
                match part {
                    Part::Text(literal) => text.push_str(literal),
                    Part::Value(program) => push(&mut text, program.eval(scope)?),
                }
            }
            Value::String(text)
        }
        Node::List(items) => Value::Array(items.iter().map(|n| render(n, scope)).collect::<Result<_, _>>()?),
        Node::Map(fields) => {
            let fields = fields.iter().map(|(k, n)| Ok((k.clone(), render(n, scope)?)));
            Value::Object(fields.collect::<Result<Map<_, _>, ExprError>>()?)
        }
    })
}

fn push(text: &mut String, value: Value) {
    match value {
        Value::Null => {}
        Value::String(s) => text.push_str(&s),
        other => text.push_str(&other.to_string()),
    }
}
