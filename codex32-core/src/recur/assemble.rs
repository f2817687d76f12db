//! From the elements of a phrase to rules: which elements belong together, and
//! what is meant where something is left out.

use chrono::{Datelike, Days, Months, NaiveDate, NaiveDateTime, TimeDelta};
use chrono_tz::Tz;

use super::calendar::{ALL_MONTHS, Calendar, Cycle, DaySet, Except, at};
use super::grammar::{Element, Placed, When};
use super::word::{Part, Unit};
use super::{Rule, Schedule, local, times};
use crate::clock::Millis;

/// The present and the zone in which it is told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Present {
    pub(crate) now: Millis,
    pub(crate) zone: Tz,
}

/// Why elements make no schedule.
pub(crate) type Reason = String;

/// Elements that say one rule.
#[derive(Debug, Clone, Default)]
pub(super) struct Group {
    pub(super) every: Vec<(u32, Unit)>,
    pub(super) per: Option<(u32, Unit)>,
    pub(super) times: Vec<u32>,
    pub(super) window: Option<(u32, Option<u32>)>,
    pub(super) minutes: Vec<u32>,
    pub(super) seconds: Vec<u32>,
    pub(super) part: Option<Part>,
    pub(super) phase: Option<u32>,
    days: DaySet,
    week_cycle: Option<u32>,
    months: u16,
    each_month: bool,
    once: bool,
    year: Option<i32>,
    repeats: bool,
    dates: Vec<When>,
    of: Option<Unit>,
    from_day: Option<u32>,
}

/// What holds for the whole phrase.
#[derive(Debug, Clone, Default)]
struct Whole {
    zone: Option<Tz>,
    from: Option<(When, Option<u32>)>,
    until: Option<(When, Option<u32>)>,
    count: Option<u32>,
    lasting: Option<(u32, Unit)>,
    except_dates: Vec<When>,
    except_days: Vec<(u16, DaySet)>,
}

/// The schedule that `placed` says.
pub(crate) fn assemble(placed: &[Placed], present: Option<Present>) -> Result<Schedule, Reason> {
    let (mut groups, whole) = grouped(placed);
    let zone = whole.zone.or(present.map(|p| p.zone)).unwrap_or(Tz::UTC);
    let now = present.and_then(|p| local::wall(zone, p.now));
    let from = whole.from.map(|(when, time)| moment(when, time, now)).transpose()?;
    let mut until = whole.until.map(|(when, time)| end(when, time, now)).transpose()?;
    if let Some((n, unit)) = whole.lasting {
        let start = from.or(now).ok_or("\"for\" some time is counted from now, which is not known here")?;
        until = Some(add(start, n, unit).ok_or("the end lies too far ahead")?);
    }
    let mut except = Except { dates: Vec::new(), days: whole.except_days.clone() };
    for when in &whole.except_dates {
        except.dates.push(date(*when, now)?);
    }
    let mut rules = Vec::new();
    for group in &mut groups {
        // "starting tomorrow at 6am" says the time of day too.
        if group.interval(from, &except).is_none() {
            group.phase = group.phase.or(whole.from.and_then(|(_, time)| time));
        }
        rules.extend(group.rules(now, from, &except)?);
    }
    if rules.is_empty() {
        return Err("it says no time".to_owned());
    }
    let mut schedule = Schedule { rules, zone: whole.zone, from, until };
    if let Some(count) = whole.count {
        schedule.until = Some(nth_end(&schedule, count, zone, now)?);
    }
    Ok(schedule)
}

/// The local time of the `count`th run.
fn nth_end(schedule: &Schedule, count: u32, zone: Tz, now: Option<NaiveDateTime>) -> Result<NaiveDateTime, Reason> {
    let start = schedule.from.or(now).ok_or("a number of times is counted from now, which is not known here")?;
    let start = local::fixed(zone, start).ok_or("the start is no time")? - 1;
    let last = schedule.upcoming(start, zone, count as usize).last().copied();
    last.and_then(|t| local::wall(zone, t)).ok_or_else(|| "it never happens".to_owned())
}

