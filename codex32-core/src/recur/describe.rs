//! Plain English for schedules, which the grammar reads back to the same times.

use chrono::{NaiveDate, NaiveDateTime, Timelike};

use super::calendar::{ALL_MONTHS, Calendar, Cycle, DAY, DaySet, Except, Times, WEEKDAYS};
use super::word::Unit;
use super::{Rule, Schedule, cron, zone};

/// The schedule in words.
pub(crate) fn schedule(s: &Schedule) -> String {
    let texts: Vec<Option<String>> = s.rules.iter().map(rule).collect();
    let plain = texts.iter().all(Option::is_some);
    let texts: Vec<String> =
        texts.into_iter().zip(&s.rules).map(|(text, rule)| text.unwrap_or_else(|| cron_text(rule))).collect();
    // "and" also lists days and times; where that would change the meaning, a semicolon parts the rules.
    let mut text = texts.join(" and ");
    if texts.len() > 1 && !(plain && Schedule::parse(&text).is_ok_and(|again| again.rules == s.rules)) {
        text = texts.join("; ");
    }
    if let Some(tz) = s.zone {
        text = format!("{text} {}", zone::spoken(tz));
    }
    if let Some(from) = s.from {
        text = format!("{text} starting on {}", moment(from, 0));
    }
    if let Some(until) = s.until {
        text = format!("{text} until {}", moment(until, DAY - 1));
    }
    let except = s.rules.iter().find_map(|r| match r {
        Rule::Calendar(c) if !c.except.is_empty() => Some(&c.except),
        _ => None,
    });
    except.map_or(text.clone(), |e| format!("{text}{}", excepted(e)))
}

fn cron_text(rule: &Rule) -> String {
    match rule {
        Rule::Cron(c) => c.as_str().to_owned(),
        Rule::Calendar(c) => cron::of_calendar(&Calendar { except: Except::default(), ..c.clone() })
            .map(|all| all.join("; "))
            .unwrap_or_default(),
        Rule::Interval { .. } | Rule::Once(_) => String::new(),
    }
}

/// None where only cron can say it.
fn rule(rule: &Rule) -> Option<String> {
    match rule {
        Rule::Cron(_) => None,
        Rule::Interval { seconds, .. } => Some(every(*seconds)),
        Rule::Once(t) => Some(format!("on {}", date_time(*t))),
        Rule::Calendar(c) => calendar(c),
    }
}

fn date_time(t: NaiveDateTime) -> String {
    format!("{} at {}", t.date(), clock(t.num_seconds_from_midnight()))
}

/// A bound; the time is left out where it is the usual one.
fn moment(t: NaiveDateTime, usual: u32) -> String {
    if t.num_seconds_from_midnight() == usual { t.date().to_string() } else { date_time(t) }
}

fn clock(seconds: u32) -> String {
    let (h, m, s) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if s == 0 { format!("{h:02}:{m:02}") } else { format!("{h:02}:{m:02}:{s:02}") }
}

/// "every 5 minutes".
fn every(seconds: u32) -> String {
    let (n, unit) = match seconds {
        s if s % 3_600 == 0 => (s / 3_600, "hour"),
        s if s % 60 == 0 => (s / 60, "minute"),
        s => (s, "second"),
    };
    counted(n, unit)
}

fn counted(n: u32, unit: &str) -> String {
    if n == 1 { format!("every {unit}") } else { format!("every {n} {unit}s") }
}

fn calendar(c: &Calendar) -> Option<String> {
    match &c.times {
        Times::At(times) => {
            let times = join(times.iter().map(|t| clock(*t)));
            Some(format!("{} at {times}", days(c, true)))
        }
        Times::Step { every: step, from, to } => {
            let mut text = every(*step);
            let whole = *from < *step && *to + *step >= DAY;
            if whole && *from != 0 {
                text = format!("{text} starting at {}", clock(*from));
            } else if !whole {
                let last = from + (to - from) / step * step;
                text = format!("{text} between {} and {}", clock(*from), clock(last));
            }
            Some(beside(text, c))
        }
        Times::Grid { hours, minutes, seconds } if *hours == u32::MAX >> 8 && *seconds == 1 => {
            let minutes: Vec<u32> = (0..60).filter(|m| minutes >> m & 1 == 1).collect();
            let unit = if minutes == [1] { "minute" } else { "minutes" };
            Some(beside(format!("at {} {unit} past every hour", join(minutes.iter().map(u32::to_string))), c))
        }
        Times::Grid { .. } => None,
    }
}

/// `text` for times within the day, with the days behind it.
fn beside(text: String, c: &Calendar) -> String {
    let days = days(c, false);
    if days.is_empty() { text } else { format!("{text} {days}") }
}

