//! Notices in the engine's own log: the default, which needs nothing.

use super::{Notice, Notifier, Severity};
use crate::error::Result;

/// Writes notices to the log.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogNotifier;

#[async_trait::async_trait]
impl Notifier for LogNotifier {
    fn name(&self) -> &str {
        "log"
    }

    async fn notify(&self, notice: &Notice) -> Result<()> {
        let (workspace, bot) = (notice.workspace, notice.bot.as_deref().unwrap_or_default());
        match notice.severity {
            Severity::Info => tracing::info!(%workspace, bot, title = notice.title, "{}", notice.text),
            Severity::Warning => tracing::warn!(%workspace, bot, title = notice.title, "{}", notice.text),
            Severity::Critical => tracing::error!(%workspace, bot, title = notice.title, "{}", notice.text),
        }
        Ok(())
    }
}