/// Splits elements where a second rule begins ("Monday at 9 and Friday at 17").
fn grouped(placed: &[Placed]) -> (Vec<Group>, Whole) {
    let mut groups = vec![Group::default()];
    let mut whole = Whole::default();
    for p in placed {
        if whole.take(&p.element) {
            continue;
        }
        if p.element == Element::Break {
            groups.push(Group::default());
            continue;
        }
        let current = groups.len() - 1;
        let friday_13 = matches!(&p.element, Element::Days(d) if d.both || groups[current].days.both);
        if (p.joined || p.leads || friday_13) && groups[current].full_for(&p.element, p.joined) {
            // "between 9 and 10 and between 14 and 15": the rest holds for both.
            let same =
                matches!(p.element, Element::Window(..)).then(|| Group { window: None, ..groups[current].clone() });
            groups.push(same.unwrap_or_default());
        }
        let current = groups.len() - 1;
        groups[current].take(&p.element);
    }
    // "Monday at 9 and Friday": what is left out is as before.
    groups.retain(|g| !g.is_empty());
    for i in 1..groups.len() {
        let (before, rest) = groups.split_at_mut(i);
        if let (Some(before), Some(group)) = (before.last(), rest.first_mut()) {
            group.inherit_times(before);
        }
    }
    (groups, whole)
}

impl Whole {
    fn take(&mut self, element: &Element) -> bool {
        match element {
            Element::Zone(tz) => self.zone = self.zone.or(Some(*tz)),
            Element::From(when, time) => self.from = Some((*when, *time)),
            Element::Until(when, time) => self.until = Some((*when, *time)),
            Element::Count(n) => self.count = Some(*n),
            Element::For(n, unit) => self.lasting = Some((*n, *unit)),
            Element::ExceptDates(dates) => self.except_dates.extend(dates),
            Element::ExceptDays(months, days) => self.except_days.push((*months, *days)),
            _ => return false,
        }
        true
    }
}

impl Group {
    fn is_empty(&self) -> bool {
        !self.says_times()
            && !self.says_days()
            && self.per.is_none()
            && self.every.is_empty()
            && self.months == 0
            && self.seconds.is_empty()
            && self.phase.is_none()
    }

    /// Takes the times of day of the group before, where it says none itself.
    fn inherit_times(&mut self, before: &Group) {
        let fine =
            |group: &Group| group.every.iter().copied().filter(|(_, u)| u.seconds().is_some()).collect::<Vec<_>>();
        if self.says_times() || !fine(self).is_empty() || self.per.is_some() || !self.seconds.is_empty() {
            return;
        }
        self.every.extend(fine(before));
        self.times.clone_from(&before.times);
        self.minutes.clone_from(&before.minutes);
        self.seconds.clone_from(&before.seconds);
        (self.window, self.part, self.phase) = (before.window, before.part, before.phase);
    }

    fn says_times(&self) -> bool {
        !self.times.is_empty() || self.window.is_some() || self.part.is_some() || !self.minutes.is_empty()
    }

    fn says_days(&self) -> bool {
        !self.days.is_empty()
            || self.week_cycle.is_some()
            || !self.dates.is_empty()
            || self.every.iter().any(|(_, u)| u.seconds().is_none())
    }

    /// Whether `element` must be of another rule.
    fn full_for(&self, element: &Element, joined: bool) -> bool {
        let both = self.says_times() && self.says_days();
        match element {
            Element::Days(days) if (days.both || self.days.both) && !self.days.is_empty() => true,
            Element::Times(_) => !self.times.is_empty() && both,
            Element::Days(_)
            | Element::EveryDays(..)
            | Element::MonthDates(..)
            | Element::Date(_)
            | Element::EveryMonths(_) => both,
            Element::Window(..) => self.window.is_some_and(|(_, to)| to.is_some()),
            Element::Every(_, unit) => {
                let fine = unit.seconds().is_some();
                let same = self.every.iter().any(|(_, u)| u.seconds().is_some() == fine);
                if fine { same && self.window.is_some() } else { (same || joined) && both }
            }
            _ => false,
        }
    }

