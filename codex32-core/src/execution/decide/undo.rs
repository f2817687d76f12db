//! Taking back what was done: `undo`.
//!
//! A step that succeeds and has an `undo` is remembered with what its `undo` reads. Where
//! the execution does not succeed, all of them are undone once everything else (`finally`,
//! too) is over; where a `try` catches a failure, those of its body are undone before
//! `catch`. One after the other, the last success first.

use super::super::entry::{Failure, NotUndone, Purpose, Shared};
use super::super::plan::NodeId;
use super::agenda::Task;
use super::frame::{Frame, FrameId, FrameKind, Part, Rollback, Todo};
use super::tree::join;
use super::{Finish, State, UNDO_BOUND};
use crate::clock::Millis;
use crate::error::{Code, Error};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Steps that could not be undone which are named.
const MAX_NAMED: usize = 20;

/// A step that succeeded and can be undone.
#[derive(Debug, Clone)]
pub(super) struct Undoable {
    path: Arc<str>,
    /// The step that undoes it.
    node: NodeId,
    /// Which success it was.
    number: u64,
    /// The attempt to begin with: not the first where an earlier one was cut short.
    attempt: u32,
    /// What its expressions read.
    steps: BTreeMap<String, Shared>,
    variables: Vec<(String, Shared)>,
}

/// An execution whose steps are undone before it ends.
#[derive(Debug)]
pub(super) struct Undoing {
    pub(super) finish: Finish,
    /// When what is left stays as it is.
    pub(super) due: Option<Millis>,
    /// Whether it is written that it does so.
    pub(super) begun: bool,
    /// Whether it was cancelled: the next cancellation ends it.
    cancelled: bool,
}

/// Steps that could not be undone: the first by name, all by number.
#[derive(Debug, Clone, Default)]
pub(super) struct NotUndoneSteps {
    pub(super) named: Vec<NotUndone>,
    count: usize,
}

impl NotUndoneSteps {
    fn add(&mut self, one: NotUndone) {
        self.count += 1;
        if self.named.len() < MAX_NAMED {
            self.named.push(one);
        }
    }
}

impl State {
    /// Remembers how a step is undone that has succeeded.
    pub(super) fn remember(&mut self, id: FrameId, output: &Shared) {
        let Some(frame) = self.frames.get(&id) else { return };
        let Some(step) = frame.step() else { return };
        let Some(node) = self.plan.node(step.node).undo else { return };
        let Some(needs) = self.plan.node(node).kind.needs() else { return };
        let path = frame.path.clone();
        let (steps, mut variables) = self.seen(id, &needs);
        variables.retain(|(name, _)| name != "result");
        variables.push(("result".to_owned(), output.clone()));
        self.successes += 1;
        let number = self.successes;
        self.undoable.insert(path.clone(), Undoable { path, node, number, attempt: 1, steps, variables });
    }

    /// Whether anything inside the body of a `try` can be undone.
    pub(super) fn can_undo_body(&self, id: FrameId) -> bool {
        let prefix = format!("{}/body/", self.base(id));
        let mut below =
            self.undoable.range::<str, _>((std::ops::Bound::Included(&*prefix), std::ops::Bound::Unbounded));
        below.next().is_some_and(|(path, _)| path.starts_with(&prefix))
    }

    /// It is written that the body of a `try` is undone.
    pub(super) fn apply_undoing(&mut self, id: FrameId) {
        let undoes = matches!(self.parts(id), Some((Part::Undoing, ..)));
        let Some(step) = self.frames.get_mut(&id).and_then(Frame::step_mut) else { return };
        if !undoes || !matches!(step.todo, Some(Todo::Undo { .. })) {
            return;
        }
        step.todo = None;
        let base = self.base(id);
        let prefix = format!("{base}/body/");
        let from = (std::ops::Bound::Included(&*prefix), std::ops::Bound::Unbounded);
        let below = self.undoable.range::<str, _>(from).map(|(path, _)| path.clone());
        let paths: Vec<Arc<str>> = below.take_while(|path| path.starts_with(&prefix)).collect();
        let left = paths.iter().filter_map(|path| self.undoable.remove(path)).collect();
        self.roll_back(Some(id), base, left);
    }

    /// It is written that the execution is undone.
    pub(super) fn apply_undoing_all(&mut self, due: Option<Millis>) {
        let Some(undoing) = self.undoing.as_mut().filter(|undoing| !undoing.begun) else { return };
        undoing.begun = true;
        if let Some(due) = due {
            self.timers.insert((due, 0, Purpose::Bound));
        }
        let left = std::mem::take(&mut self.undoable).into_values().collect();
        self.root = Some(self.roll_back(None, String::new(), left));
    }

