//! Opening and closing frames.

use super::super::entry::{Purpose, Shared};
use super::super::plan::{BlockId, NodeId};
use super::agenda::Task;
use super::command::Effect;
use super::frame::{Frame, FrameId, FrameKind, Phase, StepFrame};
use super::{Event, State};
use crate::clock::Millis;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl State {
    /// Opens a list of steps below `parent`.
    pub(super) fn open_block(
        &mut self,
        parent: Option<FrameId>,
        slot: usize,
        path: String,
        block: BlockId,
        variables: Vec<(String, Shared)>,
    ) -> FrameId {
        let kind = FrameKind::Block { block, next: 0, last: Arc::new(Value::Null) };
        let id = self.insert(parent, slot, path.into(), kind, variables);
        self.agenda.push_back(Task::Advance(id));
        id
    }

    /// Opens a step below `parent`.
    pub(super) fn open_step(&mut self, parent: FrameId, path: String, node: NodeId) -> FrameId {
        self.open_step_in(parent, 0, path, node)
    }

    /// Opens a step as child number `slot` of `parent`.
    pub(super) fn open_step_in(&mut self, parent: FrameId, slot: usize, path: String, node: NodeId) -> FrameId {
        let path: Arc<str> = path.into();
        let step = StepFrame { node, attempt: 1, todo: None, phase: Phase::New, timers: Vec::new() };
        let id = self.insert(Some(parent), slot, path.clone(), FrameKind::Step(Box::new(step)), Vec::new());
        self.by_path.insert(path, id);
        self.agenda.push_back(Task::Begin(id));
        id
    }

    pub(super) fn insert(
        &mut self,
        parent: Option<FrameId>,
        slot: usize,
        path: Arc<str>,
        kind: FrameKind,
        variables: Vec<(String, Shared)>,
    ) -> FrameId {
        let id = self.next_frame;
        self.next_frame += 1;
        if let Some(parent) = parent.and_then(|parent| self.frames.get_mut(&parent)) {
            parent.children.insert(id);
        }
        let frame = Frame {
            parent,
            slot,
            path,
            steps: BTreeMap::new(),
            variables,
            children: BTreeSet::new(),
            unwinding: None,
            kind,
        };
        self.frames.insert(id, frame);
        id
    }

    /// Takes a frame and what is open below it out of the tree. What ran there is not wanted any more.
    pub(super) fn close(&mut self, id: FrameId) -> Option<Frame> {
        let mut frame = self.frames.remove(&id)?;
        let mut attempt = None;
        for child in &frame.children {
            let child = self.close(*child);
            attempt = child.as_ref().and_then(Frame::step).map(|step| step.attempt);
        }
        if let FrameKind::Rollback(rollback) = &mut frame.kind {
            self.remember_again(rollback, attempt);
        }
        if let Some(parent) = frame.parent.and_then(|parent| self.frames.get_mut(&parent)) {
            parent.children.remove(&id);
        }
        if let Some(step) = frame.step() {
            if self.by_path.get(&frame.path) == Some(&id) {
                self.by_path.remove(&frame.path);
            }
            for (due, purpose) in &step.timers {
                self.timers.remove(&(*due, id, *purpose));
            }
            self.abandon(id, &frame.path, step);
        }
        Some(frame)
    }

    /// Notes what has to end outside because this step is closed.
    fn abandon(&mut self, id: FrameId, path: &str, step: &StepFrame) {
        match &step.phase {
            Phase::Working => self.effects.push(Effect::Abort { path: path.to_owned() }),
            Phase::Calling(None) if step.todo.is_none() => self.effects.push(Effect::Abort { path: path.to_owned() }),
            Phase::Calling(Some(child)) => {
                self.by_child.remove(child);
                self.effects.push(Effect::CancelChild { id: *child });
            }
            Phase::Awaiting => {
                let bus = self.stop_awaiting(id, step.node);
                self.effects.extend(bus.then(|| Effect::ForgetWait { path: path.to_owned() }));
            }
            Phase::Asked(_) => self.effects.push(Effect::CloseApproval { path: path.to_owned() }),
            _ => {}
        }
    }

    /// Sets a timer of a step.
    pub(super) fn set_timer(&mut self, id: FrameId, due: Millis, purpose: Purpose) {
        if let Some(step) = self.frames.get_mut(&id).and_then(Frame::step_mut) {
            step.timers.push((due, purpose));
            self.timers.insert((due, id, purpose));
        }
    }

    /// Takes the timers of a step that were set for `purpose` away.
    pub(super) fn clear_timer(&mut self, id: FrameId, purpose: Purpose) {
        if let Some(step) = self.frames.get_mut(&id).and_then(Frame::step_mut) {
            for (due, _) in step.timers.extract_if(.., |(_, p)| *p == purpose) {
                self.timers.remove(&(due, id, purpose));
            }
        }
    }

    /// Notes that something about a step is to be written.
    pub(super) fn mark(&mut self, id: FrameId, todo: super::frame::Todo) {
        if let Some(step) = self.frames.get_mut(&id).and_then(Frame::step_mut) {
            step.todo = Some(todo);
            self.ready.push_back(id);
        }
    }

    /// The open step that an entry is about.
    pub(super) fn at(&self, event: &Event) -> Option<FrameId> {
        self.by_path.get(event.path()).copied()
    }
}

/// `id` below `path`.
pub(super) fn join(path: &str, id: &str) -> String {
    if path.is_empty() { id.to_owned() } else { format!("{path}/{id}") }
}
