//! What a caller may do, and which role may do it: one table.

use super::Role;
use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Builds the enum and its table from one list, so that neither can miss an entry.
macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $text:literal from $role:ident),* $(,)?) => {
        /// A permission: a noun and a verb. Every operation names the one that it needs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum Permission {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        /// Each permission with its name and the least role that has it.
        pub const TABLE: &[(Permission, &str, Role)] = &[
            $((Permission::$name, $text, Role::$role),)*
        ];
    };
}

permissions! {
    /// See bots, versions, deployments and plans.
    BotsRead = "bots.read" from Viewer,
    /// See executions, their steps and their logs.
    ExecutionsRead = "executions.read" from Viewer,
    /// See triggers and their next times.
    TriggersRead = "triggers.read" from Viewer,
    /// See and follow the workspace's events.
    EventsRead = "events.read" from Viewer,
    /// See incidents.
    IncidentsRead = "incidents.read" from Viewer,
    /// See who belongs to the workspace.
    MembersRead = "members.read" from Viewer,
    /// See the workspace and its settings.
    WorkspaceRead = "workspace.read" from Viewer,
    /// See one's own tokens.
    TokensRead = "tokens.read" from Viewer,
    /// Make and revoke one's own tokens.
    TokensWrite = "tokens.write" from Viewer,
    /// See version, health and figures of the engine.
    SystemRead = "system.read" from Viewer,
    /// Start executions.
    ExecutionsRun = "executions.run" from Operator,
    /// Cancel, pause, resume, retry and signal executions; answer approvals.
    ExecutionsControl = "executions.control" from Operator,
    /// Switch triggers on and off.
    TriggersWrite = "triggers.write" from Operator,
    /// Publish events of one's own.
    EventsPublish = "events.publish" from Operator,
    /// Close incidents.
    IncidentsWrite = "incidents.write" from Operator,
    /// Turn sentences into drafts.
    BuilderUse = "builder.use" from Editor,
    /// Make bots and versions.
    BotsWrite = "bots.write" from Editor,
    /// Deploy, stop, start and roll back.
    BotsDeploy = "bots.deploy" from Editor,
    /// Delete and restore bots.
    BotsDelete = "bots.delete" from Editor,
    /// See the names of secrets and connections, never their values.
    SecretsRead = "secrets.read" from Editor,
    /// Call an action of a connector by hand.
    ConnectorsUse = "connectors.use" from Editor,
    /// Remove deleted bots for good.
    BotsPurge = "bots.purge" from Admin,
    /// Set and delete secrets.
    SecretsWrite = "secrets.write" from Admin,
    /// Set and delete connections, and so where credentials are sent.
    ConnectionsWrite = "connections.write" from Admin,
    /// Add and remove members, change roles, see and revoke their tokens.
    MembersWrite = "members.write" from Admin,
    /// Read the audit trail.
    AuditRead = "audit.read" from Admin,
    /// Change the workspace's settings.
    WorkspaceAdmin = "workspace.admin" from Admin,
    /// Make further workspaces.
    WorkspacesCreate = "workspaces.create" from Owner,
    /// Administer the engine: only for owners of the home workspace.
    SystemAdmin = "system.admin" from Owner,
}

impl Permission {
    /// All permissions, weakest role first.
    pub fn all() -> impl Iterator<Item = Permission> {
        TABLE.iter().map(|(permission, ..)| *permission)
    }

    fn row(self) -> &'static (Permission, &'static str, Role) {
        // The table is made from the same list as the enum, in the same order.
        &TABLE[self as usize]
    }

    /// Its name: `bots.read`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.row().1
    }

    /// The least role that has it.
    #[must_use]
    pub fn least_role(self) -> Role {
        self.row().2
    }

    /// The permissions that a scope stands for: a name, or a noun with every verb (`bots.*`).
    ///
    /// # Errors
    /// `invalid` where it stands for none.
    ///
    /// ```
    /// use codex32_core::access::Permission;
    /// assert_eq!(Permission::expand("bots.read").unwrap(), vec![Permission::BotsRead]);
    /// assert!(Permission::expand("bots.*").unwrap().contains(&Permission::BotsDeploy));
    /// assert!(Permission::expand("boats.read").is_err());
    /// ```
    pub fn expand(scope: &str) -> Result<Vec<Permission>> {
        let noun = scope.strip_suffix('*').filter(|noun| noun.len() > 1 && noun.ends_with('.'));
        let found: Vec<_> = Permission::all()
            .filter(|p| p.as_str() == scope || noun.is_some_and(|noun| p.as_str().starts_with(noun)))
            .collect();
        if found.is_empty() {
            return Err(unknown(scope));
        }
        Ok(found)
    }
}

fn unknown(scope: &str) -> Error {
    let scope: String = scope.chars().take(80).collect();
    let near = Permission::all()
        .map(|p| (strsim::osa_distance(&scope, p.as_str()), p))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= 4);
    let error = Error::invalid(format!("there is no permission \"{scope}\""));
    match near {
        Some((_, p)) => error.hint(format!("did you mean \"{p}\"?")),
        None => error.hint("permissions are a noun and a verb, such as \"bots.read\" or \"bots.*\""),
    }
}

impl std::fmt::Display for Permission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Permission {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        Permission::all().find(|p| p.as_str() == s).ok_or_else(|| unknown(s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (place, (permission, name, _)) in TABLE.iter().enumerate() {
            assert_eq!(*permission as usize, place);
            assert_eq!(name.parse::<Permission>().unwrap(), *permission);
            assert_eq!(serde_json::to_value(permission).unwrap(), serde_json::Value::from(*name));
        }
    }

    #[test]
    fn a_scope_expands_to_its_noun_only() {
        let bots = Permission::expand("bots.*").unwrap();
        assert!(bots.iter().all(|p| p.as_str().starts_with("bots.")));
        assert_eq!(bots.len(), 5);
        for wrong in ["*", ".*", "", "b*", "bots", "bots.", "bots.read "] {
            assert!(Permission::expand(wrong).is_err(), "{wrong:?}");
        }
        let hint = Permission::expand("bots.raed").unwrap_err();
        assert_eq!(hint.hint_text(), Some("did you mean \"bots.read\"?"));
    }
}
