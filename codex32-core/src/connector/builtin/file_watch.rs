//! Listing folders, and watching them for new files.
//!
//! A file is complete when it has not changed for [`QUIET_MS`], or when size and time
//! are what they were at the look before.

use super::file::facts;
use crate::blueprint::Permissions;
use crate::clock::Millis;
use crate::connector::Polled;
use crate::connector::beneath::{Place, failed, failure};
use crate::connector::input::read;
use crate::error::{Code, Error, Result};
use rustix::fs::{Dir, Mode, OFlags};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::SystemTime;

/// How long a file must not have changed.
const QUIET_MS: i64 = 1_000;
/// Most files in a watched folder.
const MAX_WATCHED: usize = 10_000;
/// Deepest folder below a listed one.
const MAX_DEPTH: usize = 32;
/// Names of files that are being written.
const UNFINISHED: [&str; 3] = [".part", ".tmp", ".crdownload"];

/// A file that was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) facts: Metadata,
}

/// Regular files of `place` whose names match, in the order of their paths, and
/// whether there are more than `limit`. Symlinks are left out.
pub(super) fn list(place: &Place, pattern: &str, recursive: bool, limit: usize) -> Result<(Vec<Found>, bool)> {
    let mut found = Vec::new();
    let mut folders = vec![(place.join(OsStr::new(""))?, 0)];
    while let Some((folder, depth)) = folders.pop() {
        let handle = folder.open_dir()?;
        for name in names(&handle, &folder)? {
            // The file may be gone since its name was read.
            let flags = handle_flags() | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let Ok(file) = rustix::fs::openat(&handle, &name, flags, Mode::empty()) else { continue };
            let file = File::from(file);
            let facts = file.metadata().map_err(|e| failed(folder.path(), &e))?;
            if facts.is_dir() && recursive && depth < MAX_DEPTH {
                folders.push((folder.join(&name)?, depth + 1));
            } else if facts.is_file() && matches(pattern.as_bytes(), name.as_bytes()) {
                found.push(Found { path: folder.path().join(&name), facts });
            }
        }
        if found.len() > limit.max(MAX_WATCHED) * 10 {
            return Err(Error::new(Code::TooLarge, format!("{} holds too many files", place.path().display())));
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    let more = found.len() > limit;
    found.truncate(limit);
    Ok((found, more))
}

#[cfg(target_os = "linux")]
fn handle_flags() -> OFlags {
    OFlags::PATH
}
#[cfg(not(target_os = "linux"))]
fn handle_flags() -> OFlags {
    OFlags::RDONLY | OFlags::NONBLOCK
}

fn names(handle: &File, folder: &Place) -> Result<Vec<OsString>> {
    let entries = Dir::read_from(handle).map_err(|e| failure(folder.path(), e))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| failure(folder.path(), e))?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// `*` for any bytes, `?` for one character's first byte and its rest.
pub(super) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p, n));
                p += 1;
            }
            Some(b'?') => {
                n += 1;
                while name.get(n).is_some_and(|b| b & 0xc0 == 0x80) {
                    n += 1;
                }
                p += 1;
            }
            Some(c) if *c == name[n] => (p, n) = (p + 1, n + 1),
            _ => match retry {
                Some((star, from)) => {
                    retry = Some((star, from + 1));
                    (p, n) = (star + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[derive(Deserialize)]
struct Watch {
    dir: String,
    pattern: String,
    existing: bool,
}

/// Where a watch stands.
#[derive(Serialize, Deserialize, Default)]
struct Cursor {
    /// Files that were reported or were there before, and are there still: name to identity.
    seen: BTreeMap<String, String>,
    /// Files that may still be growing: name to size and time.
    #[serde(default)]
    growing: BTreeMap<String, (u64, i64)>,
}

/// One look at a watched folder.
pub(super) fn look(
    may: &Permissions,
    now: Millis,
    input: serde_json::Value,
    cursor: Option<serde_json::Value>,
) -> Result<Polled> {
    let watch: Watch = read(input)?;
    let before: Option<Cursor> = cursor.map(read).transpose()?;
    let (files, more) = list(&Place::locate(may, &watch.dir)?, &watch.pattern, false, MAX_WATCHED)?;
    if more {
        return Err(Error::new(Code::TooLarge, format!("{} holds more than {MAX_WATCHED} files", watch.dir))
            .hint("watch a folder from which files are moved away"));
    }
    let first = before.is_none();
    let (before, mut after) = (before.unwrap_or_default(), Cursor::default());
    let mut fresh = Vec::new();
    for file in files {
        let name = file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let hidden = name.starts_with('.') && !watch.pattern.starts_with('.');
        if hidden || UNFINISHED.iter().any(|end| name.ends_with(end)) {
            continue;
        }
        let identity = identity(&file.facts);
        let state = (file.facts.len(), modified(&file.facts));
        if before.seen.get(&name) == Some(&identity) || (first && !watch.existing) {
            after.seen.insert(name, identity);
        } else if now - state.1 >= QUIET_MS || before.growing.get(&name) == Some(&state) {
            after.seen.insert(name, identity);
            fresh.push((state.1, file));
        } else {
            after.growing.insert(name, state);
        }
    }
    fresh.sort_by(|a, b| (a.0, &a.1.path).cmp(&(b.0, &b.1.path)));
    let events = fresh.iter().map(|(_, file)| facts(&file.path, &file.facts)).collect();
    Ok(Polled { events, cursor: json!(after) })
}

fn modified(facts: &Metadata) -> i64 {
    facts.mtime().saturating_mul(1_000).saturating_add(facts.mtime_nsec() / 1_000_000)
}

/// A file of the same name that was put in the place of another is another one. An
/// inode's number is used again at once, so the time of birth counts too, where known.
fn identity(facts: &Metadata) -> String {
    let born = facts.created().ok().and_then(|t| t.duration_since(SystemTime::UNIX_EPOCH).ok());
    format!("{}:{}:{}", facts.dev(), facts.ino(), born.map_or(0, |t| t.as_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names() {
        for (pattern, name, hit) in [
            ("*", "a.csv", true),
            ("*", "", true),
            ("*.csv", "a.csv", true),
            ("*.csv", "a.csv.gz", false),
            ("a*b*c", "a-xx-b-c-c", true),
            ("a*b*c", "a-xx-c", false),
            ("?.txt", "ä.txt", true),
            ("?.txt", "ab.txt", false),
            ("", "a", false),
            ("order-??.csv", "order-07.csv", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), hit, "{pattern} against {name}");
        }
        // A pattern of many stars must not take for ever.
        let long = "a".repeat(2_000);
        assert!(!matches(format!("{}b", "a*".repeat(200)).as_bytes(), long.as_bytes()));
    }
}
