//! When things happen: phrases and cron expressions to a [`Schedule`], a
//! schedule to its next times and back to plain English.
//!
//! - `lex`, `word` and `zone` read tokens; `grammar` makes elements of them by
//!   composed parsers; `assemble` and `times` make rules of the elements.
//! - `calendar` and `local` find next times; `cron` and `describe` write rules.
//! - [`find`] picks a schedule out of a longer sentence.
//!
//! Across changes of the clock: a fixed time of day ("at 02:30") runs once each
//! day, at the first instant after the gap where the clock skips it and the
//! first time where the clock shows it twice. What repeats within the day
//! ("every 15 minutes") follows the elapsed time: it skips what the clock skips
//! and runs in both of two doubled hours.
//!
//! Invariants: pure (the present is handed in), never panics, and what is not
//! understood is refused with the part that was not understood.

mod assemble;
mod calendar;
mod cron;
mod describe;
mod find;
mod grammar;
mod lex;
mod local;
#[cfg(test)]
mod tests;
mod times;
mod word;
mod zone;

use chrono::{NaiveDateTime, TimeZone};
use chrono_tz::Tz;
use croner::Cron;

use crate::clock::Millis;
use crate::error::{Code, Error, Result};
use assemble::Present;
use calendar::Calendar;

pub use find::{Found, find};
pub use zone::zone;

/// When something happens, again and again or once.
///
/// ```
/// use codex32_core::recur::Schedule;
/// let s = Schedule::parse("every weekday at 9:30am in Berlin time").unwrap();
/// assert_eq!(s.describe(), "every weekday at 09:30 Berlin time");
/// assert_eq!(s.cron(), Some(vec!["30 9 * * 1-5".to_owned()]));
/// // The epoch was a Thursday; Berlin is an hour ahead of UTC.
/// assert_eq!(s.next(0, chrono_tz::UTC), Some(30_600_000));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    rules: Vec<Rule>,
    zone: Option<Tz>,
    from: Option<NaiveDateTime>,
    until: Option<NaiveDateTime>,
}

/// The schedule is the union of its rules.
#[derive(Debug, Clone, PartialEq)]
enum Rule {
    /// Cron that is more than a [`Calendar`].
    Cron(Box<Cron>),
    Calendar(Calendar),
    /// Every so many seconds of elapsed time, counted from the anchor or the epoch.
    Interval {
        seconds: u32,
        anchor: Option<NaiveDateTime>,
    },
    /// One local time.
    Once(NaiveDateTime),
}

impl Schedule {
    /// Reads a cron expression (5 or 6 fields, `L`, `#`, `W`) or a phrase that
    /// does not depend on the present.
    ///
    /// # Errors
    /// [`Code::Invalid`] naming the part that was not understood;
    /// [`Code::TooLarge`] above 10 kB.
    pub fn parse(text: &str) -> Result<Schedule> {
        read(text, None)
    }

    /// Like [`Schedule::parse`], where "tomorrow" and "in 2 hours" are counted
    /// from `now`, told in the phrase's zone or else in `zone`.
    ///
    /// ```
    /// use codex32_core::recur::Schedule;
    /// let s = Schedule::parse_at("tomorrow at 5pm", 0, chrono_tz::UTC).unwrap();
    /// assert_eq!(s.describe(), "on 1970-01-02 at 17:00");
    /// ```
    ///
    /// # Errors
    /// As [`Schedule::parse`].
    pub fn parse_at(text: &str, now: Millis, zone: Tz) -> Result<Schedule> {
        read(text, Some(Present { now, zone }))
    }

    /// The first time strictly after `after`; `zone` counts where the schedule names none.
    #[must_use]
    pub fn next(&self, after: Millis, zone: Tz) -> Option<Millis> {
        let zone = self.zone.unwrap_or(zone);
        let start = self.from.and_then(|f| local::fixed(zone, f)).map_or(after, |f| after.max(f - 1));
        let next = self.rules.iter().filter_map(|rule| rule.next(start, zone)).min()?;
        let end = self.until.and_then(|u| local::fixed(zone, u));
        (end.is_none_or(|end| next <= end + 999)).then_some(next)
    }

    /// The first `n` times after `after`, fewer where it ends before.
    #[must_use]
    pub fn upcoming(&self, after: Millis, zone: Tz, n: usize) -> Vec<Millis> {
        std::iter::successors(self.next(after, zone), |t| self.next(*t, zone)).take(n).collect()
    }

    /// Plain English that [`Schedule::parse`] reads back to the same times.
    #[must_use]
    pub fn describe(&self) -> String {
        describe::schedule(self)
    }

