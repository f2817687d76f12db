//! What a bot does.

use std::collections::HashSet;

use indexmap::IndexMap;
use serde_json::Value;

use super::expressions::Place;
use super::{Fields, Reader, shortened};
use crate::blueprint::diagnostic::Diagnostic;
use crate::blueprint::tree::{Data, Key, Node, pointer};
use crate::blueprint::types::{Backoff, Case, Language, Retry, Source, Span, Step, StepKind};
use crate::expr::suggest;

mod control;
mod number;
mod undo;
mod wait;

pub(in crate::blueprint) use number::assign_ids;
pub(in crate::blueprint) use wait::REMINDERS;

/// Most steps in a blueprint, inner ones included.
pub const MAX_STEPS: usize = 2_000;

/// Keys that name what a step does.
const KINDS: [&str; 10] = ["use", "run", "call", "wait", "switch", "foreach", "parallel", "try", "fail", "continue"];

const USE: &[&str] = &["id", "title", "if", "use", "with", "connection", "retry", "timeout", "undo"];
const RUN: &[&str] = &["id", "title", "if", "run", "code", "file", "with", "env", "retry", "timeout", "undo"];
const CALL: &[&str] = &["id", "title", "if", "call", "with", "wait", "retry", "timeout", "undo"];
const WAIT: &[&str] = &["id", "title", "if", "wait"];
const FAIL: &[&str] = &["id", "title", "if", "fail"];
const CONTINUE: &[&str] = &["id", "title", "if", "continue"];
const ALL_KEYS: &[&str] = &[
    "id",
    "title",
    "if",
    "use",
    "run",
    "call",
    "wait",
    "switch",
    "foreach",
    "parallel",
    "try",
    "fail",
    "continue",
    "then",
    "else",
    "cases",
    "default",
    "as",
    "concurrency",
    "steps",
    "catch",
    "finally",
    "with",
    "connection",
    "code",
    "file",
    "env",
    "retry",
    "timeout",
    "undo",
];

/// Keys that a map may have.
type Keys = &'static [&'static str];

/// What a step is, seen from its keys.
enum Shape {
    Kind(&'static str),
    If,
}

impl Reader {
    /// The steps of the blueprint.
    pub(super) fn all_steps(&mut self, node: &Node) -> Vec<Step> {
        let mut count = 0;
        let mut taken = HashSet::new();
        self.collect_ids(node, &mut count, &mut taken);
        if count > MAX_STEPS {
            let message = format!("the blueprint has {count} steps; the limit is {MAX_STEPS}");
            let hint = "move some into a bot of their own and `call` it";
            let diagnostic = Diagnostic::error(pointer(&node.link), message).too_large().hint(hint);
            self.report(diagnostic, node.first_place());
            return Vec::new();
        }
        self.known.steps = taken;
        if matches!(&node.data, Data::List(items) if items.is_empty()) || matches!(node.data, Data::Null) {
            let hint = "for example `- use: log.write`".to_owned();
            self.error(node, "a blueprint needs at least one step", Some(hint));
        }
        let mut steps = self.steps(node);
        assign_ids(&mut steps);
        steps
    }

    /// Counts steps and collects the ids that the text gives, reporting those given twice.
    fn collect_ids(&mut self, node: &Node, count: &mut usize, taken: &mut HashSet<String>) {
        for item in list(node) {
            *count += 1;
            let Data::Map(entries) = &item.data else { continue };
            for (key, value) in entries {
                match (&*key.name, &value.data) {
                    ("id", Data::Text(id, _)) if !taken.insert(id.clone()) => {
                        let message = format!("the id `{}` is used by another step already", shortened(id));
                        self.error(value, message, Some("give each step an id of its own".to_owned()));
                    }
                    ("then" | "else" | "default" | "steps" | "try" | "catch" | "finally", _) => {
                        self.collect_ids(value, count, taken);
                    }
                    ("cases", _) => {
                        for case in list(value) {
                            let Data::Map(entries) = &case.data else { continue };
                            let steps = entries.iter().filter(|(key, _)| &*key.name == "steps");
                            steps.for_each(|(_, steps)| self.collect_ids(steps, count, taken));
                        }
                    }
                    ("parallel", Data::Map(branches)) => {
                        branches.iter().for_each(|(_, steps)| self.collect_ids(steps, count, taken));
                    }
                    _ => {}
                }
            }
        }
    }

