//! Conditions as CEL, over what was spoken of.

use serde_json::{Map, Value};

use super::condition::{Condition, Op, Operand, Test};
use super::plan::{Plan, Subject, member, quote, template};
use super::token::Token;
use super::value::{field_names, table};
use crate::blueprint::StepKind;

/// A condition as CEL, and in words for messages.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Composed {
    pub(super) cel: String,
    pub(super) reason: String,
    /// Without values.
    pub(super) brief: String,
}

/// The CEL of `condition`; None where it speaks of nothing that is known.
pub(super) fn compose(plan: &mut Plan<'_>, condition: &Condition) -> Option<Composed> {
    let mut whole: Option<Composed> = None;
    for (i, test) in condition.tests.iter().enumerate() {
        let next = one(plan, test)?;
        whole = Some(match whole {
            None => next,
            Some(before) => {
                let (mark, word) = if condition.ors[i - 1] { ("||", "or") } else { ("&&", "and") };
                Composed {
                    cel: format!("({}) {mark} ({})", before.cel, next.cel),
                    reason: format!("{} {word} {}", before.reason, next.reason),
                    brief: format!("{} {word} {}", before.brief, next.brief),
                }
            }
        });
    }
    whole
}

fn one(plan: &mut Plan<'_>, test: &Test) -> Option<Composed> {
    match test.op {
        Op::Down | Op::Up => return reachable(plan, test),
        Op::Fails | Op::Succeeds => return None,
        _ => {}
    }
    if let Some(counted) = counted_rows(plan, test) {
        return Some(counted);
    }
    let (expr, label, texts) = target(plan, &test.subject)?;
    if test.op == Op::Changes {
        return Some(changed(plan, &expr, &label));
    }
    let cel = comparison(plan, &expr, texts, test)?;
    let cel = match &plan.subject {
        // Items of a list need not all have the field.
        Subject::Item(_) if expr != "item" && test.op != Op::Missing => {
            format!("{} && {cel}", super::plan::present(&expr))
        }
        _ => cel,
    };
    let reason = format!("{label} {}", words(test));
    let value = if matches!(test.op, Op::Less | Op::Greater | Op::AtLeast | Op::AtMost | Op::Between(..)) {
        format!(" (now {})", template(&expr))
    } else {
        String::new()
    };
    Some(Composed { cel, reason: format!("{}{value}", reason.trim()), brief: reason.trim().to_owned() })
}

/// What is tested: its expression, its name, and whether its values are texts.
fn target(plan: &mut Plan<'_>, subject: &[Token]) -> Option<(String, String, bool)> {
    if let Some(url) = subject.iter().find_map(|t| t.url().map(str::to_owned)) {
        plan.fetch(&url);
    }
    if subject.iter().any(|t| t.any(&["number", "count", "length", "size", "many"])) {
        let noun = subject
            .iter()
            .rev()
            .find(|t| t.is_word() && !t.any(&["of", "the", "number", "count", "length", "size", "how", "many"]));
        let list = plan.list_of(noun.map_or("item", |t| t.stem.as_str()))?;
        return Some((
            format!("size({list})"),
            noun.map_or_else(|| "the number".to_owned(), |t| format!("the number of {}", t.word)),
            false,
        ));
    }
    let texts = matches!(plan.subject, Subject::Item(true));
    let http_status = subject.iter().any(|t| t.any(&["code"])) && subject.iter().any(|t| t.is("status"));
    if let (Subject::Http(step) | Subject::Check(step, _), true) = (&plan.subject, http_status) {
        return Some((format!("steps.{step}.status"), "the status".to_owned(), false));
    }
    let behind = subject.iter().rposition(|t| t.owns).map_or(subject, |at| &subject[at + 1..]);
    let names: Vec<String> = field_names(behind)
        .into_iter()
        .map(|n| n.split('_').filter(|w| !NO_FIELD.contains(w)).collect::<Vec<_>>().join("_"))
        .filter(|n| !n.is_empty())
        .collect();
    match names.as_slice() {
        [] => plan.subject.whole().map(|expr| (expr, plan.subject_label(), texts)),
        [name] => {
            let name = plan.field_name(name);
            let expr = plan.subject.field(&name)?;
            if name.contains('_') && behind.len() > 1 && !behind.iter().any(|t| t.word == name) {
                plan.assume(format!("I take \"{name}\" as the name of a field of what was read."));
            }
            Some((expr, name, texts))
        }
        _ => None,
    }
}

