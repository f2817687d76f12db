//! The seam to the executor.

use crate::error::Result;
use crate::execution::{Start, Started};
use crate::storage::Tx;

/// Starts executions, also within a caller's transaction. Implemented by the executor.
#[async_trait::async_trait]
pub trait Starter: Send + Sync {
    /// Whether `start` could be started. Called before the transaction of
    /// [`Starter::start_in`], since it may read the bot's version.
    ///
    /// # Errors
    /// `invalid` where the input does not satisfy the bot's `inputs`, `too_large`, and
    /// those of the database.
    async fn check(&self, start: &Start) -> Result<()>;
    /// Stores a start that was checked; it counts if `tx` is committed.
    ///
    /// # Errors
    /// `busy` at capacity, and those of the database.
    async fn start_in(&self, tx: &Tx, start: Start) -> Result<Started>;
    /// To be called before the first of several [`Starter::start_in`] of different bots.
    ///
    /// # Errors
    /// Those of the database.
    async fn hold_in(&self, tx: &Tx, starts: &[Start]) -> Result<()> {
        let _ = (tx, starts);
        Ok(())
    }
    /// Checks and starts by itself; durable when it returns.
    ///
    /// # Errors
    /// Those of [`Starter::check`] and [`Starter::start_in`].
    async fn start(&self, start: Start) -> Result<Started>;
    /// Tells the executor after the commit that there is work.
    fn wake(&self);
}
