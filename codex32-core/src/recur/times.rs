//! The times of day that a group of elements says.

use super::assemble::{Group, Reason};
use super::calendar::{Calendar, DAY, DaySet, Times, WEEKDAYS};
use super::grammar::in_part;
use super::word::{Part, Unit};

const HOUR: u32 = 3_600;

/// Midnight.
pub(super) fn midnight() -> Times {
    Times::At(vec![0])
}

/// Each [`Times`] is a rule of its own; more than one only over midnight.
pub(super) fn of_group(group: &Group) -> Result<Vec<Times>, Reason> {
    let fine = step(group)?;
    if !group.minutes.is_empty() || !group.seconds.is_empty() {
        return grid(group, fine);
    }
    if let Some(step) = fine {
        return stepped(group, step);
    }
    if let Some((count, Unit::Day)) = group.per {
        return spread(group, count);
    }
    let said = adjusted(group);
    if said.is_empty()
        && let Some((_, Some(_))) = group.window
    {
        // "8am to 5pm" without a frequency: each hour of it.
        return stepped(group, HOUR);
    }
    Ok(vec![first_of(group, said)])
}

/// The fixed times that are said, else the usual one.
pub(super) fn first_of_group(group: &Group) -> Times {
    first_of(group, adjusted(group))
}

fn first_of(group: &Group, mut said: Vec<u32>) -> Times {
    if said.is_empty() {
        let start = group.window.map(|(from, _)| from).or(group.phase);
        said.push(start.unwrap_or_else(|| group.part.map_or(0, Part::default_time)));
    }
    said.sort_unstable();
    said.dedup();
    Times::At(said)
}

/// Said times, in the part of the day that is said.
pub(super) fn adjusted(group: &Group) -> Vec<u32> {
    group.times.iter().map(|t| group.part.map_or(*t, |p| in_part(*t, p))).collect()
}

/// Seconds between runs within a day.
fn step(group: &Group) -> Result<Option<u32>, Reason> {
    let fine = group.every.iter().find_map(|(n, unit)| unit.seconds().map(|s| (*n, s)));
    if let Some((n, seconds)) = fine {
        let step = n.checked_mul(seconds).filter(|s| *s > 0 && *s <= DAY);
        return step.map(Some).ok_or_else(|| format!("every {n} of these does not fit into a day"));
    }
    match group.per {
        Some((count, unit @ (Unit::Hour | Unit::Minute))) => {
            let whole = unit.seconds().unwrap_or(60);
            let step = whole.checked_div(count).filter(|s| *s > 0);
            step.map(Some).ok_or_else(|| format!("{count} times is too often"))
        }
        Some((_, Unit::Second)) => Ok(Some(1)),
        _ => Ok(None),
    }
}

fn stepped(group: &Group, every: u32) -> Result<Vec<Times>, Reason> {
    let last = DAY - 1;
    let said = adjusted(group);
    // A rhythm that fits the day goes on before its start too.
    let phase = |start: u32| if DAY.is_multiple_of(every) { start % every } else { start };
    let (from, to) = match (group.window, said.as_slice()) {
        (Some((from, to)), _) => (from, to.unwrap_or(last)),
        (None, [one]) => (phase(*one), last),
        (None, []) => (group.phase.map_or(0, phase), last),
        (None, _) => return Err("it says both how often and at which times".to_owned()),
    };
    if from <= to {
        let whole = from < every && to + every >= DAY;
        let to = if whole { last } else { from + (to - from) / every * every };
        return Ok(vec![Times::Step { every, from, to }]);
    }
    // Over midnight: the evening, then the morning in the same rhythm.
    let passed = (DAY - from) % every;
    let morning = if passed == 0 { 0 } else { every - passed };
    let mut all = vec![Times::Step { every, from, to: from + (last - from) / every * every }];
    if morning <= to {
        all.push(Times::Step { every, from: morning, to: morning + (to - morning) / every * every });
    }
    Ok(all)
}

