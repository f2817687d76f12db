//! From a tree to a [`Blueprint`], collecting every mistake on the way.
//!
//! A reader never stops at a mistake: it reports it, puts a harmless value in
//! its place and goes on. The blueprint is only handed out where nothing was reported.

mod expressions;
mod fields;
mod flow;
mod header;
mod steps;
mod triggers;

use std::str::FromStr;

use serde_json::{Map, Value};

use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use super::tree::{Data, Node, Place, pointer};
use super::types::{Blueprint, Bytes, Span};
use super::yaml::MAX_FINDINGS;
use crate::expr::suggest;
use expressions::Known;
use fields::Fields;

pub use header::is_label;
pub(super) use header::{FORMAT, MAX_KEPT};
pub use steps::MAX_STEPS;
pub(super) use steps::{REMINDERS, assign_ids};
pub(super) use triggers::POLL_EVERY;

/// The blueprint of a tree and what is wrong with it. The blueprint is complete
/// only where there is no error.
pub(super) fn blueprint(root: &Node) -> (Blueprint, Diagnostics) {
    let mut reader = Reader::default();
    let blueprint = reader.blueprint(root);
    reader.report_cycles();
    (blueprint, reader.found)
}

/// What is read and found so far.
#[derive(Debug, Default)]
struct Reader {
    found: Diagnostics,
    known: Known,
}

impl Reader {
    /// Reports at `node`.
    fn error(&mut self, node: &Node, message: impl Into<String>, hint: impl Into<Option<String>>) {
        self.report(
            Diagnostic { hint: hint.into(), ..Diagnostic::error(pointer(&node.link), message) },
            node.first_place(),
        );
    }

    /// Reports at `place`, unless too much is reported already.
    fn report(&mut self, mut diagnostic: Diagnostic, place: Place) {
        (diagnostic.line, diagnostic.column, diagnostic.length) = (place.line, place.column, place.length);
        if self.found.len() < MAX_FINDINGS || (diagnostic.severity == Severity::Error && !self.found.has_errors()) {
            self.found.push(diagnostic);
        }
    }

    /// Reports that `node` is not `wanted`.
    fn wrong(&mut self, node: &Node, wanted: &str, hint: impl Into<Option<String>>) {
        self.error(node, format!("{wanted} is expected here, not {}", node.kind()), hint);
    }

    /// Whether so much is reported already that looking further is idle.
    fn is_full(&self) -> bool {
        self.found.len() + self.known.early.len() >= MAX_FINDINGS && self.found.has_errors()
    }

