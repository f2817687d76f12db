//! Conditions and templates: do they compile, and does what they read exist there?

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::Value;

use super::Reader;
use crate::blueprint::diagnostic::Diagnostic;
use crate::blueprint::tree::{self, Data, Node, pointer};
use crate::expr::{ExprError, Program, Reference, References, Template, suggest};

/// What expressions may refer to.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The name of the bot.
    pub(super) bot: String,
    /// Declared secrets.
    pub(super) secrets: BTreeSet<String>,
    /// The schema of the input.
    pub(super) inputs: Option<Value>,
    /// All steps of the blueprint, by id.
    pub(super) steps: HashSet<String>,
    /// Steps whose result is there at this point.
    pub(super) visible: Visible,
    /// How many expressions were compiled.
    pub(super) expressions: usize,
    /// The step that is being read.
    pub(super) current: Option<String>,
    /// Names of enclosing loops' items, `error`, `approval`.
    pub(super) bound: Vec<String>,
    /// Enclosing steps that an execution cannot leave by continuing as a new one.
    pub(super) around: Vec<&'static str>,
    /// Who reads whom, for finding cycles.
    pub(super) edges: BTreeMap<String, BTreeSet<String>>,
    /// References to steps that are not there yet; reported at the end.
    pub(super) early: Vec<Early>,
}

/// Steps whose result is there, oldest first.
#[derive(Debug, Default)]
pub(super) struct Visible {
    order: Vec<String>,
    set: HashSet<String>,
}

impl Visible {
    /// Adds a step.
    pub(super) fn push(&mut self, id: &str) {
        if self.set.insert(id.to_owned()) {
            self.order.push(id.to_owned());
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// Takes away all but the first `length`, and hands them back.
    pub(super) fn split_off(&mut self, length: usize) -> Vec<String> {
        let removed = self.order.split_off(length);
        removed.iter().for_each(|id| {
            self.set.remove(id);
        });
        removed
    }

    /// The latest `count`.
    fn latest(&self, count: usize) -> Vec<&str> {
        self.order[self.order.len().saturating_sub(count)..].iter().map(String::as_str).collect()
    }
}

/// A reference to a step that is not there yet.
#[derive(Debug)]
pub(super) struct Early {
    from: Option<String>,
    to: String,
    pointer: String,
    place: tree::Place,
}

/// What is in scope at a kind of place.
#[derive(Debug)]
pub(super) struct Place {
    /// Whether the usual variables are there.
    usual: bool,
    /// Further variables.
    extra: &'static [&'static str],
    /// Whether secrets may be read.
    secrets: bool,
    /// The place, for messages.
    what: &'static str,
}

impl Place {
    /// `if`, `switch`, `foreach`, `until`.
    pub(super) const CONDITION: Place = Place { usual: true, extra: &[], secrets: false, what: "a condition" };
    /// `where` of an event.
    pub(super) const EVENT: Place =
        Place { usual: false, extra: &["event"], secrets: false, what: "the condition of an event" };
    /// `where` of a `wait` for an event.
    pub(super) const WAIT_EVENT: Place =
        Place { usual: true, extra: &["event"], secrets: false, what: "the condition of an event" };
    /// `where` of a `wait` for a signal.
    pub(super) const WAIT_SIGNAL: Place =
        Place { usual: true, extra: &["signal"], secrets: false, what: "the condition of a signal" };
    /// `with` of a poll.
    pub(super) const POLL: Place = Place { usual: false, extra: &[], secrets: true, what: "the settings of a trigger" };
    /// `with` and `env` of a step.
    pub(super) const INPUT: Place = Place { usual: true, extra: &[], secrets: true, what: "an input" };
    /// `with` and `env` of what undoes a step.
    pub(super) const UNDO: Place = Place { usual: true, extra: &["result"], secrets: true, what: "an input" };
    /// The input of the execution that goes on; it is stored, so no secret may be in it.
    pub(super) const CONTINUE: Place =
        Place { usual: true, extra: &[], secrets: false, what: "the input of an execution" };
    /// `with` of the step that asks for an approval.
    pub(super) const ASK: Place = Place { usual: true, extra: &["approval"], secrets: true, what: "an input" };
    /// Text for people: messages of `fail` and of approvals.
    pub(super) const MESSAGE: Place = Place { usual: true, extra: &[], secrets: false, what: "a message" };
    /// Keys and the priority of `flow`: nothing has run yet.
    pub(super) const FLOW: Place =
        Place { usual: false, extra: &["input", "trigger"], secrets: false, what: "a rule of `flow`" };
    /// `output`.
    pub(super) const OUTPUT: Place = Place { usual: true, extra: &[], secrets: false, what: "the output" };
}

/// Most expressions in a blueprint.
const MAX_EXPRESSIONS: usize = 5_000;

/// Variables that are there wherever steps run.
const USUAL: [&str; 5] = ["input", "steps", "trigger", "bot", "execution"];

impl Reader {
    /// A CEL expression.
    pub(super) fn condition(&mut self, node: &Node, place: &Place) -> Option<String> {
        let source = match &node.data {
            Data::Text(text, _) => text.clone(),
            Data::Bool(b) => b.to_string(),
            Data::Number(n) => n.to_string(),
            _ => {
                self.wrong(node, "a CEL expression", Some("put it in quotes if it begins with `[` or `{`".to_owned()));
                return None;
            }
        };
        if !self.may_compile(node, 1) {
            return Some(source);
        }
        match Program::compile(&source) {
            Ok(program) => self.references(node, program.references(), place),
            Err(error) => self.expression_error(node, error),
        }
        Some(source)
    }