/// Minutes past hours, seconds past minutes.
fn grid(group: &Group, fine: Option<u32>) -> Result<Vec<Times>, Reason> {
    let mask = |values: &[u32]| values.iter().fold(0u64, |m, v| m | 1 << v.min(&63));
    let multiples = |step: u32, end: u32| (0..end).step_by(step.max(1) as usize).fold(0u64, |m, v| m | 1 << v);
    let mut hours = u32::MAX >> 8;
    let mut minutes = if group.minutes.is_empty() { u64::MAX >> 4 } else { mask(&group.minutes) };
    let mut seconds = if group.seconds.is_empty() { 1 } else { mask(&group.seconds) };
    let steps = group.every.iter().filter_map(|(n, unit)| n.checked_mul(unit.seconds()?)).chain(fine);
    for step in steps {
        match step {
            s if s % HOUR == 0 => hours &= u32::try_from(multiples(s / HOUR, 24)).unwrap_or(hours),
            s if s % 60 == 0 && group.minutes.is_empty() => minutes = multiples(s / 60, 60),
            s if s < 60 && group.seconds.is_empty() => seconds = multiples(s, 60),
            _ => {}
        }
    }
    let said = adjusted(group);
    if !said.is_empty() {
        hours &= said.iter().fold(0, |m, t| m | 1 << (t / HOUR));
    }
    if let Some((from, to)) = group.window {
        let to = to.unwrap_or(DAY - 1) / HOUR;
        let inside =
            |h: u32| if from / HOUR <= to { (from / HOUR..=to).contains(&h) } else { h >= from / HOUR || h <= to };
        hours &= (0..24).filter(|h| inside(*h)).fold(0, |m, h| m | 1 << h);
    }
    if hours == 0 {
        return Err("no hour of the day fits".to_owned());
    }
    Ok(vec![Times::Grid { hours, minutes, seconds }])
}

/// "three times a day": evenly over the day, or over the hours that are said.
fn spread(group: &Group, count: u32) -> Result<Vec<Times>, Reason> {
    if count > 1_440 {
        return Err(format!("{count} times a day is too often"));
    }
    let said = adjusted(group);
    if !said.is_empty() {
        return Ok(vec![first_of(group, said)]);
    }
    let times = match group.window {
        Some((from, Some(to))) if to > from && count > 1 => {
            (0..count).map(|k| from + (to - from) / (count - 1) * k).collect()
        }
        _ => (0..count).map(|k| DAY / count * k / 60 * 60).collect(),
    };
    Ok(vec![first_of(group, times)])
}

/// "three times a week", "twice a month": days that lie well apart.
pub(super) fn spread_days(calendar: &mut Calendar, count: u32, unit: Unit) -> Result<(), Reason> {
    if !calendar.days.is_empty() && unit >= Unit::Week {
        return Ok(());
    }
    let month_days = |days: &[u32]| {
        days.iter().fold(DaySet::default(), |mut set, d| {
            set.month_days |= 1 << d;
            set
        })
    };
    match (unit, count) {
        (Unit::Week, 2) => calendar.days = DaySet::of_week(0b000_1001),
        (Unit::Week, 3) => calendar.days = DaySet::of_week(0b001_0101),
        (Unit::Week, 4) => calendar.days = DaySet::of_week(0b001_1011),
        (Unit::Week, 5) => calendar.days = DaySet::of_week(WEEKDAYS),
        (Unit::Week, 6) => calendar.days = DaySet::of_week(0b011_1111),
        (Unit::Week, 7) => {}
        (Unit::Month, 2) => calendar.days = month_days(&[1, 15]),
        (Unit::Month, 3) => calendar.days = month_days(&[1, 11, 21]),
        (Unit::Month, 4) => calendar.days = month_days(&[1, 8, 15, 22]),
        (Unit::Year, 2 | 3 | 4 | 6 | 12) => {
            calendar.days = DaySet::of_month(1);
            calendar.months &= (0..12).step_by((12 / count) as usize).fold(0, |m, k| m | 1 << k);
        }
        (Unit::Week | Unit::Month | Unit::Quarter | Unit::Year, _) => {
            return Err(format!("it does not say on which days the {count} times are"));
        }
        _ => {}
    }
    Ok(())
}
