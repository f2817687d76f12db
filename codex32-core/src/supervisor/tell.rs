//! Telling people of incidents, by a durable consumer of the bus.

use super::{RETRY_MS, Supervisor};
use crate::clock::Millis;
use crate::error::Result;
use crate::event::{Bus, Consumer, Event};
use crate::notify::{Notice, Notifier, Severity};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

const CONSUMER: &str = "incident-notices";
/// Tries for one notice; with their delays about half an hour.
const ATTEMPTS: u32 = 12;
const LONGEST_DELAY_MS: Millis = 300_000;

impl Supervisor {
    pub(super) async fn run_telling(&self, token: &CancellationToken) {
        let Some(notifier) = &self.parts.notifier else { return };
        let mut consumer = Consumer::new(&self.parts.bus, CONSUMER);
        while !token.is_cancelled() {
            match self.tell_page(&mut consumer, &**notifier, token).await {
                Ok(true) => {}
                Ok(false) => tokio::select! { () = consumer.gathered_news() => {}, () = token.cancelled() => {} },
                Err(error) => {
                    tracing::warn!(%error, "the notices of incidents could not be read; they are read again");
                    let again = self.parts.clock.now() + RETRY_MS;
                    tokio::select! { () = self.parts.clock.sleep_until(again) => {}, () = token.cancelled() => {} }
                }
            }
        }
        if let Err(error) = consumer.save(true).await {
            tracing::warn!(%error, "the place of the notices was not stored; some may be told twice");
        }
    }

    async fn tell_page(
        &self,
        consumer: &mut Consumer,
        notifier: &dyn Notifier,
        token: &CancellationToken,
    ) -> Result<bool> {
        let page = consumer.page().await?;
        let some = !page.is_empty();
        for event in page {
            let seq = event.seq;
            let Some(notice) = notice(&event) else {
                consumer.done(seq, false);
                continue;
            };
            if !self.tell(notifier, &notice, token).await {
                return Ok(false);
            }
            let clock = self.parts.clock.clone();
            self.parts
                .db
                .write(move |tx| Box::pin(async move { Bus::advance_in(tx, &*clock, CONSUMER, seq).await }))
                .await?;
            consumer.done(seq, true);
        }
        consumer.save(false).await?;
        Ok(some)
    }

    /// Tells one notice, or gives it up after many tries; false where the engine shuts down first.
    async fn tell(&self, notifier: &dyn Notifier, notice: &Notice, token: &CancellationToken) -> bool {
        for attempt in 0..ATTEMPTS {
            let Err(error) = notifier.notify(notice).await else { return true };
            tracing::warn!(%error, title = %notice.title, attempt, "people could not be told of an incident");
            let delay = (RETRY_MS << attempt).min(LONGEST_DELAY_MS);
            tokio::select! {
                () = self.parts.clock.sleep_until(self.parts.clock.now() + delay) => {}
                () = token.cancelled() => return false,
            }
        }
        tracing::error!(title = %notice.title, "people were not told of an incident");
        true
    }
}

fn notice(event: &Event) -> Option<Notice> {
    let text = |name: &str| event.data.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (title, severity) = match event.name.as_str() {
        "incident.opened" => (text("title"), Severity::Critical),
        "incident.closed" => (format!("Over: {}", text("title")), Severity::Info),
        _ => return None,
    };
    Some(Notice {
        workspace: event.workspace,
        at: event.at,
        severity,
        title,
        text: text("text"),
        bot: Some(text("bot_name")).filter(|name| !name.is_empty()),
        key: format!("{}:{}", event.name, text("incident")),
    })
}
