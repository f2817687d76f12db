//! The same on SQLite and PostgreSQL.

mod apply;
mod bots;
mod deployments;
mod isolation;
mod lifecycle;

use super::*;
use crate::access::{Access, Caller, Role};
use crate::clock::SimulatedClock;
use crate::error::Code;
use crate::storage::testing::on_each;
use crate::trigger::{self, TriggerInfo};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Some day in 2025, UTC milliseconds.
const START: Millis = 1_750_000_000_000;

struct World {
    registry: Registry,
    clock: SimulatedClock,
    owner: Caller,
    purged: Arc<Counter>,
}

/// Somebody else who keeps rows of bots.
#[derive(Default)]
struct Counter(AtomicUsize);

#[async_trait::async_trait]
impl Purger for Counter {
    async fn purge(&self, _: WorkspaceId, _: crate::id::BotId) -> Result<()> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

async fn world(db: &Db) -> World {
    let clock = SimulatedClock::at(START);
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let owner = Access::new(db.clone(), shared.clone()).local_owner().await.unwrap();
    let purged = Arc::new(Counter::default());
    let registry = Registry::new(Parts {
        db: db.clone(),
        bus: Bus::new(db.clone(), shared.clone()),
        clock: shared,
        catalogue: Arc::new(|| Catalogue::builtin().clone()),
        purgers: vec![purged.clone()],
    });
    World { registry, clock, owner, purged }
}

impl World {
    fn ws(&self) -> WorkspaceId {
        self.owner.workspace
    }

    /// The owner with another role.
    fn role(&self, role: Role) -> Caller {
        Caller { role, ..self.owner.clone() }
    }

    async fn save(&self, text: &str) -> Saved {
        self.clock.advance(1);
        self.registry.save(&self.owner, text, &Files::new(), None).await.unwrap()
    }

    async fn deploy(&self, saved: &Saved) -> Deployment {
        self.clock.advance(1);
        let number = Some(saved.version.number);
        self.registry.deploy(&self.owner, saved.bot.id, number, None).await.unwrap()
    }

    async fn triggers(&self) -> Vec<TriggerInfo> {
        trigger::list(self.registry.db(), self.ws(), None).await.unwrap()
    }

    /// Names of all events so far.
    async fn events(&self) -> Vec<String> {
        let events = self.registry.parts.bus.list(self.ws(), 0, 1_000).await.unwrap();
        events.into_iter().map(|event| event.name).collect()
    }
}

/// A bot that writes `message`.
fn bot(name: &str, message: &str) -> String {
    format!("codex32: v1\nname: {name}\nsteps:\n  - use: log.write\n    with: {{message: {message}}}\n")
}

/// A bot with a webhook.
fn hook(name: &str, path: &str) -> String {
    format!("codex32: v1\nname: {name}\non:\n  - webhook: {path}\nsteps:\n  - wait: 1s\n")
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> Code {
    result.unwrap_err().code()
}
