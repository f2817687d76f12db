//! Who asks.

use super::{Permission, Role};
use crate::error::{Error, Result};
use crate::id::{TokenId, UserId, WorkspaceId};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;

/// Who asks something of the engine: a user in one workspace, by one token. Every
/// operation has one, and there is no default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Caller {
    /// The tenant that the caller acts in; nothing of another is reachable.
    pub workspace: WorkspaceId,
    /// Its short name.
    pub workspace_slug: String,
    /// Whether it is the home workspace, whose owners may administer the engine.
    pub home: bool,
    /// The user; none for the one who opened the data directory.
    pub user: Option<UserId>,
    /// Name for people.
    pub name: String,
    /// Address, or empty.
    pub email: String,
    /// Role in the workspace.
    pub role: Role,
    /// What the token narrows the role to; none: nothing is narrowed.
    pub scopes: Option<BTreeSet<Permission>>,
    /// The token that was used.
    pub token: Option<TokenId>,
}

impl Caller {
    /// Whether the caller has the permission: by role, and within the token's scopes.
    #[must_use]
    pub fn may(&self, permission: Permission) -> bool {
        self.role.has(permission)
            && self.scopes.as_ref().is_none_or(|scopes| scopes.contains(&permission))
            && (permission != Permission::SystemAdmin || self.home)
    }

    /// Refuses a caller who has not the permission.
    ///
    /// # Errors
    /// `forbidden`, naming the permission and who has it.
    pub fn require(&self, permission: Permission) -> Result<()> {
        if self.may(permission) {
            return Ok(());
        }
        if !self.role.has(permission) {
            let roles: Vec<_> = Role::ALL.into_iter().filter(|r| r.has(permission)).map(Role::as_str).collect();
            return Err(Error::forbidden(format!("the permission {permission} is missing")).hint(format!(
                "your role here is {}; {permission} needs one of: {}",
                self.role,
                roles.join(", ")
            )));
        }
        if self.scopes.as_ref().is_some_and(|scopes| !scopes.contains(&permission)) {
            return Err(Error::forbidden(format!("the token's scopes do not include {permission}"))
                .hint("use a token without scopes, or make one that includes it"));
        }
        Err(Error::forbidden(format!("the permission {permission} is only given in the home workspace"))
            .hint("ask an owner of the engine's first workspace"))
    }

    /// The permissions that the caller has.
    #[must_use]
    pub fn permissions(&self) -> Vec<Permission> {
        Permission::all().filter(|p| self.may(*p)).collect()
    }

    /// Whether private network addresses may be reached by what this caller deploys.
    #[must_use]
    pub fn may_allow_private_network(&self) -> bool {
        self.role >= Role::Admin
    }

    /// The caller's user.
    ///
    /// # Errors
    /// `precondition` for the one who opened the data directory where there is no user yet.
    pub fn require_user(&self) -> Result<UserId> {
        self.user.ok_or_else(|| {
            Error::precondition("this needs a user, and there is none yet")
                .hint("start the server once with `codex32 up`: it makes the first owner")
        })
    }

    /// How the caller is called in records: address, else name.
    #[must_use]
    pub fn label(&self) -> &str {
        if self.email.is_empty() { &self.name } else { &self.email }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    fn caller(role: Role) -> Caller {
        Caller {
            workspace: WorkspaceId::at(1),
            workspace_slug: "w".into(),
            home: true,
            user: None,
            name: "n".into(),
            email: String::new(),
            role,
            scopes: None,
            token: None,
        }
    }

    #[test]
    fn each_role_has_what_the_table_says_and_no_more() {
        for role in Role::ALL {
            for permission in Permission::all() {
                let may = caller(role).may(permission);
                assert_eq!(may, role >= permission.least_role(), "{role} {permission}");
                assert_eq!(may, caller(role).require(permission).is_ok());
            }
        }
    }

    #[test]
    fn a_scope_narrows_and_never_widens() {
        for role in Role::ALL {
            for scope in Permission::all() {
                let narrow = Caller { scopes: Some([scope].into()), ..caller(role) };
                for permission in Permission::all() {
                    assert_eq!(narrow.may(permission), permission == scope && role.has(scope));
                }
            }
        }
        let none = Caller { scopes: Some(BTreeSet::new()), ..caller(Role::Owner) };
        assert!(none.permissions().is_empty());
    }

    #[test]
    fn the_engine_is_administered_from_the_home_workspace_only() {
        let away = Caller { home: false, ..caller(Role::Owner) };
        assert!(!away.may(Permission::SystemAdmin));
        assert!(caller(Role::Owner).may(Permission::SystemAdmin));
    }

    #[test]
    fn a_refusal_names_the_permission_and_who_has_it() {
        let e = caller(Role::Viewer).require(Permission::BotsWrite).unwrap_err();
        assert_eq!(e.code(), Code::Forbidden);
        assert_eq!(e.message(), "the permission bots.write is missing");
        let hint = e.hint_text().unwrap();
        assert!(hint.contains("viewer") && hint.ends_with("owner, admin, editor"), "{hint}");
        let scoped = Caller { scopes: Some(BTreeSet::new()), ..caller(Role::Owner) };
        assert!(scoped.require(Permission::BotsRead).unwrap_err().message().contains("scopes"));
    }
}
