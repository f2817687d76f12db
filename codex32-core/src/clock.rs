//! Time as a seam: nothing else in the engine reads the system clock.
//!
//! Times are UTC milliseconds since the Unix epoch ([`Millis`]).

/// UTC milliseconds since the Unix epoch.
pub type Millis = i64;

/// Where the time comes from. The engine sleeps through it too, so that tests
/// move time by hand.
#[cfg(feature = "engine")]
#[async_trait::async_trait]
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The present time.
    fn now(&self) -> Millis;
    /// Returns once [`Clock::now`] is at or after `until`.
    async fn sleep_until(&self, until: Millis);
}

/// The clock of the operating system.
#[cfg(feature = "engine")]
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[cfg(feature = "engine")]
#[async_trait::async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Millis {
        chrono::Utc::now().timestamp_millis()
    }
    async fn sleep_until(&self, until: Millis) {
        // Wakes at least once a minute, so that a clock that was set forward is noticed.
        loop {
            let left = until - self.now();
            if left <= 0 {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(left.min(60_000) as u64)).await;
        }
    }
}

/// A clock that stands still until [`SimulatedClock::advance`] moves it.
///
/// ```
/// use codex32_core::clock::{Clock, SimulatedClock};
/// let clock = SimulatedClock::at(1_000);
/// clock.advance(500);
/// assert_eq!(clock.now(), 1_500);
/// ```
#[cfg(feature = "engine")]
#[derive(Debug, Clone)]
pub struct SimulatedClock {
    now: std::sync::Arc<tokio::sync::watch::Sender<Millis>>,
}

#[cfg(feature = "engine")]
impl SimulatedClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn at(now: Millis) -> Self {
        Self { now: std::sync::Arc::new(tokio::sync::watch::Sender::new(now)) }
    }
    /// Moves the time forward by `ms` and wakes whoever sleeps until then.
    pub fn advance(&self, ms: Millis) {
        self.now.send_modify(|now| *now += ms);
    }
}

#[cfg(feature = "engine")]
#[async_trait::async_trait]
impl Clock for SimulatedClock {
    fn now(&self) -> Millis {
        *self.now.borrow()
    }
    async fn sleep_until(&self, until: Millis) {
        let mut watch = self.now.subscribe();
        // The sender lives as long as self, so waiting cannot fail; if it did, time has ended.
        let _ = watch.wait_for(|now| *now >= until).await;
    }
}
