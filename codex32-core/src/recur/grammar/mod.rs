//! The grammar of schedule phrases: tokens to [`Element`]s, by composed parsers.
//!
//! Elements may stand in any order ("at 9am every weekday", "every weekday at
//! 9am"); `assemble` makes rules of them. Each file has the parsers of one kind.

mod bound;
mod date;
mod day;
mod frequency;
mod time;

use std::ops::Range;

use chrono::NaiveDate;
use chrono_tz::Tz;
use winnow::Parser;
use winnow::combinator::{alt, opt, repeat};
use winnow::error::EmptyError;
use winnow::token::any;

use super::calendar::DaySet;
use super::lex::{Tok, Token};
use super::word::{Part, Sense, Unit, Word};
pub(crate) use time::in_part;

/// A date that people name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum When {
    /// Year where given, month, day.
    Date(Option<i32>, u32, u32),
    /// Days from today.
    InDays(u32),
    /// The next such day of the week, after today.
    Weekday(u8),
    /// From now on by so many units.
    After(u32, Unit),
    /// The first of a month.
    Month(u32),
    /// The first day of the next week, month or year.
    Next(Unit),
    /// The present.
    Now,
}

/// One part of a phrase.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Element {
    /// Every `n` units; true where a word such as "every" says that it repeats.
    Every(u32, Unit),
    /// "of the month": says what the days count in.
    Of(Unit),
    /// Days of every `n`th week: "every other Friday".
    EveryDays(u32, u8),
    /// "every January": the months, once in each.
    EveryMonths(u16),
    /// `count` times per unit.
    Per(u32, Unit),
    /// Times of day.
    Times(Vec<u32>),
    /// From one time of day to another.
    Window(u32, Option<u32>),
    /// Minutes past the hour.
    Minutes(Vec<u32>),
    /// Seconds past the minute.
    Seconds(Vec<u32>),
    Days(DaySet),
    Months(u16),
    /// Days within months, and whether it is said that they repeat ("every January 1st").
    MonthDates(u16, DaySet, bool),
    /// The year of a day within a month.
    Year(i32),
    Date(When),
    Part(Part),
    Zone(Tz),
    From(When, Option<u32>),
    /// First time of day of a repetition within the day.
    FromTime(u32),
    /// From the nth day of each month on, by steps.
    FromDay(u32),
    Until(When, Option<u32>),
    Count(u32),
    /// For so long from now.
    For(u32, Unit),
    ExceptDates(Vec<When>),
    ExceptDays(u16, DaySet),
    /// Another rule follows.
    Break,
    /// "every day": that it repeats, without saying how often.
    Repeats,
}

/// An element and the bytes that say it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Placed {
    pub(crate) element: Element,
    pub(crate) span: Range<usize>,
    /// "and" or a comma stands before it.
    pub(crate) joined: bool,
    /// "every" or the like leads it.
    pub(crate) leads: bool,
}

/// What the parsers read.
pub(crate) type In<'a> = &'a [Token];
/// What they give.
pub(crate) type P<T> = Result<T, EmptyError>;

/// Elements that follow one another from the start of `input`; `input` is left behind the last.
pub(crate) fn elements<'a>(input: &mut In<'a>) -> Vec<Placed> {
    let mut found = Vec::new();
    loop {
        let mut ahead = *input;
        let mut joined = false;
        let mut lead = None;
        loop {
            // A parser that fails leaves its input anywhere: each gets a copy.
            let mut attempt = ahead;
            if let Ok(mut list) = element_placed(&mut attempt, joined) {
                if let Some(start) = lead {
                    list.iter_mut().for_each(|p| p.span.start = start);
                }
                found.extend(list);
                *input = attempt;
                break;
            }
            let start = ahead.first().map(|t| t.span.start);
            match glue(&mut ahead) {
                Ok(true) => joined = true,
                Ok(false) => lead = lead.or(start),
                Err(_) => return found,
            }
        }
    }
}

/// Words between elements that say nothing; true for those that join.
fn glue(i: &mut In<'_>) -> P<bool> {
    any.verify_map(|t: Token| match t.tok {
        Tok::Comma | Tok::Sense(Sense::Word(Word::And)) => Some(true),
        Tok::Sense(Sense::Word(
            Word::On | Word::In | Word::At | Word::Of | Word::The | Word::Only | Word::During | Word::For | Word::A,
        )) => Some(false),
        Tok::Dash => Some(false),
        _ => None,
    })
    .parse_next(i)
}

fn element_placed(input: &mut In<'_>, joined: bool) -> P<Vec<Placed>> {
    let before = *input;
    let elements = element(input)?;
    let used = before.len() - input.len();
    let (first, last) = (&before[0], &before[used.saturating_sub(1)]);
    let span = first.span.start..last.span.end;
    let leads = matches!(first.tok, Tok::Sense(Sense::Word(Word::Every | Word::At)));
    Ok(elements.into_iter().map(|element| Placed { element, span: span.clone(), joined, leads }).collect())
}

