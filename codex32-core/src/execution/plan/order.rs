//! Which steps come before which: what a retry from a chosen step may take over.

use super::{BlockId, CompiledBlueprint, Kind, NodeId};
use std::collections::BTreeMap;

/// A place in the tree of a path: which child of which container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// The n-th step of a list.
    Step(usize),
    /// Beside others that run at the same time: a branch or a round.
    Beside(String),
    /// A part of a `try` (0 body, 1 catch, 2 finally), or the one way that was taken.
    Part(usize),
}

/// The places from the root down to `path`, or `None` where the blueprint has no such path.
fn places(plan: &CompiledBlueprint, path: &str) -> Option<Vec<Place>> {
    walk(plan, path).map(|(places, _)| places)
}

/// The same, with the step that the path ends at.
fn walk(plan: &CompiledBlueprint, path: &str) -> Option<(Vec<Place>, Option<NodeId>)> {
    let mut places = Vec::new();
    let mut block = Some(plan.root());
    let mut node: Option<NodeId> = None;
    for segment in path.split('/') {
        if let Some(within) = block.take() {
            let (id, inner) = split(segment);
            let position = plan.block(within).iter().position(|n| plan.node(*n).id == id)?;
            let found = *plan.block(within).get(position)?;
            places.push(Place::Step(position));
            if let Some(inner) = inner {
                block = Some(beside(plan, found, inner)?);
                places.push(Place::Beside(inner.to_owned()));
            }
            node = Some(found);
        } else {
            let (part, inside) = part(plan, node?, segment)?;
            places.push(Place::Part(part));
            block = inside;
            node = node.filter(|_| inside.is_none());
        }
    }
    Some((places, node.filter(|_| block.is_none())))
}

/// Whether the step at `path` has an `undo`.
pub(super) fn undoable(plan: &CompiledBlueprint, path: &str) -> bool {
    walk(plan, path).and_then(|(_, node)| node).is_some_and(|node| plan.node(node).undo.is_some())
}

/// `each[3]` and `par.a` are a step and what is beside others in it; `id~2` is a later attempt of `id`.
fn split(segment: &str) -> (&str, Option<&str>) {
    let end = segment.find(['[', '.', '~']).unwrap_or(segment.len());
    let id = &segment[..end];
    let inner = segment.find(['[', '.']).map(|at| &segment[at..]);
    (id, inner)
}

fn beside(plan: &CompiledBlueprint, node: NodeId, inner: &str) -> Option<BlockId> {
    match &plan.node(node).kind {
        Kind::Foreach { body, .. } => inner.starts_with('[').then_some(*body),
        Kind::Parallel { branches } => {
            let name = inner.strip_prefix('.')?;
            branches.iter().find(|(branch, _)| branch == name).map(|(_, block)| *block)
        }
        _ => None,
    }
}

fn part(plan: &CompiledBlueprint, node: NodeId, segment: &str) -> Option<(usize, Option<BlockId>)> {
    match (&plan.node(node).kind, segment) {
        (Kind::If { then, .. }, "then") => Some((0, Some(*then))),
        (Kind::If { otherwise, .. }, "else") => Some((0, Some(*otherwise))),
        (Kind::Switch { default, .. }, "default") => Some((0, Some(*default))),
        (Kind::Switch { cases, .. }, case) => {
            let number: usize = case.strip_prefix("case")?.parse().ok()?;
            cases.get(number).map(|(_, block)| (0, Some(*block)))
        }
        (Kind::Try { body, .. }, "body") => Some((0, Some(*body))),
        (Kind::Try { catch, .. }, "catch") => catch.map(|block| (1, Some(block))),
        (Kind::Try { finally, .. }, "finally") => finally.map(|block| (2, Some(block))),
        (Kind::Approval(approval), "ask") if approval.ask.is_some() => Some((0, None)),
        _ => None,
    }
}

pub(super) fn find(plan: &CompiledBlueprint, path: &str) -> Option<()> {
    places(plan, path).map(|_| ())
}

/// Steps from which on everything is done again.
#[derive(Debug)]
pub(crate) struct Redo<'p> {
    plan: &'p CompiledBlueprint,
    from: Branch,
}

/// The places of those steps, as a tree.
#[derive(Debug, Default)]
struct Branch {
    /// One of them stands here.
    ends: bool,
    below: BTreeMap<Place, Branch>,
}