    fn roll_back(&mut self, parent: Option<FrameId>, path: String, mut left: Vec<Undoable>) -> FrameId {
        left.sort_unstable_by_key(|undoable| undoable.number);
        let rollback = Rollback { left, current: None, failed: NotUndoneSteps::default() };
        let id = self.insert(parent, 0, path.into(), FrameKind::Rollback(Box::new(rollback)), Vec::new());
        self.agenda.push_back(Task::Undo(id));
        id
    }

    /// Undoes the next step of a rollback, or ends it.
    pub(super) fn undo_next(&mut self, id: FrameId) {
        let Some(frame) = self.frames.get_mut(&id) else { return };
        let FrameKind::Rollback(rollback) = &mut frame.kind else { return };
        let Some(undoable) = rollback.left.pop() else {
            frame.steps = BTreeMap::new();
            return self.agenda.push_back(Task::Done(id, Ok(State::null())));
        };
        let (path, node, attempt) = (join(&undoable.path, "undo"), undoable.node, undoable.attempt);
        frame.steps = undoable.steps.clone();
        frame.variables = undoable.variables.clone();
        rollback.current = Some(undoable);
        let step = self.open_step(id, path, node);
        if let Some(step) = self.frames.get_mut(&step).and_then(Frame::step_mut) {
            step.attempt = attempt;
        }
    }

    /// The `undo` of the present step of a rollback has ended.
    pub(super) fn undo_done(&mut self, id: FrameId, failure: Option<Failure>) {
        let Some(frame) = self.frames.get_mut(&id) else { return };
        let FrameKind::Rollback(rollback) = &mut frame.kind else { return };
        let undone = rollback.current.take();
        if let (Some(undone), Some(failure)) = (undone, failure) {
            let one = NotUndone { step: undone.path.to_string(), code: failure.code, message: failure.message };
            rollback.failed.add(one.clone());
            self.not_undone.add(one);
        }
        self.agenda.push_back(Task::Undo(id));
    }

    /// Remembers again what a rollback that is closed has not undone. `attempt` is that of
    /// the present one.
    pub(super) fn remember_again(&mut self, rollback: &mut Rollback, attempt: Option<u32>) {
        let current = rollback.current.take().map(|mut undoable| {
            // An attempt that was cut short may have begun: the next has a number of its own.
            undoable.attempt = attempt.unwrap_or(undoable.attempt) + 1;
            undoable
        });
        for undoable in rollback.left.drain(..).chain(current) {
            self.undoable.insert(undoable.path.clone(), undoable);
        }
    }

    /// All steps are over. Where something is to be undone, that comes before the end.
    pub(super) fn end_with(&mut self, finish: Finish) {
        if finish.error.is_none() || self.undoable.is_empty() {
            return self.set_result(finish);
        }
        let bounded = self.ending.is_some();
        let cancelled = finish.error.as_ref().is_some_and(|failure| failure.code == Code::Cancelled);
        self.result = None;
        self.undoing = Some(Undoing {
            finish,
            due: bounded.then(|| self.now.saturating_add(UNDO_BOUND)),
            begun: false,
            cancelled: bounded && cancelled,
        });
    }

    /// Everything that can be undone is.
    pub(super) fn undone(&mut self) {
        self.timers.clear();
        if let Some(undoing) = self.undoing.take() {
            self.set_result(undoing.finish);
        }
    }

    /// A cancellation while it is undone: the time for that is bounded from now on; a second
    /// one ends it.
    pub(super) fn cancel_undoing(&mut self) {
        let Some(undoing) = &mut self.undoing else { return };
        if undoing.cancelled {
            return self.stop_undoing(Code::Cancelled, "the execution was cancelled again before it was undone");
        }
        undoing.cancelled = true;
        let due = *undoing.due.get_or_insert(self.now.saturating_add(UNDO_BOUND));
        if undoing.begun {
            self.timers.insert((due, 0, Purpose::Bound));
        }
    }

    /// What is not undone by now stays.
    pub(super) fn stop_undoing(&mut self, code: Code, why: &str) {
        if let Some(root) = self.root {
            self.close(root);
        }
        self.give_up_undoing(code, why);
        self.undone();
    }

    /// Nothing is undone any more.
    pub(super) fn give_up_undoing(&mut self, code: Code, why: &str) {
        let mut left: Vec<Undoable> = std::mem::take(&mut self.undoable).into_values().collect();
        left.sort_unstable_by_key(|undoable| std::cmp::Reverse(undoable.number));
        for undoable in left {
            let step = undoable.path.to_string();
            self.not_undone.add(NotUndone { step, code, message: Error::new(code, why).message().to_owned() });
        }
    }

    fn set_result(&mut self, mut finish: Finish) {
        if let Some(error) = finish.error.as_mut().filter(|_| self.not_undone.count > 0) {
            error.not_undone = self.not_undone.named.clone();
            let many = match self.not_undone.count {
                1 => "1 step".to_owned(),
                n => format!("{n} steps"),
            };
            error.message = format!("{}; {many} could not be undone", error.message);
        }
        self.result = Some(finish);
    }
}
