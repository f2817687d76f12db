//! What is due when: schedules of deployments.
//!
//! - [`Timetable`] is a schedule in its zone.
//! - [`plan`] decides which runs are owed now and when the next is due.
//! - [`jitter`] spreads runs without forgetting where it put them.
//!
//! Invariants: nothing here does anything or reads a clock; the same question has
//! the same answer, so that a plan made twice (after a crash, on another node) is
//! the same plan. Local times that a change to summer time skips or doubles are
//! resolved by [`recur`](crate::recur).

mod plan;

pub use plan::{MAX_MISSED, ON_TIME_MS, Plan, plan};

use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::recur::Schedule;
use chrono_tz::Tz;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A schedule in its zone.
#[derive(Debug, Clone)]
pub struct Timetable {
    schedule: Schedule,
    zone: Tz,
}

impl Timetable {
    /// Reads a phrase or cron expression; `anchor` is when it was put in place, from
    /// which phrases such as "in two hours" count.
    ///
    /// ```
    /// use codex32_core::schedule::Timetable;
    /// let table = Timetable::parse("0 9 * * *", "Europe/Berlin", 0)?;
    /// assert_eq!(table.next(0), Some(8 * 3_600_000));
    /// # Ok::<(), codex32_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// `invalid` for a schedule that is not understood or a zone that does not exist.
    pub fn parse(schedule: &str, zone: &str, anchor: Millis) -> Result<Timetable> {
        let zone: Tz = zone.parse().map_err(|_| {
            Error::invalid(format!("there is no time zone \"{zone}\"")).hint("use an IANA name, such as Europe/Berlin")
        })?;
        Ok(Timetable { schedule: Schedule::parse_at(schedule, anchor, zone)?, zone })
    }

    /// The first time strictly after `after`.
    #[must_use]
    pub fn next(&self, after: Millis) -> Option<Millis> {
        self.schedule.next(after, self.zone)
    }

    /// The first `n` times after `after`.
    #[must_use]
    pub fn upcoming(&self, after: Millis, n: usize) -> Vec<Millis> {
        self.schedule.upcoming(after, self.zone, n)
    }
}

/// How long the run due at `due` waits: below `max_ms`, the same each time it is asked.
#[must_use]
pub fn jitter(trigger: Uuid, due: Millis, max_ms: u64) -> Millis {
    if max_ms == 0 {
        return 0;
    }
    let digest = Sha256::new().chain_update(trigger.as_bytes()).chain_update(due.to_be_bytes()).finalize();
    let mut first = [0_u8; 8];
    first.copy_from_slice(&digest[..8]);
    Millis::try_from(u64::from_be_bytes(first) % max_ms).unwrap_or(0)
}
