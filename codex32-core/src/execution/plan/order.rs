//! Which steps come before which: what a retry from a chosen step may take over.

use super::{BlockId, CompiledBlueprint, Kind, NodeId};

/// A place in the tree of a path: which child of which container.
#[derive(Debug, Clone, PartialEq, Eq)]
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
        }
    }
    Some(places)
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
        (Kind::Approval { ask: Some(_), .. }, "ask") => Some((0, None)),
        _ => None,
    }
}

pub(super) fn find(plan: &CompiledBlueprint, path: &str) -> Option<()> {
    places(plan, path).map(|_| ())
}

/// Whether what happened at `path` stays true when everything from `from` on is done again.
pub(crate) fn is_before(plan: &CompiledBlueprint, path: &str, from: &str) -> bool {
    let (Some(path), Some(from)) = (places(plan, path), places(plan, from)) else { return false };
    for (mine, theirs) in path.iter().zip(&from) {
        match (mine, theirs) {
            (a, b) if a == b => {}
            (Place::Step(a), Place::Step(b)) | (Place::Part(a), Place::Part(b)) => return a < b,
            // What runs beside it does not depend on it.
            (Place::Beside(_), Place::Beside(_)) => return true,
            _ => return false,
        }
    }
    // One lies within the other, or they are the same.
    false
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
        let before = |path: &str, from: &str| is_before(&plan, path, from);
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
}
