//! Telling people: the notifier seam.
//!
//! Invariants: a notice is shown to people and holds no secret (who makes one redacts
//! it); a notifier that cannot deliver says so, and the caller decides whether that matters.

mod email;
mod log;
mod webhook;

pub use email::EmailNotifier;
pub use log::LogNotifier;
pub use webhook::WebhookNotifier;

use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::id::WorkspaceId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How serious a notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    #[default]
    Info,
    /// Somebody should look at it.
    Warning,
    /// Somebody should look at it now.
    Critical,
}

impl Severity {
    /// `info`, `warning`, `critical`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

impl std::str::FromStr for Severity {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        [Severity::Info, Severity::Warning, Severity::Critical]
            .into_iter()
            .find(|s| s.as_str() == text)
            .ok_or_else(|| Error::invalid(format!("\"{text}\" is no severity")).hint("use info, warning or critical"))
    }
}

/// What people are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Notice {
    /// The tenant.
    pub workspace: WorkspaceId,
    /// UTC milliseconds.
    pub at: Millis,
    /// How serious it is.
    pub severity: Severity,
    /// Heading, one line.
    pub title: String,
    /// The text.
    pub text: String,
    /// The bot that it is about, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bot: Option<String>,
    /// The same for the same notice, however often it is tried; empty: none.
    #[serde(default)]
    pub key: String,
}

/// Tells people.
#[async_trait::async_trait]
pub trait Notifier: Send + Sync {
    /// `log`, `webhook`, `email`, ...
    fn name(&self) -> &str;

    /// Delivers a notice.
    ///
    /// # Errors
    /// Why it could not be delivered; [`Code::is_retriable`](crate::error::Code::is_retriable)
    /// tells whether another attempt is worth it.
    async fn notify(&self, notice: &Notice) -> Result<()>;
}

/// Several notifiers as one: each is told, from the severity on that it is for.
#[derive(Clone, Default)]
pub struct Everyone {
    notifiers: Vec<(Severity, Arc<dyn Notifier>)>,
}

impl Everyone {
    /// Adds a notifier for notices of at least `from`.
    #[must_use]
    pub fn and(mut self, from: Severity, notifier: Arc<dyn Notifier>) -> Everyone {
        self.notifiers.push((from, notifier));
        self
    }
}

#[async_trait::async_trait]
impl Notifier for Everyone {
    fn name(&self) -> &str {
        "everyone"
    }

    /// Tells all, also after one has failed; it is a success where one was told.
    async fn notify(&self, notice: &Notice) -> Result<()> {
        let chosen = self.notifiers.iter().filter(|(from, _)| notice.severity >= *from);
        let told =
            futures::future::join_all(chosen.map(|(_, n)| async move { (n.name(), n.notify(notice).await) })).await;
        let (mut failed, mut reached) = (None, false);
        for (name, outcome) in told {
            match outcome {
                Ok(()) => reached = true,
                Err(e) => {
                    tracing::warn!(notifier = name, code = %e.code(), error = %e, "a notice could not be delivered");
                    failed = Some(e.context(format!("notify by {name}")));
                }
            }
        }
        match failed {
            Some(e) if !reached => Err(e),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
