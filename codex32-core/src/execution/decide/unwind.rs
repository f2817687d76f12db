//! Ending what is open before it is done: because something beside it failed,
//! its time is up, or the execution is cancelled. `finally` runs on the way.

use super::super::entry::Failure;
use super::State;
use super::frame::{FrameId, FrameKind, Part};

impl State {
    /// Ends everything inside a step with `failure`, then the step itself.
    pub(super) fn unwind_inside(&mut self, id: FrameId, failure: Failure) {
        let Some(frame) = self.frames.get_mut(&id) else { return };
        frame.unwinding = Some(failure.clone());
        let children: Vec<FrameId> = frame.children.iter().copied().collect();
        for child in children {
            self.unwind(child, &failure);
        }
        self.unwound(id);
    }

    /// Ends an open frame with `failure`. It is closed at once, or stays for its `finally`.
    pub(super) fn unwind(&mut self, id: FrameId, failure: &Failure) {
        let Some(frame) = self.frames.get_mut(&id) else { return };
        if matches!(frame.kind, FrameKind::Rollback(_)) {
            return;
        }
        frame.unwinding = Some(failure.clone());
        let children: Vec<FrameId> = frame.children.iter().copied().collect();
        // What runs in a `finally` already, or is being undone, is let to its end.
        if !matches!(self.parts(id), Some((Part::Finally | Part::Undoing, ..))) {
            for child in children {
                self.unwind(child, failure);
            }
        }
        if self.frames.get(&id).is_some_and(|frame| frame.children.is_empty()) && !self.try_finally(id) {
            self.close(id);
        }
    }

    /// A step that is to end has lost a child: it ends with the last.
    pub(super) fn unwound(&mut self, id: FrameId) {
        let Some(frame) = self.frames.get(&id) else { return };
        let Some(failure) = frame.unwinding.clone() else { return };
        if frame.children.is_empty() && !self.try_finally(id) {
            self.control_done(id, Err(failure));
        }
    }

    /// Starts the `finally` of a `try` that has to end, where there is one to run.
    fn try_finally(&mut self, id: FrameId) -> bool {
        let Some((part, _, Some(finally))) = self.parts(id) else { return false };
        let Some(failure) = self.frames.get(&id).and_then(|frame| frame.unwinding.clone()) else { return false };
        if part == Part::Finally {
            return false;
        }
        self.enter_finally(id, finally, Err(failure));
        true
    }
}
