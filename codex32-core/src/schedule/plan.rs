//! Which runs are owed.

use super::Timetable;
use crate::blueprint::Missed;
use crate::clock::Millis;

/// Most runs that are made up for after a time out of service.
pub const MAX_MISSED: usize = 100;
/// A run that is late by no more than this was not missed, in milliseconds.
pub const ON_TIME_MS: Millis = 60_000;

/// What is to be done at some time about a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Times whose runs are to be started, oldest first.
    pub runs: Vec<Millis>,
    /// When it is due next; `None` where it has ended.
    pub next: Option<Millis>,
    /// Whether `all` had more than [`MAX_MISSED`] to make up for, so that some were dropped.
    pub dropped: bool,
}

/// Decides at `now` about a schedule whose first open run was due at `due` (`due <= now`).
#[must_use]
pub fn plan(table: &Timetable, missed: Missed, due: Millis, now: Millis) -> Plan {
    let next = table.next(now);
    match missed {
        Missed::All => {
            let mut times = std::iter::successors(Some(due), |t| table.next(*t)).take_while(|t| *t <= now);
            let runs: Vec<Millis> = times.by_ref().take(MAX_MISSED).collect();
            Plan { runs, next, dropped: times.next().is_some() }
        }
        Missed::Once => Plan { runs: vec![latest(table, due, now)], next, dropped: false },
        Missed::Skip => {
            let latest = latest(table, due, now);
            let runs = if now - latest <= ON_TIME_MS { vec![latest] } else { Vec::new() };
            Plan { runs, next, dropped: false }
        }
    }
}

/// The last time from `due` on that is not after `now`. Looks back in growing steps
/// and does not walk through years of missed runs.
fn latest(table: &Timetable, due: Millis, now: Millis) -> Millis {
    const STEPS: [Millis; 6] = [1_000, 60_000, 3_600_000, 86_400_000, 32 * 86_400_000, 366 * 86_400_000];
    let start = STEPS
        .iter()
        .map(|step| now - step)
        .take_while(|from| *from >= due)
        .find_map(|from| table.next(from).filter(|t| *t <= now))
        .unwrap_or(due);
    std::iter::successors(Some(start), |t| table.next(*t)).take_while(|t| *t <= now).last().unwrap_or(due)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::jitter;
    use uuid::Uuid;

    const HOUR: Millis = 3_600_000;
    const DAY: Millis = 24 * HOUR;

    fn table(cron: &str, zone: &str) -> Timetable {
        Timetable::parse(cron, zone, 0).unwrap()
    }

    #[test]
    fn a_run_on_time_is_run_under_every_policy() {
        let hourly = table("0 * * * *", "UTC");
        for missed in [Missed::Skip, Missed::Once, Missed::All] {
            let made = plan(&hourly, missed, 5 * HOUR, 5 * HOUR + 20);
            assert_eq!(made, Plan { runs: vec![5 * HOUR], next: Some(6 * HOUR), dropped: false }, "{missed:?}");
        }
    }

    #[test]
    fn after_a_time_out_of_service_the_policy_decides() {
        let hourly = table("0 * * * *", "UTC");
        let now = 9 * HOUR + 30 * 60_000;
        let runs = |missed| plan(&hourly, missed, 5 * HOUR, now).runs;
        assert_eq!(runs(Missed::Skip), Vec::<Millis>::new());
        assert_eq!(runs(Missed::Once), vec![9 * HOUR]);
        assert_eq!(runs(Missed::All), (5..=9).map(|h| h * HOUR).collect::<Vec<_>>());
        assert_eq!(plan(&hourly, Missed::All, 5 * HOUR, now).next, Some(10 * HOUR));
    }

    #[test]
    fn at_most_a_hundred_runs_are_made_up_for() {
        let hourly = table("0 * * * *", "UTC");
        let made = plan(&hourly, Missed::All, HOUR, 30 * DAY);
        assert_eq!(made.runs.len(), MAX_MISSED);
        assert_eq!(made.runs[0], HOUR);
        assert!(made.dropped);
        assert_eq!(made.next, Some(30 * DAY + HOUR));
        assert!(!plan(&hourly, Missed::All, HOUR, 100 * HOUR).dropped);
    }

    #[test]
    fn years_of_missed_seconds_are_not_walked_through() {
        let every_second = table("* * * * * *", "UTC");
        let now = 20 * 365 * DAY;
        assert_eq!(plan(&every_second, Missed::Once, 1_000, now).runs, vec![now]);
        let rare = table("0 0 29 2 *", "UTC");
        let first = rare.next(0).unwrap();
        assert_eq!(plan(&rare, Missed::Once, first, first + 2 * 365 * DAY).runs, vec![first]);
    }

    #[test]
    fn a_local_time_is_met_across_summer_time() {
        let nine = table("0 9 * * *", "Europe/Berlin");
        // 2025-03-29 09:00 in Berlin is 08:00 UTC; on the 30th clocks go forward.
        let before = 1_743_235_200_000;
        assert_eq!(plan(&nine, Missed::Once, before, before).next, Some(before + 23 * HOUR));
        // 2025-10-25 09:00 is 07:00 UTC; on the 26th clocks go back.
        let before = 1_761_375_600_000;
        assert_eq!(plan(&nine, Missed::Once, before, before).next, Some(before + 25 * HOUR));
    }

    #[test]
    fn jitter_is_below_its_limit_and_stays() {
        let id = Uuid::from_u128(7);
        let all: Vec<Millis> = (0..1_000).map(|due| jitter(id, due, 500)).collect();
        assert!(all.iter().all(|j| (0..500).contains(j)));
        assert_eq!(all, (0..1_000).map(|due| jitter(id, due, 500)).collect::<Vec<_>>());
        assert!(all.iter().collect::<std::collections::HashSet<_>>().len() > 200);
        assert_eq!(jitter(id, 1, 0), 0);
    }
}
