//! The canonical JSON of a blueprint: keys in their order, defaults left out.

mod flow;

use serde_json::{Map, Value, json};

use super::read::{FORMAT, POLL_EVERY, REMINDERS};
use super::types::{
    ApprovalWait, Ask, Backoff, Blueprint, BotEnd, Case, Dependencies, Escalation, Health, Language, Limits, Missed,
    Native, OnTimeout, Permissions, Remind, Respond, Restart, Retention, Retry, Source, Span, Step, StepKind, Trigger,
    Undo, Wait,
};

/// The canonical JSON of a blueprint; of the same shape as the YAML.
#[must_use]
pub fn to_json(b: &Blueprint) -> Value {
    let mut out = Fields::default();
    out.put("codex32", FORMAT);
    out.put("name", b.name.as_str());
    out.some("description", b.description.as_deref());
    out.list("on", b.on.iter().map(trigger));
    out.some("inputs", b.inputs.clone());
    out.map("permissions", permissions(&b.permissions));
    out.map("dependencies", dependencies(&b.dependencies));
    out.map("limits", limits(&b.limits));
    out.list("runs_on", texts(&b.runs_on));
    out.map("flow", flow::flow(&b.flow));
    out.some("timeout", b.timeout.map(text));
    out.map("retention", retention(&b.retention));
    match b.restart {
        Restart::Never => {}
        Restart::OnFailure => out.put("restart", "on_failure"),
        Restart::Always => out.put("restart", "always"),
    }
    out.some("health", b.health.as_ref().map(health));
    match &b.native {
        Some(of) => out.put("native", native(of)),
        None => out.put("steps", steps(&b.steps)),
    }
    out.some("output", b.output.clone());
    out.done()
}

/// An object in the making.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, key: &str, value: impl Into<Value>) {
        self.0.insert(key.to_owned(), value.into());
    }
    fn some<T: Into<Value>>(&mut self, key: &str, value: Option<T>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }
    /// A list that is left out where it is empty.
    fn list(&mut self, key: &str, items: impl Iterator<Item = Value>) {
        let items: Vec<Value> = items.collect();
        if !items.is_empty() {
            self.put(key, items);
        }
    }
    /// A map that is left out where it is empty.
    fn map(&mut self, key: &str, value: Value) {
        if value.as_object().is_none_or(|fields| !fields.is_empty()) {
            self.put(key, value);
        }
    }
    fn done(self) -> Value {
        Value::Object(self.0)
    }
}

fn native(native: &Native) -> Value {
    let Some(revision) = &native.revision else { return Value::from(native.function.as_str()) };
    json!({"function": native.function, "revision": revision})
}

fn text(value: impl ToString) -> Value {
    Value::from(value.to_string())
}

fn texts(list: &[String]) -> impl Iterator<Item = Value> + '_ {
    list.iter().map(|item| Value::from(item.as_str()))
}

fn trigger(trigger: &Trigger) -> Value {
    let mut out = Fields::default();
    match trigger {
        Trigger::Manual => return Value::from("manual"),
        Trigger::Schedule(t) => {
            out.put("schedule", t.schedule.as_str());
            out.some("timezone", t.timezone.as_deref());
            match t.missed {
                Missed::Once => {}
                Missed::Skip => out.put("missed", "skip"),
                Missed::All => out.put("missed", "all"),
            }
            out.some("jitter", t.jitter.map(text));
            out.some("input", t.input.clone());
        }
        Trigger::Webhook(t) => {
            out.put("webhook", t.path.as_str());
            if t.method != "POST" {
                out.put("method", t.method.as_str());
            }
            out.some("secret", t.secret.as_deref());
            out.list("require", texts(&t.require));
            if t.respond == Respond::Reply {
                out.put("respond", "reply");
            }
        }
        Trigger::Event(t) => {
            out.put("event", t.event.as_str());
            out.some("where", t.filter.as_deref());
        }
        Trigger::Bot(t) => {
            out.put("bot", t.bot.as_str());
            match t.when {
                BotEnd::Succeeded => {}
                BotEnd::Failed => out.put("when", "failed"),
                BotEnd::Finished => out.put("when", "finished"),
            }
        }
        Trigger::Poll(t) => {
            out.put("use", t.source.as_str());
            out.map("with", t.with.clone());
            out.some("connection", t.connection.as_deref());
            if t.every != POLL_EVERY {
                out.put("every", text(t.every));
            }
        }
    }
    out.done()
}

