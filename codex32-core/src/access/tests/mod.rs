//! The same on SQLite and PostgreSQL.

mod isolation;
mod login;
mod members;
mod tokens;
mod trail;

use super::*;
use crate::clock::SimulatedClock;
use crate::error::Code;
use crate::id::UserId;

/// Some day in 2025, UTC milliseconds.
const START: Millis = 1_750_000_000_000;

struct World {
    access: Access,
    clock: SimulatedClock,
    /// Owner of the home workspace.
    owner: Caller,
    /// Their token.
    token: String,
}

/// Access that spends little on passwords.
fn open(db: &Db, clock: &SimulatedClock) -> Access {
    use argon2::{Algorithm, Argon2, Params, Version};
    let cheap = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(8, 1, 1, None).unwrap());
    Access { passwords: password::Passwords::with(cheap), ..Access::new(db.clone(), Arc::new(clock.clone())) }
}

async fn world(db: &Db) -> World {
    let clock = SimulatedClock::at(START);
    let access = open(db, &clock);
    let issued = access.bootstrap("owner@example.org", "Home").await.unwrap().unwrap();
    let owner = access.authenticate(&issued.token).await.unwrap();
    World { access, clock, owner, token: issued.token }
}

impl World {
    /// A member with a session, made by `by`.
    async fn member(&self, by: &Caller, email: &str, role: Role) -> (Caller, String) {
        self.clock.advance(1);
        let new = NewMember { email: email.to_owned(), name: None, role };
        let added = self.access.add_member(by, new).await.unwrap();
        let password = added.password.unwrap();
        let login = self.access.login(email, &password, Some(&by.workspace_slug)).await.unwrap();
        (login.caller, password)
    }

    /// A token of `by` with `scopes`.
    async fn scoped(&self, by: &Caller, scopes: &[&str]) -> Result<Caller> {
        let scopes = Some(scopes.iter().map(|s| (*s).to_owned()).collect());
        let spec = TokenSpec { name: "t".into(), scopes, expires_at: None };
        let issued = self.access.create_token(by, spec).await?;
        self.access.authenticate(&issued.token).await
    }

    /// An owner of another workspace, who is nobody here.
    async fn stranger(&self) -> Caller {
        let (caller, _) = self.member(&self.owner, "stranger@example.org", Role::Viewer).await;
        self.clock.advance(1);
        self.access.create_workspace(&caller, "Away", None).await.unwrap();
        let away = self.access.switch_workspace(&caller, "away").await.unwrap().caller;
        self.access.remove_member(&self.owner, caller.user.unwrap()).await.unwrap();
        self.clock.advance(1);
        away
    }
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> Code {
    result.unwrap_err().code()
}
