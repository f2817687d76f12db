//! Cron expressions: to rules, and rules to cron where cron can say them.

use croner::Cron;
use croner::parser::CronParser;

use super::Rule;
use super::calendar::{ALL_MONTHS, Calendar, DAY, DaySet, Except, Times};

/// Most cron expressions that one rule may become.
const MOST: usize = 6;

/// Splits a cron expression off the front of `text`: the fields and the rest.
pub(crate) fn split(text: &str) -> Option<(String, &str)> {
    let text = text.trim().trim_matches(['`', '"', '\'']);
    let lower = text.get(..5).map(str::to_ascii_lowercase);
    let text = match lower.as_deref() {
        Some("cron " | "cron:") => text[5..].trim_start(),
        _ => text,
    };
    if let Some(name) = text.strip_prefix('@') {
        let end = name.find(char::is_whitespace).unwrap_or(name.len());
        let fields = match name[..end].to_ascii_lowercase().as_str() {
            "yearly" | "annually" => "0 0 1 1 *",
            "monthly" => "0 0 1 * *",
            "weekly" => "0 0 * * 0",
            "daily" | "midnight" => "0 0 * * *",
            "hourly" => "0 * * * *",
            _ => return None,
        };
        return Some((fields.to_owned(), &name[end..]));
    }
    let mut fields = Vec::new();
    let mut rest = text;
    while fields.len() < 7 {
        let field = rest.split_whitespace().next().filter(|f| is_field(f));
        let Some(field) = field else { break };
        fields.push(field);
        let at = rest.find(field)? + field.len();
        rest = &rest[at..];
    }
    (fields.len() >= 5).then(|| (fields.join(" "), rest))
}

fn is_field(text: &str) -> bool {
    const NAMES: &str = "MON TUE WED THU FRI SAT SUN JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC";
    let upper = text.to_ascii_uppercase();
    upper.split(['*', ',', '-', '/', '?', '#', '+']).all(|part| {
        let part = part.trim_end_matches(['L', 'W']);
        part.is_empty() || part.bytes().all(|b| b.is_ascii_digit()) || (part.len() == 3 && NAMES.contains(part))
    })
}

/// The rule of cron `fields`.
pub(crate) fn rule(fields: &str) -> Result<Rule, String> {
    let parser = CronParser::builder().sloppy_ranges(true).build();
    let cron = parser.parse(fields).map_err(|e| e.to_string())?;
    Ok(match calendar(fields, &cron) {
        Some(calendar) => Rule::Calendar(calendar),
        None => Rule::Cron(Box::new(cron)),
    })
}

/// The same as a [`Calendar`], where it uses nothing that only cron has.
fn calendar(fields: &str, cron: &Cron) -> Option<Calendar> {
    let mut parts: Vec<&str> = fields.split_whitespace().collect();
    match parts.len() {
        5 => parts.insert(0, "0"),
        6 => {}
        _ => return None,
    }
    let p = &cron.pattern;
    if p.matches_dom_and_dow() {
        return None;
    }
    let mask = |values: Vec<u16>| values.into_iter().fold(0u64, |m, v| m | 1 << v);
    let (seconds, minutes) = (mask(p.seconds.values()), mask(p.minutes.values()));
    let hours = u32::try_from(mask(p.hours.values())).ok()?;
    let elastic = parts[..3].iter().any(|f| f.contains(['*', '/', '-', '?']));
    let months = p.months.values().into_iter().fold(0u16, |m, v| m | 1 << (v - 1));
    let mut calendar = Calendar { months, ..Calendar::daily(times(hours, minutes, seconds, elastic)) };
    if !p.is_dom_wildcard() {
        calendar.days.merge(&month_days(parts[3])?);
    }
    if !p.is_dow_wildcard() {
        calendar.days.merge(&week_days(parts[5])?);
    }
    // A list that names every day names none in particular.
    if calendar.days == DaySet::of_week(super::calendar::ALL_DAYS) {
        calendar.days = DaySet::default();
    }
    Some(calendar)
}

fn month_days(field: &str) -> Option<DaySet> {
    let mut set = DaySet::default();
    for part in field.split(',') {
        match part.to_ascii_uppercase().as_str() {
            "L" => set.last_days |= 1 << 1,
            "1W" => set.first_workday = true,
            "LW" => set.last_workday = true,
            other if other.ends_with('W') => {
                let day: u32 = other[..other.len() - 1].parse().ok().filter(|d| (1..=31).contains(d))?;
                set.nearest |= 1 << day;
            }
            other => set.month_days |= u32::try_from(plain(other, 1, 31)?).ok()?,
        }
    }
    Some(set)
}