/// The days; `leads`: at the start of the sentence, where "every day" must be said.
fn days(c: &Calendar, leads: bool) -> String {
    let months = (c.months != ALL_MONTHS).then(|| join((0..12).filter(|m| c.months >> m & 1 == 1).map(month_name)));
    let set = &c.days;
    if let Some(cycle) = &c.cycle {
        return cycled(cycle, set, months);
    }
    if set.is_empty() {
        return match (months, leads) {
            (Some(months), true) => format!("every day in {months}"),
            (Some(months), false) => format!("in {months}"),
            (None, true) => "every day".to_owned(),
            (None, false) => String::new(),
        };
    }
    if !set.by_month() || set.both {
        let names = if set.weekdays == WEEKDAYS { "weekday".to_owned() } else { join(week(set.weekdays)) };
        let both = if set.both { format!(" the {}", join(ordinals(set.month_days))) } else { String::new() };
        let within = months.map(|m| format!(" in {m}")).unwrap_or_default();
        let lead = if leads { "every" } else { "on" };
        let names = if leads || names != "weekday" { names } else { "weekdays".to_owned() };
        return format!("{lead} {names}{both}{within}");
    }
    match months {
        Some(months) => format!("every year on {} of {months}", placed(set)),
        None => format!("every month on {}", placed(set)),
    }
}

fn cycled(cycle: &Cycle, set: &DaySet, months: Option<String>) -> String {
    let (n, unit) = match cycle.unit {
        Unit::Week => (cycle.n, "week"),
        Unit::Month => (cycle.n, "month"),
        Unit::Year => (cycle.n, "year"),
        _ => (cycle.n, "day"),
    };
    let mut text = counted(n, unit);
    if !set.is_empty() {
        let days = match (set.both, set.by_month()) {
            (true, _) => format!("{} the {}", join(week(set.weekdays)), join(ordinals(set.month_days))),
            (_, true) => placed(set),
            _ => join(week(set.weekdays)),
        };
        text = format!("{text} on {days}");
    }
    match months {
        Some(months) if set.by_month() => format!("{text} of {months}"),
        Some(months) => format!("{text} in {months}"),
        None => text,
    }
}

/// "the 1st and 15th", "the first Monday and last Friday", "the last day".
fn placed(set: &DaySet) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut count = 0;
    let mut add = |items: Vec<String>| {
        count += items.len();
        parts.extend(items);
    };
    let nth = |table: &[u8; 5], name: &dyn Fn(u32) -> String| {
        let each = (0u32..).zip(table).flat_map(|(i, days)| week(*days).map(move |d| (i + 1, d)).collect::<Vec<_>>());
        each.map(|(i, day)| format!("{}{day}", name(i))).collect::<Vec<_>>()
    };
    add(nth(&set.nth, &|i| format!("{} ", ["first", "second", "third", "fourth", "fifth"][i as usize - 1])));
    add(nth(&set.nth_last, &|i| format!("{}last ", from_end(i))));
    add([(set.first_workday, "first weekday"), (set.last_workday, "last weekday")]
        .iter()
        .filter(|(is, _)| *is)
        .map(|(_, t)| (*t).to_owned())
        .collect());
    let nearest = (1..=31).filter(|d| set.nearest >> d & 1 == 1);
    add(nearest.map(|d| format!("weekday nearest the {}", ordinal(d))).collect());
    if set.weekdays != 0 {
        add(week(set.weekdays).collect());
    }
    add(ordinals(set.month_days));
    add((1..=31).filter(|d| set.last_days >> d & 1 == 1).map(|d| format!("{}last day", from_end(d))).collect());
    format!("the {}", join(parts.into_iter()))
}

/// "2nd to " for the second to last.
fn from_end(n: u32) -> String {
    match n {
        1 => String::new(),
        2..=10 => format!("{} to ", ordinal(n)),
        _ => format!("{} ", ordinal(n)),
    }
}

fn ordinals(mask: u32) -> Vec<String> {
    (1..=31).filter(|d| mask >> d & 1 == 1).map(ordinal).collect()
}

fn ordinal(n: u32) -> String {
    let suffix = match (n % 10, n % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{n}{suffix}")
}

const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

fn week(mask: u8) -> impl Iterator<Item = String> {
    DAYS.iter().enumerate().filter(move |(i, _)| mask >> i & 1 == 1).map(|(_, name)| (*name).to_owned())
}

fn month_name(index: usize) -> String {
    MONTHS[index % 12].to_owned()
}

/// "a", "a and b", "a, b and c".
fn join(items: impl IntoIterator<Item = String>) -> String {
    let items: Vec<String> = items.into_iter().collect();
    match items.split_last() {
        None => String::new(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

fn excepted(except: &Except) -> String {
    let mut text = String::new();
    for (months, days) in &except.days {
        let within = (*months != ALL_MONTHS)
            .then(|| format!("in {}", join((0..12).filter(|m| months >> m & 1 == 1).map(month_name))));
        let days = match (days.is_empty(), days.by_month()) {
            (true, _) => String::new(),
            (false, true) => format!("on {} ", placed(days)),
            (false, false) => format!("on {} ", join(week(days.weekdays))),
        };
        text = format!("{text} except {days}{}", within.unwrap_or_default());
        text.truncate(text.trim_end().len());
    }
    if !except.dates.is_empty() {
        text = format!("{text} except on {}", join(except.dates.iter().map(NaiveDate::to_string)));
    }
    text
}
