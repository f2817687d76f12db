//! How often: "every 5 minutes", "daily", "twice a day", "every other Friday".

use winnow::Parser;
use winnow::combinator::{alt, not, opt, peek, preceded, repeat};
use winnow::token::any;

use super::super::lex::{Tok, Token};
use super::super::word::{Sense, Unit, Word};
use super::day::{day_list, month_days, nth_days, week_days};
use super::{Element, In, P, month, number, ordinal, range_mark, separator, unit, weekdays, word, words};

pub(super) fn frequency(i: &mut In<'_>) -> P<Vec<Element>> {
    alt((every, adverb, per)).parse_next(i)
}

/// "daily", "every fortnight".
fn adverb(i: &mut In<'_>) -> P<Vec<Element>> {
    any.verify_map(|t: Token| match t.tok {
        Tok::Sense(Sense::Freq(n, unit)) => Some(vec![Element::Every(n, unit)]),
        _ => None,
    })
    .parse_next(i)
}

/// What "every" may lead.
fn every(i: &mut In<'_>) -> P<Vec<Element>> {
    repeat(1.., words(&[Word::Every, Word::Single])).map(|(): ()| ()).parse_next(i)?;
    let _ = opt((word(Word::And), word(Word::Every))).parse_next(i)?;
    alt((
        every_nth_month_day,
        every_unit,
        every_half,
        adverb,
        every_days,
        every_months,
        every_part,
        (alt((nth_days, month_days)), peek(not(word(Word::To))))
            .map(|(days, ())| vec![Element::Days(days), Element::Repeats]),
    ))
    .parse_next(i)
}

/// "other", "2", "3rd": how many; 1 where nothing is said.
fn step(i: &mut In<'_>) -> P<u32> {
    opt(alt((
        word(Word::Other).value(2),
        number.verify(|n| *n > 0),
        ordinal.verify(|n| *n > 0),
        word(Word::A).value(1),
    )))
    .map(|n| n.unwrap_or(1))
    .parse_next(i)
}

/// "every 5 minutes", "every 2nd week", "every minute", "every hours".
fn every_unit(i: &mut In<'_>) -> P<Vec<Element>> {
    let attached = any.verify_map(|t: Token| match t.tok {
        Tok::Length(n, unit) if n > 0 => Some((n, unit)),
        _ => None,
    });
    let (n, unit) = alt((attached, unit.map(|u| (1, u)), (step, unit))).parse_next(i)?;
    // "every hour and a half"
    let half = opt((word(Word::And), word(Word::A), word(Word::Half))).parse_next(i)?;
    // "every day of the week"
    let _ = opt((word(Word::Of), word(Word::The), super::unit)).parse_next(i)?;
    if half.is_some() {
        let seconds = unit.seconds().map(|s| s * n + s / 2).filter(|s| s % 60 == 0);
        return seconds.map(|s| vec![Element::Every(s / 60, Unit::Minute)]).ok_or(winnow::error::EmptyError);
    }
    Ok(vec![Element::Every(n, unit)])
}

/// "every half hour", "every half an hour", "every quarter of an hour".
fn every_half(i: &mut In<'_>) -> P<Vec<Element>> {
    (
        word(Word::Half),
        opt(words(&[Word::A, Word::Of])),
        unit.verify(|u| matches!(u, Unit::Hour | Unit::Minute | Unit::Day)),
    )
        .map(|(_, _, u)| match u {
            Unit::Day => vec![Element::Every(12, Unit::Hour)],
            Unit::Minute => vec![Element::Every(30, Unit::Second)],
            _ => vec![Element::Every(30, Unit::Minute)],
        })
        .parse_next(i)
}

/// "every 2nd Friday of the month" is a day of the month, not every other Friday.
fn every_nth_month_day(i: &mut In<'_>) -> P<Vec<Element>> {
    let mut ahead = *i;
    let days = nth_days.parse_next(&mut ahead)?;
    let of = (
        words(&[Word::Of, Word::In]),
        opt(words(&[Word::The, Word::Every])),
        opt(number),
        alt((unit.void(), month.void())),
    );
    peek(of).parse_next(&mut ahead)?;
    *i = ahead;
    Ok(vec![Element::Days(days), Element::Repeats])
}

/// "every weekday", "every Monday and Friday", "every other weekend", "every 3 Fridays", "every 2nd Friday".
fn every_days(i: &mut In<'_>) -> P<Vec<Element>> {
    let n = alt((
        word(Word::Other).value(2),
        (number.verify(|n| *n > 1), peek(weekdays)).map(|(n, _)| n),
        (ordinal.verify(|n| *n == 2), peek(weekdays)).map(|(n, _)| n),
    ));
    let n = opt(n).parse_next(i)?.unwrap_or(1);
    if n == 1 {
        let mut days = week_days.parse_next(i)?;
        days.push(Element::Repeats);
        return Ok(days);
    }
    let days = day_list.parse_next(i)?;
    Ok(vec![Element::EveryDays(n, days), Element::Repeats])
}

/// "every January, April and July", "every January 1st" (left to the dates).
fn every_months(i: &mut In<'_>) -> P<Vec<Element>> {
    let mut ahead = *i;
    if let Ok(Element::MonthDates(months, days, _)) = super::date::month_dates.parse_next(&mut ahead) {
        *i = ahead;
        return Ok(vec![Element::MonthDates(months, days, true)]);
    }
    let range = (month, opt(preceded(range_mark, month))).map(|(a, b)| super::date::month_range(a, b.unwrap_or(a)));
    let first = super::date::month_span.parse_next(i)?;
    let rest: Vec<u16> = repeat(0.., preceded(opt(separator), range)).parse_next(i)?;
    Ok(vec![Element::EveryMonths(rest.into_iter().fold(first, |a, b| a | b))])
}

/// "every morning", "every night", "every noon".
fn every_part(i: &mut In<'_>) -> P<Vec<Element>> {
    any.verify_map(|t: Token| match t.tok {
        Tok::Sense(Sense::Part(p)) => Some(vec![Element::Every(1, Unit::Day), Element::Part(p)]),
        Tok::Sense(Sense::Fixed(s)) => Some(vec![Element::Every(1, Unit::Day), Element::Times(vec![s])]),
        _ => None,
    })
    .parse_next(i)
}

/// "twice a day", "three times per week", "once an hour", "4 times every hour".
fn per(i: &mut In<'_>) -> P<Vec<Element>> {
    let count = alt((
        word(Word::Once).value(1),
        word(Word::Twice).value(2),
        word(Word::Thrice).value(3),
        (number.verify(|n| *n > 0), word(Word::Times)).map(|(n, ())| n),
    ));
    let each = alt((
        (words(&[Word::A, Word::Per, Word::Every]), unit).map(|(_, u)| u),
        any.verify_map(|t: Token| match t.tok {
            Tok::Sense(Sense::Freq(1, unit)) => Some(unit),
            _ => None,
        }),
    ));
    (count, each)
        .map(|(count, unit)| vec![if count == 1 { Element::Every(1, unit) } else { Element::Per(count, unit) }])
        .parse_next(i)
}
