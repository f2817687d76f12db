//! Consumers of the engine: they read the events of all workspaces and keep how far
//! they are in the database, so that each event is handled at least once.

use super::{Bus, Event, store, subscription::LOOK_AGAIN_MS};
use crate::clock::Clock;
use crate::error::Result;
use crate::storage::Tx;
use tokio::sync::watch;

const PAGE: u64 = 200;
/// After so many events that needed nothing the place is stored, and not sooner: reading
/// them again is harmless, and a write for each would cost more than the events.
const SAVE_EVERY: i64 = 500;

impl Bus {
    /// How far the consumer named `consumer` is; 0 where it never advanced.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn offset(&self, consumer: &str) -> Result<i64> {
        store::offset(self.db.read(), consumer).await
    }

    /// Events of all workspaces after `after`, oldest first, at most `limit`. For the
    /// engine itself: nobody else reads across workspaces.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn all_after(&self, after: i64, limit: u64) -> Result<Vec<Event>> {
        store::page(self.db.read(), None, after, limit).await
    }

    /// Notes in `tx` that `consumer` is done with everything up to `seq`. What the
    /// consumer does about the events belongs in the same transaction.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn advance_in(tx: &Tx, clock: &dyn Clock, consumer: &str, seq: i64) -> Result<()> {
        store::advance(tx, consumer, seq, clock.now()).await
    }

    /// Returns after the next [`Bus::wake`], or after a second, since another process
    /// may have published.
    pub(crate) async fn news(&self, changed: &mut watch::Receiver<u64>) {
        tokio::select! {
            // The sender lives as long as this bus, so it cannot fail while we wait.
            _ = changed.changed() => {}
            () = self.clock.sleep_until(self.clock.now() + LOOK_AGAIN_MS) => {}
        }
    }
}

/// A reader of all events. For the engine itself: nobody else reads across workspaces.
pub(crate) struct Consumer {
    bus: Bus,
    name: &'static str,
    place: Option<Place>,
    changed: watch::Receiver<u64>,
}

/// The last event that was read, and the last that is stored as read.
struct Place {
    read: i64,
    stored: i64,
}

impl Consumer {
    pub(crate) fn new(bus: &Bus, name: &'static str) -> Consumer {
        Consumer { bus: bus.clone(), name, place: None, changed: bus.watch() }
    }

    /// The next events; none where all were read.
    pub(crate) async fn page(&mut self) -> Result<Vec<Event>> {
        // Marked as seen before the look, so that news during the look ends the wait at once.
        self.changed.borrow_and_update();
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
        self.bus.news(&mut self.changed).await;
    }
}
