//! HTML: picking elements by CSS selector, and plain text.

use crate::connector::net::MAX_ANSWER;
use crate::error::{Code, Error, Result};
use html5ever::tendril::TendrilSink as _;
use scraper::node::Node;
use scraper::{ElementRef, Html, HtmlTreeSink, Selector};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes that the parser is given at a time.
const PIECE: usize = 64;
/// Most elements and texts of a page.
const MAX_NODES: usize = 1_000_000;
/// Deepest nesting of a page.
const MAX_DEPTH: usize = 2_000;

#[derive(Deserialize)]
pub(super) struct Extract {
    html: String,
    selector: String,
    attribute: Option<String>,
    #[serde(rename = "as")]
    shape: String,
    fields: Option<Map<String, Value>>,
    limit: usize,
}

/// A field of each element.
#[derive(Deserialize)]
struct Field {
    #[serde(default)]
    selector: String,
    attribute: Option<String>,
}

pub(super) fn extract(input: Extract, stop: &AtomicBool) -> Result<Value> {
    let selector = compile(&input.selector, "/selector")?;
    let mut fields = Vec::new();
    for (name, field) in input.fields.iter().flatten() {
        let field: Field = crate::connector::input::read(field.clone())?;
        let inner = (!field.selector.is_empty()).then(|| compile(&field.selector, &format!("/fields/{name}/selector")));
        fields.push((name, inner.transpose()?, field.attribute));
    }
    let page = document(&input.html, stop)?;
    let pick = |element: ElementRef<'_>| -> Value {
        if input.fields.is_none() {
            return value(element, input.attribute.as_deref(), input.shape == "html");
        }
        let field = |(name, inner, attribute): &(&String, Option<Selector>, Option<String>)| {
            let at = match inner {
                Some(selector) => element.select(selector).next(),
                None => Some(element),
            };
            let found = at.map_or(Value::Null, |at| value(at, attribute.as_deref(), false));
            ((*name).clone(), found)
        };
        Value::Object(fields.iter().map(field).collect())
    };
    let (mut all, mut bytes) = (Vec::new(), 0);
    for element in page.select(&selector).take(input.limit) {
        let value = pick(element);
        // Elements inside each other give the same text again and again.
        bytes += value.to_string().len();
        if bytes > MAX_ANSWER || stop.load(Ordering::Relaxed) {
            return Err(Error::new(Code::TooLarge, format!("what was picked is larger than {MAX_ANSWER} bytes"))
                .hint("choose a narrower selector or set `limit`"));
        }
        all.push(value);
    }
    Ok(json!({"first": all.first(), "count": all.len(), "all": all}))
}

/// A page, parsed in small pieces so that one that is made to blow up is noticed: a
/// few kilobytes can become millions of elements, or take time by the square of their depth.
fn document(html: &str, stop: &AtomicBool) -> Result<Html> {
    let too_large = |what: &str| Error::new(Code::TooLarge, format!("the page has {what}"));
    let sink = HtmlTreeSink::new(Html::new_document());
    let mut parser = html5ever::driver::parse_document(sink, html5ever::ParseOpts::default());
    let mut rest = html;
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.floor_char_boundary(PIECE).max(first_char(rest)));
        parser.process(piece.into());
        rest = after;
        if parser.tokenizer.sink.sink.0.borrow().tree.values().len() > MAX_NODES {
            return Err(too_large("too many elements"));
        }
        if stop.load(Ordering::Relaxed) {
            return Err(Error::new(Code::Cancelled, "nobody waits for the page any more"));
        }
    }
    let page = parser.finish();
    let (mut node, mut depth) = (page.tree.root(), 0usize);
    loop {
        if let Some(child) = node.first_child() {
            (node, depth) = (child, depth + 1);
            if depth > MAX_DEPTH {
                return Err(too_large("elements that are nested too deep"));
            }
            continue;
        }
        loop {
            if let Some(next) = node.next_sibling() {
                node = next;
                break;
            }
            match node.parent() {
                Some(parent) => (node, depth) = (parent, depth - 1),
                None => return Ok(page),
            }
        }
    }
}