fn permissions(p: &Permissions) -> Value {
    let mut out = Fields::default();
    out.list("network", texts(&p.network));
    out.list("secrets", texts(&p.secrets));
    out.list("files", texts(&p.files));
    out.done()
}

fn dependencies(d: &Dependencies) -> Value {
    let mut out = Fields::default();
    out.list("pip", texts(&d.pip));
    out.list("npm", texts(&d.npm));
    out.done()
}

fn retention(r: &Retention) -> Value {
    let mut out = Fields::default();
    out.some("age", r.age.map(text));
    out.some("count", r.count);
    out.some("archive", r.unarchived.then_some(false));
    out.done()
}

fn limits(l: &Limits) -> Value {
    let mut out = Fields::default();
    out.some("memory", l.memory.map(text));
    out.some("cpu", l.cpu.map(text));
    out.some("processes", l.processes);
    out.some("output", l.output.map(text));
    out.done()
}

fn health(h: &Health) -> Value {
    let mut out = Fields::default();
    out.some("succeeded_within", h.succeeded_within.map(text));
    if h.failures != 3 {
        out.put("failures", h.failures);
    }
    out.done()
}

fn steps(steps: &[Step]) -> Value {
    steps.iter().map(step).collect()
}

fn step(step: &Step) -> Value {
    let mut out = Fields::default();
    if step.named {
        out.put("id", step.id.as_str());
    }
    out.some("title", step.title.as_deref());
    out.some("if", step.guard.as_deref());
    kind(&mut out, &step.kind);
    out.some("retry", step.retry.as_ref().map(retry));
    out.some("timeout", step.timeout.map(text));
    out.some("undo", step.undo.as_deref().map(undo));
    out.done()
}

fn undo(undo: &Undo) -> Value {
    let mut out = Fields::default();
    kind(&mut out, &undo.kind);
    out.some("retry", undo.retry.as_ref().map(retry));
    out.some("timeout", undo.timeout.map(text));
    out.done()
}

fn kind(out: &mut Fields, kind: &StepKind) {
    match kind {
        StepKind::Use { action, with, connection } => {
            out.put("use", action.as_str());
            out.map("with", with.clone());
            out.some("connection", connection.as_deref());
        }
        StepKind::Run { language, source, with, env } => {
            out.put("run", language_name(*language));
            match source {
                Source::File(name) => out.put("file", name.as_str()),
                Source::Inline(code) => out.put("code", code.as_str()),
            }
            out.map("with", with.clone());
            let env = env.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
            out.map("env", Value::Object(env.collect()));
        }
        StepKind::Call { bot, with, wait } => {
            out.put("call", bot.as_str());
            out.map("with", with.clone());
            if !wait {
                out.put("wait", false);
            }
        }
        StepKind::Wait(wait) => out.put("wait", self::wait(wait)),
        StepKind::Fail { message } => out.put("fail", message.as_str()),
        StepKind::Continue { input } => out.put("continue", input.clone()),
        control => control_flow(out, control),
    }
}

