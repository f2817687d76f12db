//! The blueprint: the text of a bot, its types, parser, checks, printer and read-back.
//!
//! - [`types`] is what the engine works with.
//! - [`parse`] and [`print()`], [`from_json`] and [`to_json`]: text and JSON have the same shape.
//! - [`validate`] holds a blueprint against a catalogue; [`check`] parses and
//!   validates in one, with places in the text.
//! - [`explain`] reads it back in plain language.
//! - [`json_schema`] is for editors; [`digest`] names a version.
//!
//! Invariants: parsing never panics and uses memory bounded by its limits; all
//! mistakes are reported at once, each with its place; `parse(print(b)) == b`
//! and `from_json(to_json(b)) == b`. Nothing here runs an expression.

pub mod types;

mod diagnostic;
mod digest;
mod explain;
mod flow;
mod print;
mod read;
mod schema;
mod tree;
mod units;
mod validate;
mod write;
mod yaml;

use serde_json::Value;

use crate::catalogue::Catalogue;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use digest::digest;
pub use explain::{explain, explain_flow};
pub use flow::*;
pub use print::print;
pub use read::{MAX_STEPS, is_label};
pub use schema::json_schema;
pub use types::*;
pub use validate::validate;
pub use write::to_json;
pub use yaml::{MAX_DEPTH, MAX_NODES, MAX_TEXT};

use tree::Node;

/// The blueprint that `text` (YAML) describes.
///
/// ```
/// use codex32_core::blueprint;
/// let b = blueprint::parse("codex32: v1\nname: hello\nsteps:\n  - use: log.write\n    with: {message: hi}\n")?;
/// assert_eq!(b.name, "hello");
/// assert_eq!(blueprint::parse(&blueprint::print(&b))?, b);
/// # Ok::<(), blueprint::Diagnostics>(())
/// ```
///
/// # Errors
/// Everything that is wrong, with places.
pub fn parse(text: &str) -> Result<Blueprint, Diagnostics> {
    match read_text(text) {
        (_, Some(blueprint), found) if !found.has_errors() => Ok(blueprint),
        (_, _, found) => Err(found),
    }
}

/// [`parse`] and [`validate`] in one: the blueprint, where it can be used, and
/// all findings with their places in the text, warnings too.
///
/// ```
/// use codex32_core::{blueprint, catalogue::Catalogue};
/// let text = "codex32: v1\nname: hello\nsteps:\n  - use: http.gett\n    with: {url: /}\n";
/// let (usable, found) = blueprint::check(text, Catalogue::builtin());
/// assert!(usable.is_none());
/// assert_eq!(found.to_string(), "line 4, column 10: the connector `http` has no action `gett` (did you mean `http.get`?)");
/// ```
#[must_use]
pub fn check(text: &str, catalogue: &Catalogue) -> (Option<Blueprint>, Diagnostics) {
    let (root, blueprint, mut found) = read_text(text);
    let (Some(root), Some(blueprint)) = (root, blueprint) else { return (None, found) };
    let mut more = validate(&blueprint, catalogue);
    // Where a part could not be read, what is missing of it is no news.
    more.retain(|d| !found.iter().any(|known| overlap(&known.pointer, &d.pointer)));
    more.iter_mut().for_each(|d| root.locate(d));
    found.extend(more);
    found.sort();
    ((!found.has_errors()).then_some(blueprint), found)
}

/// Whether one pointer lies within the other. The root is not meant.
fn overlap(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    !short.is_empty() && long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The blueprint that a JSON value of the same shape describes.
///
/// # Errors
/// Everything that is wrong, with JSON pointers as places.
pub fn from_json(value: &Value) -> Result<Blueprint, Diagnostics> {
    let mut found = Diagnostics::new();
    if let Some(too_deep) = yaml::refuse_json(value) {
        found.push(too_deep);
        return Err(found);
    }
    let (blueprint, found) = read::blueprint(&Node::from_json(value));
    if found.has_errors() { Err(found) } else { Ok(blueprint) }
}

/// Gives every step that has no name of its own the id that the parser would
/// give it. For blueprints that are made by a program and not parsed.
pub fn number_steps(blueprint: &mut Blueprint) {
    read::assign_ids(&mut blueprint.steps);
}

/// The tree of `text` and its blueprint, as far as they can be read, and all findings.
fn read_text(text: &str) -> (Option<Node>, Option<Blueprint>, Diagnostics) {
    let (root, mut found) = yaml::read(text);
    let Some(root) = root else {
        if !found.has_errors() {
            found.push(Diagnostic::error("", "the blueprint is empty").hint("begin with `codex32: v1`"));
        }
        return (None, None, found);
    };
    let (blueprint, more) = read::blueprint(&root);
    found.extend(more);
    found.sort();
    (Some(root), Some(blueprint), found)
}

#[cfg(test)]
mod tests;