impl<'p> Redo<'p> {
    /// Nothing is done again yet.
    pub(crate) fn new(plan: &'p CompiledBlueprint) -> Redo<'p> {
        Redo { plan, from: Branch::default() }
    }

    /// Everything from the step at `path` on is done again.
    pub(crate) fn add(&mut self, path: &str) {
        let places = places(self.plan, path).unwrap_or_default();
        let mut at = &mut self.from;
        for place in places {
            at = at.below.entry(place).or_default();
        }
        at.ends = true;
    }

    /// Whether what happened at `path` stays true beside that. In a time that does not
    /// grow with the number of steps that are done again.
    pub(crate) fn stays(&self, path: &str) -> bool {
        let Some(places) = places(self.plan, path) else { return false };
        let mut at = &self.from;
        for place in &places {
            if at.ends {
                return false;
            }
            // What runs beside it does not depend on it.
            let beside = matches!(place, Place::Beside(_));
            if !beside && at.below.first_key_value().is_some_and(|(first, _)| first < place) {
                return false;
            }
            match at.below.get(place) {
                Some(next) => at = next,
                None => return true,
            }
        }
        // One lies within the other, or they are the same.
        !at.ends && at.below.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::execution::tests::blueprints::{self, step};
    use indexmap::IndexMap;

    #[test]
    fn earlier_steps_and_siblings_are_before() {
        let parallel = blueprints::parallel(
            "par",
            IndexMap::from([("a".to_owned(), vec![step("x"), step("y")]), ("b".to_owned(), vec![step("z")])]),
        );
        let steps = vec![
            step("one"),
            parallel,
            blueprints::attempt("t", vec![step("b1"), step("b2")], vec![step("c1")], vec![step("f1")]),
            blueprints::foreach("each", "input.items", 2, vec![step("r1"), step("r2")]),
            step("last"),
        ];
        let plan = CompiledBlueprint::compile(&blueprints::bot(steps)).unwrap();
        let before = |path: &str, from: &str| {
            let mut redo = Redo::new(&plan);
            redo.add(from);
            redo.stays(path)
        };
        assert!(before("one", "par.a/x"));
        assert!(!before("par.a/x", "one"));
        assert!(!before("one", "one"));
        assert!(before("par.a/x", "par.a/y"));
        assert!(before("par.b/z", "par.a/x"), "a branch beside it");
        assert!(!before("par.a/x", "par"), "a part of it");
        assert!(before("t/body/b1", "t/catch/c1"));
        assert!(!before("t/finally/f1", "t/body/b2"));
        assert!(before("each[1]/r2", "each[0]/r1"), "a round beside it");
        assert!(!before("each[0]/r2", "each[0]/r1"));
        assert!(!before("last", "each[0]/r1"));
        assert!(!before("nowhere", "last"));
    }

    #[test]
    fn what_stays_is_before_all_that_is_done_again() {
        let steps = vec![
            step("one"),
            blueprints::foreach("each", "input.items", 2, vec![step("r1"), step("r2")]),
            step("last"),
        ];
        let plan = CompiledBlueprint::compile(&blueprints::bot(steps)).unwrap();
        let mut redo = Redo::new(&plan);
        assert!(redo.stays("one") && redo.stays("last"), "nothing is done again");
        redo.add("last");
        assert!(redo.stays("each[7]/r2") && !redo.stays("last"));
        redo.add("each[3]/r2");
        assert!(redo.stays("each[3]/r1") && redo.stays("each[4]/r2") && redo.stays("one"));
        assert!(!redo.stays("each[3]/r2") && !redo.stays("each"));
        redo.add("one");
        assert!(!redo.stays("each[4]/r2"));
    }

    #[test]
    fn an_undo_is_told_from_a_step_of_that_name() {
        let undone = blueprints::undone(step("a"), step("x"));
        let steps = vec![undone, blueprints::branch("i", "true", vec![step("undo")], vec![]), step("plain")];
        let plan = CompiledBlueprint::compile(&blueprints::bot(steps)).unwrap();
        assert_eq!(plan.undone_by("a/undo"), Some("a"));
        for other in ["i/then/undo", "plain/undo", "a", "undo", "a/undo/undo"] {
            assert_eq!(plan.undone_by(other), None, "{other}");
        }
        assert!(!plan.has_path("a/undo"));
    }
}
