//! The entries of a map by name.

use crate::blueprint::tree::{Key, Node};

/// The entries of a map.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'n> {
    pub(super) entries: &'n [(Key, Node)],
}

impl<'n> Fields<'n> {
    /// The value of `name`.
    pub(super) fn get(self, name: &str) -> Option<&'n Node> {
        self.entry(name).map(|(_, node)| node)
    }

    /// The key and value of `name`.
    pub(super) fn entry(self, name: &str) -> Option<&'n (Key, Node)> {
        self.entries.iter().find(|(key, _)| *key.name == *name)
    }

    /// Whether `name` is given.
    pub(super) fn has(self, name: &str) -> bool {
        self.entry(name).is_some()
    }
}
