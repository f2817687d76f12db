//! `xml`: XML text and values. Attributes are `@name`, text is `#text`.
//!
//! Document types are refused, so that there are no entities to expand; nesting is bounded.

use super::http::plain;
use crate::connector::input::{blocking, no_action, read};
use crate::connector::{ActionContext, Connector};
use crate::error::{Code, Error, Result};
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use quick_xml::{Reader, Writer};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::HashSet;

/// Deepest nesting of elements.
const MAX_DEPTH: usize = 100;

pub(super) struct Xml;

#[derive(Deserialize)]
struct Parse {
    text: String,
    lists: HashSet<String>,
}

#[derive(Deserialize)]
struct Format {
    value: Map<String, Value>,
    declaration: bool,
    pretty: bool,
}

#[async_trait::async_trait]
impl Connector for Xml {
    fn name(&self) -> &str {
        "xml"
    }

    async fn call(&self, action: &str, _cx: &ActionContext, input: Value) -> Result<Value> {
        match action {
            "parse" => {
                let input: Parse = read(input)?;
                blocking(move || Ok(json!({"value": parse(&input.text, &input.lists)?}))).await
            }
            "format" => {
                let input: Format = read(input)?;
                blocking(move || Ok(json!({"text": format(&input)?}))).await
            }
            _ => Err(no_action("xml", action)),
        }
    }
}

/// An element that is still open.
struct Open {
    name: String,
    members: Map<String, Value>,
    text: String,
}

fn parse(text: &str, lists: &HashSet<String>) -> Result<Value> {
    let mut reader = Reader::from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    let mut open: Vec<Open> = Vec::new();
    let mut root = Map::new();
    loop {
        let at = reader.buffer_position();
        let bad = |why: String| Error::new(Code::Failed, format!("the text is no XML at byte {at}: {why}"));
        match reader.read_event().map_err(|e| bad(e.to_string()))? {
            Event::Start(start) => {
                if open.len() >= MAX_DEPTH {
                    return Err(Error::new(
                        Code::TooLarge,
                        format!("the XML is nested deeper than {MAX_DEPTH} elements"),
                    ));
                }
                only_root(&open, &root).map_err(bad)?;
                open.push(begin(&start).map_err(bad)?);
            }
            Event::Empty(start) => {
                only_root(&open, &root).map_err(bad)?;
                let element = begin(&start).map_err(bad)?;
                close(element, open.last_mut().map_or(&mut root, |o| &mut o.members), lists);
            }
            Event::End(_) => {
                let Some(element) = open.pop() else { return Err(bad("an element ends that did not begin".into())) };
                close(element, open.last_mut().map_or(&mut root, |o| &mut o.members), lists);
            }
            Event::Text(piece) => push(&mut open, &piece.xml10_content()),
            Event::CData(piece) => push(&mut open, &piece.xml10_content()),
            Event::GeneralRef(reference) => {
                let name = reference.xml10_content();
                match reference.resolve_char_ref().map_err(|e| bad(e.to_string()))? {
                    Some(c) => push(&mut open, c.encode_utf8(&mut [0; 4])),
                    None => match quick_xml::escape::resolve_predefined_entity(&name) {
                        Some(text) => push(&mut open, text),
                        None => return Err(bad("it uses an entity of its own".into())),
                    },
                }
            }
            Event::DocType(_) => return Err(bad("document types are refused".into())),
            Event::Eof if open.is_empty() && !root.is_empty() => return Ok(Value::Object(root)),
            Event::Eof => return Err(bad("it ends too early".into())),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
        }
    }
}

fn only_root(open: &[Open], root: &Map<String, Value>) -> std::result::Result<(), String> {
    if open.is_empty() && !root.is_empty() { Err("there is a second root element".into()) } else { Ok(()) }
}

fn push(open: &mut [Open], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(text);
    }
}