    /// A list of steps.
    pub(super) fn steps(&mut self, node: &Node) -> Vec<Step> {
        let hint = "begin each step with `- `";
        match &node.data {
            Data::List(items) => items.iter().map(|item| self.step(item).unwrap_or_else(placeholder)).collect(),
            Data::Null => Vec::new(),
            _ => {
                self.wrong(node, "a list of steps", Some(hint.to_owned()));
                Vec::new()
            }
        }
    }

    fn step(&mut self, node: &Node) -> Option<Step> {
        let Data::Map(entries) = &node.data else {
            self.wrong(node, "a step", Some("for example `- use: http.get`".to_owned()));
            return None;
        };
        let fields = Fields { entries };
        let given = fields.get("id").and_then(|n| self.step_id(n));
        self.known.current = given.clone();
        let step = self.step_body(node, fields, &given);
        self.known.current = None;
        if let Some(id) = &given {
            self.known.visible.push(id);
        }
        step
    }

    fn step_body(&mut self, node: &Node, fields: Fields<'_>, given: &Option<String>) -> Option<Step> {
        let shape = self.shape(node, fields)?;
        let title = fields.get("title").and_then(|n| self.filled(n, "a title"));
        let guard = match shape {
            Shape::If => None,
            Shape::Kind(_) => fields.get("if").and_then(|n| self.condition(n, &Place::CONDITION)),
        };
        let retry = fields.get("retry").and_then(|n| self.retry(n));
        let timeout = match shape {
            Shape::Kind("use" | "run" | "call") => fields.get("timeout").and_then(|n| self.positive_span(n)),
            _ => None,
        };
        let kind = match shape {
            Shape::If => self.if_step(node),
            Shape::Kind("use") => self.use_step(node, "a `use` step", USE, &Place::INPUT),
            Shape::Kind("run") => self.run_step(node, "a `run` step", RUN, &Place::INPUT),
            Shape::Kind("call") => self.call_step(node, "a `call` step", CALL, &Place::INPUT),
            Shape::Kind("wait") => self.wait_step(node),
            Shape::Kind("switch") => self.switch_step(node),
            Shape::Kind("foreach") => self.foreach_step(node),
            Shape::Kind("parallel") => self.parallel_step(node),
            Shape::Kind("try") => self.try_step(node),
            Shape::Kind("continue") => self.continue_step(node),
            Shape::Kind(_) => self.fail_step(node),
        }?;
        let undo = match kind {
            StepKind::Use { .. } | StepKind::Run { .. } | StepKind::Call { .. } => {
                fields.get("undo").and_then(|n| self.undo(n)).map(Box::new)
            }
            _ => None,
        };
        let id = given.clone().unwrap_or_default();
        Some(Step { id, named: given.is_some(), title, guard, retry, timeout, undo, kind })
    }

    fn step_id(&mut self, node: &Node) -> Option<String> {
        let id = self.text(node, "an id")?;
        if is_step_id(&id) {
            return Some(id);
        }
        let message = "the id of a step is made of letters, digits and `_`, begins with a letter, up to 64 characters";
        let better: String = id.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        self.error(node, message, is_step_id(&better).then(|| format!("write `{better}`")));
        None
    }

    /// What the step does, by its keys.
    fn shape(&mut self, node: &Node, fields: Fields<'_>) -> Option<Shape> {
        let is_call = fields.has("call");
        let mut kinds: Vec<&'static str> =
            KINDS.into_iter().filter(|kind| fields.has(kind) && !(is_call && *kind == "wait")).collect();
        let branches = fields.has("then") || fields.has("else");
        if branches {
            kinds.push("then");
        }
        match kinds.as_slice() {
            ["then"] if fields.has("if") => Some(Shape::If),
            ["then"] => {
                self.error(node, "`then` and `else` need a condition", Some("add `if: …`".to_owned()));
                None
            }
            [kind] => Some(Shape::Kind(kind)),
            [] => {
                self.no_kind(node, fields);
                None
            }
            [first, second, ..] => {
                let message = format!("a step does one thing: this has `{first}` and `{second}`");
                let place = fields.entry(second).map_or(node.first_place(), |(key, _)| key.place);
                let hint = "begin a new step with `- `, or put it into `then`";
                self.report(Diagnostic::error(pointer(&node.link), message).hint(hint), place);
                None
            }
        }
    }

