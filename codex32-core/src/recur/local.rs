//! Local times to instants, across the changes of the clock.
//!
//! Policy: a fixed time of day ("at 02:30") runs once each day. Where the clock
//! skips it, it runs at the first instant after the gap; where the clock shows
//! it twice, it runs the first time. What repeats through the day ("every 15
//! minutes") follows the elapsed time: skipped times do not run, doubled ones
//! run both times.

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset, TimeDelta, TimeZone};
use chrono_tz::Tz;

use crate::clock::Millis;

const HOUR_MS: Millis = 3_600_000;

/// The wall clock of `zone` at `instant`; None outside the calendar.
pub(crate) fn wall(zone: Tz, instant: Millis) -> Option<NaiveDateTime> {
    let utc = DateTime::from_timestamp_millis(instant)?;
    utc.naive_utc().checked_add_offset(zone.offset_from_utc_datetime(&utc.naive_utc()).fix())
}

/// Instants at which the wall clock of `zone` shows `local`, in order: none, one or two.
pub(crate) fn instants(zone: Tz, local: NaiveDateTime) -> [Option<Millis>; 2] {
    match zone.from_local_datetime(&local) {
        MappedLocalTime::Single(t) => [Some(t.timestamp_millis()), None],
        MappedLocalTime::Ambiguous(a, b) => [Some(a.timestamp_millis()), Some(b.timestamp_millis())],
        MappedLocalTime::None => [None, None],
    }
}

/// The one instant of a fixed time of day.
pub(crate) fn fixed(zone: Tz, local: NaiveDateTime) -> Option<Millis> {
    instants(zone, local)[0].or_else(|| after_gap(zone, local))
}

/// The first instant after the gap that swallows `local`.
fn after_gap(zone: Tz, local: NaiveDateTime) -> Option<Millis> {
    let offset =
        |ms: Millis| DateTime::from_timestamp_millis(ms).map(|t| zone.offset_from_utc_datetime(&t.naive_utc()).fix());
    // A day before, the offset is still the old one; by it, `local` lies behind the change.
    let before = local.checked_sub_signed(TimeDelta::days(1))?.and_utc().timestamp_millis();
    let old = offset(before)?;
    let mut late = local.and_utc().timestamp_millis() - i64::from(old.local_minus_utc()) * 1_000;
    let mut early = late - 25 * HOUR_MS;
    if offset(late)? == offset(early)? {
        return Some(late);
    }
    while late - early > 1_000 {
        let middle = early + (late - early) / 2_000 * 1_000;
        if offset(middle)? == old { early = middle } else { late = middle }
    }
    Some(late)
}

/// Whether the clock of `zone` changes near `instant`.
pub(crate) fn changes_near(zone: Tz, instant: Millis) -> bool {
    let offset =
        |ms: Millis| DateTime::from_timestamp_millis(ms).map(|t| zone.offset_from_utc_datetime(&t.naive_utc()).fix());
    offset(instant - 3 * HOUR_MS) != offset(instant + 3 * HOUR_MS)
}
