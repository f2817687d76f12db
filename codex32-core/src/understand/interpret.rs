//! Clauses, one after another, into triggers and steps.

use serde_json::{Map, Value};

use super::action;
use super::clause::{Clause, Link, Opener};
use super::compose::compose;
use super::condition::{self, Condition, Op};
use super::fill::Recipient;
use super::plan::{BlockKind, Plan, Subject, template};
use super::script::Script;
use super::token::Token;
use super::trigger;
use crate::blueprint::{ApprovalWait, Ask, Span, StepKind, Wait};

/// Reads all clauses.
pub(super) fn clauses(plan: &mut Plan<'_>, clauses: &[Clause], script: Option<&Script>) {
    implied_webhook(plan, clauses);
    let mut at = 0;
    while at < clauses.len() {
        let clause = &clauses[at];
        if clause.link == Link::Stop && at > 0 && clause.opener != Opener::Else {
            plan.close_all();
        }
        let next = clauses.get(at + 1);
        match clause.opener {
            Opener::When | Opener::If => when(plan, clause),
            Opener::Unless => apply(plan, clause, true),
            Opener::Each => each(plan, clause),
            Opener::Else => otherwise(plan, clause, script),
            Opener::After => after(plan, clause),
            Opener::Before => {
                // "before posting it, ask me": the asking comes first.
                if let Some(ask) = next.filter(|n| is_ask(n)) {
                    approval(plan, ask, Some(clause));
                    at += 1;
                }
                act(plan, clause, script);
            }
            Opener::Plain if is_ask(clause) => {
                let what =
                    next.filter(|n| n.opener == Opener::Before || (n.opener == Opener::Plain && n.link != Link::Stop));
                approval(plan, clause, what);
            }
            Opener::Plain => act(plan, clause, script),
        }
        at += 1;
    }
    plan.close_all();
}

fn act(plan: &mut Plan<'_>, clause: &Clause, script: Option<&Script>) {
    action::action(plan, clause, script);
    plan.close_brief();
}

/// A clause that nothing came of.
pub(super) fn not_understood(plan: &mut Plan<'_>, clause: &Clause) {
    let text = plan.text[clause.span()].trim().to_owned();
    let says = clause.tokens.iter().any(|t| !t.is_word() || !t.any(&super::lexicon::FILLERS));
    if !text.is_empty() && says {
        // What was to be done only then must not be done always.
        if clause.opener != Opener::Plain {
            let question = format!("I did not understand \"{text}\". How else can it be said?");
            plan.ask(&format!("condition.{}", super::naming::slug(&text)), &question, &text);
        }
        plan.unknown.push(text);
        plan.sureness.push(0.0);
    }
}

/// "the webhook's message" without "when a webhook arrives" means one all the same.
fn implied_webhook(plan: &mut Plan<'_>, clauses: &[Clause]) {
    let says_when = |c: &Clause| {
        matches!(c.opener, Opener::When | Opener::If) && c.has_stem(&["webhook", "hook", "request", "form"])
    };
    if clauses.iter().any(says_when) {
        return;
    }
    for clause in clauses {
        let tokens = &clause.tokens;
        let Some(at) = tokens.iter().position(|t| t.any(&["webhook", "webhooks"])) else { continue };
        let from = at >= 2 && tokens[at - 2..at].iter().any(|t| t.any(&["from", "of", "by", "via", "incoming"]));
        if !tokens[at].owns && !from {
            continue;
        }
        trigger::open_webhook(plan, &[]);
        if tokens[at].owns {
            let end = tokens[at + 1..]
                .iter()
                .position(|t| t.any(&["to", "in", "on", "into", "by", "with"]))
                .map_or(tokens.len(), |n| at + 1 + n);
            let fields = super::value::field_names(&tokens[at + 1..end]);
            let whole = ["body", "payload", "data", "content", "contents"];
            if let Some(crate::blueprint::Trigger::Webhook(hook)) = plan.triggers.last_mut() {
                hook.require = fields.into_iter().filter(|f| !whole.contains(&f.as_str())).collect();
                plan.subject = Subject::Webhook(hook.require.clone());
            }
        }
        return;
    }
}

