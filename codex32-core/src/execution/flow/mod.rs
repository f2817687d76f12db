//! Flow control: what the rules of a bot say of one start. Nothing here does I/O.
//!
//! - [`Flow`] is the block `flow` of a blueprint, compiled once for each version.
//! - [`Ticket`] is what it says of one start: names of the rows that are counted in, times.
//! - [`Pace`] is the generic cell rate algorithm, by which starts are spaced.
//!
//! What follows from a ticket is decided in `store/flow`, in the transaction of the start.
//! A bot without rules has no ticket.

mod pace;
mod rules;
mod ticket;

pub(crate) use pace::Pace;
pub(crate) use rules::Flow;
pub(crate) use ticket::{Gathering, Ticket};

use serde::{Deserialize, Serialize};

/// The rules in the order in which an execution passes them; it waits for one at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// Other starts may still join it, or take its place.
    Gather,
    /// For the one before it of its key to be over.
    Singleton,
    /// For its time.
    Throttle,
    /// For a place.
    Concurrency,
    /// It may begin, and holds what it was given until it is over.
    In,
}

impl Stage {
    const ALL: [Stage; 5] = [Stage::Gather, Stage::Singleton, Stage::Throttle, Stage::Concurrency, Stage::In];

    /// As it is stored.
    pub(crate) fn number(self) -> i32 {
        self as i32
    }

    /// What is stored.
    pub(crate) fn from_number(number: i32) -> Stage {
        usize::try_from(number).ok().and_then(|n| Stage::ALL.get(n).copied()).unwrap_or(Stage::In)
    }

    /// The one behind it.
    pub(crate) fn next(self) -> Stage {
        Stage::from_number(self.number() + 1)
    }

    /// The rule, as a blueprint names it.
    pub(crate) fn rule(self) -> &'static str {
        match self {
            Stage::Gather => "debounce or batch",
            Stage::Singleton => "singleton",
            Stage::Throttle => "throttle",
            Stage::Concurrency => "concurrency",
            Stage::In => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_stored_in_their_order() {
        for stage in Stage::ALL {
            assert_eq!(Stage::from_number(stage.number()), stage);
        }
        assert_eq!((Stage::Gather.next(), Stage::In.next()), (Stage::Singleton, Stage::In));
        assert!(Stage::ALL.is_sorted());
    }
}
