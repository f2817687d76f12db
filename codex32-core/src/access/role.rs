//! Roles of a workspace.

use super::Permission;
use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a user is in a workspace. A higher role may all that a lower one may.
///
/// ```
/// use codex32_core::access::{Permission, Role};
/// assert!(Role::Owner > Role::Viewer);
/// assert!(Role::Editor.has(Permission::BotsWrite));
/// assert!(!Role::Operator.has(Permission::BotsWrite));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Runs bots and controls executions.
    Operator,
    /// Makes and deploys bots.
    Editor,
    /// Manages members, secrets and settings.
    Admin,
    /// Everything. A workspace always has one.
    Owner,
}

impl Role {
    /// All roles, highest first.
    pub const ALL: [Role; 5] = [Role::Owner, Role::Admin, Role::Editor, Role::Operator, Role::Viewer];

    /// Its name: `owner`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Owner => "owner",
            Role::Admin => "admin",
            Role::Editor => "editor",
            Role::Operator => "operator",
            Role::Viewer => "viewer",
        }
    }

    /// Whether the role has the permission.
    #[must_use]
    pub fn has(self, permission: Permission) -> bool {
        self >= permission.least_role()
    }

    /// All permissions of the role.
    #[must_use]
    pub fn permissions(self) -> Vec<Permission> {
        Permission::all().filter(|p| self.has(*p)).collect()
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Role {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        Role::ALL.into_iter().find(|role| role.as_str() == s).ok_or_else(|| {
            let s: String = s.chars().take(80).collect();
            Error::invalid(format!("there is no role \"{s}\""))
                .hint("the roles are owner, admin, editor, operator, viewer")
        })
    }
}