/// A trigger, or a condition on what was spoken of.
fn when(plan: &mut Plan<'_>, clause: &Clause) {
    let begun = plan.blocks.iter().any(|b| !b.steps.is_empty()) || !plan.triggers.is_empty();
    let parsed = condition::parse(&clause.tokens);
    let plainly_condition = parsed.as_ref().is_some_and(|c| {
        c.tests[0].subject.iter().all(|t| t.any(&["it", "that", "this", "the", "script", "page", "site"]))
            || clause.tokens.iter().any(|t| t.url().is_some()) && !matches!(c.tests[0].op, Op::Fails | Op::Succeeds)
    });
    // "restart it when it crashes": said of a bot that is kept running.
    if plan.restart != crate::blueprint::Restart::Never
        && clause.has_stem(&["crash", "fail", "exit", "die", "stop", "end"])
    {
        return;
    }
    let if_condition = clause.opener == Opener::If && parsed.is_some() && !clause.has(&["bot"]);
    if !(begun && (plainly_condition || if_condition)) && trigger::when(plan, clause) {
        plan.sureness.push(0.95);
        return;
    }
    apply(plan, clause, false);
}

/// Opens the block of a condition.
fn apply(plan: &mut Plan<'_>, clause: &Clause, negate: bool) {
    if approved(plan, clause) {
        return;
    }
    if clause.tokens.len() == 1 && clause.has(&["not", "so"]) {
        return otherwise(plan, clause, None);
    }
    let id = format!("condition.{}", super::naming::slug(plan.text[clause.span()].trim()));
    let answer = plan.context.answers.get(&id).map(|a| super::token::tokens(a));
    let Some(condition) = condition::parse(answer.as_deref().unwrap_or(&clause.tokens)) else {
        if !foreign(plan, clause) {
            not_understood(plan, clause);
        }
        return;
    };
    // A second condition of the same sentence stands beside the first, not inside.
    if !clause.behind
        && plan
            .blocks
            .last()
            .is_some_and(|b| matches!(b.kind, BlockKind::If(_) | BlockKind::Catch { .. } | BlockKind::Else { .. }))
    {
        plan.close();
    }
    match condition.tests[0].op {
        Op::Fails if !negate => return failure(plan, clause, &condition),
        Op::Succeeds => return,
        _ => {}
    }
    match compose(plan, &condition) {
        Some(found) => {
            let cel = if negate { format!("!({})", found.cel) } else { found.cel };
            plan.brief_reason = Some(found.brief);
            plan.reason = Some(if negate { format!("not: {}", found.reason) } else { found.reason });
            plan.open(BlockKind::If(cel), clause.behind);
            plan.sureness.push(0.9);
        }
        None if foreign(plan, clause) => {}
        None => not_understood(plan, clause),
    }
}

/// What the clause speaks of is a service that no connector knows.
fn foreign(plan: &mut Plan<'_>, clause: &Clause) -> bool {
    action::stranger(plan, clause).is_some()
}

/// "if I approve", "once approved".
fn approved(plan: &mut Plan<'_>, clause: &Clause) -> bool {
    if !clause.has_stem(&["approv", "confirm"]) {
        return false;
    }
    let asked = plan
        .blocks
        .iter()
        .flat_map(|b| &b.steps)
        .rev()
        .find(|s| matches!(s.kind, StepKind::Wait(Wait::Approval(_))))
        .map(|s| s.id.clone());
    if plan.blocks.last().is_some_and(|b| matches!(&b.kind, BlockKind::If(c) if c.ends_with(".approved"))) {
        return true;
    }
    let step = asked.unwrap_or_else(|| ask_approval(plan, None, "Go on?"));
    let no = clause.has(&["not", "don't", "decline", "doesn't"]);
    plan.open(BlockKind::If(format!("{}steps.{step}.approved", if no { "!" } else { "" })), false);
    plan.sureness.push(0.9);
    true
}