/// Words beside a field's name that only point at it.
const NO_FIELD: [&str; 36] = [
    "at", "on", "from", "in", "of", "by", "it", "its", "there", "whose", "which", "that", "answer", "response", "body",
    "page", "result", "results", "output", "item", "row", "webhook", "file", "contents", "content", "site", "website",
    "is", "who", "where", "check", "see", "then", "has", "you", "find",
];

fn comparison(plan: &mut Plan<'_>, expr: &str, texts: bool, test: &Test) -> Option<String> {
    let numeric = if texts { format!("double({expr})") } else { expr.to_owned() };
    let value = match &test.operand {
        Operand::Number(n) => number(*n),
        Operand::Text(text) => quote(text),
        Operand::Bool(b) => b.to_string(),
        Operand::None => String::new(),
    };
    let text = match &test.operand {
        Operand::Number(n) => quote(&number(*n)),
        _ => value.clone(),
    };
    // Text is looked for in whatever it is, JSON too.
    let whole = plan.subject.whole().is_some_and(|w| w == expr) && !matches!(plan.subject, Subject::Value(..));
    let hay = if whole { format!("toJson({expr})") } else { format!("string({expr})") };
    Some(match &test.op {
        Op::Less => format!("{numeric} < {value}"),
        Op::Greater => format!("{numeric} > {value}"),
        Op::AtMost => format!("{numeric} <= {value}"),
        Op::AtLeast => format!("{numeric} >= {value}"),
        Op::Equal if texts => format!("{expr} == {text}"),
        Op::NotEqual if texts => format!("{expr} != {text}"),
        Op::Equal => format!("{expr} == {value}"),
        Op::NotEqual => format!("{expr} != {value}"),
        Op::Contains => format!("{hay}.contains({text})"),
        Op::Lacks => format!("!{hay}.contains({text})"),
        Op::Starts => format!("{hay}.startsWith({text})"),
        Op::Ends => format!("{hay}.endsWith({text})"),
        Op::Empty => format!("size({expr}) == 0"),
        Op::Filled => format!("size({expr}) > 0"),
        Op::Between(a, b) => format!("{numeric} >= {} && {numeric} <= {}", number(*a), number(*b)),
        Op::Older(ms) => format!("timestamp(execution.started_at) - timestamp({expr}) > duration(\"{}s\")", ms / 1_000),
        Op::Exists => super::plan::present(expr),
        Op::Missing => format!("!({})", super::plan::present(expr)),
        Op::Changes | Op::Down | Op::Up | Op::Fails | Op::Succeeds => return None,
    })
}

pub(super) fn number(n: f64) -> String {
    if n.fract() == 0.0 && n.abs() < 1e15 { format!("{n:.0}") } else { n.to_string() }
}

