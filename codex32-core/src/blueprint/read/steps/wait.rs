//! Steps that wait.

use super::{Fields, Place, Reader, WAIT};
use crate::blueprint::tree::{Data, Node};
use crate::blueprint::types::{ApprovalWait, Ask, Escalation, OnTimeout, Remind, StepKind, Wait};

/// Reminders of an approval where `times` does not say how many.
pub(in crate::blueprint) const REMINDERS: u32 = 10;
/// Most reminders of an approval.
const MAX_REMINDERS: u32 = 1_000;
/// Most others that are asked.
const MAX_ESCALATIONS: usize = 20;

impl Reader {
    pub(super) fn wait_step(&mut self, node: &Node) -> Option<StepKind> {
        let fields = self.fields(node, "a `wait` step", WAIT)?;
        let wait = fields.get("wait")?;
        let Data::Map(entries) = &wait.data else {
            return self.positive_span(wait).map(|span| StepKind::Wait(Wait::For(span)));
        };
        let inner = Fields { entries };
        let kinds = ["until", "event", "signal", "approval"];
        let kinds: Vec<&str> = kinds.into_iter().filter(|k| inner.has(k)).collect();
        match kinds.as_slice() {
            ["until"] => {
                let fields = self.fields(wait, "a `wait` until a time", &["until"])?;
                let until = fields.get("until").and_then(|n| self.condition(n, &Place::CONDITION))?;
                Some(StepKind::Wait(Wait::Until(until)))
            }
            ["event"] => {
                let fields = self.fields(wait, "a `wait` for an event", &["event", "where", "timeout"])?;
                let event = fields.get("event").and_then(|n| self.event_name(n));
                let filter = fields.get("where").and_then(|n| self.condition(n, &Place::WAIT_EVENT));
                let timeout = fields.get("timeout").and_then(|n| self.positive_span(n));
                Some(StepKind::Wait(Wait::Event { event: event?, filter, timeout }))
            }
            ["signal"] => {
                let fields = self.fields(wait, "a `wait` for a signal", &["signal", "where", "timeout"])?;
                let signal = fields.get("signal").and_then(|n| self.signal_name(n));
                let filter = fields.get("where").and_then(|n| self.condition(n, &Place::WAIT_SIGNAL));
                let timeout = fields.get("timeout").and_then(|n| self.positive_span(n));
                Some(StepKind::Wait(Wait::Signal { signal: signal?, filter, timeout }))
            }
            ["approval"] => self.approval(wait),
            _ => {
                let hint = "write `wait: 10m`, or one of `until`, `event`, `signal`, `approval` below it".to_owned();
                self.error(wait, "it is not clear what to wait for", Some(hint));
                None
            }
        }
    }

    fn signal_name(&mut self, node: &Node) -> Option<String> {
        let name = self.filled(node, "the name of a signal")?;
        if name.len() > 200 {
            self.error(node, "the name of a signal has up to 200 bytes", None);
            return None;
        }
        Some(name)
    }

    fn approval(&mut self, node: &Node) -> Option<StepKind> {
        let keys = &["approval", "ask", "remind", "escalate", "timeout", "on_timeout"];
        let fields = self.fields(node, "a `wait` for an approval", keys)?;
        let place = &Place::MESSAGE;
        let message = fields.get("approval").and_then(|n| self.template_text(n, "what is to be approved", place));
        let ask = match fields.get("ask") {
            Some(n) => Some(self.ask(n)?),
            None => None,
        };
        let remind = fields.get("remind").and_then(|n| self.remind(n, ask.is_some()));
        let escalate = fields.get("escalate").map(|n| self.escalations(n)).unwrap_or_default();
        let timeout = fields.get("timeout").and_then(|n| self.positive_span(n));
        let ends = [("fail", OnTimeout::Fail), ("approve", OnTimeout::Approve), ("decline", OnTimeout::Decline)];
        let on_timeout = fields.get("on_timeout").and_then(|n| self.choice(n, &ends)).unwrap_or_default();
        if let Some(at) = fields.get("on_timeout").filter(|_| !fields.has("timeout")) {
            self.error(at, "without a `timeout` it is waited for ever", Some("add `timeout: 2d`".to_owned()));
        }
        if let Some(timeout) = timeout {
            let late = escalate.iter().position(|escalation| escalation.after >= timeout);
            if let (Some(number), Some(Data::List(items))) = (late, fields.get("escalate").map(|n| &n.data)) {
                let at = items.get(number).unwrap_or(node);
                self.error(at, "by then the time to answer is over", Some("make `timeout` longer".to_owned()));
            }
        }
        let wait = ApprovalWait { message: message?, ask, remind, escalate, timeout, on_timeout };
        Some(StepKind::Wait(Wait::Approval(Box::new(wait))))
    }

    fn remind(&mut self, node: &Node, asked: bool) -> Option<Remind> {
        let fields = self.fields(node, "`remind`", &["every", "times", "ask"])?;
        let Some(every) = fields.get("every") else {
            self.error(node, "it is not said how often", Some("add `every: 1h`".to_owned()));
            return None;
        };
        let every = self.positive_span(every);
        let times = fields.get("times").and_then(|n| self.count(n, 1, MAX_REMINDERS)).unwrap_or(REMINDERS);
        let ask = match fields.get("ask") {
            Some(n) => Some(self.ask(n)?),
            None => None,
        };
        if ask.is_none() && !asked {
            let hint = "add `ask: {use: email.send, …}` to the approval or to `remind`".to_owned();
            self.error(node, "it is not said how to remind anybody", Some(hint));
        }
        Some(Remind { every: every?, times, ask })
    }

    fn escalations(&mut self, node: &Node) -> Vec<Escalation> {
        let items = self.items(node, "a list of whom to ask when");
        if items.len() > MAX_ESCALATIONS {
            self.error(node, format!("there are {} escalations; the limit is {MAX_ESCALATIONS}", items.len()), None);
            return Vec::new();
        }
        let mut all: Vec<Escalation> = Vec::new();
        for item in items {
            let Some(escalation) = self.escalation(item) else { continue };
            if all.last().is_some_and(|before| before.after > escalation.after) {
                let hint = "put them in the order of their times".to_owned();
                self.error(item, "this comes before the one above it", Some(hint));
            }
            all.push(escalation);
        }
        all
    }

    fn escalation(&mut self, node: &Node) -> Option<Escalation> {
        let fields = self.fields(node, "an escalation", &["after", "ask"])?;
        for (key, hint) in [("after", "add `after: 4h`"), ("ask", "add `ask: {use: email.send, …}`")] {
            if !fields.has(key) {
                self.error(node, format!("the escalation has no `{key}`"), Some(hint.to_owned()));
            }
        }
        let after = fields.get("after").and_then(|n| self.positive_span(n));
        let ask = fields.get("ask").and_then(|n| self.ask(n));
        Some(Escalation { after: after?, ask: ask? })
    }

    fn ask(&mut self, node: &Node) -> Option<Ask> {
        let fields = self.fields(node, "`ask`", &["use", "with", "connection"])?;
        if !fields.has("use") {
            self.error(node, "it is not said how to ask", Some("add `use: email.send`".to_owned()));
        }
        let action = fields.get("use").and_then(|n| self.dotted(n, "email.send"));
        let with = self.with(fields, &Place::ASK);
        let connection = fields.get("connection").and_then(|n| self.filled(n, "the name of a connection"));
        Some(Ask { action: action?, with, connection })
    }
}