    fn take(&mut self, element: &Element) {
        match element {
            Element::Every(n, unit) => self.every.push((*n, *unit)),
            Element::Per(n, unit) => self.per = Some((*n, *unit)),
            Element::Of(unit) => self.of = Some(*unit),
            Element::EveryDays(n, days) => {
                self.week_cycle = Some(*n);
                self.days.weekdays |= days;
            }
            Element::EveryMonths(months) => {
                self.months |= months;
                self.each_month = true;
            }
            Element::Times(times) => self.times.extend(times),
            Element::Window(from, to) => {
                let open = self.window.filter(|(_, to)| to.is_none()).map(|(from, _)| from);
                self.window = Some((open.or(self.phase).filter(|_| *from == 0).unwrap_or(*from), *to));
            }
            Element::Minutes(values) => self.minutes.extend(values),
            Element::Seconds(values) => self.seconds.extend(values),
            Element::Days(days) => self.days.merge(days),
            Element::Months(months) => self.months |= months,
            Element::MonthDates(months, days, repeats) => {
                self.months |= months;
                self.days.merge(days);
                self.once |= !repeats;
                self.repeats |= repeats;
            }
            Element::Date(when) => self.dates.push(*when),
            Element::Part(part) => self.part = Some(*part),
            Element::FromTime(time) => self.phase = Some(*time),
            Element::FromDay(day) => self.from_day = Some(*day),
            Element::Repeats => self.repeats = true,
            Element::Year(year) => self.year = Some(*year),
            _ => {}
        }
    }

    fn rules(
        &self,
        now: Option<NaiveDateTime>,
        from: Option<NaiveDateTime>,
        except: &Except,
    ) -> Result<Vec<Rule>, Reason> {
        if !self.dates.is_empty() {
            return self.once_rules(now);
        }
        if self.is_one_date() {
            return Ok(vec![self.next_date(now)?]);
        }
        if let Some(rule) = self.interval(from, except) {
            return Ok(vec![rule]);
        }
        let says_something = self.says_times()
            || self.says_days()
            || self.each_month
            || self.per.is_some()
            || !self.every.is_empty()
            || !self.seconds.is_empty();
        if !says_something {
            return Err("it says no time".to_owned());
        }
        let all = times::of_group(self)?;
        let mut base = Calendar { except: except.clone(), ..Calendar::daily(times::midnight()) };
        self.set_days(&mut base, from)?;
        let calendar = |times| Calendar { times, ..base.clone() }.sayable();
        all.into_iter().map(|times| calendar(times).map(Rule::Calendar)).collect()
    }

    /// "march 3rd at 9am" without "every": one date.
    fn is_one_date(&self) -> bool {
        let one = |days: &DaySet| {
            let nth: u32 = days.nth.iter().chain(&days.nth_last).map(|d| d.count_ones()).sum();
            days.weekdays == 0 && days.month_days.count_ones() + days.last_days.count_ones() + nth == 1
        };
        self.once
            && !self.repeats
            && self.every.is_empty()
            && self.per.is_none()
            && self.months.count_ones() == 1
            && one(&self.days)
    }

    /// The next date that fits, at the time said.
    fn next_date(&self, now: Option<NaiveDateTime>) -> Result<Rule, Reason> {
        let new_year = self.year.and_then(|y| NaiveDate::from_ymd_opt(y, 1, 1)).and_then(|d| at(d, 0));
        let now = new_year.or(now).ok_or("it does not say which year; add the year, or \"every year\"")?;
        let mut calendar = Calendar::daily(times::first_of_group(self));
        calendar.months = self.months;
        calendar.days = self.days;
        let next = calendar.next(now.and_utc().timestamp_millis() - 1, Tz::UTC);
        let next = next.and_then(|t| local::wall(Tz::UTC, t)).ok_or("there is no such date")?;
        if self.year.is_some_and(|y| y != next.year()) {
            return Err("there is no such date".to_owned());
        }
        Ok(Rule::Once(next))
    }

    fn once_rules(&self, now: Option<NaiveDateTime>) -> Result<Vec<Rule>, Reason> {
        let mut rules = Vec::new();
        for when in &self.dates {
            if let (When::After(n, unit), true) = (*when, self.times.is_empty()) {
                let now = now.ok_or("it is counted from now, which is not known here")?;
                rules.push(Rule::Once(add(now, n, unit).ok_or("it lies too far ahead")?));
                continue;
            }
            let day = date(*when, now)?;
            let said = times::adjusted(self);
            let usual = if matches!(when, When::Date(..)) { 0 } else { 9 * 3_600 };
            let said = if said.is_empty() { vec![self.part.map_or(usual, Part::default_time)] } else { said };
            rules.extend(said.into_iter().filter_map(|t| at(day, t)).map(Rule::Once));
        }
        Ok(rules)
    }