fn words(test: &Test) -> String {
    let value = match &test.operand {
        Operand::Number(n) => number(*n),
        Operand::Text(text) => format!("\"{text}\""),
        Operand::Bool(b) => b.to_string(),
        Operand::None => String::new(),
    };
    match &test.op {
        Op::Less => format!("is below {value}"),
        Op::Greater => format!("is above {value}"),
        Op::AtMost => format!("is at most {value}"),
        Op::AtLeast => format!("is at least {value}"),
        Op::Equal => format!("is {value}"),
        Op::NotEqual => format!("is not {value}"),
        Op::Contains => format!("contains {value}"),
        Op::Lacks => format!("does not contain {value}"),
        Op::Starts => format!("starts with {value}"),
        Op::Ends => format!("ends with {value}"),
        Op::Empty => "is empty".to_owned(),
        Op::Filled => "is not empty".to_owned(),
        Op::Between(a, b) => format!("is between {} and {}", number(*a), number(*b)),
        Op::Older(_) => "is too old".to_owned(),
        Op::Exists => "exists".to_owned(),
        Op::Missing => "is missing".to_owned(),
        Op::Changes => "changed".to_owned(),
        Op::Down => "is down".to_owned(),
        Op::Up => "is up".to_owned(),
        Op::Fails => "failed".to_owned(),
        Op::Succeeds => "succeeded".to_owned(),
    }
}

/// "it is down": the page is checked instead of fetched.
fn reachable(plan: &mut Plan<'_>, test: &Test) -> Option<Composed> {
    if let Some(url) = test.subject.iter().find_map(|t| t.url().map(str::to_owned)) {
        plan.check_url(&url);
    }
    let (step, url) = plan.as_check()?;
    let up = test.op == Op::Up;
    let cel = if up { format!("steps.{step}.up") } else { format!("!steps.{step}.up") };
    let reason = if up {
        format!("{url} is up")
    } else {
        format!("{url} is down: {}", template(&format!("steps.{step}.error")))
    };
    let brief = format!("{url} is {}", if up { "up" } else { "down" });
    Some(Composed { cel, reason, brief })
}

/// "there are more than 10 rows in table orders", "table errors is not empty".
fn counted_rows(plan: &mut Plan<'_>, test: &Test) -> Option<Composed> {
    let table = table(&test.tail).or_else(|| table(&test.subject))?;
    let compared = match (&test.op, &test.operand) {
        (Op::Less, Operand::Number(n)) => format!("< {}", number(*n)),
        (Op::Greater, Operand::Number(n)) => format!("> {}", number(*n)),
        (Op::AtLeast, Operand::Number(n)) => format!(">= {}", number(*n)),
        (Op::AtMost, Operand::Number(n)) => format!("<= {}", number(*n)),
        (Op::Equal, Operand::Number(n)) => format!("== {}", number(*n)),
        (Op::Empty, _) => "== 0".to_owned(),
        (Op::Filled, _) => "> 0".to_owned(),
        _ => return None,
    };
    let expr = plan.count_rows(&table);
    let reason = format!("table {table} has {} rows", template(&expr));
    let brief = format!("rows in table {table}");
    Some(Composed { cel: format!("{expr} {compared}"), reason, brief })
}

fn changed(plan: &mut Plan<'_>, expr: &str, label: &str) -> Composed {
    let mut with = Map::new();
    let key = super::naming::slug(label).replace('-', "_");
    with.insert("key".to_owned(), Value::from(if key.is_empty() { "value".to_owned() } else { key }));
    with.insert("value".to_owned(), Value::from(template(expr)));
    let step = plan.push_use("changed", "kv.changed", with);
    Composed {
        cel: format!("steps.{step}.changed"),
        brief: format!("{label} changed"),
        reason: format!("{label} changed from {} to {}", template(&format!("steps.{step}.before")), template(expr)),
    }
}