/// "if it fails": the step before is tried, and what follows is done when it failed.
fn failure(plan: &mut Plan<'_>, clause: &Clause, condition: &Condition) {
    let anything = condition.tests[0].subject.iter().any(|t| t.any(&["anything", "something", "any", "step"]));
    let wanted = plan.main.clone();
    let steps = plan.steps();
    let at = if anything { Some(0) } else { wanted.and_then(|id| steps.iter().position(|s| s.id == id)) };
    let at = at.or_else(|| steps.len().checked_sub(1));
    let Some(at) = at.filter(|at| *at < steps.len()) else {
        return not_understood(plan, clause);
    };
    let body = steps.split_off(at);
    plan.reason = Some(format!("it failed: {}", template("error.message")));
    plan.open(BlockKind::Catch { body }, clause.behind);
    plan.sureness.push(0.95);
}

/// "otherwise ...": the other branch of the last condition.
fn otherwise(plan: &mut Plan<'_>, clause: &Clause, script: Option<&Script>) {
    if let Some(block) = plan.blocks.last_mut()
        && let BlockKind::If(condition) = &block.kind
    {
        let condition = condition.clone();
        let then = std::mem::take(&mut block.steps);
        block.kind = BlockKind::Else { condition, then };
        block.brief = false;
        plan.reason = None;
    } else if let Some(last) = plan.steps().pop() {
        match last.kind {
            StepKind::If { condition, then, otherwise } if otherwise.is_empty() => {
                plan.open(BlockKind::Else { condition, then }, false);
                plan.reason = None;
            }
            kind => plan.steps().push(crate::blueprint::Step { kind, ..last }),
        }
    }
    if !clause.tokens.is_empty() && !clause.has(&["not", "so"]) {
        act(plan, clause, script);
    }
}

/// "for each item whose status is open".
fn each(plan: &mut Plan<'_>, clause: &Clause) {
    let filter_at =
        clause.tokens.iter().position(|t| t.any(&["whose", "where", "with", "that", "which", "having", "in", "of"]));
    let head = &clause.tokens[..filter_at.unwrap_or(clause.tokens.len())];
    let noun = head
        .iter()
        .rev()
        .find(|t| t.is_word() && !t.any(&["new", "of", "the"]))
        .map_or("item", |t| t.word.as_str())
        .to_owned();
    // "for each new item": a trigger that starts once for each needs no loop.
    if matches!(plan.subject, Subject::Event | Subject::File)
        || (plan.subject == Subject::Nothing && trigger::poll(plan, clause, false))
    {
        plan.sureness.push(0.8);
        return;
    }
    let base = singular(&noun);
    let Some(list) = plan.list_of(&base) else { return not_understood(plan, clause) };
    let texts = matches!(plan.subject, Subject::Rows(_, true));
    let filter = filter_at.map(|at| filter_tokens(&clause.tokens[at + 1..]));
    open_loop(plan, list, texts, filter.as_deref(), clause);
}

/// "with status open" says that the status is open.
fn filter_tokens(tokens: &[Token]) -> Vec<Token> {
    let mut tokens = tokens.to_vec();
    if condition::parse(&tokens).is_none() && tokens.len() >= 2 {
        let skip = tokens.iter().take_while(|t| t.any(&["a", "an", "the"])).count();
        if let Some(mut is) = tokens.get(skip).cloned() {
            is.kind = super::token::Kind::Word;
            "is".clone_into(&mut is.word);
            is.owns = false;
            tokens.insert((skip + 1).min(tokens.len()), is);
        }
    }
    tokens
}

/// Opens a loop over `list`, of the items that fit the filter.
pub(super) fn open_loop(plan: &mut Plan<'_>, list: String, texts: bool, filter: Option<&[Token]>, clause: &Clause) {
    let outer = std::mem::replace(&mut plan.subject, Subject::Item(texts));
    let composed = filter.filter(|f| !f.is_empty()).map(|f| condition::parse(f).and_then(|c| compose(plan, &c)));
    plan.subject = outer;
    let items = match composed {
        None => list,
        Some(Some(found)) => {
            let list = if list.contains(' ') { format!("({list})") } else { list };
            format!("{list}.filter(item, {})", found.cel)
        }
        Some(None) => return not_understood(plan, clause),
    };
    plan.open(BlockKind::Foreach(items), false);
    plan.subject = Subject::Item(texts);
    plan.sureness.push(0.9);
}

