//! The name of a version: what it is made of, hashed.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::types::Blueprint;
use super::write::to_json;

/// SHA-256 over the canonical JSON and the files (name to text), in hexadecimal.
/// Two blueprints that differ only in layout, comments or defaults have the same digest.
///
/// ```
/// use codex32_core::blueprint;
/// use std::collections::BTreeMap;
/// let short = blueprint::parse("codex32: v1\nname: a\nsteps: [{wait: 60s}]")?;
/// let long = blueprint::parse("# the same\nname: a\ncodex32: v1\nrestart: never\nsteps:\n  - wait: 1m\n")?;
/// assert_eq!(blueprint::digest(&short, &BTreeMap::new()), blueprint::digest(&long, &BTreeMap::new()));
/// # Ok::<(), blueprint::Diagnostics>(())
/// ```
#[must_use]
pub fn digest(blueprint: &Blueprint, files: &BTreeMap<String, String>) -> String {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        // The length before each part keeps parts from running into each other.
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    part(to_json(blueprint).to_string().as_bytes());
    for (name, text) in files {
        part(name.as_bytes());
        part(text.as_bytes());
    }
    hex::encode(hash.finalize())
}
