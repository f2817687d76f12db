//! Dates and months: "march 3rd", "2026-05-01", "tomorrow", "in 15 minutes", "from January to March".

use winnow::Parser;
use winnow::combinator::{alt, not, opt, peek, preceded, repeat};
use winnow::token::any;

use super::super::calendar::DaySet;
use super::super::lex::{Tok, Token};
use super::super::word::{Unit, Word};
use super::day::nth_days;
use super::{
    Element, In, P, When, month, number, ordinal, range_mark, real_day, separator, unit, weekdays, word, words,
};

/// Months from `a` to `b`, over the year's end where needed; January in bit 0.
pub(crate) fn month_range(a: u32, b: u32) -> u16 {
    let count = (b + 12 - a) % 12 + 1;
    (0..count).fold(0, |months, k| months | 1 << ((a - 1 + k) % 12))
}

pub(super) fn month_span(i: &mut In<'_>) -> P<u16> {
    (month, opt(preceded(range_mark, month))).map(|(a, b)| month_range(a, b.unwrap_or(a))).parse_next(i)
}

/// "in December", "from January to March", "jan feb mar".
pub(super) fn months(i: &mut In<'_>) -> P<Element> {
    month_set.map(Element::Months).parse_next(i)
}

/// A list of months and ranges of months.
pub(super) fn month_set(i: &mut In<'_>) -> P<u16> {
    let _ = opt(words(&[Word::In, Word::On, Word::Of, Word::During])).parse_next(i)?;
    let _ = opt(words(&[Word::From, Word::Between])).parse_next(i)?;
    let range = month_span.parse_next(i)?;
    let rest: Vec<u16> = repeat(0.., preceded(opt(separator), month_span)).parse_next(i)?;
    Ok(rest.into_iter().fold(range, |a, b| a | b))
}

fn day_number(i: &mut In<'_>) -> P<u32> {
    let bare = (number, peek(not(alt((unit.void(), words(&[Word::Am, Word::Pm, Word::Times, Word::OClock]).void())))))
        .map(|(n, ())| n);
    alt((ordinal, bare)).verify(|n| (1..=31).contains(n)).parse_next(i)
}

fn year(i: &mut In<'_>) -> P<i32> {
    number.verify_map(|n| (1_970..=9_999).contains(&n).then(|| n.cast_signed())).parse_next(i)
}

/// "2nd Friday of February 2030", or without the year.
pub(super) fn month_dates_of_year(i: &mut In<'_>) -> P<Vec<Element>> {
    let dates = month_dates.parse_next(i)?;
    let year = opt(preceded(opt(super::comma), year)).parse_next(i)?;
    Ok(std::iter::once(dates).chain(year.map(Element::Year)).collect())
}

/// "march 3rd", "3 march", "20th and 30th of aug", "the 1st of January and July", "2nd Friday in February".
pub(super) fn month_dates(i: &mut In<'_>) -> P<Element> {
    let _ = opt(words(&[Word::The, Word::On])).parse_next(i)?;
    let _ = opt(word(Word::The)).parse_next(i)?;
    let days = |i: &mut In<'_>| -> P<DaySet> {
        let mut set = DaySet::of_month(ordinal.verify(|n| (1..=31).contains(n)).parse_next(i)?);
        let more = preceded((separator, opt(word(Word::The))), ordinal.verify(|n| (1..=31).contains(n)));
        let rest: Vec<u32> = repeat(0.., more).parse_next(i)?;
        rest.into_iter().for_each(|d| set.month_days |= 1 << d);
        Ok(set)
    };
    let of = (opt(words(&[Word::Of, Word::In, Word::On])), month_set);
    let (set, months) =
        alt(((alt((nth_days, days)), of).map(|(set, (_, months))| (set, months)), month_days_after)).parse_next(i)?;
    Ok(Element::MonthDates(months, set, false))
}

/// "january 1st", "jan 1 and 15".
fn month_days_after(i: &mut In<'_>) -> P<(DaySet, u16)> {
    let _ = opt(word(Word::On)).parse_next(i)?;
    let m = month.parse_next(i)?;
    let _ = opt(word(Word::The)).parse_next(i)?;
    let mut set = DaySet::of_month(day_number.verify(|d| real_day(m, *d)).parse_next(i)?);
    let rest: Vec<u32> = repeat(0.., preceded((separator, opt(word(Word::The))), ordinal)).parse_next(i)?;
    rest.into_iter().filter(|d| *d <= 31).for_each(|d| set.month_days |= 1 << d);
    Ok((set, 1 << (m - 1)))
}

/// One date, with a time where it says one by itself.
pub(super) fn date(i: &mut In<'_>) -> P<Vec<Element>> {
    let _ = opt(words(&[Word::On])).parse_next(i)?;
    when.map(|w| match w {
        (when, None) => vec![Element::Date(when)],
        (when, Some(time)) => vec![Element::Date(when), Element::Times(vec![time])],
    })
    .parse_next(i)
}

/// A date, and the time of day that the word itself says ("tonight").
pub(super) fn when(i: &mut In<'_>) -> P<(When, Option<u32>)> {
    alt((
        written.map(|w| (w, None)),
        words(&[Word::Tomorrow]).map(|_| (When::InDays(1), None)),
        word(Word::Today).map(|()| (When::InDays(0), None)),
        word(Word::Tonight).map(|()| (When::InDays(0), Some(20 * 3_600))),
        word(Word::Now).map(|()| (When::Now, None)),
        day_after_tomorrow.map(|w| (w, None)),
        preceded(words(&[Word::Next, Word::This]), weekdays.verify(|d| d.count_ones() == 1))
            .map(|d| (When::Weekday(d), None)),
        after.map(|w| (w, None)),
    ))
    .parse_next(i)
}

/// "2026-05-01", "8/1/2100", "march 3rd 2026", "3 March, 2026".
fn written(i: &mut In<'_>) -> P<When> {
    let token = any.verify_map(|t: Token| match t.tok {
        Tok::Date(y, m, d) => Some((y, m, d)),
        _ => None,
    });
    let named = alt((
        (month, opt(word(Word::The)), day_number, opt(super::comma), year).map(|(m, _, d, _, y)| (Some(y), m, d)),
        (opt(word(Word::The)), day_number, opt(word(Word::Of)), month, opt(super::comma), opt(year))
            .map(|(_, d, _, m, _, y)| (y, m, d)),
    ));
    alt((token, named))
        .verify_map(|(y, m, d)| {
            let fits = y.map_or_else(|| real_day(m, d), |y| chrono::NaiveDate::from_ymd_opt(y, m, d).is_some());
            fits.then_some(When::Date(y, m, d))
        })
        .parse_next(i)
}

fn day_after_tomorrow(i: &mut In<'_>) -> P<When> {
    (opt(word(Word::The)), unit.verify(|u| *u == Unit::Day), word(Word::After), word(Word::Tomorrow))
        .map(|_| When::InDays(2))
        .parse_next(i)
}

/// "in 15 minutes", "in an hour", "3 days from now".
fn after(i: &mut In<'_>) -> P<When> {
    let length = || {
        alt((
            any.verify_map(|t: Token| match t.tok {
                Tok::Length(n, unit) => Some((n, unit)),
                _ => None,
            }),
            (alt((number, word(Word::A).value(1))), unit),
        ))
    };
    alt((
        preceded(word(Word::In), length()).map(|(n, u)| When::After(n, u)),
        (length(), word(Word::From), word(Word::Now)).map(|((n, u), ..)| When::After(n, u)),
    ))
    .parse_next(i)
}
