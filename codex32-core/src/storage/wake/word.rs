//! What one node says to the others.

use crate::clock::Millis;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Ids of a kind that a word names at most: PostgreSQL carries 8,000 bytes.
const MOST_IDS: usize = 55;

/// Where to look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Word {
    /// Executions are ready to be claimed.
    pub(crate) ready: bool,
    /// Events were published.
    pub(crate) events: bool,
    /// A timer was set for this time, UTC milliseconds.
    pub(crate) timer: Option<Millis>,
    /// Something was sent to these executions.
    pub(crate) sent: Vec<Uuid>,
    /// These executions have ended.
    pub(crate) over: Vec<Uuid>,
    /// These executions have answered the request that started them.
    pub(crate) answered: Vec<Uuid>,
    /// Everywhere: words were lost, or there was too much to say.
    pub(crate) everything: bool,
}

/// As it is sent. Short names: it is sent a hundred times a second.
#[derive(Serialize, Deserialize)]
struct Sent {
    n: Uuid,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    r: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    e: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    t: Option<Millis>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    s: Vec<Uuid>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    o: Vec<Uuid>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    a: Vec<Uuid>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    all: bool,
}

impl Word {
    /// Look for what is ready.
    pub(crate) fn ready() -> Word {
        Word { ready: true, ..Word::default() }
    }

    /// Look for events.
    pub(crate) fn events() -> Word {
        Word { events: true, ..Word::default() }
    }

    /// Look everywhere.
    pub(crate) fn everything() -> Word {
        Word { everything: true, ..Word::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        *self == Word::default()
    }

    /// Says both.
    pub(crate) fn merge(&mut self, other: Word) {
        self.ready |= other.ready;
        self.events |= other.events;
        self.timer = self.timer.into_iter().chain(other.timer).min();
        self.everything |= other.everything;
        let lists = [(&mut self.sent, other.sent), (&mut self.over, other.over), (&mut self.answered, other.answered)];
        for (ids, more) in lists {
            for id in more {
                if !ids.contains(&id) {
                    ids.push(id);
                }
            }
        }
        // Whoever waits for what is not named looks for it by itself, soon.
        self.over.truncate(MOST_IDS);
        self.answered.truncate(MOST_IDS);
        if self.everything || self.sent.len() > MOST_IDS {
            *self = Word::everything();
        }
    }

    pub(super) fn to_text(&self, from: Uuid) -> String {
        let sent = Sent {
            n: from,
            r: self.ready,
            e: self.events,
            t: self.timer,
            s: self.sent.clone(),
            o: self.over.clone(),
            a: self.answered.clone(),
            all: self.everything,
        };
        serde_json::to_string(&sent).unwrap_or_default()
    }

    /// Who said what; `None` where that cannot be understood.
    pub(super) fn read(text: &str) -> Option<(Uuid, Word)> {
        let sent: Sent = serde_json::from_str(text).ok()?;
        let word = Word {
            ready: sent.r,
            events: sent.e,
            timer: sent.t,
            sent: sent.s,
            over: sent.o,
            answered: sent.a,
            everything: sent.all,
        };
        Some((sent.n, word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_as_it_was_said() {
        let word = Word { ready: true, timer: Some(5), sent: vec![Uuid::from_u128(1)], ..Word::default() };
        let node = Uuid::from_u128(9);
        assert_eq!(Word::read(&word.to_text(node)), Some((node, word)));
        assert!(Word::read(&Word::default().to_text(node)).unwrap().1.is_empty());
        assert_eq!(Word::read("hello"), None);
    }

    #[test]
    fn words_are_gathered() {
        let mut word = Word { timer: Some(9), sent: vec![Uuid::from_u128(1)], ..Word::default() };
        word.merge(Word { timer: Some(5), events: true, sent: vec![Uuid::from_u128(1)], ..Word::default() });
        assert_eq!(word, Word { timer: Some(5), events: true, sent: vec![Uuid::from_u128(1)], ..Word::default() });
    }

    #[test]
    fn too_much_to_say_becomes_everything_and_fits() {
        let mut word = Word::default();
        for n in 0..1_000 {
            let id = Uuid::from_u128(n);
            word.merge(Word { over: vec![id], answered: vec![id], ..Word::default() });
        }
        for n in 0..MOST_IDS {
            word.merge(Word { sent: vec![Uuid::from_u128(n as u128)], ..Word::default() });
        }
        assert_eq!((word.over.len(), word.sent.len()), (MOST_IDS, MOST_IDS));
        assert!(word.to_text(Uuid::from_u128(1)).len() < 7_000);
        word.merge(Word { sent: vec![Uuid::from_u128(1_000)], ..Word::default() });
        assert_eq!(word, Word::everything());
    }
}
