//! The executor as triggers see it.

use super::Executor;
use crate::error::Result;
use crate::execution::types::{Start, Started};
use crate::storage::Tx;
use crate::trigger::Starter;

#[async_trait::async_trait]
impl Starter for Executor {
    async fn check(&self, start: &Start) -> Result<()> {
        Executor::check(self, start).await
    }

    async fn start_in(&self, tx: &Tx, start: Start) -> Result<Started> {
        Executor::start_in(self, tx, start).await
    }

    async fn hold_in(&self, tx: &Tx, starts: &[Start]) -> Result<()> {
        Executor::hold_in(self, tx, starts).await
    }

    async fn start(&self, start: Start) -> Result<Started> {
        Executor::start(self, start).await
    }

    fn wake(&self) {
        Executor::wake(self);
    }
}
