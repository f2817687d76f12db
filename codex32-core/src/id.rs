//! Typed identifiers: UUIDv7 (RFC 9562), so that they sort by creation time.
//!
//! Ids are made from a time that the caller hands in; this room reads no clock.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        #[schemars(inline)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A fresh id for the time `now_ms` (UTC milliseconds).
            #[cfg(feature = "engine")]
            #[must_use]
            pub fn at(now_ms: i64) -> Self {
                let ms = u64::try_from(now_ms).unwrap_or(0);
                let stamp = uuid::Timestamp::from_unix(uuid::NoContext, ms / 1_000, ((ms % 1_000) * 1_000_000) as u32);
                Self(Uuid::new_v7(stamp))
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { self.0.fmt(f) }
        }
        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(s: &str) -> Result<Self, Self::Err> { s.parse().map(Self) }
        }
        impl From<Uuid> for $name { fn from(id: Uuid) -> Self { Self(id) } }
        impl From<$name> for Uuid { fn from(id: $name) -> Self { id.0 } }
    )*};
}

ids! {
    /// A workspace, the tenant.
    WorkspaceId,
    /// A user.
    UserId,
    /// An API token.
    TokenId,
    /// A bot.
    BotId,
    /// A stored version of a bot.
    VersionId,
    /// A deployment of a version to an environment.
    DeploymentId,
    /// A trigger of a deployment.
    TriggerId,
    /// One run of a bot version.
    ExecutionId,
    /// Something the supervisor saw go wrong.
    IncidentId,
}
