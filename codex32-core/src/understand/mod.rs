//! From a sentence to a draft of a bot, over a catalogue of what can be done.
//!
//! - `token` and `lexicon` read words, addresses, quoted text, code.
//! - `script`, `naming` and [`crate::recur::find`] take out what stands for itself.
//! - `clause` parts the rest by composed parsers; `interpret` takes the clauses in turn.
//! - `trigger`, `condition` with `compose`, and `action` make sense of one clause;
//!   `retrieve` ranks what the catalogue has; `fill` and `value` fill its input.
//! - `plan` is the bot under construction.
//!
//! Invariants: pure and deterministic; never invents a URL, a credential or a
//! connector; says what it assumed, what it must ask and what it did not
//! understand; a draft with a blueprint has passed validation.

mod action;
mod clause;
mod compose;
mod condition;
mod fill;
mod fill_store;
mod interpret;
mod lexicon;
mod naming;
mod plan;
mod retrieve;
mod script;
#[cfg(test)]
mod tests;
mod token;
mod trigger;
mod value;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::blueprint::{
    self, Blueprint, Dependencies, Limits, Missed, Permissions, Restart, Retention, ScheduleTrigger, Span, Trigger,
};
use crate::catalogue::Catalogue;
use crate::clock::Millis;
use crate::recur;
use plan::{Plan, Subject};
use retrieve::Index;
use token::{Kind, Token};

/// Longest sentence that is read; what is beyond is reported as not understood.
pub const MAX_TEXT: usize = 10 * 1_024;

/// What is known besides the sentence.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Context {
    /// The present, for "tomorrow" and "in two hours".
    pub now: Millis,
    /// IANA zone of the person; UTC where empty.
    pub timezone: String,
    /// Where "email me" goes.
    pub email: Option<String>,
    /// Names of the bots of the workspace, for "when bot A fails" and for a new name that is free.
    pub bots: Vec<String>,
    /// Names of the connections of the workspace.
    pub connections: Vec<String>,
    /// Answers to earlier questions, by the question's id.
    pub answers: BTreeMap<String, String>,
}

/// Something that only the person knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Question {
    /// Stable within a sentence: the key of the answer in [`Context::answers`].
    pub id: String,
    /// The question for people: `Which channel?`.
    pub text: String,
    /// The part of the sentence that it is about.
    pub about: String,
    /// Whether the bot cannot run without the answer.
    pub blocking: bool,
}

/// What was made of a sentence.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Draft {
    /// The bot, where nothing that it needs is missing.
    pub blueprint: Option<Blueprint>,
    /// The read-back in plain English.
    pub explanation: String,
    /// What was taken for granted.
    pub assumptions: Vec<String>,
    /// What must be asked.
    pub questions: Vec<Question>,
    /// How sure the draft is, 0 to 1.
    pub confidence: f64,
    /// Parts of the text that nothing came of.
    pub not_understood: Vec<String>,
}

/// Makes a draft of `text`. Any text gives a draft; one that is not understood gives one without a blueprint.
///
/// ```
/// use codex32_core::catalogue::Catalogue;
/// use codex32_core::understand::{draft, Context};
/// let text = "every 5 minutes fetch https://example.com/price.json and if usd is below 50000 post it to https://example.com/alerts";
/// let draft = draft(text, Catalogue::builtin(), &Context::default());
/// let bot = draft.blueprint.unwrap();
/// assert_eq!(bot.permissions.network, ["example.com"]);
/// assert!(draft.questions.is_empty() && draft.not_understood.is_empty());
/// ```
#[must_use]
pub fn draft(text: &str, catalogue: &Catalogue, context: &Context) -> Draft {
    let index = index_of(catalogue);
    draft_with(text, catalogue, &index, context)
}

/// The index of a catalogue, kept for the next sentence over the same connectors.
fn index_of(catalogue: &Catalogue) -> Arc<Index> {
    static LAST: Mutex<Option<(Catalogue, Arc<Index>)>> = Mutex::new(None);
    let same = |kept: &Catalogue| {
        kept.connectors().count() == catalogue.connectors().count()
            && kept.connectors().zip(catalogue.connectors()).all(|(a, b)| std::ptr::eq(a, b))
    };
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((kept, index)) = &*last
        && same(kept)
    {
        return index.clone();
    }
    let index = Arc::new(Index::new(catalogue));
    // The clone keeps the connectors alive, so that their addresses name them.
    *last = Some((catalogue.clone(), index.clone()));
    index
}

