//! A document as a tree that knows where each part stands. YAML and JSON both
//! become one, so that both go through the same reader.

use std::rc::Rc;

use serde_json::{Map, Number, Value};

use super::diagnostic::Diagnostic;

/// A place in the text; all zero for JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// From 1.
    pub(super) line: u32,
    /// In characters, from 1.
    pub(super) column: u32,
    /// In characters.
    pub(super) length: u32,
}

/// The way from the root to a node, shared by what lies below it.
#[derive(Debug)]
pub(super) struct Link {
    parent: Option<Rc<Link>>,
    segment: Segment,
}

/// One step of a JSON pointer.
#[derive(Debug)]
pub(super) enum Segment {
    Key(Rc<str>),
    Index(usize),
}

impl Link {
    /// The link of what lies at `segment` below `parent`.
    pub(super) fn below(parent: &Option<Rc<Link>>, segment: Segment) -> Option<Rc<Link>> {
        Some(Rc::new(Link { parent: parent.clone(), segment }))
    }
}

/// The JSON pointer of a link.
pub(super) fn pointer(link: &Option<Rc<Link>>) -> String {
    let mut segments = Vec::new();
    let mut at = link.as_ref();
    while let Some(link) = at {
        segments.push(match &link.segment {
            Segment::Key(key) => escape(key),
            Segment::Index(index) => index.to_string(),
        });
        at = link.parent.as_ref();
    }
    segments.iter().rev().fold(String::new(), |pointer, segment| pointer + "/" + segment)
}

/// `key` as a segment of a JSON pointer.
pub(super) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// How a text is written, as far as places inside it can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// On one line, without escapes, so many characters after the start of the scalar.
    Inline(u32),
    /// As a literal block, indented so far; its place is that of its first line that is not empty.
    Block(u32),
    /// In another way: only the whole text has a place.
    Otherwise,
}

/// A part of a document.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) data: Data,
    pub(super) place: Place,
    pub(super) link: Option<Rc<Link>>,
}

/// What a node holds.
#[derive(Debug)]
pub(super) enum Data {
    Null,
    Bool(bool),
    Number(Number),
    Text(String, Written),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key of a map.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: Rc<str>,
    pub(super) place: Place,
}

impl Node {
    /// What kind of value this is, for people.
    pub(super) fn kind(&self) -> &'static str {
        match self.data {
            Data::Null => "nothing",
            Data::Bool(_) => "true or false",
            Data::Number(_) => "a number",
            Data::Text(..) => "a text",
            Data::List(_) => "a list",
            Data::Map(_) => "a map",
        }
    }

    /// The place of `length` bytes at `offset` of this text.
    pub(super) fn inside(&self, offset: usize, length: usize) -> Place {
        let Data::Text(text, written) = &self.data else { return self.place };
        let Some(before) = text.get(..offset.min(text.len())) else { return self.place };
        let meant = text.get(offset..offset + length).unwrap_or("");
        // A range over several lines is shown by its first.
        let length = meant.lines().next().unwrap_or("").chars().count().max(1) as u32;
        match *written {
            Written::Inline(skip) if self.place.line > 0 => {
                let column = self.place.column + skip + before.chars().count() as u32;
                Place { line: self.place.line, column, length }
            }
            Written::Block(indent) if self.place.line > 0 => {
                let blank = text.len() - text.trim_start_matches('\n').len();
                let line = (self.place.line + before.matches('\n').count() as u32).saturating_sub(blank as u32).max(1);
                let column = indent + 1 + before.rsplit('\n').next().unwrap_or("").chars().count() as u32;
                Place { line, column, length }
            }
            _ => self.place,
        }
    }

    /// The node as JSON.
    pub(super) fn to_json(&self) -> Value {
        match &self.data {
            Data::Null => Value::Null,
            Data::Bool(b) => Value::Bool(*b),
            Data::Number(n) => Value::Number(n.clone()),
            Data::Text(text, _) => Value::String(text.clone()),
            Data::List(items) => Value::Array(items.iter().map(Node::to_json).collect()),
            Data::Map(entries) => {
                let entries = entries.iter().map(|(key, node)| (key.name.to_string(), node.to_json()));
                Value::Object(entries.collect::<Map<_, _>>())
            }
        }
    }

    /// The tree of a JSON value, without places.
    pub(super) fn from_json(value: &Value) -> Node {
        fn build(value: &Value, link: Option<Rc<Link>>) -> Node {
            let data = match value {
                Value::Null => Data::Null,
                Value::Bool(b) => Data::Bool(*b),
                Value::Number(n) => Data::Number(n.clone()),
                Value::String(s) => Data::Text(s.clone(), Written::Otherwise),
                Value::Array(items) => {
                    let below = |(i, v)| build(v, Link::below(&link, Segment::Index(i)));
                    Data::List(items.iter().enumerate().map(below).collect())
                }
                Value::Object(fields) => {
                    let below = |(key, v): (&String, &Value)| {
                        let name: Rc<str> = key.as_str().into();
                        let node = build(v, Link::below(&link, Segment::Key(name.clone())));
                        (Key { name, place: Place::default() }, node)
                    };
                    Data::Map(fields.iter().map(below).collect())
                }
            };
            Node { data, place: Place::default(), link }
        }
        build(value, None)
    }

    /// Puts a finding that only has a pointer to its place in the text. Where
    /// the text has no such part (it was left out), the nearest part around it is meant.
    pub(super) fn locate(&self, diagnostic: &mut Diagnostic) {
        if diagnostic.line > 0 {
            return;
        }
        let mut node = self;
        let mut place = self.first_place();
        let mut complete = true;
        for segment in diagnostic.pointer.split('/').skip(1) {
            let name = segment.replace("~1", "/").replace("~0", "~");
            let below = match &node.data {
                Data::List(items) => name.parse::<usize>().ok().and_then(|i| items.get(i)).map(|n| (n.place, n)),
                Data::Map(entries) => {
                    entries.iter().find(|(key, _)| *key.name == *name).map(|(key, node)| (key.place, node))
                }
                _ => None,
            };
            let Some((key, inner)) = below else {
                complete = false;
                break;
            };
            place = key;
            node = inner;
        }
        if complete && !diagnostic.on_key && !diagnostic.pointer.is_empty() {
            place = node.first_place();
        }
        (diagnostic.line, diagnostic.column, diagnostic.length) = (place.line, place.column, place.length);
    }

    /// The place of a scalar, or of the first key of a map.
    pub(super) fn first_place(&self) -> Place {
        match &self.data {
            Data::Map(entries) => entries.first().map_or(self.place, |(key, _)| key.place),
            _ => self.place,
        }
    }
}
