//! Wake-ups between the processes that share a database.
//!
//! A node that has committed something which another may wait for says so
//! ([`Wakes::tell`]); the others hear it ([`Wakes::hear`]) and look at once, instead of at
//! their next regular look.
//!
//! Invariants: the database stays the truth and a word carries no data but where to look,
//! so one that is lost costs its hearers their regular look and nothing else. Words go out
//! after the commit and beside it: no transaction waits for them. What is said while a
//! word is on its way is gathered into the next one, so that a node says at most a hundred
//! words a second, however busy it is. Whoever could not listen for a while looks at
//! everything once when it can again.

mod nats;
mod postgres;
mod word;

#[cfg(test)]
mod tests;

pub use nats::Nats;
pub(crate) use postgres::PostgresCarrier;
pub(crate) use word::Word;

use crate::error::Result;
use rand::RngExt as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Shortest time between two words of one node.
const GAP: Duration = Duration::from_millis(10);
/// A node that has nothing to say says so this often: it hears itself and knows that it can hear.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);
/// A carrier that has brought nothing for so long is taken for dead.
const SILENCE: Duration = Duration::from_secs(25);
/// Longest time for a word to be sent.
const SEND: Duration = Duration::from_secs(5);
/// First and longest time between two tries to listen.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// Words that a slow hearer may be behind before it is told to look at everything.
const BEHIND: usize = 256;

/// Brings words from one node to all others (and back to the one that said them).
#[async_trait::async_trait]
pub trait Carrier: Send + Sync {
    /// Sends a text of at most 7,000 bytes to everybody who listens at this moment.
    ///
    /// # Errors
    /// Where it cannot be sent now.
    async fn send(&self, text: String) -> Result<()>;

    /// Begins to listen.
    ///
    /// # Errors
    /// Where nothing can be heard now.
    async fn listen(&self) -> Result<Box<dyn Ear>>;
}

/// What is heard through a [`Carrier`].
#[async_trait::async_trait]
pub trait Ear: Send {
    /// The next text that anybody has sent.
    ///
    /// # Errors
    /// Where the connection was lost; then this ear hears nothing any more.
    async fn next(&mut self) -> Result<String>;
}

/// The wake-ups of one process on one database. Cheap to clone.
#[derive(Clone, Default)]
pub struct Wakes {
    /// Absent where nobody else can be on the database.
    shared: Option<Arc<Shared>>,
}

struct Shared {
    node: Uuid,
    carrier: Arc<dyn Carrier>,
    pending: Mutex<Word>,
    bell: Notify,
    heard: broadcast::Sender<Arc<Word>>,
}

impl std::fmt::Debug for Wakes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wakes").field("shared", &self.shared.is_some()).finish()
    }
}

impl Wakes {
    /// Wake-ups by `carrier`.
    #[must_use]
    pub fn by(carrier: Arc<dyn Carrier>) -> Wakes {
        let shared = Shared {
            node: Uuid::from_u128(rand::rng().random()),
            carrier,
            pending: Mutex::default(),
            bell: Notify::new(),
            heard: broadcast::Sender::new(BEHIND),
        };
        Wakes { shared: Some(Arc::new(shared)) }
    }

    /// Has the others look where `word` says, soon. Call it after the commit.
    pub(crate) fn tell(&self, word: Word) {
        let Some(shared) = &self.shared else { return };
        shared.pending().merge(word);
        shared.bell.notify_one();
    }

    /// What the others say from now on; silent where there are none.
    pub(crate) fn hear(&self) -> Hearing {
        Hearing { heard: self.shared.as_ref().map(|shared| shared.heard.subscribe()) }
    }

    /// Sends and listens until `stop`; then the last word is sent.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let Some(shared) = &self.shared else { return };
        tokio::join!(shared.send_loop(&stop), shared.hear_loop(&stop));
        shared.send_pending(false).await;
    }
}

/// What one part of a process hears.
pub(crate) struct Hearing {
    heard: Option<broadcast::Receiver<Arc<Word>>>,
}

impl Hearing {
    /// The next word of another node.
    pub(crate) async fn next(&mut self) -> Arc<Word> {
        use broadcast::error::RecvError;
        let Some(heard) = &mut self.heard else { return std::future::pending().await };
        match heard.recv().await {
            Ok(word) => word,
            Err(RecvError::Lagged(_)) => Arc::new(Word::everything()),
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

impl Shared {
    fn pending(&self) -> std::sync::MutexGuard<'_, Word> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send_loop(&self, stop: &CancellationToken) {
        loop {
            let alive = tokio::select! {
                () = self.bell.notified() => false,
                () = tokio::time::sleep(SIGN_OF_LIFE) => true,
                () = stop.cancelled() => return,
            };
            self.send_pending(alive).await;
            tokio::select! { () = tokio::time::sleep(GAP) => {}, () = stop.cancelled() => return }
        }
    }

    /// Sends what is to be said, `alive`: also where that is nothing.
    async fn send_pending(&self, alive: bool) {
        let word = std::mem::take(&mut *self.pending());
        if word.is_empty() && !alive {
            return;
        }
        let sent = tokio::time::timeout(SEND, self.carrier.send(word.to_text(self.node))).await;
        match sent {
            Ok(Ok(())) => metrics::counter!("codex32_wakes_total", "way" => "sent").increment(1),
            // The others look by themselves.
            Ok(Err(error)) => tracing::debug!(%error, "a wake-up was not sent"),
            Err(_) => tracing::debug!("a wake-up took too long and was given up"),
        }
    }

    async fn hear_loop(&self, stop: &CancellationToken) {
        let mut wait = BACKOFF.0;
        while !stop.is_cancelled() {
            tokio::select! {
                () = self.hear_while_connected(&mut wait) => {}
                () = stop.cancelled() => return,
            }
            tokio::select! { () = tokio::time::sleep(wait) => {}, () = stop.cancelled() => return }
            wait = (wait * 2).min(BACKOFF.1);
        }
    }

    async fn hear_while_connected(&self, wait: &mut Duration) {
        let mut ear = match tokio::time::timeout(SILENCE, self.carrier.listen()).await {
            Ok(Ok(ear)) => ear,
            Ok(Err(error)) => return tracing::debug!(%error, "wake-ups cannot be heard now; it is looked every second"),
            Err(_) => return tracing::debug!("wake-ups cannot be heard now; it is looked every second"),
        };
        // What was said before nobody here has heard.
        self.say_here(Word::everything());
        *wait = BACKOFF.0;
        loop {
            let text = match tokio::time::timeout(SILENCE, ear.next()).await {
                Ok(Ok(text)) => text,
                Ok(Err(error)) => return tracing::debug!(%error, "the line for wake-ups was lost"),
                Err(_) => return tracing::debug!("the line for wake-ups is silent and is made anew"),
            };
            match Word::read(&text) {
                // One's own words only tell that one can hear.
                Some((from, _)) if from == self.node => {}
                Some((_, word)) if word.is_empty() => {}
                Some((_, word)) => {
                    metrics::counter!("codex32_wakes_total", "way" => "heard").increment(1);
                    self.say_here(word);
                }
                // A newer version may say more than this one understands.
                None => self.say_here(Word::everything()),
            }
        }
    }

    fn say_here(&self, word: Word) {
        // Nobody may be there to hear it yet.
        let _ = self.heard.send(Arc::new(word));
    }
}