    fn no_kind(&mut self, node: &Node, fields: Fields<'_>) {
        if fields.has("if") {
            let hint = "add `then:` with steps, or what the step does (`use: …`)".to_owned();
            return self.error(node, "this condition decides nothing", Some(hint));
        }
        let unknown: Vec<&(Key, Node)> =
            fields.entries.iter().filter(|(key, _)| !ALL_KEYS.contains(&&*key.name)).collect();
        if unknown.is_empty() {
            let hint = "it needs one of `use`, `run`, `call`, `wait`, `if`, `switch`, `foreach`, `parallel`, `try`, `fail`, \
                        `continue`";
            return self.error(node, "this step does nothing", Some(hint.to_owned()));
        }
        for (key, value) in unknown {
            let message = format!("a step has no key `{}`", shortened(&key.name));
            let hint = match suggest(&key.name, ALL_KEYS.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if key.name.contains('.') => format!("to use a connector, write `use: {}`", shortened(&key.name)),
                None => "what a step does is one of `use`, `run`, `call`, `wait`, `if`, `switch`, `foreach`, \
                         `parallel`, `try`, `fail`, `continue`"
                    .to_owned(),
            };
            self.report(Diagnostic::error(pointer(&value.link), message).on_key().hint(hint), key.place);
        }
    }

    fn use_step(&mut self, node: &Node, what: &'static str, keys: Keys, place: &Place) -> Option<StepKind> {
        let fields = self.fields(node, what, keys)?;
        let action = fields.get("use").and_then(|n| self.dotted(n, "http.get"));
        let with = self.with(fields, place);
        let connection = fields.get("connection").and_then(|n| self.filled(n, "the name of a connection"));
        Some(StepKind::Use { action: action?, with, connection })
    }

    fn with(&mut self, fields: Fields<'_>, place: &Place) -> Value {
        match fields.get("with") {
            Some(node) => {
                self.template(node, place);
                self.input(node)
            }
            None => Value::Object(serde_json::Map::new()),
        }
    }

    fn run_step(&mut self, node: &Node, what: &'static str, keys: Keys, place: &Place) -> Option<StepKind> {
        let fields = self.fields(node, what, keys)?;
        let languages = [("python", Language::Python), ("node", Language::Node), ("shell", Language::Shell)];
        let language = fields.get("run").and_then(|n| self.choice(n, &languages));
        let source = match (fields.get("code"), fields.get("file")) {
            (Some(code), None) => self.filled(code, "code").map(Source::Inline),
            (None, Some(file)) => self.file(file).map(Source::File),
            (Some(_), Some(file)) => {
                self.error(file, "code comes from `code` or from `file`, not from both", None);
                None
            }
            (None, None) => {
                let hint = "add `code: |` with the code below, or `file: main.py`".to_owned();
                self.error(node, "there is no code to run", Some(hint));
                None
            }
        };
        let with = self.with(fields, place);
        let env = fields.get("env").map(|n| self.environment(n, place)).unwrap_or_default();
        Some(StepKind::Run { language: language?, source: source?, with, env })
    }

    fn file(&mut self, node: &Node) -> Option<String> {
        let name = self.filled(node, "the name of a file")?;
        let odd = |part: &str| part.is_empty() || part == "." || part == "..";
        if name.len() > 255 || name.contains(['\\', '\0']) || name.split('/').any(odd) {
            let hint = "for example `main.py` or `src/main.py`".to_owned();
            self.error(node, "this is not the name of a file of the version", Some(hint));
            return None;
        }
        Some(name)
    }

    fn environment(&mut self, node: &Node, place: &Place) -> IndexMap<String, String> {
        let Data::Map(entries) = &node.data else {
            if !matches!(node.data, Data::Null) {
                self.wrong(node, "a map of environment variables", None);
            }
            return IndexMap::new();
        };
        let mut env = IndexMap::new();
        for (key, value) in entries {
            let first = key.name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
            if !first || !key.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                let message = "an environment variable's name is made of letters, digits and `_`";
                self.report(Diagnostic::error(pointer(&value.link), message).on_key(), key.place);
            }
            if let Some(text) = self.text(value, "a text") {
                self.template(value, place);
                env.insert(key.name.to_string(), text);
            }
        }
        env
    }

