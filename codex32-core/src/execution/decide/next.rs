//! What is to be written next.

use super::super::entry::idempotency_key;
use super::super::plan::{Kind, Node};
use super::State;
use super::command::{Command, Work};
use super::frame::{Frame, FrameId, Phase, Todo};
use crate::clock::Millis;

impl State {
    /// What is to be written next, if anything. Write its event and apply it before asking again.
    /// While paused there is nothing.
    pub(crate) fn next(&mut self, now: Millis) -> Option<Command> {
        if !self.started || self.finished || self.paused {
            return None;
        }
        if let Some(finish) = &self.result {
            return Some(Command::Finish(finish.clone()));
        }
        if let Some(undoing) = self.undoing.as_ref().filter(|undoing| !undoing.begun) {
            let error = undoing.finish.error.clone()?;
            return Some(Command::Undo { path: String::new(), error, due: undoing.due });
        }
        if self.entries >= self.max_entries && self.ending.is_none() && self.undoing.is_none() {
            return Some(Command::JournalFull { entries: self.entries });
        }
        if let Some(fire) = self.due(now) {
            return Some(fire);
        }
        while let Some(id) = self.ready.pop_front() {
            let Some(step) = self.frames.get(&id).and_then(Frame::step) else { continue };
            let Some(todo) = step.todo.clone() else { continue };
            if let Some(command) = self.command(id, todo) {
                return Some(command);
            }
        }
        None
    }

    fn due(&self, now: Millis) -> Option<Command> {
        let (due, frame, purpose) = self.timers.first()?;
        if *due > now {
            return None;
        }
        let path = self.frames.get(frame).map_or(String::new(), |frame| frame.path.to_string());
        Some(Command::Fire { path, purpose: *purpose })
    }

    fn command(&self, id: FrameId, todo: Todo) -> Option<Command> {
        let frame = self.frames.get(&id)?;
        let path = frame.path.to_string();
        let attempt = self.attempt(id);
        Some(match todo {
            Todo::Schedule { due } => return self.schedule(id, due),
            Todo::SetTimer { due } => Command::SetTimer { path, due },
            Todo::Ask { message, due } => Command::AskApproval { path, message, due },
            Todo::Undo { error } => Command::Undo { path, error, due: None },
            Todo::Skip => Command::Skip { path },
            Todo::Succeed(output) => Command::Succeed { path, attempt, output },
            Todo::Fail { error, retry_at } => Command::Fail { path, attempt, error, retry_at },
        })
    }

    fn schedule(&self, id: FrameId, due: Option<Millis>) -> Option<Command> {
        let frame = self.frames.get(&id)?;
        let node = self.plan.node(frame.step()?.node);
        Some(match &node.kind {
            Kind::WaitEvent { bus: false, .. } => Command::AwaitSignal {
                path: frame.path.to_string(),
                idempotency_key: idempotency_key(self.about.id, &frame.path),
                due,
            },
            Kind::WaitEvent { event, filter, .. } => Command::AwaitEvent {
                path: frame.path.to_string(),
                idempotency_key: idempotency_key(self.about.id, &frame.path),
                event: event.clone(),
                filter: filter.as_ref().map(|code| code.program.source().to_owned()),
                scope: filter.as_ref().map(|code| self.scope(id, &code.needs)).unwrap_or_default(),
                due,
            },
            Kind::Call { .. } => Command::StartChild(self.work(id, node)?, due),
            Kind::Continue { .. } => Command::Continue(self.work(id, node)?),
            _ => Command::Run(self.work(id, node)?),
        })
    }

    fn work(&self, id: FrameId, node: &Node) -> Option<Work> {
        let frame = self.frames.get(&id)?;
        let step = frame.step()?;
        let needs = node.kind.needs()?;
        let asks = frame
            .parent
            .and_then(|parent| self.frames.get(&parent))
            .and_then(Frame::step)
            .is_some_and(|parent| matches!(self.plan.node(parent.node).kind, Kind::Approval(_)));
        Some(Work {
            path: frame.path.to_string(),
            node: step.node,
            attempt: step.attempt,
            idempotency_key: idempotency_key(self.about.id, &frame.path),
            scope: self.scope(id, &needs),
            asks,
        })
    }

    /// What was begun before a crash and has no result: to be done again, with the same keys.
    pub(crate) fn in_flight(&self) -> Vec<Command> {
        let mut open: Vec<FrameId> = self
            .frames
            .iter()
            .filter(|(_, frame)| {
                frame.step().is_some_and(|step| {
                    step.todo.is_none() && matches!(step.phase, Phase::Working | Phase::Calling(None))
                })
            })
            .map(|(id, _)| *id)
            .collect();
        open.sort_unstable();
        open.into_iter().filter_map(|id| self.schedule(id, None)).collect()
    }
}