    /// The schedule as cron expressions (a union), where cron can say it.
    #[must_use]
    pub fn cron(&self) -> Option<Vec<String>> {
        if self.from.is_some() || self.until.is_some() {
            return None;
        }
        let texts = self.rules.iter().map(|rule| match rule {
            Rule::Cron(cron) => Some(vec![cron.as_str().to_owned()]),
            Rule::Calendar(calendar) => cron::of_calendar(calendar),
            Rule::Interval { .. } | Rule::Once(_) => None,
        });
        texts.collect::<Option<Vec<_>>>().map(|all| all.concat())
    }

    /// The zone that the schedule itself names.
    #[must_use]
    pub fn zone(&self) -> Option<Tz> {
        self.zone
    }

    /// The same schedule, its local times in `zone`; None: in the zone of who asks.
    #[must_use]
    pub fn with_zone(mut self, zone: Option<Tz>) -> Schedule {
        self.zone = zone;
        self
    }

    /// Whether it happens at named dates only, and then never again.
    #[must_use]
    pub fn is_once(&self) -> bool {
        self.rules.iter().all(|rule| matches!(rule, Rule::Once(_)))
    }
}

impl Rule {
    fn next(&self, after: Millis, zone: Tz) -> Option<Millis> {
        match self {
            Rule::Calendar(calendar) => calendar.next(after, zone),
            Rule::Once(t) => local::fixed(zone, *t).filter(|t| *t > after),
            Rule::Interval { seconds, anchor } => {
                let step = Millis::from(*seconds).checked_mul(1_000)?;
                let anchor = anchor.and_then(|a| local::fixed(zone, a)).unwrap_or(0);
                let passed = after.checked_sub(anchor)?.div_euclid(step);
                anchor.checked_add(passed.checked_add(1)?.checked_mul(step)?)
            }
            Rule::Cron(cron) => {
                let start = zone.timestamp_millis_opt(after).single()?;
                let next = cron.find_next_occurrence(&start, false).ok()?;
                Some(next.timestamp_millis()).filter(|t| *t > after)
            }
        }
    }
}

fn read(text: &str, present: Option<Present>) -> Result<Schedule> {
    if text.len() > lex::LIMIT {
        return Err(Error::new(
            Code::TooLarge,
            format!("the schedule has {} bytes, more than {}", text.len(), lex::LIMIT),
        ));
    }
    let mut whole: Option<Schedule> = None;
    let has_cron = text.split(';').any(|part| cron::split(part).is_some());
    let parts: Vec<&str> = if has_cron { text.split(';').collect() } else { vec![text] };
    for part in parts.into_iter().filter(|p| !p.trim().is_empty()) {
        let next = read_part(part, present)?;
        whole = Some(match whole {
            None => next,
            Some(mut whole) => {
                whole.rules.extend(next.rules);
                whole.zone = whole.zone.or(next.zone);
                whole.from = whole.from.or(next.from);
                whole.until = whole.until.or(next.until);
                whole
            }
        });
    }
    let whole = whole.ok_or_else(|| not_understood(text, "it is empty"))?;
    let possible = whole.is_once() || whole.rules.iter().any(|r| r.next(0, Tz::UTC).is_some());
    if possible { Ok(whole) } else { Err(not_understood(text, "it never happens")) }
}

fn read_part(text: &str, present: Option<Present>) -> Result<Schedule> {
    if let Some((fields, rest)) = cron::split(text) {
        let rule = cron::rule(&fields).map_err(|why| not_understood(text, &why))?;
        let tokens = lex::lex(rest);
        let tail = grammar::elements(&mut tokens.as_slice());
        let schedule = Schedule { rules: vec![rule], zone: None, from: None, until: None };
        return find::with_tail(schedule, &tokens, &tail, present).map_err(|why| not_understood(text, &why));
    }
    let tokens = lex::lex(text);
    let rest = find::after_opening(&tokens);
    let mut input = rest;
    let placed = grammar::elements(&mut input);
    let input = find::before_close(input);
    if let Some(token) = input.first() {
        let last = input.last().map_or(token.span.end, |t| t.span.end);
        let part = &text[token.span.start..last];
        return Err(not_understood(text, &format!("{:?} is not understood", shorten(part))));
    }
    if placed.is_empty() {
        return Err(not_understood(text, "it says no time"));
    }
    assemble::assemble(&placed, present).map_err(|why| not_understood(text, &why))
}

fn not_understood(text: &str, why: &str) -> Error {
    Error::invalid(format!("schedule {:?} cannot be used: {why}", shorten(text)))
        .hint("write a phrase such as \"every weekday at 9am\" or a cron expression such as \"0 9 * * 1-5\"")
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= 80 { text.trim().to_owned() } else { text.chars().take(79).chain(['…']).collect() }
}