pub(super) fn singular(noun: &str) -> String {
    if let Some(stem) = noun.strip_suffix("ies") {
        format!("{stem}y")
    } else {
        noun.strip_suffix('s').filter(|s| !s.ends_with('s')).unwrap_or(noun).to_owned()
    }
}

/// "after 10 minutes", "after bot A has finished".
fn after(plan: &mut Plan<'_>, clause: &Clause) {
    if let Ok(ms) = condition::length(&mut clause.tokens.as_slice()) {
        plan.push("wait", StepKind::Wait(Wait::For(Span(ms))));
        plan.sureness.push(0.9);
    } else if !approved(plan, clause) && !trigger::when(plan, clause) {
        not_understood(plan, clause);
    }
}

/// "ask me for approval by email".
fn is_ask(clause: &Clause) -> bool {
    let asks = clause.has_stem(&["approv", "permiss", "confirm"]);
    let first = clause.tokens.iter().find(|t| !t.any(&["please", "first", "always", "then"]));
    (asks
        && first.is_some_and(|t| {
            t.any(&["ask", "get", "wait", "request", "require", "need", "send", "let", "seek", "email"])
        }))
        || first.is_some_and(|t| t.is("ask")) && clause.has(&["me", "us"])
}

/// The approval, and the block of what is done when it is given.
fn approval(plan: &mut Plan<'_>, clause: &Clause, before: Option<&Clause>) {
    let what = before.map(|b| plan.text[b.span()].trim().to_owned());
    let message = what.map_or_else(|| "Go on?".to_owned(), |w| format!("{}?", super::value::capital(&w)));
    let ask = asking(plan, clause, &message);
    let step = ask_approval(plan, ask, &message);
    plan.open(BlockKind::If(format!("steps.{step}.approved")), false);
    plan.sureness.push(0.95);
}

fn ask_approval(plan: &mut Plan<'_>, ask: Option<Ask>, message: &str) -> String {
    let preview = match &plan.subject {
        Subject::Webhook(fields) => {
            let shown = fields.iter().map(|f| template(&super::plan::member("input", f))).collect::<Vec<_>>();
            if shown.is_empty() { template("input") } else { shown.join("\n") }
        }
        other => other.whole().map(|e| template(&e)).unwrap_or_default(),
    };
    let message = format!("{message}\n\n{preview}").trim().to_owned();
    if ask.is_none() {
        plan.assume("I ask for approval on the dashboard.");
    }
    let wait = ApprovalWait { message, ask, ..ApprovalWait::default() };
    plan.push("approval", StepKind::Wait(Wait::Approval(Box::new(wait))))
}

/// How people are asked.
fn asking(plan: &mut Plan<'_>, clause: &Clause, message: &str) -> Option<Ask> {
    let links = format!("Approve: {}\nDecline: {}", template("approval.approve_url"), template("approval.decline_url"));
    let preview = match &plan.subject {
        Subject::Webhook(fields) if !fields.is_empty() => {
            fields.iter().map(|f| template(&super::plan::member("input", f))).collect::<Vec<_>>().join("\n")
        }
        other => other.whole().map(|e| template(&e)).unwrap_or_default(),
    };
    let text = format!("{message}\n\n{preview}\n\n{links}").replace("\n\n\n\n", "\n\n");
    let mut with = Map::new();
    let connector = clause.tokens.iter().find_map(|t| match t.word.as_str() {
        "email" | "mail" | "e-mail" => Some("email"),
        "slack" => Some("slack"),
        "discord" => Some("discord"),
        "telegram" => Some("telegram"),
        _ => None,
    })?;
    if connector == "email" {
        match super::fill::recipient(plan, clause, true) {
            Recipient::Named(to) => drop(with.insert("to".to_owned(), to)),
            Recipient::Default => {}
            Recipient::Asked => return None,
        }
        with.insert("subject".to_owned(), Value::from(format!("Approval needed: {}", message.trim_end_matches('?'))));
    }
    with.insert("text".to_owned(), Value::from(text));
    Some(Ask { action: format!("{connector}.send"), with: Value::Object(with), connection: None })
}
