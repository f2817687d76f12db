//! The settings of a trigger as they are stored.

use super::queued::queue_of;
use crate::blueprint::{BotEnd, Missed, Permissions, Respond, Trigger};
use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Kinds of triggers that are armed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "TriggerKind")]
pub enum Kind {
    /// By time.
    Schedule,
    /// By an HTTP request.
    Webhook,
    /// By an event on the bus.
    Event,
    /// By another bot's end.
    Bot,
    /// By a connector that looks for news.
    Poll,
}

impl Kind {
    /// As it is stored and written in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Schedule => "schedule",
            Kind::Webhook => "webhook",
            Kind::Event => "event",
            Kind::Bot => "bot",
            Kind::Poll => "poll",
        }
    }
}

/// Settings of an armed trigger; stored as JSON beside its kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Spec {
    /// By time.
    Schedule {
        /// Phrase or cron expression.
        schedule: String,
        /// `skip`, `once` or `all`.
        missed: MissedRuns,
        /// Longest random delay, in milliseconds.
        jitter_ms: u64,
        /// Input of its executions.
        input: Value,
    },
    /// By an HTTP request.
    Webhook {
        /// Upper-case method.
        method: String,
        /// Name of the secret that signs the body.
        secret: Option<String>,
        /// Fields that the body must have.
        require: Vec<String>,
        /// Whether the request waits for the bot's answer.
        reply: bool,
    },
    /// By an event.
    Event {
        /// Name; a trailing `*` matches any rest.
        event: String,
        /// CEL condition over `event`.
        filter: Option<String>,
    },
    /// By another bot's end.
    Bot {
        /// Its name.
        bot: String,
        /// Which ends count.
        when: End,
    },
    /// By a connector.
    Poll {
        /// `connector.trigger`.
        source: String,
        /// Settings; templates over `secrets` only.
        with: Value,
        /// Name of the connection.
        connection: Option<String>,
        /// Milliseconds between looks.
        every_ms: u64,
        /// Hosts that it may reach.
        network: Vec<String>,
        /// Secrets that it may use.
        secrets: Vec<String>,
        /// Files that it may read.
        files: Vec<String>,
        /// Whether declared private addresses are reachable.
        private_allowed: bool,
    },
}

/// [`Missed`] as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissedRuns {
    /// Forget them.
    Skip,
    /// Run once for all of them.
    Once,
    /// Run each, at most 100.
    All,
}

impl From<Missed> for MissedRuns {
    fn from(missed: Missed) -> Self {
        match missed {
            Missed::Skip => MissedRuns::Skip,
            Missed::Once => MissedRuns::Once,
            Missed::All => MissedRuns::All,
        }
    }
}

impl From<MissedRuns> for Missed {
    fn from(missed: MissedRuns) -> Self {
        match missed {
            MissedRuns::Skip => Missed::Skip,
            MissedRuns::Once => Missed::Once,
            MissedRuns::All => Missed::All,
        }
    }
}

/// [`BotEnd`] as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// It succeeded.
    Succeeded,
    /// It failed.
    Failed,
    /// Either.
    Finished,
}

impl End {
    /// Whether the end of an execution with this status counts.
    #[must_use]
    pub fn counts(self, status: &str) -> bool {
        match self {
            End::Succeeded => status == "succeeded",
            End::Failed => status == "failed",
            End::Finished => matches!(status, "succeeded" | "failed"),
        }
    }
}

impl Spec {
    /// The settings of a blueprint's trigger; `None` for `manual`, which needs no row.
    #[must_use]
    pub fn of(trigger: &Trigger, permissions: &Permissions, private_allowed: bool) -> Option<Spec> {
        Some(match trigger {
            Trigger::Manual => return None,
            Trigger::Schedule(s) => Spec::Schedule {
                schedule: s.schedule.clone(),
                missed: s.missed.into(),
                jitter_ms: s.jitter.map_or(0, |span| span.0),
                input: s.input.clone().unwrap_or_else(|| Value::Object(serde_json::Map::new())),
            },
            Trigger::Webhook(w) => Spec::Webhook {
                method: w.method.clone(),
                secret: w.secret.clone(),
                require: w.require.clone(),
                reply: w.respond == Respond::Reply,
            },
            Trigger::Event(e) => Spec::Event { event: e.event.clone(), filter: e.filter.clone() },
            Trigger::Bot(b) => Spec::Bot {
                bot: b.bot.clone(),
                when: match b.when {
                    BotEnd::Succeeded => End::Succeeded,
                    BotEnd::Failed => End::Failed,
                    BotEnd::Finished => End::Finished,
                },
            },
            Trigger::Poll(p) => Spec::Poll {
                source: p.source.clone(),
                with: p.with.clone(),
                connection: p.connection.clone(),
                every_ms: p.every.0,
                network: permissions.network.clone(),
                secrets: permissions.secrets.clone(),
                files: permissions.files.clone(),
                private_allowed,
            },
        })
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Spec::Schedule { .. } => Kind::Schedule,
            Spec::Webhook { .. } => Kind::Webhook,
            Spec::Event { .. } => Kind::Event,
            Spec::Bot { .. } => Kind::Bot,
            Spec::Poll { .. } => Kind::Poll,
        }
    }

    /// Whether a cursor (or next time) reached under `other` is still right under this one.
    #[must_use]
    pub(super) fn continues(&self, other: &Spec) -> bool {
        match (self, other) {
            (
                Spec::Poll { source: a, with: x, connection: c, .. },
                Spec::Poll { source: b, with: y, connection: d, .. },
            ) => a == b && x == y && c == d,
            _ => false,
        }
    }

    /// What the row listens to: the name of an event, of a bot or of a queue.
    pub(super) fn topic(&self) -> Option<String> {
        match self {
            Spec::Event { event, .. } => Some(event.clone()),
            Spec::Bot { bot, .. } => Some(bot.clone()),
            Spec::Poll { source, with, .. } => queue_of(source, with),
            _ => None,
        }
    }

    pub(crate) fn to_text(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|e| Error::internal(format!("write a trigger's settings: {e}")))
    }

    pub(crate) fn from_text(text: &str) -> Result<Spec> {
        serde_json::from_str(text).map_err(|e| Error::internal(format!("read a trigger's settings: {e}")))
    }
}
