//! Bounds: "starting next Tuesday", "until June", "for 5 times", "except in August".

use winnow::Parser;
use winnow::combinator::{alt, not, opt, peek, preceded, repeat};

use super::super::calendar::{ALL_MONTHS, DaySet};
use super::super::word::{Unit, Word};
use super::date::{month_set, when};
use super::day::{day_list, nth_days};
use super::time::loose;
use super::{Element, In, P, When, month, number, ordinal, separator, unit, weekdays, word, words};

pub(super) fn bound(i: &mut In<'_>) -> P<Vec<Element>> {
    alt((starting, until.map(|e| vec![e]), lasting.map(|e| vec![e]))).parse_next(i)
}

/// A date with an optional time behind it.
fn moment(i: &mut In<'_>) -> P<(When, Option<u32>)> {
    let _ = opt(word(Word::On)).parse_next(i)?;
    let (when, own) = alt((
        when,
        yearless.map(|w| (w, None)),
        preceded(word(Word::Next), unit).map(|u| (When::Next(u), None)),
        (opt(word(Word::Next)), month).map(|(_, m)| (When::Month(m), None)),
    ))
    .parse_next(i)?;
    let time = opt(preceded(opt(word(Word::At)), loose)).parse_next(i)?;
    Ok((when, time.map(|t| t.seconds).or(own)))
}

/// "march 3rd": a date of this year or the next.
fn yearless(i: &mut In<'_>) -> P<When> {
    let day = || alt((ordinal, number)).verify(|d| (1..=31).contains(d));
    alt((
        (month, day(), not(peek(unit))).map(|(m, d, ())| (m, d)),
        (day(), opt(word(Word::Of)), month).map(|(d, _, m)| (m, d)),
    ))
    .map(|(m, d)| When::Date(None, m, d))
    .parse_next(i)
}

fn starting(i: &mut In<'_>) -> P<Vec<Element>> {
    // "from 9am" and "from January" are read as windows and months.
    alt((
        word(Word::Starting),
        (word(Word::From), peek(not(alt((month.void(), weekdays.void(), loose.void()))))).void(),
    ))
    .parse_next(i)?;
    let _ = opt(words(&[Word::On, Word::At, Word::From, Word::In])).parse_next(i)?;
    alt((
        moment.map(|(when, time)| vec![Element::From(when, time)]),
        preceded(unit.verify(|u| *u == Unit::Day), number.verify(|n| (1..=31).contains(n)))
            .map(|n| vec![Element::FromDay(n)]),
        (unit.verify(|u| *u == Unit::Second), number.verify(|n| *n < 60))
            .map(|(_, n)| vec![Element::Seconds((n..60).collect())]),
        weekdays.verify(|d| d.count_ones() == 1).map(|d| vec![Element::From(When::Weekday(d), None)]),
        loose.map(|t| vec![Element::FromTime(t.seconds)]),
    ))
    .parse_next(i)
}

fn until(i: &mut In<'_>) -> P<Element> {
    preceded(
        words(&[Word::Until]),
        alt((
            moment.map(|(when, time)| Element::Until(when, time)),
            loose.map(|t| Element::Window(0, Some(t.seconds))),
        )),
    )
    .parse_next(i)
}

/// "for 5 times", "for the next three weeks", "for up to 2 months".
fn lasting(i: &mut In<'_>) -> P<Element> {
    word(Word::For).parse_next(i)?;
    let _ = opt((word(Word::Up), word(Word::To))).parse_next(i)?;
    let _ = opt(word(Word::The)).parse_next(i)?;
    let _ = opt(words(&[Word::Next, Word::Last])).parse_next(i)?;
    alt((
        (number.verify(|n| (1..=10_000).contains(n)), word(Word::Times)).map(|(n, ())| Element::Count(n)),
        (opt(alt((number, word(Word::A).value(1)))), unit).map(|(n, u)| Element::For(n.unwrap_or(1), u)),
        words(&[Word::Once]).map(|_| Element::Count(1)),
    ))
    .parse_next(i)
}

/// "twice" at the end: not "twice a day".
pub(super) fn count(i: &mut In<'_>) -> P<Element> {
    let each = words(&[Word::A, Word::Per, Word::Every]);
    alt((
        (word(Word::Twice).value(2), not(peek(alt((each.void(), adverb))))).map(|(n, ())| n),
        (
            number.verify(|n| (1..=10_000).contains(n)),
            word(Word::Times),
            not(peek(alt((words(&[Word::A, Word::Per, Word::Every]).void(), adverb)))),
        )
            .map(|(n, (), ())| n),
    ))
    .map(Element::Count)
    .parse_next(i)
}

fn adverb(i: &mut In<'_>) -> P<()> {
    use super::super::{lex::Tok, word::Sense};
    winnow::token::any
        .verify_map(|t: super::Token| matches!(t.tok, Tok::Sense(Sense::Freq(..))).then_some(()))
        .parse_next(i)
}

/// "except on Sundays", "except in March and May", "except tomorrow", "except for the 2nd Monday in March".
pub(super) fn except(i: &mut In<'_>) -> P<Element> {
    word(Word::Except).parse_next(i)?;
    let _ = opt(words(&[Word::For, Word::On, Word::In])).parse_next(i)?;
    let _ = opt(words(&[Word::On, Word::In, Word::The])).parse_next(i)?;
    alt((
        (nth_days, opt(month_set)).map(|(days, months)| Element::ExceptDays(months.unwrap_or(ALL_MONTHS), days)),
        dates,
        (day_list, opt(month_set))
            .map(|(days, months)| Element::ExceptDays(months.unwrap_or(ALL_MONTHS), DaySet::of_week(days))),
        month_set.map(|months| Element::ExceptDays(months, DaySet::default())),
    ))
    .parse_next(i)
}

fn dates(i: &mut In<'_>) -> P<Element> {
    let one = || alt((when.map(|(w, _)| w), yearless));
    let first = one().parse_next(i)?;
    let mut all: Vec<When> = repeat(0.., preceded((separator, opt(word(Word::On))), one())).parse_next(i)?;
    all.insert(0, first);
    Ok(Element::ExceptDates(all))
}
