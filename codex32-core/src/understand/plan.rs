//! The bot under construction: triggers, steps in open blocks, what "it" is,
//! and what must be asked.

use std::collections::{BTreeSet, HashSet};

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::retrieve::Index;
use super::{Context, Question};
use crate::blueprint::{Language, Restart, Source, Step, StepKind, Trigger};
use crate::catalogue::Catalogue;

/// What "it" stands for.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum Subject {
    #[default]
    Nothing,
    /// The answer of an HTTP step.
    Http(String),
    /// The finding of `http.check`: step and address.
    Check(String, String),
    /// What started the bot, by a webhook with these fields.
    Webhook(Vec<String>),
    /// A new item of a feed, or what another poll trigger saw.
    Event,
    /// A new file.
    File,
    /// The end of another bot, and its name.
    BotEnd(String),
    /// One item of a list; true where its values are texts (CSV).
    Item(bool),
    /// A list, as an expression; true where its values are texts.
    Rows(String, bool),
    /// What an expression yields, and what people call it.
    Value(String, String),
    /// The output of a script.
    Script(String),
}

impl Subject {
    /// The expression of the whole of it.
    pub(super) fn whole(&self) -> Option<String> {
        Some(match self {
            Subject::Nothing => return None,
            Subject::Http(step) => format!("steps.{step}.body"),
            Subject::Check(step, _) | Subject::Script(step) => format!("steps.{step}"),
            Subject::Webhook(_) | Subject::Event | Subject::BotEnd(_) => "input".to_owned(),
            Subject::File => "input.path".to_owned(),
            Subject::Item(_) => "item".to_owned(),
            Subject::Rows(expr, _) | Subject::Value(expr, _) => expr.clone(),
        })
    }

    /// The expression of one of its fields.
    pub(super) fn field(&self, name: &str) -> Option<String> {
        match self {
            Subject::Nothing => None,
            Subject::Value(expr, label) if label == name => Some(expr.clone()),
            Subject::File => Some(member("input", name)),
            other => Some(member(&other.whole()?, name)),
        }
    }
}

/// `base.name`, by brackets where the name is no identifier; dots in `name` lead inwards.
pub(super) fn member(base: &str, name: &str) -> String {
    let plain = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    if !name.is_empty() && name.split('.').all(plain) {
        format!("{base}.{name}")
    } else {
        format!("{base}[{}]", quote(name))
    }
}

/// That there is what [`member`] names. `has()` takes no name in brackets.
pub(super) fn present(expr: &str) -> String {
    // Within the quotes of a name there is no quote that is not escaped.
    match expr.strip_suffix(']').and_then(|expr| expr.rfind("[\"").map(|at| expr.split_at(at))) {
        Some((base, name)) => format!("{} in {base}", &name[1..]),
        None => format!("has({expr})"),
    }
}

/// `text` as a CEL string.
pub(super) fn quote(text: &str) -> String {
    Value::from(text).to_string()
}

/// `{{ expr }}`.
pub(super) fn template(expr: &str) -> String {
    format!("{{{{ {expr} }}}}")
}

/// A block whose steps are still being added.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) kind: BlockKind,
    pub(super) steps: Vec<Step>,
    /// What "it" was outside.
    pub(super) outer: Subject,
    /// Ends with the next step that is done.
    pub(super) brief: bool,
}

#[derive(Debug)]
pub(super) enum BlockKind {
    Root,
    If(String),
    Else {
        condition: String,
        then: Vec<Step>,
    },
    Foreach(String),
    /// What to do about the failure of `body`.
    Catch {
        body: Vec<Step>,
    },
}