fn week_days(field: &str) -> Option<DaySet> {
    const NAMES: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
    let mut upper = field.to_ascii_uppercase().replace("-SUN", "-7");
    for (n, name) in NAMES.iter().enumerate() {
        upper = upper.replace(name, &n.to_string());
    }
    let bit = |day: u32| 1u8 << ((day + 6) % 7);
    let mut set = DaySet::default();
    for part in upper.split(',') {
        let digit = |t: &str| t.parse::<u32>().ok().filter(|d| *d <= 7);
        if let Some((day, nth)) = part.split_once('#') {
            let days = bit(digit(day)?);
            match nth {
                "L" => set.nth_last[0] |= days,
                nth => *set.nth.get_mut(nth.parse::<usize>().ok()?.checked_sub(1)?)? |= days,
            }
        } else if let Some(day) = part.strip_suffix('L') {
            set.nth_last[0] |= bit(digit(day)?);
        } else {
            let mask = plain(part, 0, 7)?;
            (0..8).filter(|d| mask >> d & 1 == 1).for_each(|d| set.weekdays |= bit(d));
        }
    }
    Some(set)
}

/// A number, a range or a step as a mask.
fn plain(part: &str, min: u32, max: u32) -> Option<u64> {
    let (range, step) = part.split_once('/').map_or((part, 1), |(r, s)| (r, s.parse().unwrap_or(0)));
    let (from, to) = match range {
        "*" | "?" | "" => (min, max),
        _ => match range.split_once('-') {
            Some((a, b)) => (a.parse().ok()?, b.parse().ok()?),
            None => {
                let a = range.parse().ok()?;
                (a, if part.contains('/') { max } else { a })
            }
        },
    };
    let fits = step > 0 && from >= min && to <= max && from <= to;
    fits.then(|| (from..=to).step_by(step).fold(0, |m, v| m | 1 << v))
}

/// Fixed times, an even step, or the grid itself.
fn times(hours: u32, minutes: u64, seconds: u64, elastic: bool) -> Times {
    let count = hours.count_ones() * minutes.count_ones() * seconds.count_ones();
    let grid = Times::Grid { hours, minutes, seconds };
    let all = || all_times(hours, minutes, seconds);
    if !elastic && count <= 24 {
        return Times::At(all().collect());
    }
    let mut list = all();
    let (Some(from), Some(second)) = (list.next(), list.next()) else { return grid };
    let (every, mut last) = (second - from, second);
    for t in list {
        if t - last != every {
            return grid;
        }
        last = t;
    }
    let whole = from < every && last + every >= DAY;
    Times::Step { every, from, to: if whole { DAY - 1 } else { last } }
}

impl Calendar {
    /// A grid of times is said by cron alone; beside days that cron cannot say it becomes a list.
    pub(super) fn sayable(mut self) -> Result<Calendar, String> {
        let plain = Calendar { except: Except::default(), ..self.clone() };
        if let Times::Grid { hours, minutes, seconds } = self.times
            && of_calendar(&plain).is_none()
        {
            let count = hours.count_ones() * minutes.count_ones() * seconds.count_ones();
            if count > 288 {
                return Err("it says too many times for these days".to_owned());
            }
            self.times = Times::At(all_times(hours, minutes, seconds).collect());
        }
        Ok(self)
    }
}

fn all_times(hours: u32, minutes: u64, seconds: u64) -> impl Iterator<Item = u32> {
    let bits = |mask: u64, end: u32| (0..end).filter(move |i| mask >> i & 1 == 1);
    let hm = bits(u64::from(hours), 24).flat_map(move |h| bits(minutes, 60).map(move |m| h * 3_600 + m * 60));
    hm.flat_map(move |t| bits(seconds, 60).map(move |s| t + s))
}

/// The rule as cron expressions whose union it is.
pub(crate) fn of_calendar(calendar: &Calendar) -> Option<Vec<String>> {
    if calendar.cycle.is_some() || !calendar.except.is_empty() {
        return None;
    }
    let (dom, dow) = day_fields(&calendar.days)?;
    let months = if calendar.months == ALL_MONTHS {
        "*".to_owned()
    } else {
        list((1..=12).filter(|m| calendar.months >> (m - 1) & 1 == 1).collect(), 1, 12)
    };
    let day = format!("{dom} {months} {dow}");
    let fields = time_fields(&calendar.times)?;
    Some(fields.into_iter().map(|time| format!("{time} {day}")).collect())
}