fn draft_with(whole: &str, catalogue: &Catalogue, index: &Index, context: &Context) -> Draft {
    let (text, beyond) = cut(whole);
    let tokens = token::tokens(text);
    let script = script::find(text, &tokens);
    let code = script.as_ref().and_then(|s| s.code_span.clone());
    let mut tokens: Vec<Token> =
        tokens.into_iter().filter(|t| code.as_ref().is_none_or(|c| !overlap(&t.span, c))).collect();
    let name = naming::given(text, &tokens);
    if let Some((_, range)) = &name {
        tokens.drain(range.clone());
    }
    let found = schedule(text, &tokens, code.as_ref(), context);
    if let Some(found) = &found {
        tokens.retain(|t| !found.spans.iter().any(|s| overlap(&t.span, s)));
    }
    let mut plan = Plan::new(context, catalogue, index, text);
    interpret::clauses(&mut plan, &clause::clauses(&tokens), script.as_ref());
    if let Some(beyond) = beyond {
        plan.unknown.push(beyond);
    }
    finish(plan, found.map(|f| f.schedule), name.map(|(name, _)| name), &tokens)
}

/// The part of the text that is read, and a word about the rest.
fn cut(text: &str) -> (&str, Option<String>) {
    if text.len() <= MAX_TEXT {
        return (text, None);
    }
    let mut end = MAX_TEXT;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    (&text[..end], Some(format!("the text beyond {MAX_TEXT} bytes")))
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

/// The schedule that the sentence says, outside of what is quoted.
fn schedule(text: &str, tokens: &[Token], code: Option<&Range<usize>>, context: &Context) -> Option<recur::Found> {
    let mut hidden: Vec<Range<usize>> = tokens
        .iter()
        .filter(|t| !matches!(t.kind, Kind::Word | Kind::Number(_) | Kind::Punct(_) | Kind::Newline))
        .map(|t| t.span.clone())
        .collect();
    hidden.extend(code.cloned());
    // Times within conditions and waits are no schedule: "older than 3 days", "wait 10 minutes", "is 5".
    for (i, token) in tokens.iter().enumerate() {
        let amount = token.any(&[
            "than", "wait", "pause", "sleep", "after", "least", "most", "below", "above", "under", "over", "reaches",
            "equals", "last", "past", "within",
        ]) && !(token.any(&["last"])
            && tokens.get(i + 1).is_some_and(|t| !matches!(t.kind, Kind::Number(_))))
            && !(token.any(&["past", "after"])
                && i > 0
                && (tokens[i - 1].any(&["half", "quarter", "minutes"])
                    || matches!(tokens[i - 1].kind, Kind::Number(_))));
        if amount {
            let end = tokens.get(i + 2).or_else(|| tokens.get(i + 1)).map_or(token.span.end, |t| t.span.end);
            hidden.push(token.span.start..end);
        }
    }
    let zone = context.timezone.parse::<Tz>().unwrap_or(Tz::UTC);
    recur::find(text, &hidden, context.now, zone)
}

/// The draft of a plan.
fn finish(mut plan: Plan<'_>, schedule: Option<recur::Schedule>, name: Option<String>, tokens: &[Token]) -> Draft {
    if let Some(schedule) = schedule {
        schedule_trigger(&mut plan, &schedule);
    }
    let steps = std::mem::take(plan.steps());
    let watching = tokens.iter().any(|t| t.any(&["watch", "monitor", "check", "track", "when", "whenever", "changes"]))
        || tokens.first().is_some_and(|t| t.is("if"));
    if plan.triggers.is_empty() && !steps.is_empty() {
        default_trigger(&mut plan, watching);
    }
    if steps.is_empty() && plan.questions.is_empty() && plan.unknown.is_empty() {
        plan.unknown.push(plan.text.trim().to_owned());
    }
    let name = match name {
        Some(name) => naming::free(&name, &[]),
        None => naming::derived(plan.source_word.as_deref(), plan.target_word.as_deref(), &plan.context.bots),
    };
    for trigger in &mut plan.triggers {
        if let Trigger::Webhook(hook) = trigger
            && hook.path.is_empty()
        {
            name.strip_suffix("-bot").unwrap_or(&name).clone_into(&mut hook.path);
        }
    }
    let mut bot = Blueprint {
        name,
        description: Some(description(plan.text)),
        on: std::mem::take(&mut plan.triggers),
        inputs: None,
        permissions: Permissions {
            network: std::mem::take(&mut plan.hosts).into_iter().collect(),
            secrets: Vec::new(),
            files: std::mem::take(&mut plan.files).into_iter().collect(),
        },
        dependencies: Dependencies::default(),
        limits: Limits::default(),
        runs_on: Vec::new(),
        flow: Default::default(),
        native: None,
        timeout: None,
        retention: Retention::default(),
        restart: plan.restart,
        health: None,
        steps,
        output: None,
    };
    blueprint::number_steps(&mut bot);
    seal(plan, bot)
}

/// Validates, explains, and tells how sure all this is.
fn seal(plan: Plan<'_>, bot: Blueprint) -> Draft {
    let complete = !plan.questions.iter().any(|q| q.blocking) && !bot.steps.is_empty();
    // As a person would hand it in: reading finds what is wrong with names and paths.
    let problems = match complete {
        true => blueprint::check(&blueprint::print(&bot), plan.catalogue).1,
        false => blueprint::Diagnostics::new(),
    };
    let mut unknown = plan.unknown;
    unknown.extend(problems.iter().filter(|d| d.severity == blueprint::Severity::Error).map(|d| d.message.clone()));
    let explanation = if bot.steps.is_empty() { String::new() } else { blueprint::explain(&bot, plan.catalogue) };
    let sure =
        if plan.sureness.is_empty() { 0.0 } else { plan.sureness.iter().sum::<f64>() / plan.sureness.len() as f64 };
    let open = plan.questions.iter().filter(|q| q.blocking).count();
    let missing = 0.75f64.powi(i32::try_from(open).unwrap_or(8).min(8));
    let lost = 0.6f64.powi(i32::try_from(unknown.len()).unwrap_or(8).min(8));
    let usable = complete && !problems.has_errors();
    let confidence = if bot.steps.is_empty() { 0.0 } else { (sure * missing * lost * 100.0).round() / 100.0 };
    Draft {
        blueprint: usable.then_some(bot),
        explanation,
        assumptions: plan.assumptions,
        questions: plan.questions,
        confidence,
        not_understood: unknown,
    }
}

/// The sentence as the bot's description.
fn description(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= 300 { line } else { line.chars().take(299).chain(['…']).collect() }
}

/// A time beside a poll says how often to look; else it is a trigger of its own.
fn schedule_trigger(plan: &mut Plan<'_>, schedule: &recur::Schedule) {
    let zone = plan.context.timezone.parse::<Tz>().unwrap_or(Tz::UTC);
    let next = schedule.upcoming(plan.context.now, zone, 4);
    let even = next.windows(2).map(|w| w[1] - w[0]).collect::<Vec<_>>();
    let step =
        even.first().copied().filter(|first| even.len() == 3 && even.iter().all(|e| e == first) && *first >= 1_000);
    if let (Some(step), Some(Trigger::Poll(poll))) =
        (step, plan.triggers.iter_mut().find(|t| matches!(t, Trigger::Poll(_))))
    {
        poll.every = Span(step.unsigned_abs());
        return;
    }
    let phrase = schedule.clone().with_zone(None).describe();
    let own = schedule.zone().map(|z| z.name().to_owned());
    let local = step.is_none_or(|s| s >= 86_400_000) && !plan.context.timezone.is_empty();
    let timezone = own.or_else(|| local.then(|| plan.context.timezone.clone()));
    plan.triggers.insert(
        0,
        Trigger::Schedule(ScheduleTrigger {
            schedule: phrase,
            timezone,
            missed: Missed::default(),
            jitter: None,
            input: None,
        }),
    );
}

/// What starts a bot whose sentence names no start.
fn default_trigger(plan: &mut Plan<'_>, watching: bool) {
    let looks = matches!(plan.subject, Subject::Http(_) | Subject::Check(..));
    if watching && looks && plan.restart == Restart::Never {
        plan.assume("No time is named, so I look every 5 minutes.");
        plan.triggers.push(Trigger::Schedule(ScheduleTrigger {
            schedule: "every 5 minutes".to_owned(),
            timezone: None,
            missed: Missed::default(),
            jitter: None,
            input: None,
        }));
        return;
    }
    if plan.restart == Restart::Never {
        plan.assume("No time or event is named, so the bot runs when it is started.");
    }
    plan.triggers.push(Trigger::Manual);
}
