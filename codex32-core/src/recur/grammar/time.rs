//! Times of day: "at 9am and 17:30", "half past eight", "between 9 and 5", "15 minutes past the hour".

use winnow::Parser;
use winnow::combinator::{alt, not, opt, preceded, repeat};
use winnow::error::EmptyError;
use winnow::token::any;

use super::super::lex::{Tok, Token};
use super::super::word::{Part, Sense, Unit, Word};
use super::{Element, In, P, number, range_mark, separator, small_words, unit, word, words};

const HOUR: u32 = 3_600;
const NOON: u32 = 12 * HOUR;

/// A time of day as it was said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Said {
    pub(crate) seconds: u32,
    /// am, pm, noon or a 24-hour time was said; else the half of the day may be guessed.
    exact: bool,
    /// "pm" was said.
    pm: bool,
}

/// "at 9 and 17", "9am", "at noon in the ...": a list; bare numbers count only behind "at".
pub(super) fn times_element(i: &mut In<'_>) -> P<Element> {
    let at = opt(word(Word::At)).parse_next(i)?.is_some();
    let first = if at { loose(i)? } else { strict(i)? };
    let mut rest: Vec<Said> = repeat(0.., more_times).parse_next(i)?;
    rest.insert(0, first);
    // "9 and 11pm": what is said at the end holds for the whole list.
    let half = rest.last().filter(|t| t.pm).map(|_| NOON);
    let part = opt(preceded(small_words, part)).parse_next(i)?;
    let times = rest.into_iter().map(|t| match (part, half) {
        (Some(part), _) if !t.exact => in_part(t.seconds, part),
        (None, Some(noon)) if !t.exact && at && t.seconds % HOUR == 0 && t.seconds < NOON => t.seconds + noon,
        _ => t.seconds,
    });
    Ok(Element::Times(times.collect()))
}

fn more_times(i: &mut In<'_>) -> P<Said> {
    (separator, opt(word(Word::At)), loose).map(|(_, _, t)| t).parse_next(i)
}

/// The hour of `part` that a time without am and pm means.
pub(crate) fn in_part(seconds: u32, part: Part) -> u32 {
    let hour = seconds / HOUR;
    match part {
        Part::Morning if hour == 12 => seconds - NOON,
        Part::Afternoon | Part::Evening if hour < 12 => seconds + NOON,
        Part::Night if (6..12).contains(&hour) => seconds + NOON,
        Part::Night if hour == 12 => seconds - NOON,
        _ => seconds,
    }
}

fn part(i: &mut In<'_>) -> P<Part> {
    any.verify_map(|t: Token| match t.tok {
        Tok::Sense(Sense::Part(p)) => Some(p),
        _ => None,
    })
    .parse_next(i)
}

/// "in the morning" without a time.
pub(super) fn part_element(i: &mut In<'_>) -> P<Element> {
    preceded(small_words, part).map(Element::Part).parse_next(i)
}

/// A time of day that cannot be something else.
fn strict(i: &mut In<'_>) -> P<Said> {
    alt((fixed, past, clock, with_half)).parse_next(i)
}

/// A time of day where one is expected: a bare number too.
pub(super) fn loose(i: &mut In<'_>) -> P<Said> {
    alt((strict, attached_hour, bare)).parse_next(i)
}

/// "noon", "12 noon", "12:15 noon".
fn fixed(i: &mut In<'_>) -> P<Said> {
    let plain = any.verify_map(|t: Token| match t.tok {
        Tok::Sense(Sense::Fixed(s)) => Some(s),
        _ => None,
    });
    (opt(alt((clock_seconds, number.verify(|n| *n == 12).map(|n| n * HOUR)))), plain)
        .map(|(said, fixed)| Said {
            seconds: said.map_or(fixed, |s| if fixed == 0 { s % NOON } else { s }),
            exact: true,
            pm: false,
        })
        .parse_next(i)
}

fn clock_seconds(i: &mut In<'_>) -> P<u32> {
    any.verify_map(|t: Token| match t.tok {
        Tok::Clock(s) => Some(s),
        _ => None,
    })
    .parse_next(i)
}

fn meridiem(i: &mut In<'_>) -> P<bool> {
    words(&[Word::Am, Word::Pm]).map(|w| w == Word::Pm).parse_next(i)
}

fn halve(seconds: u32, pm: bool) -> u32 {
    seconds % NOON + if pm { NOON } else { 0 }
}

/// "9:30", "9:30 pm".
fn clock(i: &mut In<'_>) -> P<Said> {
    (clock_seconds, opt(meridiem))
        .map(|(s, half)| match half {
            Some(pm) if s < 13 * HOUR => Said { seconds: halve(s, pm), exact: true, pm },
            _ => Said { seconds: s, exact: s >= NOON || half.is_some(), pm: false },
        })
        .parse_next(i)
}

/// "9am", "9.30 pm", "9 o'clock".
fn with_half(i: &mut In<'_>) -> P<Said> {
    let hour = alt((
        number.verify(|n| *n <= 12).map(|n| n * HOUR),
        any.verify_map(|t: Token| match t.tok {
            Tok::Dotted(h, m) if h <= 12 && m < 60 => Some(h * HOUR + m * 60),
            _ => None,
        }),
    ));
    let half = alt(((opt(word(Word::OClock)), meridiem).map(|(_, pm)| Some(pm)), word(Word::OClock).value(None)));
    (hour, half)
        .map(|(s, half)| match half {
            Some(pm) => Said { seconds: halve(s, pm), exact: true, pm },
            None => Said { seconds: s, exact: false, pm: false },
        })
        .parse_next(i)
}

