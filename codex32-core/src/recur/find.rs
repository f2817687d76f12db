//! A schedule inside a longer sentence.

use std::ops::Range;

use chrono_tz::Tz;

use super::assemble::{self, Present};
use super::grammar::{self, Element, Placed};
use super::lex::{self, Tok, Token};
use super::word::{Sense, Word};
use super::{Rule, Schedule};
use crate::clock::Millis;

/// A schedule found inside a longer text.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// What was found.
    pub schedule: Schedule,
    /// Byte ranges of the text that say it, in order.
    pub spans: Vec<Range<usize>>,
}

/// Finds the schedule that a sentence says, wherever it stands, also in two
/// places ("every weekday email me the report at 9am"). `hidden` are ranges
/// (quoted text, addresses) that say no times.
///
/// ```
/// use codex32_core::recur::find;
/// let text = "every weekday email me the count at 9am";
/// let found = find(text, &[], 0, chrono_tz::UTC).unwrap();
/// assert_eq!(found.schedule.describe(), "every weekday at 09:00");
/// assert_eq!(&text[found.spans[1].clone()], "at 9am");
/// ```
#[must_use]
pub fn find(text: &str, hidden: &[Range<usize>], now: Millis, zone: Tz) -> Option<Found> {
    let cut = text.char_indices().map(|(i, _)| i).take_while(|i| *i <= lex::LIMIT).last().unwrap_or(0);
    let text = if text.len() > lex::LIMIT { &text[..cut] } else { text };
    let mut tokens = lex::lex(text);
    for token in &mut tokens {
        if hidden.iter().any(|h| h.start < token.span.end && token.span.start < h.end) {
            token.tok = Tok::Other;
        }
    }
    let present = Some(Present { now, zone });
    let mut runs = runs(&tokens);
    while !runs.is_empty() {
        let all: Vec<Placed> = runs.iter().flatten().cloned().collect();
        if let Ok(schedule) = assemble::assemble(&all, present) {
            return Some(Found { schedule, spans: runs.iter().map(|run| span(run)).collect() });
        }
        runs.pop();
    }
    None
}

fn span(run: &[Placed]) -> Range<usize> {
    let start = run.first().map_or(0, |p| p.span.start);
    run.last().map_or(start..start, |p| start..p.span.end)
}

/// Runs of elements that say a time in a sentence: one that says how often or
/// when, and a second that completes it.
fn runs(tokens: &[Token]) -> Vec<Vec<Placed>> {
    let mut found: Vec<Vec<Placed>> = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let mut input = &tokens[at..];
        let run = if may_start(tokens, at) { grammar::elements(&mut input) } else { Vec::new() };
        let run = trimmed(run);
        let Some(last) = run.last() else {
            at += 1;
            continue;
        };
        let end = last.span.end;
        // "good morning" is no time; "in the morning" is.
        if matches!(tokens[at].tok, Tok::Sense(Sense::Part(_))) {
            at += 1;
            continue;
        }
        if found.is_empty() && starts(&run) || !found.is_empty() && completes(&found, &run) {
            found.push(run);
        }
        while at < tokens.len() && tokens[at].span.start < end {
            at += 1;
        }
    }
    found
}

/// Whether a schedule may begin at a token of a sentence.
fn may_start(tokens: &[Token], at: usize) -> bool {
    match tokens[at].tok {
        // "of 5", "below 9:30" and bare numbers say amounts.
        Tok::Sense(Sense::Number(_) | Sense::Ordinal(_)) => at == 0 || !matches!(tokens[at - 1].tok, Tok::Other),
        Tok::Sense(Sense::Word(word)) => {
            !matches!(word, Word::And | Word::Of | Word::A | Word::To | Word::Up | Word::Except | Word::For)
        }
        Tok::Other
        | Tok::Comma
        | Tok::Dash
        | Tok::Stop
        | Tok::Break
        | Tok::Length(..)
        | Tok::Dotted(..)
        | Tok::Zone(..) => false,
        _ => true,
    }
}

