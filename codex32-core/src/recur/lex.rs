//! A phrase as tokens with their places in the text.

use std::ops::Range;

use chrono_tz::Tz;

use super::word::{self, Sense, Unit, Word};
use super::zone;

/// What stands at a place of the text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Tok {
    Sense(Sense),
    /// A number with a unit right behind it (`17h`, `5min`).
    Length(u32, Unit),
    /// Seconds of the day and whether the hour is below 13 (so that am and pm make sense).
    Clock(u32),
    /// `9.30`: a time of day only where one is expected.
    Dotted(u32, u32),
    /// `2026-05-01`, `8/1/2100`: year where given, month, day.
    Date(Option<i32>, u32, u32),
    /// A zone; `true` where the name cannot mean anything else (`Europe/Berlin`, `UTC`).
    Zone(Tz, bool),
    Comma,
    Dash,
    /// `;` parts two rules.
    Break,
    /// `.`, `:` and brackets: what ends a phrase.
    Stop,
    Other,
}

/// A token and its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    pub(crate) tok: Tok,
    pub(crate) span: Range<usize>,
}

impl Token {
    fn new(tok: Tok, start: usize, end: usize) -> Token {
        Token { tok, span: start..end }
    }
}

/// Longest text that is read.
pub(crate) const LIMIT: usize = 10_240;

/// The tokens of `text`. Never fails: what is unknown is [`Tok::Other`].
pub(crate) fn lex(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let end = at + chunk_len(&text[at..]);
        chunk(text, at..end, &mut tokens);
        at = end;
    }
    join_zones(text, &mut tokens);
    tokens
}

/// Length of what belongs together from the start of `rest` (not white space).
fn chunk_len(rest: &str) -> usize {
    let first = rest.chars().next().map_or(0, char::len_utf8);
    if !rest.starts_with(|c: char| c.is_alphanumeric()) {
        return first;
    }
    let inner = |c: char| c.is_alphanumeric() || matches!(c, '.' | ':' | '/' | '_' | '\'' | '’' | '+' | '-');
    let end = rest.find(|c: char| !inner(c)).unwrap_or(rest.len());
    rest[..end].trim_end_matches(['.', ':', '/', '\'', '’', '+', '-']).len().max(first)
}

/// Turns one chunk into tokens.
fn chunk(text: &str, span: Range<usize>, out: &mut Vec<Token>) {
    let raw = &text[span.clone()];
    let lower = raw.to_lowercase().replace('’', "'");
    let tok = match lower.as_str() {
        "," => Tok::Comma,
        "-" | "–" | "—" => Tok::Dash,
        ";" => Tok::Break,
        "." | ":" | "(" | ")" | "[" | "]" | "{" | "}" | "!" | "?" | "\"" => Tok::Stop,
        word => match whole(word) {
            Some(tok) => tok,
            None => return parts(text, span, out),
        },
    };
    out.push(Token::new(tok, span.start, span.end));
}

/// A chunk that means one thing as a whole.
fn whole(word: &str) -> Option<Tok> {
    if let Some(sense) = word::sense(word) {
        return Some(Tok::Sense(sense));
    }
    if word.as_bytes()[0].is_ascii_digit() {
        return number(word);
    }
    if let Some((tz, strong)) = zone::word(word) {
        return Some(Tok::Zone(tz, strong));
    }
    None
}

/// A chunk that starts with a digit.
fn number(word: &str) -> Option<Tok> {
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    let (head, tail) = word.split_at(digits);
    let value: u32 = head.parse().ok().filter(|_| digits <= 9)?;
    match tail {
        "" => Some(Tok::Sense(Sense::Number(value))),
        "st" | "nd" | "rd" | "th" => Some(Tok::Sense(Sense::Ordinal(value))),
        _ => clock(word)
            .or_else(|| date(word))
            .or_else(|| {
                let (h, m) = (tail.strip_prefix('.').filter(|m| m.len() == 2)).map(|m| (value, m))?;
                Some(Tok::Dotted(h, m.parse().ok()?))
            })
            .or_else(|| {
                // `17h30` is a time of day, `17h` may be a length of time.
                let minutes = tail.strip_prefix('h').filter(|m| m.len() == 2);
                match minutes.and_then(|m| m.parse::<u32>().ok()) {
                    Some(m) if value < 24 && m < 60 => Some(Tok::Clock(value * 3_600 + m * 60)),
                    _ => word::attached_unit(tail).map(|unit| Tok::Length(value, unit)),
                }
            }),
    }
}

/// `9:30`, `09:04:52`.
fn clock(word: &str) -> Option<Tok> {
    let mut fields = word.split(':');
    let (h, m) = (field(fields.next()?, 2)?, field(fields.next()?, 2)?);
    let s = fields.next().map_or(Some(0), |s| field(s, 2))?;
    (fields.next().is_none() && h < 24 && m < 60 && s < 60).then_some(Tok::Clock(h * 3_600 + m * 60 + s))
}

