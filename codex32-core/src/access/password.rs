//! Passwords: Argon2id, off the async threads, a few at a time.

use crate::error::{Code, Error, Result};
use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use std::sync::Arc;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// Shortest password, in characters.
pub const MIN_PASSWORD: usize = 10;
/// Longest password, in bytes, so that hashing cannot be made expensive.
pub const MAX_PASSWORD: usize = 1_024;
/// Each hash takes some 19 MiB, so a flood of logins waits its turn.
const AT_ONCE: usize = 4;

/// Hashes and verifies.
#[derive(Debug, Clone)]
pub(super) struct Passwords {
    argon2: Argon2<'static>,
    turns: Arc<Semaphore>,
    /// Hash of nothing anybody knows, verified where there is no user, so that both take as long.
    nobody: Arc<tokio::sync::OnceCell<String>>,
}

impl Passwords {
    pub(super) fn new() -> Self {
        Self::with(Argon2::default())
    }

    /// With another cost than the recommended one; hashes carry the cost that they were made with.
    pub(super) fn with(argon2: Argon2<'static>) -> Self {
        Passwords { argon2, turns: Arc::new(Semaphore::new(AT_ONCE)), nobody: Arc::default() }
    }

    /// Hash of `password` in PHC form.
    pub(super) async fn hash(&self, password: &str) -> Result<String> {
        let (password, argon2) = (Zeroizing::new(password.to_owned()), self.argon2.clone());
        self.blocking(move || {
            let hash = argon2.hash_password(password.as_bytes());
            hash.map(|hash| hash.to_string()).map_err(|_| Error::internal("the password could not be hashed"))
        })
        .await?
    }

    /// Whether `password` is the one of `hash`; takes as long where there is no hash.
    pub(super) async fn verify(&self, password: &str, hash: Option<String>) -> Result<bool> {
        if password.len() > MAX_PASSWORD {
            return Ok(false);
        }
        let known = hash.is_some();
        let hash = match hash {
            Some(hash) => hash,
            None => self.nobody.get_or_try_init(|| self.of_nobody()).await?.clone(),
        };
        let password = Zeroizing::new(password.to_owned());
        self.blocking(move || {
            let Ok(parsed) = PasswordHash::new(&hash) else { return false };
            Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok() && known
        })
        .await
    }

    async fn of_nobody(&self) -> Result<String> {
        self.hash(&super::token::random_text(32)).await
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let _turn = self.turns.acquire().await.map_err(|_| Error::internal("the password gate is closed"))?;
        tokio::task::spawn_blocking(work).await.map_err(|_| Error::internal("hashing a password was interrupted"))
    }
}

/// Refuses a password that is too short or too long.
pub(super) fn check(password: &str) -> Result<()> {
    if password.chars().count() < MIN_PASSWORD {
        return Err(Error::invalid("the password is too short")
            .at("/password", format!("needs at least {MIN_PASSWORD} characters"))
            .hint("a few unrelated words make a good password"));
    }
    if password.len() > MAX_PASSWORD {
        return Err(Error::new(Code::TooLarge, "the password is too long")
            .at("/password", format!("may have at most {MAX_PASSWORD} bytes")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_same_password_verifies() {
        let passwords = Passwords::new();
        let hash = passwords.hash("correct horse").await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$"), "{hash}");
        assert_ne!(hash, passwords.hash("correct horse").await.unwrap(), "each hash has its own salt");
        assert!(passwords.verify("correct horse", Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("correct horsE", Some(hash)).await.unwrap());
        assert!(!passwords.verify("correct horse", None).await.unwrap());
        assert!(!passwords.verify("correct horse", Some("not a hash".into())).await.unwrap());
    }

    #[test]
    fn length_is_bounded_both_ways() {
        assert!(check("123456789").is_err());
        assert!(check("1234567890").is_ok());
        assert_eq!(check(&"x".repeat(MAX_PASSWORD + 1)).unwrap_err().code(), Code::TooLarge);
    }
}