/// Drops elements that say nothing by themselves at the end of a run.
fn trimmed(mut run: Vec<Placed>) -> Vec<Placed> {
    let weak = |e: &Element| matches!(e, Element::Of(_) | Element::Break);
    while run.last().is_some_and(|p| weak(&p.element)) {
        run.pop();
    }
    run
}

/// Whether a run says by itself when something happens.
fn starts(run: &[Placed]) -> bool {
    run.iter().any(|p| match &p.element {
        Element::Every(..) | Element::EveryDays(..) | Element::EveryMonths(_) | Element::Per(..) | Element::Repeats => {
            true
        }
        Element::Times(_) | Element::Days(_) | Element::MonthDates(..) | Element::Date(_) | Element::Minutes(_) => true,
        Element::Window(_, to) => to.is_some(),
        _ => false,
    })
}

/// Whether a later run adds what the first left open.
fn completes(found: &[Vec<Placed>], run: &[Placed]) -> bool {
    let kind = |e: &Element| match e {
        Element::Times(_) | Element::Window(..) | Element::Part(_) | Element::FromTime(_) => 1,
        Element::Days(_) | Element::EveryDays(..) | Element::MonthDates(..) | Element::Repeats => 2,
        Element::Every(_, unit) if unit.seconds().is_none() => 2,
        Element::Every(..) | Element::Per(..) | Element::Minutes(_) => 1,
        Element::Zone(_) => 3,
        Element::From(..) | Element::Until(..) | Element::For(..) | Element::Count(_) => 4,
        Element::ExceptDates(_) | Element::ExceptDays(..) => 5,
        _ => 6,
    };
    let said: Vec<i32> = found.iter().flatten().map(|p| kind(&p.element)).collect();
    run.iter().all(|p| {
        let kind = kind(&p.element);
        kind < 6 && !said.contains(&kind)
    })
}

/// Leaves out "please run", "schedule it" and the like at the front of a phrase.
pub(crate) fn after_opening(tokens: &[Token]) -> &[Token] {
    let opening = |t: &Token| {
        matches!(t.tok, Tok::Sense(Sense::Word(Word::Please | Word::Run)) | Tok::Stop | Tok::Break | Tok::Comma)
    };
    let count = tokens.iter().take_while(|t| opening(t)).count();
    &tokens[count..]
}

/// Leaves out punctuation at the end.
pub(crate) fn before_close(tokens: &[Token]) -> &[Token] {
    let count = tokens.iter().rev().take_while(|t| matches!(t.tok, Tok::Stop | Tok::Break | Tok::Comma)).count();
    &tokens[..tokens.len() - count]
}

/// `schedule` with the zone and bounds that stand behind its cron expression.
pub(crate) fn with_tail(
    mut schedule: Schedule,
    tokens: &[Token],
    tail: &[Placed],
    present: Option<Present>,
) -> Result<Schedule, String> {
    let used = tail.last().map_or(0, |p| p.span.end);
    let left = tokens.iter().any(|t| t.span.start >= used && !matches!(t.tok, Tok::Stop | Tok::Break | Tok::Comma));
    let only_bounds = tail.iter().all(|p| {
        matches!(
            p.element,
            Element::Zone(_)
                | Element::From(..)
                | Element::Until(..)
                | Element::For(..)
                | Element::ExceptDates(_)
                | Element::ExceptDays(..)
        )
    });
    if left || !only_bounds {
        return Err("more stands behind the cron expression than a zone or a bound".to_owned());
    }
    // Assembled beside a rule of its own, which is then dropped.
    let daily = Placed { element: Element::Every(1, super::word::Unit::Day), span: 0..0, joined: false, leads: true };
    let all: Vec<Placed> = std::iter::once(daily).chain(tail.iter().cloned()).collect();
    let bounds = assemble::assemble(&all, present)?;
    (schedule.zone, schedule.from, schedule.until) = (bounds.zone, bounds.from, bounds.until);
    if let Some(Rule::Calendar(daily)) = bounds.rules.into_iter().next()
        && !daily.except.is_empty()
    {
        match schedule.rules.as_mut_slice() {
            [Rule::Calendar(calendar)] => calendar.except = daily.except,
            _ => return Err("this cron expression cannot have exceptions".to_owned()),
        }
    }
    Ok(schedule)
}
