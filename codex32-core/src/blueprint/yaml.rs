//! YAML text as a tree, within bounds.

use std::collections::HashSet;
use std::rc::Rc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput};
use serde_json::{Number, Value};

use super::diagnostic::{Diagnostic, Diagnostics};
use super::tree::{Data, Key, Link, Node, Place, Segment, Written, pointer};

/// Longest text of a blueprint, in bytes.
pub const MAX_TEXT: usize = 1 << 20;

/// Deepest nesting of a blueprint.
pub const MAX_DEPTH: usize = 64;

/// Most values in a blueprint.
pub const MAX_NODES: usize = 100_000;

/// Most findings that are reported.
pub(super) const MAX_FINDINGS: usize = 100;

/// The tree of `text`.
pub(super) fn read(text: &str) -> (Option<Node>, Diagnostics) {
    let mut found = Diagnostics::new();
    if text.len() > MAX_TEXT {
        let message = format!("the blueprint is {} bytes long; the limit is {MAX_TEXT}", text.len());
        found.push(Diagnostic::error("", message).too_large().hint("keep code and data in files of the version"));
        return (None, found);
    }
    let lines: Vec<&str> = text.lines().collect();
    let mut builder = Builder { parser: Parser::new_from_str(text), lines, found, nodes: 0 };
    let root = builder.document();
    match root {
        Ok(root) => (root, builder.found),
        Err(fatal) => {
            builder.found.push(*fatal);
            (None, builder.found)
        }
    }
}

/// What ends reading at once.
type Fatal = Box<Diagnostic>;

struct Builder<'t> {
    parser: Parser<'t, StrInput<'t>>,
    lines: Vec<&'t str>,
    found: Diagnostics,
    nodes: usize,
}

impl<'t> Builder<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span), Fatal> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(Box::new(self.syntax(error.marker(), error.info()))),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn document(&mut self) -> Result<Option<Node>, Fatal> {
        let mut root = None;
        let mut documents = 0;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(root),
                Event::StreamStart | Event::DocumentEnd | Event::Nothing => {}
                Event::DocumentStart(_) => {
                    documents += 1;
                    if documents > 1 {
                        let error = self.at(span, "there is more than one document in the text");
                        return Err(Box::new(error.hint("keep each blueprint in a file of its own")));
                    }
                }
                event => root = Some(self.node(event, span, None, 0)?),
            }
        }
    }

    /// The node that starts with `event`.
    fn node(&mut self, event: Event<'t>, span: Span, link: Option<Rc<Link>>, depth: usize) -> Result<Node, Fatal> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            let message = format!("the blueprint has more than {MAX_NODES} values");
            return Err(Box::new(self.at(span, message).too_large()));
        }
        if depth > MAX_DEPTH {
            let message = format!("the blueprint is nested deeper than {MAX_DEPTH} levels");
            let hint = "move inner steps into a bot of their own and `call` it";
            return Err(Box::new(self.at(span, message).too_large().hint(hint)));
        }
        let place = self.place(span);
        let data = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_extras(span, anchor, tag.is_some(), &link);
                self.scalar(&text, style, span)
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_extras(span, anchor, tag.is_some(), &link);
                Data::List(self.list(&link, depth)?)
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_extras(span, anchor, tag.is_some(), &link);
                Data::Map(self.map(&link, depth)?)
            }
            Event::Alias(_) => {
                let error = self.at(span, "aliases (`*name`) are not part of a blueprint");
                return Err(Box::new(error.hint("write the value out")));
            }
            _ => Data::Null,
        };
        Ok(Node { data, place, link })
    }

    fn list(&mut self, link: &Option<Rc<Link>>, depth: usize) -> Result<Vec<Node>, Fatal> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok(items);
            }
            let below = Link::below(link, Segment::Index(items.len()));
            items.push(self.node(event, span, below, depth + 1)?);
        }
    }

    fn map(&mut self, link: &Option<Rc<Link>>, depth: usize) -> Result<Vec<(Key, Node)>, Fatal> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut seen: HashSet<Rc<str>> = HashSet::new();
        loop {
            let (event, span) = self.next()?;
            let name: Rc<str> = match event {
                Event::MappingEnd => return Ok(entries),
                Event::Scalar(text, _, anchor, tag) => {
                    self.refuse_extras(span, anchor, tag.is_some(), link);
                    text.as_ref().into()
                }
                Event::Alias(_) => return self.node(event, span, None, depth).map(|_| entries),
                _ => {
                    let error = self.at(span, "a template stands in quotes, and a list or map cannot be a key");
                    return Err(Box::new(error.hint("write \"{{ … }}\"")));
                }
            };
            let key = Key { name: name.clone(), place: self.place(span) };
            let below = Link::below(link, Segment::Key(name.clone()));
            let (event, span) = self.next()?;
            let node = self.node(event, span, below, depth + 1)?;
            if seen.insert(name.clone()) {
                entries.push((key, node));
            } else {
                let before = entries.iter().find(|(k, _)| k.name == name).map_or(0, |(k, _)| k.place.line);
                let message = format!("the key `{name}` is given twice");
                let diagnostic = Diagnostic::error(pointer(&node.link), message).on_key();
                self.push(diagnostic.hint(format!("it stands on line {before} already")), key.place);
            }
        }
    }

    fn refuse_extras(&mut self, span: Span, anchor: usize, tag: bool, link: &Option<Rc<Link>>) {
        let place = self.place(span);
        if anchor > 0 {
            let error = Diagnostic::error(pointer(link), "anchors (`&name`) are not part of a blueprint");
            self.push(error.hint("remove it and write the value out where it is used"), place);
        }
        if tag {
            let error = Diagnostic::error(pointer(link), "tags (`!name`) are not part of a blueprint");
            self.push(error.hint("remove it; put a text in quotes to keep it a text"), place);
        }
    }

    fn push(&mut self, mut diagnostic: Diagnostic, place: Place) {
        (diagnostic.line, diagnostic.column, diagnostic.length) = (place.line, place.column, place.length);
        if self.found.len() < MAX_FINDINGS {
            self.found.push(diagnostic);
        }
    }

    fn at(&self, span: Span, message: impl Into<String>) -> Diagnostic {
        let place = self.place(span);
        let mut diagnostic = Diagnostic::error("", message);
        (diagnostic.line, diagnostic.column, diagnostic.length) = (place.line, place.column, place.length);
        diagnostic
    }

    fn place(&self, span: Span) -> Place {
        let line = span.start.line();
        let on_line = self.lines.get(line.saturating_sub(1)).map_or(0, |l| l.chars().count());
        let rest = on_line.saturating_sub(span.start.col()).max(1);
        let length = if span.end.line() == line { span.end.col().saturating_sub(span.start.col()) } else { rest };
        Place { line: line as u32, column: span.start.col() as u32 + 1, length: length.clamp(1, rest) as u32 }
    }

    fn scalar(&self, text: &str, style: ScalarStyle, span: Span) -> Data {
        if style == ScalarStyle::Plain {
            return match resolve(text) {
                Some(data) => data,
                None => Data::Text(text.to_owned(), self.written(text, 0, span)),
            };
        }
        let written = match style {
            // The parser puts the start of a block at its first character.
            ScalarStyle::Literal => Written::Block(span.start.col() as u32),
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => self.written(text, 1, span),
            _ => Written::Otherwise,
        };
        Data::Text(text.to_owned(), written)
    }

    /// Whether `text` stands in its line as it is, `skip` characters after the start.
    fn written(&self, text: &str, skip: usize, span: Span) -> Written {
        let line = self.lines.get(span.start.line().saturating_sub(1)).copied().unwrap_or("");
        let rest = line.char_indices().nth(span.start.col() + skip).map_or("", |(i, _)| &line[i..]);
        if rest.starts_with(text) { Written::Inline(skip as u32) } else { Written::Otherwise }
    }

    fn syntax(&self, at: &Marker, info: &str) -> Diagnostic {
        let span = Span::new(*at, *at);
        let line = self.lines.get(at.line().saturating_sub(1)).copied().unwrap_or("");
        let error = self.at(span, format!("the text is not YAML: {info}"));
        if line.trim_start().starts_with('\t') || info.contains("tab") {
            return error.hint("indent with spaces, not with tabs");
        }
        if line.contains("{{") {
            return error.hint("a template stands in quotes: \"{{ … }}\"");
        }
        if info.contains("recursion") {
            return error.too_large();
        }
        if line.matches(": ").count() > 1 {
            return error.hint("a text that holds `: ` stands in quotes");
        }
        error.hint("look at the indentation and the quotes around here")
    }
}