fn control_flow(out: &mut Fields, kind: &StepKind) {
    match kind {
        StepKind::If { condition, then, otherwise } => {
            out.put("if", condition.as_str());
            out.put("then", steps(then));
            out.list("else", otherwise.iter().map(step));
        }
        StepKind::Switch { on, cases, default } => {
            out.put("switch", on.as_str());
            let case = |case: &Case| json!({"is": case.is, "steps": steps(&case.steps)});
            out.put("cases", cases.iter().map(case).collect::<Vec<_>>());
            out.list("default", default.iter().map(step));
        }
        StepKind::Foreach { items, bind, concurrency, steps } => {
            out.put("foreach", items.as_str());
            if bind != "item" {
                out.put("as", bind.as_str());
            }
            if *concurrency != 1 {
                out.put("concurrency", *concurrency);
            }
            out.put("steps", self::steps(steps));
        }
        StepKind::Parallel { branches } => {
            let branches = branches.iter().map(|(name, inner)| (name.clone(), steps(inner)));
            out.put("parallel", Value::Object(branches.collect()));
        }
        StepKind::Try { body, catch, finally } => {
            out.put("try", steps(body));
            // One of the two must be there, so an empty `catch` may have to stand.
            if !catch.is_empty() || finally.is_empty() {
                out.put("catch", steps(catch));
            }
            out.list("finally", finally.iter().map(step));
        }
        _ => {}
    }
}

fn wait(wait: &Wait) -> Value {
    let mut out = Fields::default();
    match wait {
        Wait::For(span) => return text(span),
        Wait::Until(until) => out.put("until", until.as_str()),
        Wait::Event { event, filter, timeout } => {
            out.put("event", event.as_str());
            out.some("where", filter.as_deref());
            out.some("timeout", timeout.map(text));
        }
        Wait::Signal { signal, filter, timeout } => {
            out.put("signal", signal.as_str());
            out.some("where", filter.as_deref());
            out.some("timeout", timeout.map(text));
        }
        Wait::Approval(wait) => approval(&mut out, wait),
    }
    out.done()
}

fn approval(out: &mut Fields, wait: &ApprovalWait) {
    out.put("approval", wait.message.as_str());
    out.some("ask", wait.ask.as_ref().map(ask));
    out.some("remind", wait.remind.as_ref().map(remind));
    out.list("escalate", wait.escalate.iter().map(escalation));
    out.some("timeout", wait.timeout.map(text));
    match wait.on_timeout {
        OnTimeout::Fail => {}
        OnTimeout::Approve => out.put("on_timeout", "approve"),
        OnTimeout::Decline => out.put("on_timeout", "decline"),
    }
}

fn remind(remind: &Remind) -> Value {
    let mut out = Fields::default();
    out.put("every", text(remind.every));
    if remind.times != REMINDERS {
        out.put("times", remind.times);
    }
    out.some("ask", remind.ask.as_ref().map(ask));
    out.done()
}

fn escalation(escalation: &Escalation) -> Value {
    json!({"after": escalation.after.to_string(), "ask": ask(&escalation.ask)})
}

fn ask(ask: &Ask) -> Value {
    let mut out = Fields::default();
    out.put("use", ask.action.as_str());
    out.map("with", ask.with.clone());
    out.some("connection", ask.connection.as_deref());
    out.done()
}

fn retry(retry: &Retry) -> Value {
    let usual = Retry { attempts: retry.attempts, ..Retry::default() };
    if *retry == usual {
        return Value::from(retry.attempts);
    }
    let mut out = Fields::default();
    out.put("attempts", retry.attempts);
    match retry.backoff {
        Backoff::Exponential => {}
        Backoff::Constant => out.put("backoff", "constant"),
        Backoff::Linear => out.put("backoff", "linear"),
    }
    if retry.delay != usual.delay {
        out.put("delay", text(retry.delay));
    }
    // What the reader would take for the longest delay is left out.
    if retry.max != Span(usual.max.0.max(retry.delay.0)) {
        out.put("max", text(retry.max));
    }
    if retry.jitter != usual.jitter {
        out.put("jitter", retry.jitter);
    }
    out.list("on", texts(&retry.on));
    out.done()
}

/// A language as a blueprint writes it.
pub(super) fn language_name(language: Language) -> &'static str {
    match language {
        Language::Python => "python",
        Language::Node => "node",
        Language::Shell => "shell",
    }
}