fn element(i: &mut In<'_>) -> P<Vec<Element>> {
    let bounds = alt((bound::except.map(one), bound::bound, bound::count.map(one)));
    let dates = alt((date::month_dates_of_year, date::date, day::days_element, date::months.map(one)));
    let rest = alt((time::times_element.map(one), zone.map(one), time::part_element.map(one), day::of_unit.map(one)));
    let parted = any.verify_map(|t: Token| (t.tok == Tok::Break).then(|| vec![Element::Break]));
    alt((parted, bounds, frequency::frequency, time::marks, time::window.map(one), dates, rest)).parse_next(i)
}

fn one(element: Element) -> Vec<Element> {
    vec![element]
}

/// "in Berlin time", "Berlin time", "Europe/Berlin", "in Tokyo".
fn zone(i: &mut In<'_>) -> P<Element> {
    (
        opt(alt((word(Word::In), word(Word::On), word(Word::At)))),
        opt(word(Word::The)),
        any.verify_map(|t: Token| match t.tok {
            Tok::Zone(tz, _) => Some(tz),
            _ => None,
        }),
        opt(word(Word::Local)),
        opt(word(Word::Time)),
    )
        .map(|(_, _, tz, _, _)| Element::Zone(tz))
        .parse_next(i)
}

/// The word `w`.
pub(crate) fn word<'a>(w: Word) -> impl Parser<In<'a>, (), EmptyError> {
    any.verify_map(move |t: Token| (t.tok == Tok::Sense(Sense::Word(w))).then_some(()))
}

/// One of `words`.
pub(crate) fn words<'a>(words: &'static [Word]) -> impl Parser<In<'a>, Word, EmptyError> {
    any.verify_map(move |t: Token| match t.tok {
        Tok::Sense(Sense::Word(w)) if words.contains(&w) => Some(w),
        _ => None,
    })
}

/// A number, `five` too.
pub(crate) fn number(i: &mut In<'_>) -> P<u32> {
    any.verify_map(|t: Token| match t.tok {
        Tok::Sense(Sense::Number(n)) => Some(n),
        _ => None,
    })
    .parse_next(i)
}

/// 1st, first, second.
pub(crate) fn ordinal(i: &mut In<'_>) -> P<u32> {
    any.verify_map(|t: Token| match t.tok {
        Tok::Sense(Sense::Ordinal(n)) => Some(n),
        Tok::Sense(Sense::Second) => Some(2),
        _ => None,
    })
    .parse_next(i)
}

/// A unit of time.
pub(crate) fn unit(i: &mut In<'_>) -> P<Unit> {
    any.verify_map(|t: Token| match t.tok {
        Tok::Sense(Sense::Unit(u)) => Some(u),
        Tok::Sense(Sense::Second) => Some(Unit::Second),
        _ => None,
    })
    .parse_next(i)
}

/// Days of the week as one word says them.
pub(crate) fn weekdays(i: &mut In<'_>) -> P<u8> {
    any.verify_map(|t: Token| match t.tok {
        Tok::Sense(Sense::Days(d)) => Some(d),
        _ => None,
    })
    .parse_next(i)
}

/// The name of a month.
pub(crate) fn month(i: &mut In<'_>) -> P<u32> {
    any.verify_map(|t: Token| match t.tok {
        Tok::Sense(Sense::Month(m)) => Some(m),
        _ => None,
    })
    .parse_next(i)
}

/// What stands between the members of a list: a comma, "and", both.
pub(crate) fn separator(i: &mut In<'_>) -> P<()> {
    alt(((comma, opt(word(Word::And))).void(), word(Word::And))).parse_next(i)
}

pub(crate) fn comma(i: &mut In<'_>) -> P<()> {
    token(i, |t| matches!(t, Tok::Comma))
}

pub(crate) fn dash(i: &mut In<'_>) -> P<()> {
    token(i, |t| matches!(t, Tok::Dash))
}

/// "to", "through", a dash.
pub(crate) fn range_mark(i: &mut In<'_>) -> P<()> {
    alt((words(&[Word::To, Word::Through, Word::Until]).void(), dash)).parse_next(i)
}

fn token(i: &mut In<'_>, fits: impl Fn(&Tok) -> bool) -> P<()> {
    any.verify_map(|t: Token| fits(&t.tok).then_some(())).parse_next(i)
}

/// The date without a year that a day of a month is; used by tests of range.
pub(crate) fn real_day(month: u32, day: u32) -> bool {
    NaiveDate::from_ymd_opt(2_000, month, day).is_some()
}

/// Any number of `of`, `the`, `on`, `in`.
pub(crate) fn small_words(i: &mut In<'_>) -> P<()> {
    repeat(0.., words(&[Word::Of, Word::The, Word::On, Word::In])).map(|(): ()| ()).parse_next(i)
}