    /// All templates below `node`.
    pub(super) fn template(&mut self, node: &Node, place: &Place) {
        match &node.data {
            Data::Text(text, _) if Template::is_template(text) => {
                if !self.may_compile(node, text.matches("{{").count()) {
                    return;
                }
                match Template::compile_text(text) {
                    Ok(template) => self.references(node, template.references(), place),
                    Err(error) => self.expression_error(node, error),
                }
            }
            Data::List(items) => items.iter().for_each(|item| self.template(item, place)),
            Data::Map(entries) => entries.iter().for_each(|(_, item)| self.template(item, place)),
            _ => {}
        }
    }

    /// A text with templates in it.
    pub(super) fn template_text(&mut self, node: &Node, what: &str, place: &Place) -> Option<String> {
        let text = self.filled(node, what)?;
        self.template(node, place);
        Some(text)
    }

    /// Counts expressions, and reports once where there are too many.
    fn may_compile(&mut self, node: &Node, count: usize) -> bool {
        let before = self.known.expressions;
        self.known.expressions = before.saturating_add(count);
        if before <= MAX_EXPRESSIONS && self.known.expressions > MAX_EXPRESSIONS {
            let message = format!("the blueprint has more than {MAX_EXPRESSIONS} expressions");
            self.report(Diagnostic::error(pointer(&node.link), message).too_large(), node.place);
        }
        self.known.expressions <= MAX_EXPRESSIONS
    }

    fn expression_error(&mut self, node: &Node, error: ExprError) {
        let diagnostic = Diagnostic { hint: error.hint, ..Diagnostic::error(pointer(&node.link), error.message) };
        self.report(diagnostic, node.inside(error.offset, error.length));
    }

    fn references(&mut self, node: &Node, references: &References, place: &Place) {
        for reference in references.iter() {
            if self.is_full() {
                return;
            }
            match reference.root.as_str() {
                "secrets" => self.secret(node, reference, place),
                "steps" if place.usual => self.step_reference(node, reference),
                "input" if place.usual || place.extra.contains(&"input") => self.input_reference(node, reference),
                root => self.variable(node, root, reference, place),
            }
        }
    }

    fn secret(&mut self, node: &Node, reference: &Reference, place: &Place) {
        let at = node.inside(reference.offset, reference.length);
        let error = |message: String| Diagnostic::error(pointer(&node.link), message);
        if !place.secrets {
            let message = format!("secrets cannot be read in {}", place.what);
            let hint = "they enter a step by `with` or `env` only, so that they are never journaled";
            return self.report(error(message).hint(hint), at);
        }
        let Some(name) = reference.path.first() else {
            let hint = "name one: `secrets.api_key`";
            return self.report(error("the secrets cannot be read all together".to_owned()).hint(hint), at);
        };
        if self.known.secrets.contains(name) {
            return;
        }
        let hint = match suggest(name, self.known.secrets.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `secrets.{near}`?"),
            None => format!("add `{name}` to the list `permissions: {{secrets: […]}}`"),
        };
        self.report(error(format!("the secret `{name}` is not declared")).hint(hint), at);
    }

