//! The last events, read once for all consumers of the engine.

use super::{Bus, Event, store};
use crate::error::Result;
use std::collections::VecDeque;
use std::sync::Arc;

/// Events that are kept.
const KEPT: usize = 1_000;
/// Bytes of their data that are kept; the output of an execution may be large.
const KEPT_BYTES: usize = 8 * 1024 * 1024;
/// Events that are read at a time.
const PAGE: u64 = 500;

/// What was read of the bus last: without a gap, so whoever stands within it needs no
/// look at the table.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// Every event after this number is kept, as far as was read.
    after: i64,
    events: VecDeque<(Arc<Event>, usize)>,
    bytes: usize,
}

impl Tail {
    /// The events after `after` that are kept; `None` where that is too long ago.
    fn since(&self, after: i64, limit: usize) -> Option<Vec<Arc<Event>>> {
        if after < self.after {
            return None;
        }
        let from = self.events.partition_point(|(event, _)| event.seq <= after);
        Some(self.events.range(from..).take(limit).map(|(event, _)| event.clone()).collect())
    }

    /// The number up to which was read.
    fn end(&self) -> i64 {
        self.events.back().map_or(self.after, |(event, _)| event.seq)
    }

    fn push(&mut self, (event, bytes): (Event, usize)) {
        self.bytes += bytes;
        self.events.push_back((Arc::new(event), bytes));
        while self.events.len() > KEPT || self.bytes > KEPT_BYTES {
            let Some((gone, bytes)) = self.events.pop_front() else { return };
            (self.after, self.bytes) = (gone.seq, self.bytes - bytes);
        }
    }

    /// Forgets all and goes on after `after`.
    fn reset(&mut self, after: i64) {
        *self = Tail { after, ..Tail::default() };
    }
}

impl Bus {
    /// Events of all workspaces after `after`, oldest first, at most `limit`. For the
    /// engine itself: nobody else reads across workspaces. Consumers that are close to
    /// each other share what was read.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn all_after(&self, after: i64, limit: usize) -> Result<Vec<Arc<Event>>> {
        let mut tail = self.tail.lock().await;
        if after > tail.end() {
            // Whoever is ahead of all others leads.
            tail.reset(after);
        }
        match tail.since(after, limit) {
            Some(events) if !events.is_empty() => return Ok(events),
            Some(_) => {}
            None => {
                drop(tail);
                return self.page_after(after, limit).await;
            }
        }
        for event in store::sized_page(self.db.read(), after, PAGE).await? {
            tail.push(event);
        }
        match tail.since(after, limit) {
            Some(events) => Ok(events),
            // One event may be larger than all that is kept.
            None => self.page_after(after, limit).await,
        }
    }

    /// For one that is far behind, without disturbing those at the end.
    async fn page_after(&self, after: i64, limit: usize) -> Result<Vec<Arc<Event>>> {
        let limit = u64::try_from(limit).unwrap_or(PAGE);
        let page = store::page(self.db.read(), None, after, limit).await?;
        Ok(page.into_iter().map(Arc::new).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimulatedClock;
    use crate::id::WorkspaceId;
    use crate::storage::testing::on_each;
    use serde_json::json;

    #[tokio::test]
    async fn consumers_at_different_places_all_see_everything() {
        on_each(async |db| {
            let bus = Bus::new(db, Arc::new(SimulatedClock::at(1_000)));
            let ws = WorkspaceId::at(1);
            let mut published = Vec::new();
            let mut places = [0_i64, 0, 0];
            let mut seen: [Vec<i64>; 3] = Default::default();
            for n in 0..60 {
                published.push(bus.publish(ws, "a.b", json!({ "n": n })).await.unwrap());
                // The first reads at once, the second now and then, the third seldom and little.
                for (index, (often, limit)) in [(1, 500), (7, 3), (20, 5)].into_iter().enumerate() {
                    if n % often == 0 {
                        let events = bus.all_after(places[index], limit).await.unwrap();
                        places[index] = events.last().map_or(places[index], |event| event.seq);
                        seen[index].extend(events.iter().map(|event| event.seq));
                    }
                }
            }
            for (place, seen) in places.iter_mut().zip(&mut seen) {
                loop {
                    let events = bus.all_after(*place, 4).await.unwrap();
                    let Some(last) = events.last() else { break };
                    *place = last.seq;
                    seen.extend(events.iter().map(|event| event.seq));
                }
                assert_eq!(*seen, published);
            }
        })
        .await;
    }

    #[test]
    fn what_is_too_much_is_forgotten_from_the_front() {
        let mut tail = Tail::default();
        let event = |seq| Event {
            seq,
            workspace: WorkspaceId::at(1),
            at: 0,
            name: "a.b".to_owned(),
            data: json!(null),
            depth: 0,
        };
        for seq in 1..=3 {
            tail.push((event(seq), KEPT_BYTES / 2));
        }
        assert_eq!(tail.since(0, 10), None);
        assert_eq!(tail.since(1, 10).map(|events| events.len()), Some(2));
        tail.push((event(4), KEPT_BYTES + 1));
        assert_eq!(tail.since(3, 10), None);
        assert_eq!(tail.since(4, 10), Some(vec![]));
    }
}
