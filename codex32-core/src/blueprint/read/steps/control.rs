//! Steps that hold steps: what each branch sees of the others.
//!
//! After a container, the results of its branches are there (null where a
//! branch did not run), except those of a loop's body, which has one result
//! for each round: the list is the loop's own result.

use indexmap::IndexMap;

use super::{Case, Place, Reader, Step, StepKind, is_step_id};
use crate::blueprint::diagnostic::Diagnostic;
use crate::blueprint::read::Fields;
use crate::blueprint::tree::{Data, Node, pointer};

const IF: &[&str] = &["id", "title", "if", "then", "else"];
const SWITCH: &[&str] = &["id", "title", "if", "switch", "cases", "default"];
const FOREACH: &[&str] = &["id", "title", "if", "foreach", "as", "concurrency", "steps"];
const PARALLEL: &[&str] = &["id", "title", "if", "parallel"];
const TRY: &[&str] = &["id", "title", "if", "try", "catch", "finally"];

/// Most rounds of a loop at a time.
const MAX_CONCURRENCY: u32 = 1_000;

impl Reader {
    /// Reads a branch; its steps are hidden from the branches beside it and handed back.
    fn branch(&mut self, node: Option<&Node>, bind: &[&str]) -> (Vec<Step>, Vec<String>) {
        let Some(node) = node else { return (Vec::new(), Vec::new()) };
        let current = self.known.current.take();
        let visible = self.known.visible.len();
        let bound = self.known.bound.len();
        self.known.bound.extend(bind.iter().map(|name| (*name).to_owned()));
        let steps = self.steps(node);
        self.known.bound.truncate(bound);
        let inner = self.known.visible.split_off(visible);
        self.known.current = current;
        (steps, inner)
    }

    fn reveal(&mut self, steps: Vec<String>) {
        steps.iter().for_each(|id| self.known.visible.push(id));
    }

    pub(super) fn if_step(&mut self, node: &Node) -> Option<StepKind> {
        let fields = self.fields(node, "an `if` step", IF)?;
        let condition = fields.get("if").and_then(|n| self.condition(n, &Place::CONDITION));
        let (then, first) = self.branch(fields.get("then"), &[]);
        let (otherwise, second) = self.branch(fields.get("else"), &[]);
        self.reveal(first);
        self.reveal(second);
        if then.is_empty() && otherwise.is_empty() && !self.found.has_errors() {
            self.error(node, "both branches are empty", Some("add steps below `then`".to_owned()));
        }
        Some(StepKind::If { condition: condition?, then, otherwise })
    }

    pub(super) fn switch_step(&mut self, node: &Node) -> Option<StepKind> {
        let fields = self.fields(node, "a `switch` step", SWITCH)?;
        let on = fields.get("switch").and_then(|n| self.condition(n, &Place::CONDITION));
        let mut inner = Vec::new();
        let mut cases = Vec::new();
        match fields.get("cases") {
            Some(list) => {
                for item in self.items(list, "a list of cases") {
                    let placeholder = || Case { is: serde_json::Value::Null, steps: Vec::new() };
                    cases.push(self.case(item, &mut inner).unwrap_or_else(placeholder));
                }
            }
            None => {
                let hint = "add `cases:` with items `- {is: value, steps: […]}`".to_owned();
                self.error(node, "there are no cases to choose from", Some(hint));
            }
        }
        let (default, last) = self.branch(fields.get("default"), &[]);
        self.reveal(inner);
        self.reveal(last);
        Some(StepKind::Switch { on: on?, cases, default })
    }

    fn case(&mut self, node: &Node, inner: &mut Vec<String>) -> Option<Case> {
        let fields = self.fields(node, "a case", &["is", "steps"])?;
        let Some(is) = fields.get("is") else {
            let hint = "add `is: value`; steps for all other values stand in `default`".to_owned();
            self.error(node, "the case does not say for which value", Some(hint));
            return None;
        };
        let (steps, ids) = self.branch(fields.get("steps"), &[]);
        inner.extend(ids);
        Some(Case { is: is.to_json(), steps })
    }

