//! Rules over the calendar: which days, and which times of those days.

use chrono::{Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, Timelike};
use chrono_tz::Tz;

use super::local;
use super::word::Unit;
use crate::clock::Millis;

pub(crate) const WEEKDAYS: u8 = 0b001_1111;
pub(crate) const WEEKEND: u8 = 0b110_0000;
pub(crate) const ALL_DAYS: u8 = 0b111_1111;
pub(crate) const ALL_MONTHS: u16 = 0b1111_1111_1111;
pub(crate) const DAY: u32 = 86_400;

/// How far ahead a time is looked for: February 29 on a given weekday comes every 28 years, 40 across 2100.
const HORIZON_DAYS: u32 = 366 * 41;

/// Days by the month, by the week or by their place in the month; empty: every day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub(crate) struct DaySet {
    /// Days of the week, Monday in bit 0.
    pub(crate) weekdays: u8,
    /// Days of the month, the 1st in bit 1.
    pub(crate) month_days: u32,
    /// Days from the end of the month, the last in bit 1.
    pub(crate) last_days: u32,
    /// For each of the first to fifth: days of the week.
    pub(crate) nth: [u8; 5],
    /// The same from the end of the month.
    pub(crate) nth_last: [u8; 5],
    /// The first Monday-to-Friday day of the month.
    pub(crate) first_workday: bool,
    /// The last one.
    pub(crate) last_workday: bool,
    /// For each of these days of the month, the day from Monday to Friday nearest to it in the same month.
    pub(crate) nearest: u32,
    /// Both the day of the week and the day of the month must fit: Friday the 13th.
    pub(crate) both: bool,
}

impl DaySet {
    pub(crate) fn of_week(weekdays: u8) -> DaySet {
        DaySet { weekdays, ..DaySet::default() }
    }

    pub(crate) fn of_month(day: u32) -> DaySet {
        DaySet { month_days: 1 << day, ..DaySet::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == DaySet::default()
    }

    /// Whether days are named other than by the week.
    pub(crate) fn by_month(&self) -> bool {
        *self != DaySet::of_week(self.weekdays)
    }

    /// Adds what `other` names.
    pub(crate) fn merge(&mut self, other: &DaySet) {
        self.weekdays |= other.weekdays;
        self.month_days |= other.month_days;
        self.last_days |= other.last_days;
        for i in 0..5 {
            self.nth[i] |= other.nth[i];
            self.nth_last[i] |= other.nth_last[i];
        }
        self.first_workday |= other.first_workday;
        self.last_workday |= other.last_workday;
        self.nearest |= other.nearest;
        self.both |= other.both;
    }

    pub(crate) fn contains(&self, date: NaiveDate) -> bool {
        if self.is_empty() {
            return true;
        }
        let weekday = 1u8 << date.weekday().num_days_from_monday();
        let day = date.day();
        let left = month_length(date).saturating_sub(day);
        let in_week = self.weekdays & weekday != 0;
        let in_month = self.month_days >> day & 1 == 1 || self.last_days >> (left + 1) & 1 == 1;
        if self.both {
            return in_week && in_month;
        }
        let nth = |table: &[u8; 5], index: u32| table.get((index / 7) as usize).is_some_and(|days| days & weekday != 0);
        let workday = WEEKDAYS & weekday != 0;
        let monday = weekday == 1;
        let friday = weekday == 1 << 4;
        in_week
            || in_month
            || nth(&self.nth, day - 1)
            || nth(&self.nth_last, left)
            || self.nearest_to(day, left, weekday)
            || (self.first_workday && workday && (day == 1 || (monday && day <= 3)))
            || (self.last_workday && workday && (left == 0 || (friday && left <= 2)))
    }
}

impl DaySet {
    /// Whether a day with `left` days behind it in its month is the workday nearest to one of the days.
    fn nearest_to(&self, day: u32, left: u32, weekday: u8) -> bool {
        let is = |d: u32| self.nearest >> d & 1 == 1;
        let (monday, friday) = (weekday == 1, weekday == 1 << 4);
        WEEKDAYS & weekday != 0
            && (is(day)
                || (friday && left >= 1 && is(day + 1))
                || (monday && day > 1 && is(day - 1))
                || (monday && day == 3 && is(1))
                || (friday && left == 2 && is(day + 2)))
    }
}

fn month_length(date: NaiveDate) -> u32 {
    let next = if date.month() == 12 { (date.year() + 1, 1) } else { (date.year(), date.month() + 1) };
    NaiveDate::from_ymd_opt(next.0, next.1, 1).and_then(|d| d.pred_opt()).map_or(31, |d| d.day())
}

/// Only every `n`th day, week, month or year, counted from `anchor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cycle {
    pub(crate) n: u32,
    pub(crate) unit: Unit,
    pub(crate) anchor: NaiveDate,
}

impl Cycle {
    fn contains(&self, date: NaiveDate) -> bool {
        let n = i64::from(self.n.max(1));
        let monday = |d: NaiveDate| i64::from(d.num_days_from_ce()) - i64::from(d.weekday().num_days_from_monday());
        let months = |d: NaiveDate| i64::from(d.year()) * 12 + i64::from(d.month0());
        let passed = match self.unit {
            Unit::Week => (monday(date) - monday(self.anchor)) / 7,
            Unit::Month => months(date) - months(self.anchor),
            Unit::Year => i64::from(date.year()) - i64::from(self.anchor.year()),
            _ => i64::from(date.num_days_from_ce()) - i64::from(self.anchor.num_days_from_ce()),
        };
        passed.rem_euclid(n) == 0
    }
}

