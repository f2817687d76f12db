//! From a blueprint to its compiled form.

use super::code::{Code, Text};
use super::{Approval, BlockId, CompiledBlueprint, Kind, Node, NodeId, Remind};
use crate::blueprint::{ApprovalWait, Ask, Blueprint, Case, Retry, Span, Step, StepKind, Undo, Wait};
use crate::clock::Millis;
use crate::error::{Error, Fault, Result};
use crate::expr::ExprError;
use serde_json::Value;
use std::sync::Arc;

pub(super) fn compile(blueprint: &Blueprint) -> Result<CompiledBlueprint> {
    let mut builder = Builder::default();
    let (root, _) = builder.block(&blueprint.steps);
    let output = blueprint.output.as_ref().map(|value| builder.text(value, "output", ""));
    if !builder.faults.is_empty() {
        return Err(Error::invalid("the blueprint has expressions that do not compile").with_faults(builder.faults));
    }
    Ok(CompiledBlueprint {
        nodes: builder.nodes,
        blocks: builder.blocks,
        root,
        native: blueprint.native.clone(),
        timeout: blueprint.timeout.map(millis),
        output: output.flatten(),
    })
}

fn millis(span: Span) -> Millis {
    Millis::try_from(span.0).unwrap_or(Millis::MAX / 4)
}

#[derive(Default)]
struct Builder {
    nodes: Vec<Node>,
    blocks: Vec<Vec<NodeId>>,
    faults: Vec<Fault>,
}

impl Builder {
    /// The block of these steps and the ids that are visible behind it.
    fn block(&mut self, steps: &[Step]) -> (BlockId, Vec<String>) {
        let mut ids = Vec::new();
        let mut nodes = Vec::with_capacity(steps.len());
        for step in steps {
            let node = self.step(step);
            if let Some(node) = node {
                ids.push(step.id.clone());
                ids.extend(self.nodes[node].inside.iter().cloned());
                nodes.push(node);
            }
        }
        self.blocks.push(nodes);
        (self.blocks.len() - 1, ids)
    }

    /// `None` where it has a fault, which is noted.
    fn step(&mut self, step: &Step) -> Option<NodeId> {
        let guard = step.guard.as_ref().map(|source| self.code(source, "if", &step.id));
        let (kind, inside) = self.kind(&step.kind, &step.id);
        let undo = match step.undo.as_deref() {
            Some(undo) => Some(self.undo(undo, &step.id)?),
            None => None,
        };
        let guard = match guard {
            Some(None) => return None,
            Some(Some(guard)) => Some(guard),
            None => None,
        };
        self.nodes.push(Node {
            id: step.id.clone(),
            guard,
            retry: match &step.kind {
                // A bot without an end must not end because a database was busy.
                StepKind::Continue { .. } => Some(Retry { attempts: 100, ..Retry::default() }),
                _ => step.retry.clone(),
            },
            timeout: step.timeout.map(millis),
            undo,
            kind: kind?,
            inside,
        });
        Some(self.nodes.len() - 1)
    }

    /// The step that undoes another; it stands in no block.
    fn undo(&mut self, undo: &Undo, id: &str) -> Option<NodeId> {
        let kind = self.kind(&undo.kind, id).0?;
        self.nodes.push(Node {
            id: "undo".to_owned(),
            guard: None,
            // What was done must not stay done because a server was busy.
            retry: Some(undo.retry.clone().unwrap_or_default()),
            timeout: undo.timeout.map(millis),
            undo: None,
            kind,
            inside: Vec::new(),
        });
        Some(self.nodes.len() - 1)
    }

    fn kind(&mut self, kind: &StepKind, id: &str) -> (Option<Kind>, Vec<String>) {
        let leaf = |kind| (kind, Vec::new());
        match kind {
            StepKind::Use { action, with, connection } => leaf(self.action(action, with, connection.as_deref(), id)),
            StepKind::Run { language, source, with, env } => {
                let with = self.text(with, "with", id);
                let env: Option<Vec<_>> = env
                    .iter()
                    .map(|(name, value)| Some((name.clone(), self.text(&Value::from(value.as_str()), "env", id)?)))
                    .collect();
                leaf(with.zip(env).map(|(with, env)| Kind::Run {
                    language: *language,
                    source: source.clone(),
                    with,
                    env,
                }))
            }
            StepKind::Call { bot, with, wait } => {
                let with = self.text(with, "with", id);
                leaf(with.map(|with| Kind::Call { bot: bot.clone(), with, wait: *wait }))
            }
            StepKind::Wait(wait) => leaf(self.wait(wait, id)),
            StepKind::Fail { message } => {
                leaf(self.text(&Value::from(message.as_str()), "fail", id).map(|message| Kind::Fail { message }))
            }
            StepKind::Continue { input } => {
                leaf(self.text(input, "continue", id).map(|input| Kind::Continue { input }))
            }
            _ => self.control(kind, id),
        }
    }

