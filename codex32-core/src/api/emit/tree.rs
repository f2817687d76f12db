//! The operations by group, for clients that offer `engine.group.verb(...)`.

use crate::api::operation::Surface;
use crate::api::shape::{Field, Shape, Shapes};
use std::collections::BTreeMap;

/// A group: operations of its own, and groups within.
#[derive(Default)]
pub(super) struct Group<'a> {
    pub(super) operations: Vec<(&'static str, &'a Shape)>,
    pub(super) groups: BTreeMap<&'static str, Group<'a>>,
}

impl<'a> Group<'a> {
    /// The groups of what is offered on `surface`.
    pub(super) fn of(shapes: &'a Shapes, surface: Surface) -> Group<'a> {
        let mut root = Group::default();
        for shape in shapes.operations.iter().filter(|shape| shape.meta.offered_on(surface)) {
            let parts: Vec<&'static str> = shape.meta.name.split('.').collect();
            let Some((verb, path)) = parts.split_last() else { continue };
            let mut group = &mut root;
            for part in path {
                group = group.groups.entry(part).or_default();
            }
            group.operations.push((verb, shape));
        }
        root
    }

    /// Calls `f` for every group below with its path, inner ones first.
    pub(super) fn walk(&self, path: &mut Vec<&'static str>, f: &mut impl FnMut(&[&'static str], &Group<'a>)) {
        for (name, group) in &self.groups {
            path.push(name);
            group.walk(path, f);
            f(path, group);
            path.pop();
        }
    }
}

/// `auth.tokens` as `AuthTokens`.
pub(super) fn class(path: &[&str]) -> String {
    path.iter().flat_map(|part| part.split('_')).map(capital).collect()
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().collect::<String>() + letters.as_str()).unwrap_or_default()
}

/// The fields as parameters: those that may be given by place first, then by name only.
pub(super) fn parameters(shape: &Shape) -> (Vec<&Field>, Vec<&Field>) {
    let fields = shape.meta.path_fields();
    let first: Vec<&str> = if shape.meta.positional.is_empty() { fields } else { shape.meta.positional.to_vec() };
    let mut placed: Vec<&Field> =
        first.iter().filter_map(|name| shape.input.iter().find(|field| field.name == *name)).collect();
    placed.extend(shape.input.iter().filter(|f| f.required && !first.contains(&f.name.as_str())));
    // A parameter that may be left out cannot stand before one that may not.
    placed.sort_by_key(|field| !field.required);
    let named = shape.input.iter().filter(|f| !placed.iter().any(|p| p.name == f.name)).collect();
    (placed, named)
}

/// Names that the engine object of a language has for itself.
const LIFECYCLE: [&str; 5] = ["open", "start", "stop", "close", "action"];

/// The shortcuts: operations with an alias, as methods of the engine itself.
pub(super) fn shortcuts(shapes: &Shapes, surface: Surface) -> Vec<(&'static str, &Shape)> {
    let offered = shapes.operations.iter().filter(|shape| shape.meta.offered_on(surface));
    let aliased = offered.filter_map(|shape| shape.meta.alias.map(|alias| (alias, shape)));
    aliased.filter(|(alias, _)| !LIFECYCLE.contains(alias)).collect()
}