fn first_char(text: &str) -> usize {
    text.chars().next().map_or(0, char::len_utf8)
}

fn compile(selector: &str, place: &str) -> Result<Selector> {
    Selector::parse(selector).map_err(|e| {
        Error::invalid(format!("\"{selector}\" is no CSS selector: {e}")).at(place.to_owned(), "is no CSS selector")
    })
}

fn value(element: ElementRef<'_>, attribute: Option<&str>, html: bool) -> Value {
    match attribute {
        Some(name) => element.attr(name).map_or(Value::Null, Value::from),
        None if html => element.inner_html().into(),
        None => element.text().collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ").into(),
    }
}

/// Elements that stand on lines of their own.
const BLOCKS: [&str; 26] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "div",
    "dl",
    "dt",
    "dd",
    "fieldset",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "li",
    "main",
    "nav",
    "section",
    "tr",
    "ul",
    "ol",
];
/// Elements whose text is not for people.
const SILENT: [&str; 6] = ["script", "style", "head", "template", "noscript", "svg"];

/// The text of a page as a person reads it, block by block.
pub(super) fn to_text(html: &str, stop: &AtomicBool) -> Result<String> {
    let page = document(html, stop)?;
    let mut reader = Reader::default();
    // Walked without recursion: pages may be nested as deep as they like.
    let mut node = page.tree.root();
    loop {
        reader.open(node.value());
        if let Some(child) = node.first_child() {
            node = child;
            continue;
        }
        loop {
            reader.close(node.value());
            if let Some(next) = node.next_sibling() {
                node = next;
                break;
            }
            match node.parent() {
                Some(parent) => node = parent,
                None => return Ok(reader.out.trim().to_owned()),
            }
        }
    }
}

/// What was read so far.
#[derive(Default)]
struct Reader {
    out: String,
    /// How many elements around are not for people.
    silent: usize,
    /// How many elements around keep their white space.
    verbatim: usize,
}

impl Reader {
    fn open(&mut self, node: &Node) {
        let name = match node {
            Node::Text(_) if self.silent > 0 => return,
            Node::Text(text) if self.verbatim > 0 => return self.out.push_str(text),
            Node::Text(text) => return push_words(&mut self.out, text),
            Node::Element(element) => element.name(),
            _ => return,
        };
        self.silent += usize::from(SILENT.contains(&name));
        self.verbatim += usize::from(name == "pre");
        match name {
            "br" | "hr" => self.out.push('\n'),
            "p" | "table" | "pre" => blank_line(&mut self.out),
            "td" | "th" => push_words(&mut self.out, " "),
            name if BLOCKS.contains(&name) => new_line(&mut self.out),
            _ => {}
        }
    }

    fn close(&mut self, node: &Node) {
        let Node::Element(element) = node else { return };
        let name = element.name();
        self.silent -= usize::from(SILENT.contains(&name));
        self.verbatim -= usize::from(name == "pre");
        match name {
            "p" | "table" | "pre" | "h1" | "h2" | "h3" => blank_line(&mut self.out),
            name if BLOCKS.contains(&name) => new_line(&mut self.out),
            _ => {}
        }
    }
}

/// Adds words; runs of white space become one space.
fn push_words(out: &mut String, text: &str) {
    if text.starts_with(char::is_whitespace) && !out.is_empty() && !out.ends_with(char::is_whitespace) {
        out.push(' ');
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    out.push_str(&words.join(" "));
    if !words.is_empty() && text.ends_with(char::is_whitespace) {
        out.push(' ');
    }
}

fn new_line(out: &mut String) {
    out.truncate(out.trim_end_matches(' ').len());
    if !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
}

fn blank_line(out: &mut String) {
    new_line(out);
    if !out.is_empty() && !out.ends_with("\n\n") {
        out.push('\n');
    }
}