/// "17h".
fn attached_hour(i: &mut In<'_>) -> P<Said> {
    any.verify_map(|t: Token| match t.tok {
        Tok::Length(h, Unit::Hour) if h < 24 => Some(Said { seconds: h * HOUR, exact: true, pm: false }),
        Tok::Dotted(h, m) if h < 24 && m < 60 => Some(Said { seconds: h * HOUR + m * 60, exact: h >= 12, pm: false }),
        _ => None,
    })
    .parse_next(i)
}

/// "5", where no unit or am or pm follows.
fn bare(i: &mut In<'_>) -> P<Said> {
    (number.verify(|n| *n < 24), not(alt((unit.void(), word(Word::Times)))))
        .map(|(n, ())| Said { seconds: n * HOUR, exact: n >= 12, pm: false })
        .parse_next(i)
}

/// "half past eight", "quarter to nine", "ten past five".
fn past(i: &mut In<'_>) -> P<Said> {
    let quarter = any.verify(|t: &Token| t.tok == Tok::Sense(Sense::Unit(Unit::Quarter)));
    let minutes = alt((
        word(Word::Half).value(30),
        (opt(word(Word::A)), quarter).value(15),
        (number.verify(|n| *n < 60), opt(unit)).map(|(n, _)| n),
    ));
    let hour = alt((clock, with_half, fixed, bare));
    (minutes, words(&[Word::Past, Word::After, Word::To]), hour)
        .map(|(m, mark, t)| {
            let day = 24 * HOUR;
            let shift = if mark == Word::To { day - m * 60 } else { m * 60 };
            Said { seconds: (t.seconds + shift) % day, exact: t.exact, pm: false }
        })
        .parse_next(i)
}

/// "between 9am and 5pm", "from 9 to 17:00", "9am-5pm", "from 8:00" (to the day's end).
pub(super) fn window(i: &mut In<'_>) -> P<Element> {
    let (from, to) = alt((
        (preceded(word(Word::Between), loose), alt((word(Word::And), range_mark)), loose)
            .map(|(a, (), b)| (a, Some(b))),
        preceded(word(Word::From), (loose, opt(preceded(range_mark, loose)))),
        (strict, range_mark, loose).map(|(a, (), b)| (a, Some(b))),
        (opt(word(Word::At)), strict, range_mark, loose).map(|(_, a, (), b)| (a, Some(b))),
    ))
    .parse_next(i)?;
    Ok(match to {
        None => Element::Window(from.seconds, None),
        Some(to) => {
            let (from, to) = span_of_day(from, to);
            Element::Window(from, Some(to))
        }
    })
}

/// "9 to 5" ends in the afternoon; "8 to 10pm" begins in the evening only where it must.
fn span_of_day(from: Said, to: Said) -> (u32, u32) {
    if !to.exact && to.seconds <= from.seconds && to.seconds + NOON > from.seconds && to.seconds < NOON {
        return (from.seconds, to.seconds + NOON);
    }
    (from.seconds, to.seconds)
}

/// "at minute 15", "5 and 20 minutes past the hour", "on the hour", "at second 10 and 40".
pub(super) fn marks(i: &mut In<'_>) -> P<Vec<Element>> {
    alt((named_marks, counted_marks, on_the_hour)).parse_next(i)
}

fn values<'a>(limit: u32) -> impl Parser<In<'a>, Vec<u32>, EmptyError> {
    move |i: &mut In<'a>| -> P<Vec<u32>> {
        let mut all = range_of(limit).parse_next(i)?;
        let rest: Vec<Vec<u32>> = repeat(0.., preceded(separator, range_of(limit))).parse_next(i)?;
        all.extend(rest.into_iter().flatten());
        Ok(all)
    }
}

fn range_of<'a>(limit: u32) -> impl Parser<In<'a>, Vec<u32>, EmptyError> {
    (number, opt(preceded(range_mark, number)))
        .map(|(a, b)| (a..=b.unwrap_or(a)).collect::<Vec<_>>())
        .verify(move |v: &Vec<u32>| v.len() <= 60 && !v.is_empty() && v.iter().all(|n| *n < limit))
}

fn marked(unit: Unit, values: Vec<u32>) -> Option<Element> {
    match unit {
        Unit::Minute => Some(Element::Minutes(values)),
        Unit::Second => Some(Element::Seconds(values)),
        _ => None,
    }
}

/// "at minute 15", "at seconds 10 and 40".
fn named_marks(i: &mut In<'_>) -> P<Vec<Element>> {
    let past = (words(&[Word::Past, Word::After]), opt(word(Word::The)), unit);
    (opt(words(&[Word::At, Word::On])), unit, values(60), opt(past))
        .verify_map(|(_, unit, values, _)| marked(unit, values).map(|e| vec![e]))
        .parse_next(i)
}

/// "5 minutes past the hour", "at 10 seconds past every minute".
fn counted_marks(i: &mut In<'_>) -> P<Vec<Element>> {
    let each = (opt(words(&[Word::The, Word::Every])), unit);
    (opt(word(Word::At)), values(60), opt(unit), words(&[Word::Past, Word::After]), each)
        .verify_map(|(_, values, unit, _, (every, of))| {
            let unit = unit.unwrap_or(Unit::Minute);
            let fits = matches!((unit, of), (Unit::Minute, Unit::Hour) | (Unit::Second, Unit::Minute));
            let mark = marked(unit, values).filter(|_| fits)?;
            Some(if every == Some(Word::Every) { vec![mark, Element::Every(1, of)] } else { vec![mark] })
        })
        .parse_next(i)
}

/// "on the hour".
fn on_the_hour(i: &mut In<'_>) -> P<Vec<Element>> {
    (word(Word::On), word(Word::The), unit.verify(|u| *u == Unit::Hour))
        .map(|_| vec![Element::Minutes(vec![0])])
        .parse_next(i)
}