    /// A fixed length of time that does not divide the day: "every 100 minutes".
    fn interval(&self, from: Option<NaiveDateTime>, except: &Except) -> Option<Rule> {
        let [(n, unit)] = self.every.as_slice() else { return None };
        let seconds = unit.seconds()?.checked_mul(*n)?;
        let free = self.days.is_empty() && self.months == 0 && self.window.is_none() && self.week_cycle.is_none();
        let plain = self.times.is_empty()
            && self.phase.is_none()
            && self.minutes.is_empty()
            && self.seconds.is_empty()
            && except.is_empty();
        (free && plain && !86_400u32.is_multiple_of(seconds)).then_some(Rule::Interval { seconds, anchor: from })
    }

    /// Days, months and cycles.
    fn set_days(&self, calendar: &mut Calendar, from: Option<NaiveDateTime>) -> Result<(), Reason> {
        calendar.days = self.days;
        if self.months != 0 {
            calendar.months = self.months;
        }
        let anchor = from.map(|f| f.date());
        if let Some(n) = self.week_cycle {
            calendar.cycle = Some(Cycle { n, unit: Unit::Week, anchor: anchor.unwrap_or(FIRST_MONDAY) });
        }
        if self.each_month
            && calendar.days.is_empty()
            && !self.every.iter().any(|(_, u)| *u <= Unit::Day || u.seconds().is_some())
        {
            calendar.days = DaySet::of_month(1);
        }
        if let Some((count, unit)) = self.per {
            times::spread_days(calendar, count, unit)?;
        }
        for (n, unit) in &self.every {
            self.set_cycle(calendar, *n, *unit, anchor)?;
        }
        match self.of {
            Some(Unit::Year) if self.months == 0 => calendar.months = if ends(&calendar.days) { 1 << 11 } else { 1 },
            Some(Unit::Quarter) if self.months == 0 => calendar.months = quarter_months(&calendar.days),
            _ => {}
        }
        Ok(())
    }

    fn set_cycle(&self, calendar: &mut Calendar, n: u32, unit: Unit, anchor: Option<NaiveDate>) -> Result<(), Reason> {
        if n == 0 || n > 10_000 {
            return Err(format!("it cannot repeat every {n}"));
        }
        let cycle =
            |unit: Unit, default: NaiveDate| (n > 1).then(|| Cycle { n, unit, anchor: anchor.unwrap_or(default) });
        let first = |c: &mut Calendar, days: DaySet| {
            if c.days.is_empty() {
                c.days = days;
            }
        };
        match unit {
            Unit::Day if n > 1 && self.from_day.is_some() => {
                let start = self.from_day.unwrap_or(1);
                (start..=31).step_by(n as usize).for_each(|d| calendar.days.month_days |= 1 << d);
            }
            Unit::Day => calendar.cycle = cycle(Unit::Day, FIRST_DAY).or(calendar.cycle),
            Unit::Week => {
                let usual = anchor.map_or(SUNDAY, |a| 1 << a.weekday().num_days_from_monday());
                first(calendar, DaySet::of_week(usual));
                calendar.cycle = cycle(Unit::Week, FIRST_MONDAY).or(calendar.cycle);
            }
            Unit::Month => {
                first(calendar, DaySet::of_month(anchor.map_or(1, |a| a.day())));
                if n > 1 && 12 % n == 0 {
                    let start = anchor.map_or(0, |a| a.month0() % n);
                    calendar.months &= (start..12).step_by(n as usize).fold(0, |m, k| m | 1 << k);
                } else {
                    calendar.cycle = cycle(Unit::Month, FIRST_DAY).or(calendar.cycle);
                }
            }
            Unit::Quarter => {
                first(calendar, DaySet::of_month(1));
                calendar.months = quarter_months(&calendar.days);
                calendar.cycle =
                    (n > 1).then(|| Cycle { n: n * 3, unit: Unit::Month, anchor: anchor.unwrap_or(FIRST_DAY) });
            }
            Unit::Year => {
                first(calendar, DaySet::of_month(anchor.map_or(1, |a| a.day())));
                if calendar.months == ALL_MONTHS {
                    calendar.months =
                        if ends(&calendar.days) { 1 << 11 } else { 1 << anchor.map_or(0, |a| a.month0()) };
                }
                calendar.cycle = cycle(Unit::Year, FIRST_DAY).or(calendar.cycle);
            }
            Unit::Second | Unit::Minute | Unit::Hour => {}
        }
        Ok(())
    }
}