/// Everything that is known of the bot so far.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) context: &'a Context,
    pub(super) catalogue: &'a Catalogue,
    pub(super) index: &'a Index,
    pub(super) text: &'a str,
    pub(super) triggers: Vec<Trigger>,
    pub(super) blocks: Vec<Block>,
    pub(super) subject: Subject,
    /// The last step that did the main work, for "if it fails".
    pub(super) main: Option<String>,
    pub(super) questions: Vec<Question>,
    pub(super) assumptions: Vec<String>,
    pub(super) unknown: Vec<String>,
    pub(super) hosts: BTreeSet<String>,
    pub(super) files: BTreeSet<String>,
    pub(super) ids: HashSet<String>,
    pub(super) restart: Restart,
    pub(super) answered_webhook: bool,
    /// What the last condition tested, in words, for messages that are not given.
    pub(super) reason: Option<String>,
    /// The same without values, for subject lines.
    pub(super) brief_reason: Option<String>,
    /// Words for the bot's name: where things come from, where they go.
    pub(super) source_word: Option<String>,
    pub(super) target_word: Option<String>,
    /// How sure each clause is.
    pub(super) sureness: Vec<f64>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(context: &'a Context, catalogue: &'a Catalogue, index: &'a Index, text: &'a str) -> Plan<'a> {
        let root = Block { kind: BlockKind::Root, steps: Vec::new(), outer: Subject::Nothing, brief: false };
        Plan {
            context,
            catalogue,
            index,
            text,
            triggers: Vec::new(),
            blocks: vec![root],
            subject: Subject::Nothing,
            main: None,
            questions: Vec::new(),
            assumptions: Vec::new(),
            unknown: Vec::new(),
            hosts: BTreeSet::new(),
            files: BTreeSet::new(),
            ids: HashSet::new(),
            restart: Restart::Never,
            answered_webhook: false,
            reason: None,
            brief_reason: None,
            source_word: None,
            target_word: None,
            sureness: Vec::new(),
        }
    }

    /// Asks, unless it was answered before.
    pub(super) fn ask(&mut self, id: &str, text: &str, about: &str) -> Option<String> {
        self.question(id, text, about, true)
    }

    /// A question that the bot can do without the answer to.
    pub(super) fn ask_if_you_like(&mut self, id: &str, text: &str, about: &str) -> Option<String> {
        self.question(id, text, about, false)
    }

    fn question(&mut self, id: &str, text: &str, about: &str, blocking: bool) -> Option<String> {
        if let Some(answer) = self.context.answers.get(id).map(|a| a.trim()).filter(|a| !a.is_empty()) {
            return Some(answer.to_owned());
        }
        if !self.questions.iter().any(|q| q.id == id) {
            let about = about.trim().to_owned();
            self.questions.push(Question { id: id.to_owned(), text: text.to_owned(), about, blocking });
        }
        None
    }

    pub(super) fn assume(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.assumptions.contains(&text) {
            self.assumptions.push(text);
        }
    }

    /// A step id that is free.
    pub(super) fn id(&mut self, wanted: &str) -> String {
        let base: String =
            wanted.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
        let mut id = base.clone();
        let mut n = 1;
        while !self.ids.insert(id.clone()) {
            n += 1;
            id = format!("{base}{n}");
        }
        id
    }

    pub(super) fn steps(&mut self) -> &mut Vec<Step> {
        if self.blocks.is_empty() {
            self.blocks.push(Block { kind: BlockKind::Root, steps: Vec::new(), outer: Subject::Nothing, brief: false });
        }
        let last = self.blocks.len() - 1;
        &mut self.blocks[last].steps
    }

    /// Adds a step and gives its id.
    pub(super) fn push(&mut self, wanted: &str, kind: StepKind) -> String {
        let id = self.id(wanted);
        self.steps().push(step(&id, kind));
        id
    }

    /// Adds a `use` step.
    pub(super) fn push_use(&mut self, wanted: &str, action: &str, with: Map<String, Value>) -> String {
        self.push(wanted, StepKind::Use { action: action.to_owned(), with: Value::Object(with), connection: None })
    }

    pub(super) fn push_run(&mut self, language: Language, code: String) -> String {
        let kind = StepKind::Run {
            language,
            source: Source::Inline(code),
            with: Value::Object(Map::new()),
            env: IndexMap::new(),
        };
        self.push("script", kind)
    }

    /// Opens a block; what follows goes into it.
    pub(super) fn open(&mut self, kind: BlockKind, brief: bool) {
        let outer = self.subject.clone();
        self.blocks.push(Block { kind, steps: Vec::new(), outer, brief });
    }

    /// Closes the innermost block and puts its step where it belongs.
    pub(super) fn close(&mut self) {
        if self.blocks.len() <= 1 {
            return;
        }
        let Some(block) = self.blocks.pop() else { return };
        self.subject = block.outer;
        let steps = block.steps;
        let (wanted, kind) = match block.kind {
            BlockKind::Root => return,
            BlockKind::If(condition) => ("if", StepKind::If { condition, then: steps, otherwise: Vec::new() }),
            BlockKind::Else { condition, then } => ("if", StepKind::If { condition, then, otherwise: steps }),
            BlockKind::Foreach(items) => {
                ("each", StepKind::Foreach { items, bind: "item".to_owned(), concurrency: 1, steps })
            }
            BlockKind::Catch { body } => {
                let mut catch = steps;
                // Told, and still a failure: the execution shows it.
                let id = self.id("fail");
                catch.push(step(&id, StepKind::Fail { message: template("error.message") }));
                ("try", StepKind::Try { body, catch, finally: Vec::new() })
            }
        };
        let empty = match &kind {
            StepKind::If { then, otherwise, .. } => then.is_empty() && otherwise.is_empty(),
            StepKind::Foreach { steps, .. } => steps.is_empty(),
            _ => false,
        };
        if !empty {
            let id = self.id(wanted);
            let mut made = step(&id, kind);
            made.named = false;
            self.steps().push(made);
        }
    }

    /// Closes blocks that end with the step just done.
    pub(super) fn close_brief(&mut self) {
        while self.blocks.last().is_some_and(|b| b.brief) {
            self.close();
        }
    }

    pub(super) fn close_all(&mut self) {
        while self.blocks.len() > 1 {
            self.close();
        }
    }

    /// Whether the bot is inside the handling of a failure.
    pub(super) fn in_catch(&self) -> bool {
        self.blocks.iter().any(|b| matches!(b.kind, BlockKind::Catch { .. }))
    }

    /// The expression of a list in the subject: the field of its plural name, or the whole.
    pub(super) fn list_of(&self, noun: &str) -> Option<String> {
        let whole = match &self.subject {
            Subject::Rows(expr, _) => return Some(expr.clone()),
            other => other.whole()?,
        };
        let list = member(&whole, &plural(noun));
        Some(format!("{} ? {list} : {whole}", present(&list)))
    }
}

fn plural(noun: &str) -> String {
    if noun.ends_with('s') {
        noun.to_owned()
    } else if let Some(stem) = noun.strip_suffix('y').filter(|s| !s.ends_with(['a', 'e', 'o', 'u'])) {
        format!("{stem}ies")
    } else {
        format!("{noun}s")
    }
}

/// A step without extras.
pub(super) fn step(id: &str, kind: StepKind) -> Step {
    Step { id: id.to_owned(), named: true, title: None, guard: None, retry: None, timeout: None, undo: None, kind }
}

/// The host of an address as permissions name it.
pub(super) fn host(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}