impl Plan<'_> {
    /// What people call the subject.
    pub(super) fn subject_label(&self) -> String {
        match &self.subject {
            Subject::Http(_) => "the page".to_owned(),
            Subject::Check(_, url) => url.clone(),
            Subject::Item(_) => "the item".to_owned(),
            Subject::Value(_, label) => label.clone(),
            Subject::Script(_) => "the output".to_owned(),
            _ => "it".to_owned(),
        }
    }

    /// "unit price" is the field unit_price; a field of a webhook goes by its declared name.
    pub(super) fn field_name(&self, said: &str) -> String {
        let Subject::Webhook(fields) = &self.subject else { return said.to_owned() };
        fields.iter().find(|f| f.eq_ignore_ascii_case(said)).cloned().unwrap_or_else(|| said.to_owned())
    }

    /// Fetches an address; its answer is what is spoken of from then on.
    pub(super) fn fetch(&mut self, url: &str) -> String {
        self.allow(url);
        let mut with = Map::new();
        with.insert("url".to_owned(), Value::from(url));
        let wanted = super::naming::url_word(url).map_or_else(|| "get".to_owned(), |w| w.replace('-', "_"));
        let wanted = if wanted.starts_with(|c: char| c.is_ascii_alphabetic()) { wanted } else { "get".to_owned() };
        let step = self.push_use(&wanted, "http.get", with);
        self.note_source(url);
        self.subject = Subject::Http(step.clone());
        self.main = Some(step.clone());
        step
    }

    /// Checks an address.
    pub(super) fn check_url(&mut self, url: &str) -> String {
        self.allow(url);
        let mut with = Map::new();
        with.insert("url".to_owned(), Value::from(url));
        let step = self.push_use("check", "http.check", with);
        self.note_source(url);
        self.subject = Subject::Check(step.clone(), url.to_owned());
        self.main = Some(step.clone());
        step
    }

    pub(super) fn allow(&mut self, url: &str) {
        self.hosts.extend(super::plan::host(url));
    }

    fn note_source(&mut self, url: &str) {
        if self.source_word.is_none() {
            self.source_word = super::naming::url_word(url);
        }
    }

    /// The check that is spoken of; a plain fetch becomes one.
    fn as_check(&mut self) -> Option<(String, String)> {
        if let Subject::Check(step, url) = &self.subject {
            return Some((step.clone(), url.clone()));
        }
        let Subject::Http(wanted) = self.subject.clone() else { return None };
        let found = self.blocks.iter_mut().flat_map(|b| b.steps.iter_mut()).find(|s| s.id == wanted)?;
        let StepKind::Use { action, with, .. } = &mut found.kind else { return None };
        let url = with.get("url")?.as_str()?.to_owned();
        "http.check".clone_into(action);
        if found.id != "check" && !self.ids.contains("check") {
            "check".clone_into(&mut found.id);
        }
        let step = found.id.clone();
        self.ids.insert(step.clone());
        self.subject = Subject::Check(step.clone(), url.clone());
        self.main = Some(step.clone());
        Some((step, url))
    }

    /// Counts the rows of a table, once; the expression of the number.
    pub(super) fn count_rows(&mut self, table: &str) -> String {
        let mut with = Map::new();
        with.insert("table".to_owned(), Value::from(table));
        self.assume_database();
        self.source_word.get_or_insert_with(|| table.to_owned());
        let step = self.push_use("count", "sql.count", with);
        let expr = format!("steps.{step}.count");
        self.subject = Subject::Value(expr.clone(), format!("rows in table {table}"));
        expr
    }

    pub(super) fn assume_database(&mut self) {
        self.assume("I take the workspace's connection \"sql\" as the database of the table.");
    }

    /// Reads the new file, once; the expression of its text.
    pub(super) fn read_file(&mut self) -> String {
        let all = self.blocks.iter().flat_map(|b| &b.steps);
        let read = all.clone().find(|s| matches!(&s.kind, StepKind::Use { action, .. } if action == "file.read"));
        let step = match read {
            Some(step) => step.id.clone(),
            None => {
                let mut with = Map::new();
                with.insert("path".to_owned(), Value::from(template("input.path")));
                self.push_use("file", "file.read", with)
            }
        };
        member(&format!("steps.{step}"), "text")
    }

    pub(super) fn is_feed(&self) -> bool {
        use crate::blueprint::Trigger;
        self.triggers.iter().any(|t| matches!(t, Trigger::Poll(p) if p.source.starts_with("rss.")))
    }
}