    fn control(&mut self, kind: &StepKind, id: &str) -> (Option<Kind>, Vec<String>) {
        match kind {
            StepKind::If { condition, then, otherwise } => {
                let condition = self.code(condition, "if", id);
                let (then, mut inside) = self.block(then);
                let (otherwise, more) = self.block(otherwise);
                inside.extend(more);
                (condition.map(|condition| Kind::If { condition, then, otherwise }), inside)
            }
            StepKind::Switch { on, cases, default } => self.switch(on, cases, default, id),
            StepKind::Foreach { items, bind, concurrency, steps } => {
                let items = self.code(items, "foreach", id);
                let (body, _) = self.block(steps);
                let concurrency = usize::try_from(*concurrency).unwrap_or(1).max(1);
                (items.map(|items| Kind::Foreach { items, bind: bind.clone(), concurrency, body }), Vec::new())
            }
            StepKind::Parallel { branches } => {
                let mut inside = Vec::new();
                let branches = branches
                    .iter()
                    .map(|(name, steps)| {
                        let (block, more) = self.block(steps);
                        inside.extend(more);
                        (name.clone(), block)
                    })
                    .collect();
                (Some(Kind::Parallel { branches }), inside)
            }
            StepKind::Try { body, catch, finally } => {
                let (body, mut inside) = self.block(body);
                let mut optional = |steps: &[Step]| {
                    let (block, more) = self.block(steps);
                    inside.extend(more);
                    (!steps.is_empty()).then_some(block)
                };
                let catch = optional(catch);
                let finally = optional(finally);
                (Some(Kind::Try { body, catch, finally }), inside)
            }
            _ => (None, Vec::new()),
        }
    }

    fn switch(&mut self, on: &str, cases: &[Case], default: &[Step], id: &str) -> (Option<Kind>, Vec<String>) {
        let on = self.code(on, "switch", id);
        let mut inside = Vec::new();
        let cases = cases
            .iter()
            .map(|case| {
                let (block, more) = self.block(&case.steps);
                inside.extend(more);
                (Arc::new(case.is.clone()), block)
            })
            .collect();
        let (default, more) = self.block(default);
        inside.extend(more);
        (on.map(|on| Kind::Switch { on, cases, default }), inside)
    }

    fn wait(&mut self, wait: &Wait, id: &str) -> Option<Kind> {
        Some(match wait {
            Wait::For(span) => Kind::WaitFor(millis(*span)),
            Wait::Until(source) => Kind::WaitUntil(self.code(source, "until", id)?),
            Wait::Event { event: name, filter, timeout } | Wait::Signal { signal: name, filter, timeout } => {
                let filter = match filter {
                    Some(source) => Some(self.code(source, "where", id)?),
                    None => None,
                };
                let bus = matches!(wait, Wait::Event { .. });
                Kind::WaitEvent { event: name.clone(), bus, filter, timeout: timeout.map(millis) }
            }
            Wait::Approval(wait) => Kind::Approval(Box::new(self.approval(wait, id)?)),
        })
    }

    fn approval(&mut self, wait: &ApprovalWait, id: &str) -> Option<Approval> {
        let message = self.text(&Value::from(wait.message.as_str()), "approval", id)?;
        let ask = match &wait.ask {
            Some(ask) => Some(self.ask(ask, id)?),
            None => None,
        };
        let remind = match &wait.remind {
            Some(remind) => {
                let again = match &remind.ask {
                    Some(ask) => Some(self.ask(ask, id)?),
                    None => ask,
                };
                // Who is not asked cannot be reminded.
                again.map(|ask| Remind { every: millis(remind.every).max(1), times: remind.times, ask })
            }
            None => None,
        };
        let mut escalate = Vec::with_capacity(wait.escalate.len());
        for escalation in &wait.escalate {
            escalate.push((millis(escalation.after), self.ask(&escalation.ask, id)?));
        }
        Some(Approval {
            message,
            ask,
            remind,
            escalate,
            timeout: wait.timeout.map(millis),
            on_timeout: wait.on_timeout,
        })
    }

    /// A step that asks people; it stands in no block.
    fn ask(&mut self, ask: &Ask, id: &str) -> Option<NodeId> {
        let kind = self.action(&ask.action, &ask.with, ask.connection.as_deref(), id)?;
        self.nodes.push(Node {
            id: "ask".to_owned(),
            guard: None,
            // People must not miss the question because a mail server was busy.
            retry: Some(Retry::default()),
            timeout: None,
            undo: None,
            kind,
            inside: Vec::new(),
        });
        Some(self.nodes.len() - 1)
    }

    fn action(&mut self, action: &str, with: &Value, connection: Option<&str>, id: &str) -> Option<Kind> {
        let with = self.text(with, "with", id)?;
        let connector = action.split_once('.').map_or(action, |(connector, _)| connector);
        Some(Kind::Use { action: action.to_owned(), with, connection: connection.unwrap_or(connector).to_owned() })
    }

    fn code(&mut self, source: &str, place: &'static str, id: &str) -> Option<Code> {
        Code::compile(source, place).map_err(|e| self.fault(id, place, "", &e)).ok()
    }

    fn text(&mut self, value: &Value, place: &'static str, id: &str) -> Option<Text> {
        Text::compile(value, place)
            .map_err(|errors| errors.iter().for_each(|(pointer, e)| self.fault(id, place, pointer, e)))
            .ok()
    }

    fn fault(&mut self, id: &str, place: &str, pointer: &str, error: &ExprError) {
        let at = if id.is_empty() { format!("/{place}{pointer}") } else { format!("/steps/{id}/{place}{pointer}") };
        self.faults.push(Fault { pointer: at, message: error.to_string() });
    }
}
