//! Days: "Monday to Friday", "first Monday", "1st and 15th", "last day of the month".

use winnow::Parser;
use winnow::combinator::{alt, not, opt, peek, preceded, repeat};
use winnow::error::EmptyError;

use super::super::calendar::{ALL_DAYS, DaySet, WEEKDAYS};
use super::super::word::{Unit, Word};
use super::{Element, In, P, number, ordinal, range_mark, separator, unit, weekdays, word, words};

pub(super) fn days_element(i: &mut In<'_>) -> P<Vec<Element>> {
    let _ = opt(word(Word::The)).parse_next(i)?;
    alt((nth_days.map(|d| vec![Element::Days(d)]), month_days.map(|d| vec![Element::Days(d)]), week_days)).parse_next(i)
}

/// "Mondays and Fridays", "from Monday to Friday", "Friday the 13th", "on day Monday".
pub(super) fn week_days(i: &mut In<'_>) -> P<Vec<Element>> {
    let _ = opt(words(&[Word::From, Word::Between])).parse_next(i)?;
    // "on day Monday"
    let _ = opt((unit.verify(|u| *u == Unit::Day), peek(weekdays))).parse_next(i)?;
    let days = day_list.parse_next(i)?;
    let both = opt(preceded(word(Word::The), ordinal.verify(|n| (1..=31).contains(n)))).parse_next(i)?;
    let mut set = DaySet::of_week(days);
    if let Some(day) = both {
        set.month_days = 1 << day;
        set.both = true;
    }
    Ok(vec![Element::Days(set)])
}

/// A list of days and ranges of days.
pub(super) fn day_list(i: &mut In<'_>) -> P<u8> {
    let first = day_range.parse_next(i)?;
    let rest: Vec<u8> = repeat(0.., preceded(opt(day_separator), day_range)).parse_next(i)?;
    Ok(rest.into_iter().fold(first, |a, b| a | b))
}

fn day_separator(i: &mut In<'_>) -> P<()> {
    (separator, opt(words(&[Word::On, Word::The]))).void().parse_next(i)
}

fn day_range(i: &mut In<'_>) -> P<u8> {
    alt((
        (word(Word::Business), unit.verify(|u| *u == Unit::Day)).value(WEEKDAYS),
        (weekdays, opt(preceded(alt((range_mark, word(Word::And).verify(|()| false))), weekdays)))
            .map(|(a, b)| b.map_or(a, |b| around(a, b))),
    ))
    .parse_next(i)
}

/// The days from `a` to `b`, over the week's end where needed.
fn around(a: u8, b: u8) -> u8 {
    if a.count_ones() != 1 || b.count_ones() != 1 {
        return a | b;
    }
    let (from, to) = (a.trailing_zeros(), b.trailing_zeros());
    let count = (to + 7 - from) % 7 + 1;
    (0..count).fold(0, |days, k| days | 1 << ((from + k) % 7)) & ALL_DAYS
}

/// A place counted from the start (positive) or the end (negative).
fn place(i: &mut In<'_>) -> P<i32> {
    let _ = opt(word(Word::The)).parse_next(i)?;
    // "the 25th to the last" is a range.
    let near = ordinal.verify(|n| *n <= 10);
    let from_end = alt((
        (near, word(Word::To), opt(word(Word::The)), word(Word::Last)).map(|(n, ..)| n),
        (ordinal, word(Word::Last)).map(|(n, ())| n),
        word(Word::Last).value(1),
    ));
    alt((from_end.map(|n| -(n.cast_signed())), ordinal.map(u32::cast_signed))).parse_next(i)
}

/// "first Monday", "2nd and last Friday", "first and third Friday and second Tuesday", "last weekday".
pub(super) fn nth_days(i: &mut In<'_>) -> P<DaySet> {
    let mut set = nth_group.parse_next(i)?;
    let rest: Vec<DaySet> = repeat(0.., preceded(separator, nth_group)).parse_next(i)?;
    for other in &rest {
        set.merge(other);
    }
    Ok(set)
}

fn nth_group(i: &mut In<'_>) -> P<DaySet> {
    let mut places = vec![place.parse_next(i)?];
    places.extend(repeat::<_, _, Vec<i32>, _, _>(0.., preceded(separator, place)).parse_next(i)?);
    let days =
        alt((weekdays, (word(Word::Business), unit.verify(|u| *u == Unit::Day)).value(WEEKDAYS))).parse_next(i)?;
    let mut set = DaySet::default();
    for place in places {
        let fits = match (days, place) {
            (WEEKDAYS, 1) => {
                set.first_workday = true;
                true
            }
            (WEEKDAYS, -1) => {
                set.last_workday = true;
                true
            }
            (days, n @ 1..=5) if days.count_ones() == 1 => {
                set.nth[n as usize - 1] |= days;
                true
            }
            (days, n @ -5..=-1) if days.count_ones() == 1 => {
                set.nth_last[n.unsigned_abs() as usize - 1] |= days;
                true
            }
            _ => false,
        };
        if !fits {
            return Err(EmptyError);
        }
    }
    Ok(set)
}

