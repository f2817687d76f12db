//! Secrets: encrypted at rest, handed out at the last moment, redacted everywhere else.
//!
//! - [`Secrets`] sets, lists and resolves; [`Redactor`] takes values out of texts and JSON.
//! - [`KeyProvider`] is where the master key lives: [`KeyFile`] by default, [`KeyRing`]
//!   for an environment variable.
//!
//! Envelope: a master key wraps one key for each workspace, which encrypts its values
//! by XChaCha20-Poly1305. A ciphertext is bound to workspace, name and version, so a
//! row that was moved, swapped or set back does not open. Changing the master key
//! ([`Secrets::rewrap`]) touches no value.
//!
//! Invariants: a value is never listed, logged or part of an error; who may use a
//! secret cannot thereby read it; a redactor that is handed out knows every value
//! that was set before it was asked for, in this process or another.

mod connection;
mod key;
mod redactor;
mod seal;
mod store;
#[cfg(test)]
mod tests;
mod vault;

pub use key::{KeyFile, KeyProvider, KeyRing, Wrapped};
pub use redactor::{MASK, MIN_VALUE, Redactor};
use vault::MAX_TOTAL;
pub use vault::{MAX_SECRETS, MAX_VALUE, SecretInfo, SecretKind, Secrets};