const SUNDAY: u8 = 1 << 6;
/// Where cycles of weeks are counted from, if nothing else is said.
pub(super) const FIRST_MONDAY: NaiveDate = match NaiveDate::from_ymd_opt(1970, 1, 5) {
    Some(date) => date,
    None => NaiveDate::MIN,
};
/// Where other cycles are counted from.
pub(super) const FIRST_DAY: NaiveDate = match NaiveDate::from_ymd_opt(1970, 1, 1) {
    Some(date) => date,
    None => NaiveDate::MIN,
};

fn ends(days: &DaySet) -> bool {
    days.last_days != 0 || days.last_workday || days.nth_last.iter().any(|d| *d != 0)
}

fn quarter_months(days: &DaySet) -> u16 {
    if ends(days) { 0b1001_0010_0100 } else { 0b0010_0100_1001 }
}

/// `n` units after `start`.
fn add(start: NaiveDateTime, n: u32, unit: Unit) -> Option<NaiveDateTime> {
    match unit {
        Unit::Day => start.checked_add_days(Days::new(u64::from(n))),
        Unit::Week => start.checked_add_days(Days::new(u64::from(n) * 7)),
        Unit::Month => start.checked_add_months(Months::new(n)),
        Unit::Quarter => start.checked_add_months(Months::new(n.checked_mul(3)?)),
        Unit::Year => start.checked_add_months(Months::new(n.checked_mul(12)?)),
        _ => start.checked_add_signed(TimeDelta::seconds(i64::from(n) * i64::from(unit.seconds()?))),
    }
    .filter(|t| t.year() < 10_000)
}

/// The date that `when` names.
fn date(when: When, now: Option<NaiveDateTime>) -> Result<NaiveDate, Reason> {
    if let When::Date(Some(y), m, d) = when {
        return NaiveDate::from_ymd_opt(y, m, d).ok_or_else(|| format!("there is no date {y}-{m:02}-{d:02}"));
    }
    let now = now.ok_or("it is counted from now, which is not known here; say a date such as 2030-05-01")?;
    let today = now.date();
    let found = match when {
        When::Date(_, m, d) => {
            (0..9).find_map(|k| NaiveDate::from_ymd_opt(today.year() + k, m, d).filter(|d| *d >= today))
        }
        When::InDays(n) => today.checked_add_days(Days::new(u64::from(n))),
        When::Weekday(mask) => {
            let wanted = mask.trailing_zeros();
            let ahead = (wanted + 7 - today.weekday().num_days_from_monday()) % 7;
            today.checked_add_days(Days::new(u64::from(if ahead == 0 { 7 } else { ahead })))
        }
        When::After(n, unit) => add(now, n, unit).map(|t| t.date()),
        When::Month(m) => (0..2).find_map(|k| NaiveDate::from_ymd_opt(today.year() + k, m, 1).filter(|d| *d > today)),
        When::Next(Unit::Week) => {
            let ahead = 7 - today.weekday().num_days_from_monday();
            today.checked_add_days(Days::new(u64::from(ahead)))
        }
        When::Next(Unit::Month) => today.with_day(1).and_then(|d| d.checked_add_months(Months::new(1))),
        When::Next(Unit::Year) => NaiveDate::from_ymd_opt(today.year() + 1, 1, 1),
        When::Next(_) => today.succ_opt(),
        When::Now => Some(today),
    };
    found.ok_or_else(|| "there is no such date".to_owned())
}

/// A date and time at which a schedule begins.
fn moment(when: When, time: Option<u32>, now: Option<NaiveDateTime>) -> Result<NaiveDateTime, Reason> {
    if let (When::Now | When::After(..), Some(now), None) = (when, now, time) {
        return match when {
            When::After(n, unit) => add(now, n, unit).ok_or_else(|| "it lies too far ahead".to_owned()),
            _ => Ok(now),
        };
    }
    let day = date(when, now)?;
    at(day, time.unwrap_or(0)).ok_or_else(|| "there is no such time".to_owned())
}

/// The last moment of a schedule: a day counts whole, a month ends before it begins.
fn end(when: When, time: Option<u32>, now: Option<NaiveDateTime>) -> Result<NaiveDateTime, Reason> {
    if time.is_some() || matches!(when, When::After(..) | When::Now) {
        return moment(when, time, now);
    }
    let day = date(when, now)?;
    let day = if matches!(when, When::Month(_) | When::Next(_)) { day.pred_opt() } else { Some(day) };
    day.and_then(|d| at(d, 86_399)).ok_or_else(|| "there is no such time".to_owned())
}
