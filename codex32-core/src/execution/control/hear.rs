//! Hearing what other processes on the same database have done.

use super::Inner;
use crate::storage::Word;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio_util::sync::CancellationToken;

impl Inner {
    /// Looks at once where another process says that there is something. Without a word it
    /// is looked once a second.
    pub(super) async fn hear_loop(self: Arc<Self>, over: CancellationToken) {
        let mut hearing = self.store.db.wakes().hear();
        loop {
            let word = tokio::select! {
                word = hearing.next() => word,
                () = over.cancelled() => return,
            };
            self.heard(&word).await;
        }
    }

    async fn heard(&self, word: &Word) {
        if word.ready || word.everything {
            self.ready.notify_one();
        }
        if word.everything || word.timer.is_some_and(|due| due < self.next_timer.load(Ordering::Acquire)) {
            self.timer.notify_one();
        }
        for id in &word.sent {
            self.ring((*id).into());
        }
        for id in &word.over {
            self.watchers.changed((*id).into(), true, None);
        }
        if word.events || word.everything {
            self.bus.wake_here();
        }
        if word.everything {
            self.watchers.look();
            self.ring_sent().await;
        }
    }

    /// Rings the drivers of this process that something was sent to.
    pub(super) async fn ring_sent(&self) {
        match self.store.sent(self.owner).await {
            Ok(ids) => {
                for id in ids {
                    self.ring(id);
                }
            }
            Err(error) => tracing::warn!(%error, "signals cannot be looked for now"),
        }
    }
}