    fn step_reference(&mut self, node: &Node, reference: &Reference) {
        // `steps` as a whole is what there is so far.
        let Some(name) = reference.path.first() else { return };
        if let Some(current) = &self.known.current {
            self.known.edges.entry(current.clone()).or_default().insert(name.clone());
        }
        if self.known.visible.set.contains(name) {
            return;
        }
        let offset = reference.offset + "steps.".len();
        let place = node.inside(offset, name.len());
        if self.known.steps.contains(name) {
            let from = self.known.current.clone();
            self.known.early.push(Early { from, to: name.clone(), pointer: pointer(&node.link), place });
            return;
        }
        let visible = &self.known.visible;
        let hint = match suggest(name, visible.order.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `steps.{near}`?"),
            None if visible.order.is_empty() => "no step with a result stands before this one".to_owned(),
            None => format!("before this one there are {}", super::listing(&visible.latest(6))),
        };
        let message = format!("there is no step `{}`", super::shortened(name));
        self.report(Diagnostic::error(pointer(&node.link), message).hint(hint), place);
    }

    /// Reports references to steps that come later, run beside, or refer to each other.
    pub(super) fn report_cycles(&mut self) {
        for early in std::mem::take(&mut self.known.early) {
            let to = &early.to;
            let (message, hint) = match &early.from {
                Some(from) if from == to => {
                    (format!("the step `{to}` refers to itself"), "use `steps.ID` of a step before it".to_owned())
                }
                Some(from) if self.reaches(to, from) => (
                    format!("the steps `{from}` and `{to}` refer to each other in a cycle"),
                    "a step can only use steps that stand before it".to_owned(),
                ),
                _ => (
                    format!("the result of step `{to}` is not there yet"),
                    "a step can use steps before it, not those after it, in another branch or inside a loop".to_owned(),
                ),
            };
            self.report(Diagnostic::error(early.pointer, message).hint(hint), early.place);
        }
    }

    fn reaches(&self, from: &str, to: &str) -> bool {
        let mut open = vec![from];
        let mut seen = HashSet::new();
        while let Some(step) = open.pop() {
            if step == to {
                return true;
            }
            if seen.insert(step) {
                open.extend(self.known.edges.get(step).into_iter().flatten().map(String::as_str));
            }
        }
        false
    }

    /// Warns where the input is closed by its schema and has no such field.
    fn input_reference(&mut self, node: &Node, reference: &Reference) {
        let (Some(name), Some(schema)) = (reference.path.first(), &self.known.inputs) else { return };
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
        if properties.contains_key(name) {
            return;
        }
        let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
        let near = suggest(name, properties.keys().map(String::as_str)).map(str::to_owned);
        if !closed && near.is_none() {
            return;
        }
        let message = format!("the schema of the input has no field `{}`", super::shortened(name));
        let warning = Diagnostic::warning(pointer(&node.link), message);
        let warning = match near {
            Some(near) => warning.hint(format!("did you mean `input.{near}`?")),
            None => warning,
        };
        self.report(warning, node.inside(reference.offset + "input.".len(), name.len()));
    }

    fn variable(&mut self, node: &Node, root: &str, reference: &Reference, place: &Place) {
        let usual = if place.usual { USUAL.as_slice() } else { &[] };
        let bound: Vec<String> = if place.usual { self.known.bound.clone() } else { Vec::new() };
        let mut names: Vec<&str> = usual.iter().chain(place.extra).copied().collect();
        names.extend(bound.iter().map(String::as_str));
        if names.contains(&root) {
            return;
        }
        if place.secrets {
            names.push("secrets");
        }
        let hint = if self.known.steps.contains(root) && place.usual {
            format!("the result of a step is `steps.{root}`")
        } else if let Some(near) = suggest(root, names.iter().copied()) {
            format!("did you mean `{near}`?")
        } else if names.is_empty() {
            "nothing can be read here".to_owned()
        } else {
            format!("here there are {}", super::listing(&names))
        };
        let message = format!("there is no variable `{}` here", super::shortened(root));
        let at = node.inside(reference.offset, root.len());
        self.report(Diagnostic::error(pointer(&node.link), message).hint(hint), at);
    }
}
