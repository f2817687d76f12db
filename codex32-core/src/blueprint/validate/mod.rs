//! A blueprint held against a catalogue: do its actions exist, do their inputs
//! fit, may it reach what it names?
//!
//! Only what is known without running is judged: a value that holds a template
//! fits everywhere, an address that is computed is left to the engine.

mod network;
mod schema;

use serde_json::Value;

use super::diagnostic::{Diagnostic, Diagnostics};
use super::tree::escape;
use super::types::{ApprovalWait, Blueprint, PollTrigger, Respond, Step, StepKind, Trigger, Wait};
use super::yaml::MAX_FINDINGS;
use crate::catalogue::{Catalogue, ConnectorSpec};
use crate::expr::suggest;
use crate::recur::Schedule;

/// What is wrong with `blueprint` in a world of `catalogue`. Places are JSON
/// pointers; [`check`](super::check) turns them into lines and columns.
#[must_use]
pub fn validate(blueprint: &Blueprint, catalogue: &Catalogue) -> Diagnostics {
    let mut v = Validator { blueprint, catalogue, found: Diagnostics::new(), replies: None };
    for (index, trigger) in blueprint.on.iter().enumerate() {
        v.trigger(trigger, &format!("/on/{index}"));
    }
    v.steps(&blueprint.steps, "/steps");
    v.replies();
    v.found
}

struct Validator<'a> {
    blueprint: &'a Blueprint,
    catalogue: &'a Catalogue,
    found: Diagnostics,
    /// Where the first `webhook.reply` is.
    replies: Option<String>,
}

/// What uses a connector, for messages.
#[derive(Clone, Copy)]
struct Usage<'a> {
    /// `http.get`.
    name: &'a str,
    with: &'a Value,
    connection: Option<&'a str>,
    /// Pointer to the step, trigger or `ask`.
    pointer: &'a str,
}

impl<'a> Validator<'a> {
    fn push(&mut self, diagnostic: Diagnostic) {
        if self.found.len() < MAX_FINDINGS {
            self.found.push(diagnostic);
        }
    }

    fn trigger(&mut self, trigger: &Trigger, pointer: &str) {
        match trigger {
            Trigger::Schedule(t) => {
                if let Err(error) = Schedule::parse(&t.schedule) {
                    let diagnostic = Diagnostic::error(format!("{pointer}/schedule"), error.message());
                    let hint = error.hint_text().unwrap_or("for example `every weekday at 9am` or `0 9 * * 1-5`");
                    self.push(diagnostic.hint(hint));
                }
            }
            Trigger::Poll(poll) => self.poll(poll, pointer),
            Trigger::Manual | Trigger::Webhook(_) | Trigger::Event(_) | Trigger::Bot(_) => {}
        }
    }

    fn poll(&mut self, poll: &PollTrigger, pointer: &str) {
        let connection = poll.connection.as_deref();
        let usage = Usage { name: &poll.source, with: &poll.with, connection, pointer };
        let Some(connector) = self.connector(usage) else { return };
        let catalogue = self.catalogue;
        match catalogue.trigger(&poll.source) {
            Some(spec) => self.usage(usage, connector, &spec.input),
            None => {
                let names = connector.triggers.iter().map(|t| t.name.as_str());
                let is_action = catalogue.action(&poll.source).is_some();
                self.unknown(usage, connector, "trigger", names.collect(), is_action);
            }
        }
    }

    fn steps(&mut self, steps: &[Step], pointer: &str) {
        for (index, step) in steps.iter().enumerate() {
            self.step(step, &format!("{pointer}/{index}"));
        }
    }

    fn step(&mut self, step: &Step, pointer: &str) {
        let below = |key: &str| format!("{pointer}/{key}");
        if let Some(StepKind::Use { action, with, connection }) = step.undo.as_ref().map(|undo| &undo.kind) {
            self.action(Usage { name: action, with, connection: connection.as_deref(), pointer: &below("undo") });
        }
        match &step.kind {
            StepKind::Use { action, with, connection } => {
                self.action(Usage { name: action, with, connection: connection.as_deref(), pointer });
                if action == "webhook.reply" && self.replies.is_none() {
                    self.replies = Some(below("use"));
                }
            }
            StepKind::Wait(Wait::Approval(wait)) => self.approval(wait, &below("wait")),
            StepKind::If { then, otherwise, .. } => {
                self.steps(then, &below("then"));
                self.steps(otherwise, &below("else"));
            }
            StepKind::Switch { cases, default, .. } => {
                for (index, case) in cases.iter().enumerate() {
                    self.steps(&case.steps, &below(&format!("cases/{index}/steps")));
                }
                self.steps(default, &below("default"));
            }
            StepKind::Foreach { steps, .. } => self.steps(steps, &below("steps")),
            StepKind::Parallel { branches } => {
                for (name, steps) in branches {
                    self.steps(steps, &below(&format!("parallel/{}", escape(name))));
                }
            }
            StepKind::Try { body, catch, finally } => {
                self.steps(body, &below("try"));
                self.steps(catch, &below("catch"));
                self.steps(finally, &below("finally"));
            }
            StepKind::Run { .. }
            | StepKind::Call { .. }
            | StepKind::Wait(_)
            | StepKind::Fail { .. }
            | StepKind::Continue { .. } => {}
        }
    }

