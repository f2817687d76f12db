//! The stream of a subscriber: pages of the table, then a wait for news.

use super::{Bus, Ear, Event, store};
use crate::id::WorkspaceId;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use std::collections::VecDeque;

const PAGE: u64 = 200;
/// Another process may publish into the same database without waking this one.
pub(super) const LOOK_AGAIN_MS: i64 = 1_000;

struct State {
    bus: Bus,
    workspace: WorkspaceId,
    after: i64,
    page: VecDeque<Event>,
    ear: Ear,
}

pub(super) fn stream(bus: Bus, workspace: WorkspaceId, after: i64) -> BoxStream<'static, Event> {
    let ear = bus.ear();
    stream::unfold(State { bus, workspace, after, page: VecDeque::new(), ear }, |mut state| async move {
        let event = state.next().await;
        Some((event, state))
    })
    .boxed()
}

impl State {
    async fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.page.pop_front() {
                self.after = event.seq;
                return event;
            }
            // Marked as seen before the look, so that news during the look ends the wait at once.
            self.ear.looks();
            match store::page(self.bus.db.read(), Some(self.workspace), self.after, PAGE).await {
                Ok(page) if page.is_empty() => self.ear.news().await,
                Ok(page) => self.page = page.into(),
                Err(error) => {
                    tracing::warn!(%error, "a subscriber could not read the bus; it tries again");
                    self.bus.clock.sleep_until(self.bus.clock.now() + LOOK_AGAIN_MS).await;
                }
            }
        }
    }
}