fn field(text: &str, width: usize) -> Option<u32> {
    let plain = text.len() <= width && !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// `2026-05-01`; `8/1/2100` and `8/1` with the month first; `1.8.2100` with the day first.
fn date(word: &str) -> Option<Tok> {
    let split = |sep: char| -> Option<Vec<u32>> { word.split(sep).map(|f| field(f, 4)).collect() };
    let (year, month, day) = if let Some([y, m, d]) = split('-').as_deref() {
        (Some(*y), *m, *d)
    } else if let Some(fields) = split('/') {
        match fields.as_slice() {
            [m, d, y] => (Some(*y), *m, *d),
            [m, d] => (None, *m, *d),
            _ => return None,
        }
    } else if let Some([d, m, y]) = split('.').as_deref() {
        (Some(*y), *m, *d)
    } else {
        return None;
    };
    // Where the month cannot be one, the day stands first.
    let (month, day) = if month > 12 && day <= 12 { (day, month) } else { (month, day) };
    let year = year.map(|y| if y < 100 { 2_000 + y } else { y });
    let good =
        (1..=12).contains(&month) && (1..=31).contains(&day) && year.is_none_or(|y| (1_970..=9_999).contains(&y));
    good.then_some(Tok::Date(year.and_then(|y| i32::try_from(y).ok()), month, day))
}

/// A chunk of several parts (`9:30pm`, `Mon-Fri`, `2026-05-01T10:00`, `today's`), or one unknown word.
fn parts(text: &str, span: Range<usize>, out: &mut Vec<Token>) {
    let raw = text[span.clone()].to_ascii_lowercase();
    let push = |tok, from: usize, to: usize, out: &mut Vec<Token>| {
        out.push(Token::new(tok, span.start + from, span.start + to));
    };
    for suffix in ["a.m.", "p.m.", "a.m", "p.m", "am", "pm", "a", "p"] {
        let Some(head) = raw.strip_suffix(suffix) else { continue };
        let tok = head.bytes().next().filter(u8::is_ascii_digit).and_then(|_| number(head));
        if let Some(tok @ (Tok::Clock(_) | Tok::Dotted(..) | Tok::Sense(Sense::Number(_)))) = tok {
            let word = if suffix.starts_with('a') { Word::Am } else { Word::Pm };
            push(tok, 0, head.len(), out);
            push(Tok::Sense(Sense::Word(word)), head.len(), raw.len(), out);
            return;
        }
    }
    if let Some((head, tail)) = raw.split_once('t')
        && let (Some(date), Some(clock)) = (date(head), clock(tail.trim_end_matches('z')))
    {
        push(date, 0, head.len(), out);
        push(clock, head.len() + 1, raw.len(), out);
        return;
    }
    for (sep, tok) in [('-', Tok::Dash), ('/', Tok::Sense(Sense::Word(Word::And)))] {
        if let Some(at) = raw.find(sep).filter(|at| *at > 0)
            && known(&raw[..at])
            && (raw[at + 1..].is_empty() || known(raw[at + 1..].split(sep).next().unwrap_or("")))
        {
            chunk(text, span.start..span.start + at, out);
            push(tok, at, at + 1, out);
            if at + 1 < raw.len() {
                chunk(text, span.start + at + 1..span.end, out);
            }
            return;
        }
    }
    let tok = match word::forgive(&raw).and_then(word::sense) {
        Some(sense) => Tok::Sense(sense),
        None => Tok::Other,
    };
    push(tok, 0, raw.len(), out);
}

fn known(word: &str) -> bool {
    !word.is_empty() && (whole(word).is_some() || ends_with_meridiem(word))
}

fn ends_with_meridiem(word: &str) -> bool {
    let head = word.strip_suffix("am").or_else(|| word.strip_suffix("pm"));
    head.is_some_and(|h| h.bytes().next().is_some_and(|b| b.is_ascii_digit()) && number(h).is_some())
}

/// Puts zones of several words together: `New York`, `San Francisco`, `Eastern time`.
fn join_zones(text: &str, tokens: &mut Vec<Token>) {
    let mut i = 0;
    while i < tokens.len() {
        for count in [3, 2] {
            let Some(window) = tokens.get(i..i + count) else { continue };
            if !window.iter().all(|t| matches!(t.tok, Tok::Other | Tok::Zone(..) | Tok::Sense(_))) {
                continue;
            }
            let span = window[0].span.start..window[count - 1].span.end;
            let name = text[span.clone()].to_lowercase();
            let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
            if let Some((tz, strong)) = zone::words(&name) {
                tokens.splice(i..i + count, [Token { tok: Tok::Zone(tz, strong), span }]);
                break;
            }
        }
        i += 1;
    }
}