    fn approval(&mut self, wait: &ApprovalWait, pointer: &str) {
        let remind = wait.remind.as_ref().and_then(|remind| remind.ask.as_ref());
        let escalate = wait.escalate.iter().enumerate().map(|(n, e)| (format!("escalate/{n}/ask"), &e.ask));
        let asks = wait.ask.iter().map(|ask| ("ask".to_owned(), ask));
        let asks = asks.chain(remind.map(|ask| ("remind/ask".to_owned(), ask))).chain(escalate);
        for (key, ask) in asks.collect::<Vec<_>>() {
            let pointer = format!("{pointer}/{key}");
            let connection = ask.connection.as_deref();
            self.action(Usage { name: &ask.action, with: &ask.with, connection, pointer: &pointer });
        }
    }

    fn action(&mut self, usage: Usage<'_>) {
        let Some(connector) = self.connector(usage) else { return };
        let catalogue = self.catalogue;
        match catalogue.action(usage.name) {
            Some(spec) => self.usage(usage, connector, &spec.input),
            None => {
                let names = connector.actions.iter().map(|a| a.name.as_str());
                let is_trigger = catalogue.trigger(usage.name).is_some();
                self.unknown(usage, connector, "action", names.collect(), is_trigger);
            }
        }
    }

    /// The connector that is used, or a finding.
    fn connector(&mut self, usage: Usage<'_>) -> Option<&'a ConnectorSpec> {
        let name = usage.name.split('.').next().unwrap_or_default();
        let catalogue = self.catalogue;
        let found = catalogue.connector(name);
        if found.is_none() {
            let diagnostic =
                Diagnostic::error(format!("{}/use", usage.pointer), format!("there is no connector `{name}`"));
            let names: Vec<&str> = catalogue.connectors().map(|c| c.name.as_str()).collect();
            let rest = usage.name.split_once('.').map_or("", |(_, rest)| rest);
            let hint = match suggest(name, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}.{rest}`?"),
                None => self.by_synonym(name).unwrap_or_else(|| format!("there are {}", listing(&names))),
            };
            self.push(diagnostic.hint(hint));
        }
        found
    }

    /// People call connectors by other names too (`mail` for `email`).
    fn by_synonym(&self, name: &str) -> Option<String> {
        let known = |c: &&ConnectorSpec| c.synonyms.iter().any(|s| s.eq_ignore_ascii_case(name));
        self.catalogue.connectors().find(known).map(|c| format!("did you mean `{}`?", c.name))
    }

    fn unknown(&mut self, usage: Usage<'_>, connector: &ConnectorSpec, kind: &str, names: Vec<&str>, other_kind: bool) {
        let name = &connector.name;
        let wrong = usage.name.split_once('.').map_or("", |(_, rest)| rest);
        let message = format!("the connector `{name}` has no {kind} `{wrong}`");
        let hint = if other_kind {
            match kind {
                "action" => format!("`{}` is a trigger: write it below `on:`", usage.name),
                _ => format!("`{}` is an action: write it below `steps:`", usage.name),
            }
        } else if let Some(near) = suggest(wrong, names.iter().copied()) {
            format!("did you mean `{name}.{near}`?")
        } else if names.is_empty() {
            format!("it has no {kind}s")
        } else {
            format!("its {kind}s are {}", listing(&names))
        };
        self.push(Diagnostic::error(format!("{}/use", usage.pointer), message).hint(hint));
    }

    /// Input, connection and addresses of a known action or trigger.
    fn usage(&mut self, usage: Usage<'_>, connector: &ConnectorSpec, input: &Value) {
        if usage.connection.is_some() && !connector.takes_connection() {
            let message = format!("the connector `{}` uses no connection", connector.name);
            let diagnostic = Diagnostic::error(format!("{}/connection", usage.pointer), message);
            self.push(diagnostic.on_key().hint("remove it"));
        }
        let pointer = format!("{}/with", usage.pointer);
        let mut faults = Vec::new();
        schema::check(input, usage.with, usage.name, &pointer, &mut faults);
        for fault in faults {
            // Where `with` is left out, the place is what it is missing for.
            let nothing = usage.with.as_object().is_some_and(serde_json::Map::is_empty);
            let pointer = if nothing { format!("{}/use", usage.pointer) } else { fault.pointer.clone() };
            self.push(Diagnostic { pointer, ..fault });
        }
        for fault in network::check(usage.with, input, &self.blueprint.permissions, usage.connection, &pointer) {
            self.push(fault);
        }
        if connector.name == "file" {
            for fault in network::check_paths(usage.with, &self.blueprint.permissions, &pointer) {
                self.push(fault);
            }
        }
    }

    /// A reply needs a webhook that waits for it, and the other way round nothing is wrong:
    /// the output of the bot is the reply then.
    fn replies(&mut self) {
        let Some(pointer) = self.replies.take() else { return };
        let webhooks = self.blueprint.on.iter().filter_map(|t| match t {
            Trigger::Webhook(w) => Some(w.respond),
            _ => None,
        });
        let webhooks: Vec<Respond> = webhooks.collect();
        if !webhooks.contains(&Respond::Reply) {
            let hint = match webhooks.is_empty() {
                true => "add a trigger `- webhook: path` with `respond: reply`",
                false => "add `respond: reply` to the webhook below `on:`",
            };
            self.push(Diagnostic::warning(pointer, "no webhook waits for this reply").hint(hint));
        }
    }
}

/// `a`, `b` and 5 more.
fn listing(names: &[&str]) -> String {
    let shown: Vec<String> = names.iter().take(12).map(|name| format!("`{name}`")).collect();
    match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