    pub(super) fn foreach_step(&mut self, node: &Node) -> Option<StepKind> {
        let fields = self.fields(node, "a `foreach` step", FOREACH)?;
        let items = fields.get("foreach").and_then(|n| self.condition(n, &Place::CONDITION));
        let bind = match fields.get("as") {
            Some(n) => self.bind(n).unwrap_or_else(|| "item".to_owned()),
            None => "item".to_owned(),
        };
        let concurrency = fields.get("concurrency").and_then(|n| self.count(n, 1, MAX_CONCURRENCY)).unwrap_or(1);
        self.need_steps(node, fields, "steps");
        self.known.around.push("foreach");
        let (steps, _) = self.branch(fields.get("steps"), &[&bind, "index"]);
        self.known.around.pop();
        Some(StepKind::Foreach { items: items?, bind, concurrency, steps })
    }

    /// The name of a loop's item.
    fn bind(&mut self, node: &Node) -> Option<String> {
        let name = self.text(node, "a name")?;
        let reserved =
            ["input", "steps", "trigger", "bot", "execution", "secrets", "error", "approval", "event", "index"];
        if reserved.contains(&name.as_str()) {
            self.error(node, format!("the name `{name}` means something else already"), None);
            return None;
        }
        let word = is_step_id(&name) && !["true", "false", "null", "in"].contains(&name.as_str());
        if !word {
            self.error(node, "the name of an item is made of letters, digits and `_`", None);
            return None;
        }
        Some(name)
    }

    pub(super) fn parallel_step(&mut self, node: &Node) -> Option<StepKind> {
        let fields = self.fields(node, "a `parallel` step", PARALLEL)?;
        let parallel = fields.get("parallel")?;
        let Data::Map(entries) = &parallel.data else {
            let hint = "name each branch: `parallel: {first: […], second: […]}`".to_owned();
            self.wrong(parallel, "a map of branches", Some(hint));
            return None;
        };
        if entries.is_empty() {
            self.error(parallel, "there are no branches", None);
        }
        let mut branches = IndexMap::new();
        let mut inner = Vec::new();
        self.known.around.push("parallel");
        for (key, value) in entries {
            if !is_step_id(&key.name) {
                let message = "the name of a branch is made of letters, digits and `_`, and begins with a letter";
                self.report(Diagnostic::error(pointer(&value.link), message).on_key(), key.place);
            }
            let (steps, ids) = self.branch(Some(value), &[]);
            inner.extend(ids);
            branches.insert(key.name.to_string(), steps);
        }
        self.known.around.pop();
        self.reveal(inner);
        Some(StepKind::Parallel { branches })
    }

    pub(super) fn try_step(&mut self, node: &Node) -> Option<StepKind> {
        let fields = self.fields(node, "a `try` step", TRY)?;
        if !fields.has("catch") && !fields.has("finally") {
            let hint = "add `catch:` (when it fails) or `finally:` (in any case)".to_owned();
            self.error(node, "`try` alone changes nothing", Some(hint));
        }
        self.need_steps(node, fields, "try");
        self.known.around.push("try");
        let (body, ids) = self.branch(fields.get("try"), &[]);
        self.reveal(ids);
        let (catch, ids) = self.branch(fields.get("catch"), &["error"]);
        self.reveal(ids);
        let (finally, ids) = self.branch(fields.get("finally"), &[]);
        self.reveal(ids);
        self.known.around.pop();
        Some(StepKind::Try { body, catch, finally })
    }

    fn need_steps(&mut self, node: &Node, fields: Fields<'_>, key: &str) {
        let empty = match fields.get(key) {
            None => true,
            Some(steps) => {
                matches!(&steps.data, Data::List(items) if items.is_empty()) || matches!(steps.data, Data::Null)
            }
        };
        if empty {
            let hint = format!("add steps below `{key}:`");
            self.error(fields.get(key).unwrap_or(node), "there are no steps here", Some(hint));
        }
    }
}
