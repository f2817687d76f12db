//! The generic cell rate algorithm: so many in a time, without a row for each.
//!
//! What is kept is the theoretical arrival time (TAT) of the next start. `limit` may come at
//! once, then one each `per / limit`. See ITU-T I.371, annex A, and the virtual scheduling
//! form of it there.

use crate::clock::Millis;
use serde::{Deserialize, Serialize};

/// At most `limit` in `per` milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pace {
    pub(crate) limit: u32,
    pub(crate) per: Millis,
}

/// What a start comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    /// When it may begin, UTC milliseconds.
    pub(crate) at: Millis,
    /// The arrival time to be kept if it does, UTC microseconds.
    pub(crate) next: i64,
}

impl Pace {
    /// The turn of a start at `now`, where `tat` was kept; 0 where nothing was.
    pub(crate) fn turn(self, tat: i64, now: Millis) -> Turn {
        let now = now.saturating_mul(1_000);
        let interval = self.interval();
        let arrival = tat.max(now);
        let earliest = arrival.saturating_sub(interval.saturating_mul(i64::from(self.limit.max(1)) - 1));
        // Rounded up: never a moment too early.
        let at = earliest.max(now).saturating_add(999) / 1_000;
        Turn { at, next: arrival.saturating_add(interval) }
    }

    /// When what is kept says nothing any more, UTC milliseconds.
    pub(crate) fn forgotten(next: i64) -> Millis {
        next / 1_000 + 1
    }

    /// Microseconds from one to the next; rounded up, so that there are never more.
    fn interval(self) -> i64 {
        let per = self.per.saturating_mul(1_000);
        let limit = i64::from(self.limit.max(1));
        (per / limit + i64::from(per % limit != 0)).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The times at which starts at `arrivals` may begin.
    fn turns(pace: Pace, arrivals: &[Millis]) -> Vec<Millis> {
        let mut tat = 0;
        let turn = |at: &Millis| {
            let turn = pace.turn(tat, *at);
            tat = turn.next;
            turn.at
        };
        arrivals.iter().map(turn).collect()
    }

    #[test]
    fn so_many_come_at_once_and_then_one_by_one() {
        let pace = Pace { limit: 3, per: 60_000 };
        assert_eq!(turns(pace, &[0; 5]), [0, 0, 0, 20_000, 40_000]);
        // A pause earns them back, but never more than the limit.
        assert_eq!(
            turns(pace, &[0, 0, 0, 500_000, 500_000, 500_000, 500_000]),
            [0, 0, 0, 500_000, 500_000, 500_000, 520_000]
        );
    }

    #[test]
    fn what_was_refused_costs_nothing() {
        let pace = Pace { limit: 1, per: 1_000 };
        let first = pace.turn(0, 0);
        assert_eq!((pace.turn(first.next, 400).at, pace.turn(first.next, 1_000).at), (1_000, 1_000));
        assert_eq!(Pace::forgotten(first.next), 1_001);
    }

    proptest! {
        /// From any one on, `n` take at least the time of those beyond the limit.
        #[test]
        fn never_more_than_the_pace(limit in 1..50_u32, per in 1..100_000_i64, gaps in prop::collection::vec(0..5_000_i64, 1..120)) {
            let pace = Pace { limit, per };
            let arrivals: Vec<Millis> = gaps.iter().scan(0, |at, gap| { *at += gap; Some(*at) }).collect();
            let begun = turns(pace, &arrivals);
            prop_assert!(begun.iter().zip(&arrivals).all(|(begun, arrival)| begun >= arrival));
            prop_assert!(begun.is_sorted());
            for first in 0..begun.len() {
                for last in first..begun.len() {
                    let beyond = (last - first + 1).saturating_sub(limit as usize) as i64;
                    prop_assert!(begun[last] - begun[first] + 1 >= beyond * per / i64::from(limit));
                }
            }
        }
    }
}
