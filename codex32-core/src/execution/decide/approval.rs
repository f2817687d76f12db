//! Waiting for people: the question, reminders, asking others, and the answer.
//!
//! Every step that asks is a child of the approval: number 0 is the question, behind it
//! come reminders and those who are asked later. What is due next is worked out from the
//! time of the question.

use super::super::entry::{Failure, Purpose, Shared};
use super::super::plan::{Approval, Kind, NodeId, SharedBlueprint, Text};
use super::super::types::Answer;
use super::State;
use super::frame::{Asked, Frame, FrameId, Outcome, Phase, Todo};
use super::tree::join;
use crate::blueprint::OnTimeout;
use crate::clock::Millis;
use serde_json::{Value, json};
use std::sync::Arc;

/// Who answers where nobody did.
const NOBODY: &str = "timeout";

impl State {
    pub(super) fn ask_approval(&mut self, id: FrameId, message: &Text, timeout: Option<Millis>) -> Result<(), Failure> {
        let message = self.text(id, message)?;
        let due = self.earlier(id, timeout);
        self.note(id, Todo::Ask { message, due })
    }

    pub(super) fn apply_asked(&mut self, id: FrameId, due: Option<Millis>) {
        let asked = Asked { at: self.now, reminded: 0, escalated: 0 };
        self.written(id, Phase::Asked(asked));
        if let Some(due) = due {
            self.clear_timer(id, Purpose::Timeout);
            self.set_timer(id, due, Purpose::Timeout);
        }
        let Some((plan, node)) = self.approval_of(id) else { return };
        let Kind::Approval(approval) = &plan.node(node).kind else { return };
        if let Some(ask) = approval.ask {
            self.open_asking(id, 0, "ask", ask);
        }
        self.set_reminder(id, approval, asked);
        self.set_escalation(id, approval, asked);
    }

    /// The plan and the node of an approval.
    fn approval_of(&self, id: FrameId) -> Option<(SharedBlueprint, NodeId)> {
        let step = self.frames.get(&id)?.step()?;
        Some((self.plan.clone(), step.node))
    }

    fn open_asking(&mut self, id: FrameId, slot: usize, name: &str, node: NodeId) {
        let path = join(&self.base(id), name);
        self.open_step_in(id, slot, path, node);
    }

    /// The next reminder. Those whose time has passed meanwhile are left out: nobody wants
    /// ten at once after the engine was down.
    fn set_reminder(&mut self, id: FrameId, approval: &Approval, asked: Asked) {
        let Some(remind) = &approval.remind else { return };
        if asked.reminded < remind.times {
            let passed = self.now.saturating_sub(asked.at) / remind.every;
            let due = asked.at.saturating_add(remind.every.saturating_mul(passed.saturating_add(1)));
            self.set_timer(id, due, Purpose::Remind);
        }
    }

    fn set_escalation(&mut self, id: FrameId, approval: &Approval, asked: Asked) {
        if let Some((after, _)) = approval.escalate.get(asked.escalated) {
            self.set_timer(id, asked.at.saturating_add(*after), Purpose::Escalate);
        }
    }

    /// An approval that nobody has answered; None where an end is being written already.
    fn open_question(&mut self, id: FrameId) -> Option<&mut Asked> {
        let step = self.frames.get_mut(&id).and_then(Frame::step_mut)?;
        match &mut step.phase {
            Phase::Asked(asked) if step.todo.is_none() => Some(asked),
            _ => None,
        }
    }

    pub(super) fn remind(&mut self, id: FrameId) {
        let Some((plan, node)) = self.approval_of(id) else { return };
        let Kind::Approval(approval) = &plan.node(node).kind else { return };
        let (Some(asked), Some(remind)) = (self.open_question(id), &approval.remind) else { return };
        let number = asked.reminded;
        asked.reminded += 1;
        let asked = *asked;
        self.open_asking(id, 1, &format!("remind{number}"), remind.ask);
        self.set_reminder(id, approval, asked);
    }

    pub(super) fn escalate(&mut self, id: FrameId) {
        let Some((plan, node)) = self.approval_of(id) else { return };
        let Kind::Approval(approval) = &plan.node(node).kind else { return };
        let Some(asked) = self.open_question(id) else { return };
        let number = asked.escalated;
        let Some((_, ask)) = approval.escalate.get(number) else { return };
        asked.escalated += 1;
        let asked = *asked;
        self.open_asking(id, 1, &format!("escalate{number}"), *ask);
        self.set_escalation(id, approval, asked);
    }

    pub(super) fn apply_answer(&mut self, id: FrameId, answer: &Answer) {
        if self.open_question(id).is_some() {
            let output = json!({"approved": answer.approved, "by": answer.by, "comment": answer.comment});
            self.succeed(id, Arc::new(output));
        }
    }

    /// What an approval comes to whose time is up; `None` where it fails.
    pub(super) fn unanswered(&self, id: FrameId) -> Option<Shared> {
        let step = self.frames.get(&id)?.step()?;
        let Kind::Approval(approval) = &self.plan.node(step.node).kind else { return None };
        let approved = match approval.on_timeout {
            OnTimeout::Fail => return None,
            OnTimeout::Approve => true,
            OnTimeout::Decline => false,
        };
        matches!(step.phase, Phase::Asked(_))
            .then(|| Arc::new(json!({"approved": approved, "by": NOBODY, "comment": Value::Null})))
    }

    /// A step that asks people has ended. Where the question could not be asked, nobody will
    /// answer; a reminder or somebody else more or less changes nothing.
    pub(super) fn asking_done(&mut self, id: FrameId, slot: usize, outcome: Outcome) {
        let Err(failure) = outcome else { return };
        if slot == 0 && self.open_question(id).is_some() {
            self.fail_attempt(id, failure);
        }
    }
}