/// "1st and 15th", "the 25th to the last", "last day", "4th last", "day 2", "days 1 and 15".
pub(super) fn month_days(i: &mut In<'_>) -> P<DaySet> {
    alt((nearest_days, numbered_days, placed_days)).parse_next(i)
}

/// "the weekday nearest the 15th", "the weekday nearest day 5".
fn nearest_days(i: &mut In<'_>) -> P<DaySet> {
    let day = alt((preceded(opt(unit.verify(|u| *u == Unit::Day)), number), preceded(opt(word(Word::The)), ordinal)));
    let workday = weekdays.verify(|d| *d == WEEKDAYS);
    preceded((workday, word(Word::Nearest), opt(word(Word::To))), day.verify(|d| (1..=31).contains(d)))
        .map(|day| match day {
            1 => DaySet { first_workday: true, ..DaySet::default() },
            day => DaySet { nearest: 1 << day, ..DaySet::default() },
        })
        .parse_next(i)
}

/// "day 2", "days 1, 10 and 20".
fn numbered_days(i: &mut In<'_>) -> P<DaySet> {
    let day = || number.verify(|n| (1..=31).contains(n));
    let _ = unit.verify(|u| *u == Unit::Day).parse_next(i)?;
    let mut span = |i: &mut In<'_>| -> P<DaySet> {
        let (a, b) = (day(), opt(preceded(range_mark, day()))).parse_next(i)?;
        Ok(span_set(a.cast_signed(), b.unwrap_or(a).cast_signed()))
    };
    let mut set = span.parse_next(i)?;
    let rest: Vec<DaySet> = repeat(0.., preceded(separator, span.by_ref())).parse_next(i)?;
    rest.iter().for_each(|other| set.merge(other));
    Ok(set)
}

fn placed_days(i: &mut In<'_>) -> P<DaySet> {
    let _ = opt(words(&[Word::From, Word::Between])).parse_next(i)?;
    let mut set = placed_span.parse_next(i)?;
    let rest: Vec<DaySet> = repeat(0.., preceded(day_separator, placed_span)).parse_next(i)?;
    rest.iter().for_each(|other| set.merge(other));
    Ok(set)
}

fn placed_span(i: &mut In<'_>) -> P<DaySet> {
    let start = placed_day.parse_next(i)?;
    let end = opt(preceded(range_mark, placed_day)).parse_next(i)?.unwrap_or(start);
    if start > 0 && end > 0 && end < start {
        return Err(EmptyError);
    }
    Ok(span_set(start, end))
}

/// "15th", "last", "last day", "first day".
fn placed_day(i: &mut In<'_>) -> P<i32> {
    let place = place.verify(|n| n.unsigned_abs() <= 31 && *n != 0).parse_next(i)?;
    let _ = opt(unit.verify(|u| *u == Unit::Day)).parse_next(i)?;
    not(peek(weekdays)).parse_next(i)?;
    Ok(place)
}

/// Days from `start` to `end`, negative ones from the month's end.
fn span_set(start: i32, end: i32) -> DaySet {
    let mut set = DaySet::default();
    let mut days = |from: i32, to: i32| (from..=to).for_each(|d| set.month_days |= 1 << d);
    match (start > 0, end > 0) {
        (true, true) => days(start, end),
        (false, false) => {
            (end.abs().min(start.abs())..=start.abs().max(end.abs())).for_each(|d| set.last_days |= 1 << d)
        }
        // "from the 25th to the last": the days that a shorter month lacks do no harm.
        (true, false) if end == -1 => days(start, 31),
        _ => {
            days(start.max(1), start.max(1));
            set.last_days |= 1 << end.abs().min(31);
        }
    }
    set
}

/// "of the month", "of each month", "of every 3rd month", "of the year".
pub(super) fn of_unit(i: &mut In<'_>) -> P<Element> {
    let _ = opt(words(&[Word::Of, Word::In, Word::During])).parse_next(i)?;
    alt((
        preceded(word(Word::The), unit).map(Element::Of),
        preceded(words(&[Word::A, Word::Per]), unit).map(Element::Of),
    ))
    .parse_next(i)
}