    fn fields<'n>(&mut self, node: &'n Node, what: &'static str, known: &'static [&'static str]) -> Option<Fields<'n>> {
        match &node.data {
            Data::Map(entries) => {
                self.unknown_keys(node, entries, what, known);
                Some(Fields { entries })
            }
            _ => {
                self.wrong(node, &format!("a map with the keys of {what}"), None);
                None
            }
        }
    }

    fn unknown_keys(&mut self, node: &Node, entries: &[(super::tree::Key, Node)], what: &str, known: &[&str]) {
        for (key, value) in entries {
            if known.contains(&&*key.name) || self.is_full() {
                continue;
            }
            let message = format!("{what} has no key `{}`", key.name);
            let hint = match suggest(&key.name, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("its keys are {}", listing(known)),
            };
            let link = if value.link.is_some() { &value.link } else { &node.link };
            self.report(Diagnostic::error(pointer(link), message).on_key().hint(hint), key.place);
        }
    }

    /// A text. Numbers and truth values are not taken for texts, with a hint to quote them.
    fn text(&mut self, node: &Node, what: &str) -> Option<String> {
        match &node.data {
            Data::Text(text, _) => Some(text.clone()),
            Data::Number(_) | Data::Bool(_) => {
                self.wrong(node, what, Some("put it in quotes to make it a text".to_owned()));
                None
            }
            _ => {
                self.wrong(node, what, None);
                None
            }
        }
    }

    /// A text that is not empty.
    fn filled(&mut self, node: &Node, what: &str) -> Option<String> {
        let text = self.text(node, what)?;
        if text.trim().is_empty() {
            self.error(node, format!("{what} must not be empty"), None);
            return None;
        }
        Some(text)
    }

    fn boolean(&mut self, node: &Node) -> Option<bool> {
        match node.data {
            Data::Bool(value) => Some(value),
            _ => {
                self.wrong(node, "`true` or `false`", None);
                None
            }
        }
    }

    fn count(&mut self, node: &Node, least: u32, most: u32) -> Option<u32> {
        let number = match &node.data {
            Data::Number(n) => n.as_u64().and_then(|n| u32::try_from(n).ok()),
            _ => {
                self.wrong(node, "a whole number", None);
                return None;
            }
        };
        match number {
            Some(n) if (least..=most).contains(&n) => Some(n),
            _ => {
                self.error(node, format!("the number must be from {least} to {most}"), None);
                None
            }
        }
    }

    fn fraction(&mut self, node: &Node) -> Option<f64> {
        match &node.data {
            Data::Number(n) if n.as_f64().is_some_and(|n| (0.0..=1.0).contains(&n)) => n.as_f64(),
            Data::Number(_) => {
                self.error(node, "the number must be from 0 to 1", None);
                None
            }
            _ => {
                self.wrong(node, "a number from 0 to 1", None);
                None
            }
        }
    }

    fn parsed<T: FromStr<Err = String>>(&mut self, node: &Node, what: &str) -> Option<T> {
        let text = match &node.data {
            Data::Text(text, _) => text.clone(),
            Data::Number(n) => n.to_string(),
            _ => {
                self.wrong(node, what, None);
                return None;
            }
        };
        match text.parse() {
            Ok(value) => Some(value),
            Err(message) => {
                self.error(node, message, None);
                None
            }
        }
    }

    fn span(&mut self, node: &Node) -> Option<Span> {
        self.parsed(node, "a length of time, such as `5m`,")
    }

    /// A length of time that is not zero.
    fn positive_span(&mut self, node: &Node) -> Option<Span> {
        let span = self.span(node)?;
        if span.0 == 0 {
            self.error(node, "the time must be longer than nothing", None);
            return None;
        }
        Some(span)
    }

    fn bytes(&mut self, node: &Node) -> Option<Bytes> {
        self.parsed(node, "a size, such as `256MiB`,")
    }

    /// One of several words.
    fn choice<T: Copy>(&mut self, node: &Node, choices: &[(&str, T)]) -> Option<T> {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let Data::Text(text, _) = &node.data else {
            self.wrong(node, &format!("one of {}", listing(&names)), None);
            return None;
        };
        let found = choices.iter().find(|(name, _)| name == text).map(|(_, value)| *value);
        if found.is_none() {
            let hint = match suggest(text, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("it is one of {}", listing(&names)),
            };
            self.error(node, format!("`{}` is not possible here", shortened(text)), Some(hint));
        }
        found
    }

    /// The items of a list.
    fn items<'n>(&mut self, node: &'n Node, what: &str) -> &'n [Node] {
        match &node.data {
            Data::List(items) => items,
            Data::Null => &[],
            _ => {
                self.wrong(node, what, Some("begin each item with `- `".to_owned()));
                &[]
            }
        }
    }

    /// A list of texts.
    fn texts(&mut self, node: &Node, what: &str) -> Vec<String> {
        let items = self.items(node, what);
        items.iter().filter_map(|item| self.filled(item, "a text")).collect()
    }

    /// The name of a bot.
    fn bot_name(&mut self, node: &Node) -> Option<String> {
        let text = self.text(node, "the name of a bot")?;
        if is_bot_name(&text) {
            return Some(text);
        }
        let message = "a bot's name is made of lower case letters, digits and hyphens, 1 to 63 of them";
        let slug = slug(&text);
        self.error(node, message, (slug != text && !slug.is_empty()).then(|| format!("write `{slug}`")));
        None
    }

    /// `connector.action`.
    fn dotted(&mut self, node: &Node, example: &str) -> Option<String> {
        let text = self.text(node, &format!("a name such as `{example}`"))?;
        let word = |w: &str| !w.is_empty() && w.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        let parts: Vec<&str> = text.split('.').collect();
        if parts.len() >= 2 && text.len() <= 128 && parts.iter().all(|part| word(part)) {
            return Some(text);
        }
        let message = format!("`{}` is not of the form `connector.name`", shortened(&text));
        self.error(node, message, Some(format!("for example `{example}`")));
        None
    }

    /// An input: a map, or one template that gives a map.
    fn input(&mut self, node: &Node) -> Value {
        match &node.data {
            Data::Null => Value::Object(Map::new()),
            Data::Map(_) => node.to_json(),
            Data::Text(text, _) if text.starts_with("{{") && text.ends_with("}}") => node.to_json(),
            _ => {
                self.wrong(node, "a map of inputs", Some("write `name: value` for each".to_owned()));
                Value::Object(Map::new())
            }
        }
    }
}

/// Whether `name` can be the name of a bot.
pub(super) fn is_bot_name(name: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    name.len() <= 63
        && edge(name.chars().next())
        && edge(name.chars().next_back())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// `text` made into the name of a bot, as far as possible.
fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.to_lowercase().chars() {
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            slug.push(c);
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
        if slug.len() >= 63 {
            break;
        }
    }
    slug.trim_end_matches('-').to_owned()
}

/// `text` cut to a length that fits a message.
fn shortened(text: &str) -> String {
    if text.chars().count() <= 60 { text.to_owned() } else { text.chars().take(60).chain(['…']).collect() }
}

/// `a`, `b` and `c`.
fn listing(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
