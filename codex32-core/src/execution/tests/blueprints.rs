//! Blueprints for tests, built by hand.

use crate::blueprint::{
    ApprovalWait, Ask, Blueprint, Case, Dependencies, Language, Limits, Permissions, Restart, Retention, Retry, Source,
    Span, Step, StepKind, Undo, Wait,
};
use indexmap::IndexMap;
use serde_json::{Value, json};

/// A bot of these steps.
pub(crate) fn bot(steps: Vec<Step>) -> Blueprint {
    Blueprint {
        name: "bot".into(),
        description: None,
        on: vec![],
        inputs: None,
        permissions: Permissions::default(),
        dependencies: Dependencies::default(),
        limits: Limits::default(),
        runs_on: Vec::new(),
        flow: Default::default(),
        native: None,
        timeout: None,
        retention: Retention::default(),
        restart: Restart::Never,
        health: None,
        steps,
        output: None,
    }
}

pub(crate) fn named(id: &str, kind: StepKind) -> Step {
    Step { id: id.into(), named: true, title: None, guard: None, retry: None, timeout: None, undo: None, kind }
}

/// `use: fake.act` with nothing.
pub(crate) fn step(id: &str) -> Step {
    act(id, json!({}))
}

/// `use: fake.act` with this input.
pub(crate) fn act(id: &str, with: Value) -> Step {
    named(id, StepKind::Use { action: "fake.act".into(), with, connection: None })
}

/// `use: fake.compute` with this input: it touches nothing outside.
pub(crate) fn compute(id: &str, with: Value) -> Step {
    named(id, StepKind::Use { action: "fake.compute".into(), with, connection: None })
}

pub(crate) fn run(id: &str, code: &str) -> Step {
    let kind = StepKind::Run {
        language: Language::Python,
        source: Source::Inline(code.into()),
        with: json!({}),
        env: IndexMap::new(),
    };
    named(id, kind)
}

pub(crate) fn call(id: &str, bot: &str, with: Value, wait: bool) -> Step {
    named(id, StepKind::Call { bot: bot.into(), with, wait })
}

pub(crate) fn sleep(id: &str, ms: u64) -> Step {
    named(id, StepKind::Wait(Wait::For(Span(ms))))
}

pub(crate) fn await_event(id: &str, event: &str, filter: Option<&str>, timeout: Option<u64>) -> Step {
    let wait = Wait::Event { event: event.into(), filter: filter.map(Into::into), timeout: timeout.map(Span) };
    named(id, StepKind::Wait(wait))
}

pub(crate) fn branch(id: &str, condition: &str, then: Vec<Step>, otherwise: Vec<Step>) -> Step {
    named(id, StepKind::If { condition: condition.into(), then, otherwise })
}

pub(crate) fn switch(id: &str, on: &str, cases: Vec<(Value, Vec<Step>)>, default: Vec<Step>) -> Step {
    let cases = cases.into_iter().map(|(is, steps)| Case { is, steps }).collect();
    named(id, StepKind::Switch { on: on.into(), cases, default })
}

pub(crate) fn foreach(id: &str, items: &str, concurrency: u32, steps: Vec<Step>) -> Step {
    named(id, StepKind::Foreach { items: items.into(), bind: "item".into(), concurrency, steps })
}

pub(crate) fn parallel(id: &str, branches: IndexMap<String, Vec<Step>>) -> Step {
    named(id, StepKind::Parallel { branches })
}

pub(crate) fn attempt(id: &str, body: Vec<Step>, catch: Vec<Step>, finally: Vec<Step>) -> Step {
    named(id, StepKind::Try { body, catch, finally })
}

pub(crate) fn fail(id: &str, message: &str) -> Step {
    named(id, StepKind::Fail { message: message.into() })
}

pub(crate) fn guarded(guard: &str, step: Step) -> Step {
    Step { guard: Some(guard.into()), ..step }
}

/// `step` with `undo`, which does what `by` does.
pub(crate) fn undone(step: Step, by: Step) -> Step {
    let undo = Undo { retry: by.retry, timeout: by.timeout, kind: by.kind };
    Step { undo: Some(Box::new(undo)), ..step }
}

pub(crate) fn await_signal(id: &str, signal: &str, filter: Option<&str>, timeout: Option<u64>) -> Step {
    let wait = Wait::Signal { signal: signal.into(), filter: filter.map(Into::into), timeout: timeout.map(Span) };
    named(id, StepKind::Wait(wait))
}

pub(crate) fn go_on(id: &str, input: Value) -> Step {
    named(id, StepKind::Continue { input })
}

pub(crate) fn approve(id: &str, wait: ApprovalWait) -> Step {
    named(id, StepKind::Wait(Wait::Approval(Box::new(wait))))
}

pub(crate) fn ask(with: Value) -> Ask {
    Ask { action: "fake.mail".into(), with, connection: None }
}

pub(crate) fn retried(attempts: u32, step: Step) -> Step {
    let retry = Retry { attempts, delay: Span(1_000), jitter: 0.0, ..Retry::default() };
    Step { retry: Some(retry), ..step }
}

pub(crate) fn limited(ms: u64, step: Step) -> Step {
    Step { timeout: Some(Span(ms)), ..step }
}
