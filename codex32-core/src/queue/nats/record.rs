//! A message as it stands in the stream, and where.

use super::super::{Message, check_name};
use crate::clock::Millis;
use crate::error::{Error, Result};
use crate::id::WorkspaceId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The subjects of one queue.
pub(super) struct Place {
    /// Its messages: `codex32.CLUSTER.queues.WORKSPACE.QUEUE`, and a key for each.
    messages: String,
    /// The same keys for those that are dead.
    dead: String,
    /// Name of the consumer that hands them out.
    pub(super) consumer: String,
}

impl Place {
    /// # Errors
    /// `invalid` for a malformed name.
    pub(super) fn new(cluster: &str, workspace: WorkspaceId, queue: &str) -> Result<Place> {
        check_name(queue)?;
        // A dot would part the subject, and a name has no tilde.
        let queue = queue.replace('.', "~");
        let messages = format!("{}{queue}", workspace_prefix(cluster, workspace));
        let dead = dead_of(cluster, &messages);
        Ok(Place { messages, dead, consumer: format!("{}-{queue}", workspace.0.simple()) })
    }

    pub(super) fn message(&self, key: &str) -> String {
        format!("{}.{key}", self.messages)
    }

    pub(super) fn all(&self) -> String {
        format!("{}.*", self.messages)
    }

    pub(super) fn all_dead(&self) -> String {
        format!("{}.*", self.dead)
    }
}

/// What the subjects of all messages of a workspace begin with.
pub(super) fn workspace_prefix(cluster: &str, workspace: WorkspaceId) -> String {
    format!("codex32.{cluster}.queues.{}.", workspace.0.simple())
}

/// Every subject of the stream.
pub(super) fn subjects(cluster: &str) -> Vec<String> {
    vec![format!("codex32.{cluster}.queues.>"), format!("codex32.{cluster}.dead.>")]
}

/// Where it is noted that the message at `subject` is dead.
pub(super) fn dead_of(cluster: &str, subject: &str) -> String {
    let (from, to) = (format!("codex32.{cluster}.queues."), format!("codex32.{cluster}.dead."));
    subject.replacen(&from, &to, 1)
}

/// Where the message is that is noted as dead at `subject`.
pub(super) fn message_of(cluster: &str, subject: &str) -> String {
    let (from, to) = (format!("codex32.{cluster}.dead."), format!("codex32.{cluster}.queues."));
    subject.replacen(&from, &to, 1)
}

/// Last word of a message's subject: the same for the same `dedup`.
pub(super) fn key(id: Uuid, dedup: Option<&str>) -> String {
    match dedup {
        Some(dedup) => format!("k{}", hex::encode(Sha256::digest(dedup))),
        None => format!("m{}", id.simple()),
    }
}

/// One state of a message. The next one takes its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) id: Uuid,
    pub(super) sent_at: Millis,
    /// How often it was handed out and not done.
    pub(super) tries: u32,
    /// It is not handed out before; UTC milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) due: Option<Millis>,
    /// It was tried often enough.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) dead: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    pub(super) body: Value,
}

impl Record {
    /// What is next of a message that was handed out.
    pub(super) fn of(message: &Message, tries: u32) -> Record {
        Record {
            id: message.id,
            sent_at: message.sent_at,
            tries,
            due: None,
            dead: false,
            error: None,
            body: message.body.clone(),
        }
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|e| Error::internal(format!("write a message: {e}")))
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Record> {
        serde_json::from_slice(bytes).map_err(|e| Error::internal(format!("read a message of a queue: {e}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_reaches_another_queue() {
        let ws = WorkspaceId::at(1);
        let at = |name: &str| Place::new("c", ws, name).map(|place| place.all());
        for bad in ["", "*", ">", "a.*", "a.>", "a b", "a~b", "a/b", "a\tb", "ü"] {
            assert!(at(bad).is_err(), "{bad}");
        }
        let all: std::collections::BTreeSet<String> =
            ["a", "a.b", "a.b.c", "a-b", "a_b", "A", "..", "."].map(|name| at(name).unwrap()).into();
        assert_eq!(all.len(), 8);
        // Each is one word between the workspace and the key.
        assert!(all.iter().all(|subject| subject.split('.').count() == 6), "{all:?}");
        assert!(all.iter().all(|subject| subject.starts_with(&workspace_prefix("c", ws))));
    }

    #[test]
    fn keys_become_words_and_the_dead_are_found_again() {
        let id = Uuid::from_u128(7);
        assert_eq!(key(id, Some("a.b *")), key(Uuid::from_u128(8), Some("a.b *")));
        assert_ne!(key(id, Some("a")), key(id, Some("b")));
        assert!(key(id, Some("a.b >")).chars().all(|c| c.is_ascii_alphanumeric()));
        let subject = Place::new("c", WorkspaceId::at(1), "q").unwrap().message(&key(id, None));
        assert_eq!(message_of("c", &dead_of("c", &subject)), subject);
    }
}
