//! Access: who asks, and what they may.
//!
//! - [`Caller`]: a user in one workspace, by one token. [`Role`] and [`Permission`]
//!   (one [`TABLE`]) say what they may.
//! - [`Access`]: tokens, logins, users, memberships, workspaces, the audit trail.
//!
//! Invariants: there is no anonymous caller and no fall-back identity, a missing
//! owner of a token is a refusal; a token can only narrow its owner's role; nobody
//! gives a role above their own; a workspace with members always has an owner; everything is
//! read and written within the caller's workspace; tokens and passwords are stored
//! as hashes only. Three tables stand above the tenants: users, workspaces, and
//! failed logins.
//!
//! The permission of an operation is checked where operations are called, in `api`;
//! here only what depends on the rows (one's own or another's, the last owner).

mod audit;
mod authenticate;
mod caller;
mod login;
mod membership;
mod password;
mod permission;
mod role;
#[cfg(test)]
mod tests;
mod token;
mod user;
mod workspace;

pub use audit::{AuditEntry, AuditFilter, Deed, record};
pub use caller::Caller;
pub use login::Login;
pub use membership::{Added, Member, NewMember};
pub use password::{MAX_PASSWORD, MIN_PASSWORD};
pub use permission::{Permission, TABLE};
pub use role::Role;
pub use token::{Issued, SESSION_MS, TOKEN_MARK, Token, TokenKind, TokenSpec};
pub use user::User;
pub(crate) use workspace::check_label;
pub use workspace::{DEFAULT_ENVIRONMENT, DEFAULT_WORKSPACE, Workspace, WorkspaceChange};

use crate::clock::{Clock, Millis};
use crate::error::{Error, Result};
use crate::id::WorkspaceId;
use crate::storage::{Db, Recent};
use std::sync::Arc;

/// The room's door. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Access {
    db: Db,
    clock: Arc<dyn Clock>,
    passwords: password::Passwords,
    trail: audit::Trail,
    by_id: Recent<WorkspaceId, Workspace>,
    by_slug: Recent<String, Workspace>,
}

impl Access {
    /// Access over a database.
    #[must_use]
    pub fn new(db: Db, clock: Arc<dyn Clock>) -> Self {
        Access {
            trail: audit::Trail::new(db.clone()),
            by_id: Recent::new(db.clone()),
            by_slug: Recent::new(db.clone()),
            db,
            clock,
            passwords: password::Passwords::new(),
        }
    }

    fn now(&self) -> Millis {
        self.clock.now()
    }
}

/// A name for people: 1 to 100 characters, none of them a control character.
fn name(pointer: &str, text: &str) -> Result<String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > 100 || text.chars().any(char::is_control) {
        return Err(Error::invalid("the name is not usable").at(pointer, "needs 1 to 100 visible characters"));
    }
    Ok(text.to_owned())
}