/// What refuses a JSON value that is larger than a blueprint may be.
pub(super) fn refuse_json(value: &Value) -> Option<Diagnostic> {
    let mut open = vec![(value, 0_usize)];
    let mut nodes = 0_usize;
    let mut bytes = 0_usize;
    while let Some((value, depth)) = open.pop() {
        nodes += 1;
        if nodes > MAX_NODES {
            return Some(Diagnostic::error("", format!("the blueprint has more than {MAX_NODES} values")).too_large());
        }
        if depth > MAX_DEPTH {
            let message = format!("the blueprint is nested deeper than {MAX_DEPTH} levels");
            return Some(Diagnostic::error("", message).too_large());
        }
        match value {
            Value::String(text) => bytes += text.len(),
            Value::Array(items) => open.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(fields) => {
                bytes += fields.keys().map(String::len).sum::<usize>();
                open.extend(fields.values().map(|item| (item, depth + 1)));
            }
            _ => {}
        }
        if bytes > MAX_TEXT {
            let message = format!("the texts of the blueprint have more than {MAX_TEXT} bytes");
            return Some(Diagnostic::error("", message).too_large());
        }
    }
    None
}

/// A plain scalar that is not a text, by the core schema of YAML 1.2.
pub(super) fn resolve(text: &str) -> Option<Data> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Data::Null),
        "true" | "True" | "TRUE" => return Some(Data::Bool(true)),
        "false" | "False" | "FALSE" => return Some(Data::Bool(false)),
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) {
        return None;
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok().map(|n| Data::Number(n.into()));
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return u64::from_str_radix(digits, 8).ok().map(|n| Data::Number(n.into()));
    }
    let digits = text.trim_start_matches(['-', '+']);
    if text.len() - digits.len() > 1 {
        return None;
    }
    if digits.bytes().all(|b| b.is_ascii_digit()) && !digits.is_empty() {
        if let Ok(n) = text.parse::<i64>() {
            return Some(Data::Number(n.into()));
        }
        if let Ok(n) = text.trim_start_matches('+').parse::<u64>() {
            return Some(Data::Number(n.into()));
        }
    }
    let plausible = digits.bytes().any(|b| b.is_ascii_digit())
        && digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'-' | b'+'));
    let number = text.parse::<f64>().ok().filter(|_| plausible).and_then(Number::from_f64)?;
    Some(Data::Number(number))
}