fn day_fields(days: &DaySet) -> Option<(String, String)> {
    if days.both || days.last_days & !0b10 != 0 || days.nth_last[1..].iter().any(|d| *d != 0) {
        return None;
    }
    let month_days = (1..=31).filter(|d| days.month_days >> d & 1 == 1).collect::<Vec<u32>>();
    let mut dom = Vec::new();
    if !month_days.is_empty() {
        dom.push(list(month_days, 1, 31));
    }
    let extra = [(days.last_days != 0, "L"), (days.first_workday, "1W"), (days.last_workday, "LW")];
    dom.extend(extra.iter().filter(|(is, _)| *is).map(|(_, text)| (*text).to_owned()));
    dom.extend((1..=31).filter(|d| days.nearest >> d & 1 == 1).map(|d| format!("{d}W")));
    // Croner reads L beside LW as LW alone.
    if days.last_workday && days.last_days != 0 {
        return None;
    }
    let number = |bit: u32| (bit + 1) % 7;
    let mut numbers: Vec<u32> = (0..7).filter(|b| days.weekdays >> b & 1 == 1).map(number).collect();
    numbers.sort_unstable();
    let mut dow = Vec::new();
    if !numbers.is_empty() {
        dow.push(list(numbers, 0, 6));
    }
    let bits = |mask: u8| (0..7).filter(move |b| mask >> b & 1 == 1).map(number);
    for (n, mask) in days.nth.iter().enumerate() {
        dow.extend(bits(*mask).map(|day| format!("{day}#{}", n + 1)));
    }
    dow.extend(bits(days.nth_last[0]).map(|day| format!("{day}L")));
    let text = |parts: Vec<String>| if parts.is_empty() { "*".to_owned() } else { parts.join(",") };
    Some((text(dom), text(dow)))
}

/// "second minute hour" or "minute hour", one for each set of hours with the same minutes.
fn time_fields(times: &Times) -> Option<Vec<String>> {
    let (hours, minutes, seconds) = match times {
        Times::Grid { hours, minutes, seconds } => (*hours, *minutes, *seconds),
        Times::Step { every, from: 0, to } if *every < 60 && 60 % every == 0 && *to >= DAY - *every => {
            let seconds = (0..60).step_by(*every as usize).fold(0, |m, s| m | 1 << s);
            (u32::MAX >> 8, u64::MAX >> 4, seconds)
        }
        Times::Step { every, from, to } if every % 60 == 0 && from % 60 == 0 => {
            return by_hour((*from..=*to).step_by(*every as usize));
        }
        Times::Step { .. } => return None,
        Times::At(list) if list.iter().all(|t| t % 60 == 0) => return by_hour(list.iter().copied()),
        Times::At(list) if list.len() <= MOST => {
            return Some(list.iter().map(|t| format!("{} {} {}", t % 60, t / 60 % 60, t / 3_600)).collect());
        }
        Times::At(_) => return None,
    };
    let field = |mask: u64, max: u32| list((0..=max).filter(|v| mask >> v & 1 == 1).collect(), 0, max);
    let text = format!("{} {}", field(minutes, 59), field(u64::from(hours), 23));
    Some(vec![if seconds == 1 { text } else { format!("{} {text}", field(seconds, 59)) }])
}

fn by_hour(times: impl Iterator<Item = u32>) -> Option<Vec<String>> {
    let mut masks = [0u64; 24];
    for t in times {
        masks[(t / 3_600) as usize] |= 1 << (t / 60 % 60);
    }
    let mut kinds: Vec<(u64, Vec<u32>)> = Vec::new();
    for (hour, mask) in (0u32..).zip(masks).filter(|(_, mask)| *mask != 0) {
        match kinds.iter_mut().find(|(m, _)| *m == mask) {
            Some((_, hours)) => hours.push(hour),
            None => kinds.push((mask, vec![hour])),
        }
    }
    let minutes = |mask: u64| list((0..60).filter(|m| mask >> m & 1 == 1).collect(), 0, 59);
    (kinds.len() <= MOST)
        .then(|| kinds.into_iter().map(|(mask, hours)| format!("{} {}", minutes(mask), list(hours, 0, 23))).collect())
}

/// `*`, `*/5`, `9-17`, `1,15`: ascending values as a field.
fn list(values: Vec<u32>, min: u32, max: u32) -> String {
    let (Some(first), Some(last)) = (values.first().copied(), values.last().copied()) else { return "*".to_owned() };
    let step = values.get(1).map_or(1, |second| second - first);
    let even = values.windows(2).all(|w| w[1] - w[0] == step);
    if even && values.len() > 2 {
        if step == 1 && first == min && last == max {
            return "*".to_owned();
        }
        if step > 1 && first == min && last + step > max && (max + 1 - min).is_multiple_of(step) {
            return format!("*/{step}");
        }
        return if step == 1 { format!("{first}-{last}") } else { format!("{first}-{last}/{step}") };
    }
    values.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}
