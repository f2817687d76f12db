//! Consumers of the engine: they read the events of all workspaces and keep how far
//! they are in the database, so that each event is handled at least once.

use super::{Bus, Event, store, subscription::LOOK_AGAIN_MS};
use crate::clock::Clock;
use crate::error::Result;
use crate::storage::Tx;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

const PAGE: usize = 500;
/// After so many events that needed nothing the place is stored, and not sooner: reading
/// them again is harmless, and a write for each would cost more than the events.
const SAVE_EVERY: i64 = 500;
/// The least time between two looks at a busy bus.
const PACE: Duration = Duration::from_millis(10);
/// How long [`Consumer::gathered_news`] gathers.
const GATHER: Duration = Duration::from_millis(50);

impl Bus {
    /// How far the consumer named `consumer` is; 0 where it never advanced.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn offset(&self, consumer: &str) -> Result<i64> {
        store::offset(self.db.read(), consumer).await
    }

    /// Notes in `tx` that `consumer` is done with everything up to `seq`. What the
    /// consumer does about the events belongs in the same transaction.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn advance_in(tx: &Tx, clock: &dyn Clock, consumer: &str, seq: i64) -> Result<()> {
        store::advance(tx, consumer, seq, clock.now()).await
    }

    /// How far `consumer` is, held until `tx` ends: for work that must not be done twice
    /// where two nodes read for the same consumer for a moment. Call it first in `tx`.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn hold_offset_in(tx: &Tx, clock: &dyn Clock, consumer: &str) -> Result<i64> {
        store::hold_offset(tx, consumer, clock.now()).await
    }

    /// Listens for [`Bus::wake`].
    pub(crate) fn ear(&self) -> Ear {
        Ear { clock: self.clock.clone(), changed: self.changed.subscribe(), last: None }
    }
}

/// Hears that there is more on the bus.
pub(crate) struct Ear {
    clock: Arc<dyn Clock>,
    changed: watch::Receiver<u64>,
    last: Option<Instant>,
}

impl Ear {
    /// What was heard up to now is being looked at.
    pub(crate) fn looks(&mut self) {
        self.changed.borrow_and_update();
    }

    /// Returns after the next [`Bus::wake`], or after a second, since another process may
    /// have published. Where one wake follows the other, what comes within a moment is
    /// taken together.
    pub(crate) async fn news(&mut self) {
        tokio::select! {
            // The sender lives as long as the bus, whose caller waits here.
            _ = self.changed.changed() => {}
            () = self.clock.sleep_until(self.clock.now() + LOOK_AGAIN_MS) => {}
        }
        // Real time, also where a test's clock stands still.
        if let Some(last) = self.last {
            tokio::time::sleep_until(last + PACE).await;
        }
        self.last = Some(Instant::now());
    }
}

/// A reader of all events. For the engine itself: nobody else reads across workspaces.
pub(crate) struct Consumer {
    bus: Bus,
    name: &'static str,
    place: Option<Place>,
    ear: Ear,
}

/// The last event that was read, and the last that is stored as read.
struct Place {
    read: i64,
    stored: i64,
}

impl Consumer {
    pub(crate) fn new(bus: &Bus, name: &'static str) -> Consumer {
        Consumer { bus: bus.clone(), name, place: None, ear: bus.ear() }
    }

    /// The next events; none where all were read.
    pub(crate) async fn page(&mut self) -> Result<Vec<Arc<Event>>> {
        // Marked as seen before the look, so that news during the look ends the wait at once.
        self.ear.looks();
        let read = match &self.place {
            Some(place) => place.read,
            None => {
                let offset = self.bus.offset(self.name).await?;
                self.place = Some(Place { read: offset, stored: offset });
                offset
            }
        };
        self.bus.all_after(read, PAGE).await
    }

    /// The events up to `seq` are done; `stored` where [`Bus::advance_in`] was committed.
    pub(crate) fn done(&mut self, seq: i64, stored: bool) {
        if let Some(place) = &mut self.place {
            place.read = seq;
            if stored {
                place.stored = seq;
            }
        }
    }

    /// Stores the place where it is far from the stored one, or in any case `at_end`.
    pub(crate) async fn save(&mut self, at_end: bool) -> Result<()> {
        let Some(place) = &mut self.place else { return Ok(()) };
        let ahead = place.read - place.stored;
        if ahead == 0 || (ahead < SAVE_EVERY && !at_end) {
            return Ok(());
        }
        let (clock, name, seq) = (self.bus.clock.clone(), self.name, place.read);
        let work =
            self.bus.db.append(move |tx| Box::pin(async move { store::advance(tx, name, seq, clock.now()).await }));
        work.await?;
        place.stored = seq;
        Ok(())
    }

    /// Waits until there may be more.
    pub(crate) async fn news(&mut self) {
        self.ear.news().await;
    }

    /// The same, for consumers that nobody waits for: what comes within a moment is read
    /// together, so that its handling costs little where much happens.
    pub(crate) async fn gathered_news(&mut self) {
        self.news().await;
        // Real time, also where a test's clock stands still.
        tokio::time::sleep(GATHER).await;
    }
}