/// Times of a day, in seconds since its midnight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Times {
    /// Fixed times, ascending.
    At(Vec<u32>),
    /// Every `every` seconds from `from` to `to`, both included.
    Step { every: u32, from: u32, to: u32 },
    /// Hours, minutes and seconds as sets; what cron says that [`Times::Step`] cannot.
    Grid { hours: u32, minutes: u64, seconds: u64 },
}

impl Times {
    /// The first time of day at or after `start`.
    fn first(&self, start: u32) -> Option<u32> {
        match self {
            Times::At(times) => times.iter().copied().find(|t| *t >= start),
            Times::Step { every, from, to } => {
                let every = (*every).max(1);
                let steps = start.saturating_sub(*from).div_ceil(every);
                let time = from + steps * every;
                (time <= *to && time < DAY).then_some(time)
            }
            Times::Grid { hours, minutes, seconds } => grid_first(*hours, *minutes, *seconds, start),
        }
    }
}

fn grid_first(hours: u32, minutes: u64, seconds: u64, start: u32) -> Option<u32> {
    let bit = |mask: u64, from: u32, end: u32| (from..end).find(|i| mask >> i & 1 == 1);
    let first = (bit(minutes, 0, 60)?, bit(seconds, 0, 60)?);
    let (h, m, s) = (start / 3_600, start / 60 % 60, start % 60);
    if hours >> h & 1 == 1 {
        if minutes >> m & 1 == 1
            && let Some(s) = bit(seconds, s, 60)
        {
            return Some(h * 3_600 + m * 60 + s);
        }
        if let Some(m) = bit(minutes, m + 1, 60) {
            return Some(h * 3_600 + m * 60 + first.1);
        }
    }
    let h = bit(u64::from(hours), h + 1, 24)?;
    Some(h * 3_600 + first.0 * 60 + first.1)
}

/// Days that are left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Except {
    pub(crate) dates: Vec<NaiveDate>,
    /// Days within months.
    pub(crate) days: Vec<(u16, DaySet)>,
}

impl Except {
    pub(crate) fn is_empty(&self) -> bool {
        self.dates.is_empty() && self.days.is_empty()
    }

    fn contains(&self, date: NaiveDate) -> bool {
        self.dates.contains(&date)
            || self.days.iter().any(|(months, days)| months >> date.month0() & 1 == 1 && days.contains(date))
    }
}

/// Days and the times of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Calendar {
    /// January in bit 0.
    pub(crate) months: u16,
    pub(crate) days: DaySet,
    pub(crate) cycle: Option<Cycle>,
    pub(crate) times: Times,
    pub(crate) except: Except,
}

impl Calendar {
    pub(crate) fn daily(times: Times) -> Calendar {
        Calendar { months: ALL_MONTHS, days: DaySet::default(), cycle: None, times, except: Except::default() }
    }

    fn contains(&self, date: NaiveDate) -> bool {
        self.months >> date.month0() & 1 == 1
            && self.days.contains(date)
            && self.cycle.is_none_or(|c| c.contains(date))
            && !self.except.contains(date)
    }

    /// The first instant strictly after `after`.
    pub(crate) fn next(&self, after: Millis, zone: Tz) -> Option<Millis> {
        let wall = local::wall(zone, after)?;
        let near_change = local::changes_near(zone, after);
        // Where the clock goes back over midnight, the day before is not over yet.
        let mut date = if near_change { wall.date().pred_opt()? } else { wall.date() };
        let last = date.checked_add_days(Days::new(u64::from(HORIZON_DAYS)))?;
        while date <= last {
            if self.months >> date.month0() & 1 == 0 {
                date = first_of_next_month(date)?;
                continue;
            }
            if self.contains(date) {
                let start = if near_change || date != wall.date() { 0 } else { seconds(wall) };
                if let Some(instant) = self.next_of_day(date, start, after, zone) {
                    return Some(instant);
                }
            }
            date = date.succ_opt()?;
        }
        None
    }

    fn next_of_day(&self, date: NaiveDate, start: u32, after: Millis, zone: Tz) -> Option<Millis> {
        let fixed = matches!(self.times, Times::At(_));
        let mut start = if fixed { 0 } else { start };
        let mut best: Option<Millis> = None;
        while let Some(time) = self.times.first(start) {
            let local = at(date, time)?;
            if fixed {
                best = local::fixed(zone, local).filter(|t| *t > after).into_iter().chain(best).min();
            } else {
                let found = local::instants(zone, local);
                best = found.into_iter().flatten().filter(|t| *t > after).chain(best).min();
                // Of a doubled hour, the second showing of an early time comes after the first of a later one.
                if best.is_some() && found[1].is_none() {
                    return best;
                }
            }
            start = time + 1;
        }
        best
    }
}

fn seconds(wall: NaiveDateTime) -> u32 {
    wall.num_seconds_from_midnight()
}

/// `time` seconds into `date`.
pub(crate) fn at(date: NaiveDate, time: u32) -> Option<NaiveDateTime> {
    Some(date.and_time(NaiveTime::from_num_seconds_from_midnight_opt(time, 0)?))
}

fn first_of_next_month(date: NaiveDate) -> Option<NaiveDate> {
    let (year, month) = if date.month() == 12 { (date.year() + 1, 1) } else { (date.year(), date.month() + 1) };
    NaiveDate::from_ymd_opt(year, month, 1)
}