    fn call_step(&mut self, node: &Node, what: &'static str, keys: Keys, place: &Place) -> Option<StepKind> {
        let fields = self.fields(node, what, keys)?;
        let bot = fields.get("call").and_then(|n| {
            let name = self.bot_name(n)?;
            if name == self.known.bot {
                let hint = "a loop within a bot is `foreach`; to go on as a new execution, use `continue`; to run \
                            again later, a schedule"
                    .to_owned();
                self.error(n, "a bot cannot call itself", Some(hint));
            }
            Some(name)
        });
        let with = self.with(fields, place);
        let wait = fields.get("wait").and_then(|n| self.boolean(n)).unwrap_or(true);
        Some(StepKind::Call { bot: bot?, with, wait })
    }

    fn fail_step(&mut self, node: &Node) -> Option<StepKind> {
        let fields = self.fields(node, "a `fail` step", FAIL)?;
        let message = fields.get("fail").and_then(|n| self.template_text(n, "a message", &Place::MESSAGE))?;
        Some(StepKind::Fail { message })
    }

    fn continue_step(&mut self, node: &Node) -> Option<StepKind> {
        let fields = self.fields(node, "a `continue` step", CONTINUE)?;
        let input = fields.get("continue")?;
        if let Some(around) = self.known.around.last() {
            let message = format!("an execution cannot continue as a new one from within `{around}`");
            let hint = match *around {
                "foreach" => "put it behind the loop; to leave out the rest of a round, guard its steps with `if`",
                _ => "put it behind that step, with an `if` where it depends on it",
            };
            self.error(node, message, Some(hint.to_owned()));
        }
        self.template(input, &Place::CONTINUE);
        Some(StepKind::Continue { input: self.input(input) })
    }

    fn retry(&mut self, node: &Node) -> Option<Retry> {
        let mut retry = Retry::default();
        if let Data::Number(_) = node.data {
            retry.attempts = self.count(node, 1, 100)?;
            return Some(retry);
        }
        let known: &[&str] = &["attempts", "backoff", "delay", "max", "jitter", "on"];
        let fields = self.fields(node, "`retry`", known)?;
        let backoffs =
            [("constant", Backoff::Constant), ("linear", Backoff::Linear), ("exponential", Backoff::Exponential)];
        retry.attempts = fields.get("attempts").and_then(|n| self.count(n, 1, 100)).unwrap_or(retry.attempts);
        retry.backoff = fields.get("backoff").and_then(|n| self.choice(n, &backoffs)).unwrap_or(retry.backoff);
        retry.delay = fields.get("delay").and_then(|n| self.span(n)).unwrap_or(retry.delay);
        // A first delay beyond the usual longest one raises that, unless it is given.
        retry.max = match fields.get("max").and_then(|n| self.span(n)) {
            Some(max) => max,
            None => Span(retry.max.0.max(retry.delay.0)),
        };
        if retry.max < retry.delay {
            let at = fields.get("max").unwrap_or(node);
            self.error(at, "the longest delay is shorter than the first", None);
        }
        retry.jitter = fields.get("jitter").and_then(|n| self.fraction(n)).unwrap_or(retry.jitter);
        retry.on = fields.get("on").map(|n| self.error_codes(n)).unwrap_or_default();
        Some(retry)
    }

    fn error_codes(&mut self, node: &Node) -> Vec<String> {
        let codes = crate::error::Code::ALL.map(|code| (code.as_str(), code.as_str()));
        let items = self.items(node, "a list of error codes");
        items.iter().filter_map(|item| self.choice(item, &codes).map(str::to_owned)).collect()
    }
}

/// What takes the place of a step that cannot be read, so that pointers fit the text.
fn placeholder() -> Step {
    let kind = StepKind::Fail { message: String::new() };
    Step { id: String::new(), named: false, title: None, guard: None, retry: None, timeout: None, undo: None, kind }
}

/// Whether `id` can be the id of a step.
pub(in crate::blueprint) fn is_step_id(id: &str) -> bool {
    let first = id.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    first && id.len() <= 64 && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The items of a list, or nothing.
fn list(node: &Node) -> &[Node] {
    match &node.data {
        Data::List(items) => items,
        _ => &[],
    }
}
