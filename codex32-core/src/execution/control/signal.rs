//! Sending a signal to an execution.

use super::Executor;
use crate::error::{Code, Error, Result};
use crate::event::MAX_NAME;
use crate::execution::decide::Fact;
use crate::execution::{MAX_INPUT, size};
use crate::id::{ExecutionId, WorkspaceId};
use serde_json::Value;

impl Executor {
    /// Sends a signal: the first `wait: {event: NAME}` step of this execution that waits
    /// for this name gets it, or the next that will.
    ///
    /// # Errors
    /// `invalid` for an empty or overlong name, `too_large` for the payload, `not_found`,
    /// `precondition` where the execution is finished.
    pub async fn signal(&self, workspace: WorkspaceId, id: ExecutionId, name: &str, payload: Value) -> Result<()> {
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(
                Error::invalid(format!("the signal's name must have 1 to {MAX_NAME} bytes")).at("/name", "its length")
            );
        }
        let bytes = size(&payload);
        if bytes > MAX_INPUT {
            let message = format!("the payload has {bytes} bytes; the limit is {MAX_INPUT}");
            return Err(Error::new(Code::TooLarge, message).at("/payload", "too large"));
        }
        self.send(workspace, id, Fact::Signal { name: name.to_owned(), payload }).await
    }
}
