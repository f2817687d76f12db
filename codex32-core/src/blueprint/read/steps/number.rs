//! Ids for steps that have none.

use std::collections::HashSet;

use crate::blueprint::types::{Step, StepKind};

/// Gives every step without a name its id: `step` and its number in the order
/// of the text, counting inner steps; with `_` behind it while a name is taken.
pub(in crate::blueprint) fn assign_ids(steps: &mut [Step]) {
    let mut taken = HashSet::new();
    visit(steps, &mut |step| {
        if step.named {
            taken.insert(step.id.clone());
        }
    });
    let mut number = 0;
    visit(steps, &mut |step| {
        number += 1;
        if !step.named {
            let mut id = format!("step{number}");
            while !taken.insert(id.clone()) {
                id.push('_');
            }
            step.id = id;
        }
    });
}

/// Calls `f` for each step, outer before inner, in the order of the text.
fn visit(steps: &mut [Step], f: &mut dyn FnMut(&mut Step)) {
    for step in steps {
        f(step);
        match &mut step.kind {
            StepKind::If { then, otherwise, .. } => {
                visit(then, f);
                visit(otherwise, f);
            }
            StepKind::Switch { cases, default, .. } => {
                cases.iter_mut().for_each(|case| visit(&mut case.steps, f));
                visit(default, f);
            }
            StepKind::Foreach { steps, .. } => visit(steps, f),
            StepKind::Parallel { branches } => branches.values_mut().for_each(|steps| visit(steps, f)),
            StepKind::Try { body, catch, finally } => {
                visit(body, f);
                visit(catch, f);
                visit(finally, f);
            }
            StepKind::Use { .. }
            | StepKind::Run { .. }
            | StepKind::Call { .. }
            | StepKind::Wait(_)
            | StepKind::Fail { .. }
            | StepKind::Continue { .. } => {}
        }
    }
}