fn begin(start: &BytesStart<'_>) -> std::result::Result<Open, String> {
    let mut members = Map::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|e| e.to_string())?;
        let value = attribute.normalized_value(quick_xml::XmlVersion::Implicit1_0).map_err(|e| e.to_string())?;
        members.insert(format!("@{}", attribute.key.as_ref()), value.into_owned().into());
    }
    Ok(Open { name: start.name().as_ref().to_owned(), members, text: String::new() })
}

/// Puts a finished element where it belongs; a second of its name makes a list.
fn close(element: Open, into: &mut Map<String, Value>, lists: &HashSet<String>) {
    let Open { name, mut members, text } = element;
    let text = text.trim();
    let value = if members.is_empty() {
        Value::from(text)
    } else {
        if !text.is_empty() {
            members.insert("#text".into(), text.into());
        }
        Value::Object(members)
    };
    match into.get_mut(&name) {
        Some(Value::Array(items)) => items.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
        None if lists.contains(&name) => drop(into.insert(name, Value::Array(vec![value]))),
        None => drop(into.insert(name, value)),
    }
}

fn format(input: &Format) -> Result<String> {
    let mut writer = match input.pretty {
        true => Writer::new_with_indent(Vec::new(), b' ', 2),
        false => Writer::new(Vec::new()),
    };
    let failed = |e: std::io::Error| Error::internal(format!("XML cannot be written: {e}"));
    if input.declaration {
        writer.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None))).map_err(failed)?;
    }
    let root = input.value.iter().next();
    let (name, value) = root.ok_or_else(|| Error::invalid("the value has no root element"))?;
    if value.is_array() {
        return Err(Error::invalid("the root element cannot be a list").at("/value", "must have one root element"));
    }
    element(&mut writer, name, value, 0)?;
    String::from_utf8(writer.into_inner()).map_err(|_| Error::internal("XML came out as something else than UTF-8"))
}

fn element(writer: &mut Writer<Vec<u8>>, name: &str, value: &Value, depth: usize) -> Result<()> {
    if depth >= MAX_DEPTH {
        return Err(Error::new(Code::TooLarge, format!("the value is nested deeper than {MAX_DEPTH} levels")));
    }
    check_name(name)?;
    let failed = |e: std::io::Error| Error::internal(format!("XML cannot be written: {e}"));
    let mut start = BytesStart::new(name);
    let empty = Map::new();
    let members = value.as_object().unwrap_or(&empty);
    for (key, value) in members {
        if let Some(attribute) = key.strip_prefix('@') {
            check_name(attribute)?;
            start.push_attribute((attribute, plain(value).as_str()));
        }
    }
    let text = if value.is_object() { value.get("#text").map(plain) } else { Some(plain(value)) };
    let text = text.filter(|t| !t.is_empty());
    let children: Vec<_> = members.iter().filter(|(key, _)| !key.starts_with('@') && *key != "#text").collect();
    if text.is_none() && children.is_empty() {
        return writer.write_event(Event::Empty(start)).map_err(failed);
    }
    writer.write_event(Event::Start(start)).map_err(failed)?;
    if let Some(text) = text {
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t' | '\r')) {
            return Err(Error::invalid(format!("the text of `{name}` holds a character that XML has not")));
        }
        writer.write_event(Event::Text(BytesText::new(&text))).map_err(failed)?;
    }
    for (key, value) in children {
        match value {
            Value::Array(items) => items.iter().try_for_each(|item| element(writer, key, item, depth + 1))?,
            other => element(writer, key, other, depth + 1)?,
        }
    }
    writer.write_event(Event::End(BytesEnd::new(name))).map_err(failed)
}

fn check_name(name: &str) -> Result<()> {
    let first = |c: char| c.is_alphabetic() || c == '_';
    let rest = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':');
    if name.starts_with(first) && name.chars().all(rest) {
        return Ok(());
    }
    Err(Error::invalid(format!("\"{name}\" is no name of an XML element or attribute")))
}
