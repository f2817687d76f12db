//! A bot as one file: a gzipped tar of `manifest.json`, `blueprint.yaml` and `files/`.

use super::diff::BLUEPRINT;
use super::text::{self, Files};
use super::{Content, Registry, Saved};
use crate::access::Caller;
use crate::error::{Code, Error, Result};
use crate::id::{BotId, WorkspaceId};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};

/// Longest package that is taken, in bytes; unpacked, its contents have the limits of a version.
pub(super) const MAX_PACKAGE: usize = 8 * 1_024 * 1_024;
/// Bytes of the unpacked archive that are looked at: all texts with the archive's own headers.
const MAX_UNPACKED: u64 = 8 * 1_024 * 1_024;
const MANIFEST: &str = "manifest.json";
const FOLDER: &str = "files/";
/// Longest manifest, in bytes.
const MAX_MANIFEST: usize = 64 * 1_024;
/// The format that this build writes and reads.
const FORMAT: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    /// Always "codex32 bot".
    kind: String,
    format: u32,
    name: String,
    version: u32,
    digest: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

const KIND: &str = "codex32 bot";

impl Registry {
    /// A bot's version (by default the latest) as one file. The same version always gives the same bytes.
    ///
    /// # Errors
    /// `not_found`.
    pub async fn export(&self, ws: WorkspaceId, bot: BotId, version: Option<u32>) -> Result<Vec<u8>> {
        let name = self.get(ws, bot).await?.name;
        let content = self.content(ws, bot, version).await?;
        off_thread(move || pack(name, &content)).await
    }

    /// Takes a bot from a file that [`Registry::export`] made: a new bot, or a new
    /// version of the one with its name. Nothing is deployed.
    ///
    /// # Errors
    /// `invalid` for what is no such file or does not match its digest, `too_large`.
    pub async fn import(&self, caller: &Caller, package: Vec<u8>, note: Option<&str>) -> Result<Saved> {
        if package.len() > MAX_PACKAGE {
            return Err(Error::new(Code::TooLarge, format!("the package exceeds {MAX_PACKAGE} bytes")));
        }
        let (manifest, blueprint, files) = off_thread(move || unpack(&package)).await?;
        let reading = text::read(&(self.parts.catalogue)(), &blueprint, &files)
            .map_err(|e| e.context(format!("import {}", manifest.name)))?;
        if reading.digest != manifest.digest || reading.blueprint.name != manifest.name {
            return Err(Error::invalid("the package does not match its digest").hint("it was changed; export it again"));
        }
        self.save(caller, &blueprint, &files, note.or(manifest.note.as_deref())).await
    }
}

async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::internal("packing was interrupted"))?
}

fn pack(name: String, content: &Content) -> Result<Vec<u8>> {
    let manifest = Manifest {
        kind: KIND.to_owned(),
        format: FORMAT,
        name,
        version: content.version.number,
        digest: content.version.digest.clone(),
        note: content.version.note.clone(),
    };
    let manifest = serde_json::to_string_pretty(&manifest).map_err(|_| Error::internal("a manifest is not JSON"))?;
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    append(&mut tar, MANIFEST, &manifest)?;
    append(&mut tar, BLUEPRINT, &content.blueprint)?;
    for (path, text) in &content.files {
        append(&mut tar, &format!("{FOLDER}{path}"), text)?;
    }
    tar.into_inner().and_then(GzEncoder::finish).map_err(|e| Error::internal(format!("pack a bot: {e}")))
}

fn append(tar: &mut tar::Builder<impl Write>, path: &str, text: &str) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    tar.append_data(&mut header, path, text.as_bytes()).map_err(|e| Error::internal(format!("pack {path}: {e}")))
}

fn unpack(package: &[u8]) -> Result<(Manifest, String, Files)> {
    // One byte more than is allowed, so that a longer archive is told from one that ends there.
    let mut archive = tar::Archive::new(GzDecoder::new(package).take(MAX_UNPACKED + 1));
    let (mut manifest, mut blueprint, mut files) = (None, None, Files::new());
    for entry in archive.entries().map_err(|_| no_package())? {
        let mut entry = entry.map_err(|_| no_package())?;
        if entry.header().entry_type() != tar::EntryType::Regular {
            return Err(Error::invalid("the package holds something that is no regular file"));
        }
        let path = std::str::from_utf8(&entry.path_bytes()).map_err(|_| no_package())?.to_owned();
        match path.as_str() {
            MANIFEST if manifest.is_none() => manifest = Some(text_of(&mut entry, &path, MAX_MANIFEST)?),
            BLUEPRINT if blueprint.is_none() => blueprint = Some(text_of(&mut entry, &path, text::MAX_TEXT)?),
            _ => {
                let name = path.strip_prefix(FOLDER).ok_or_else(|| {
                    let shown: String = path.chars().filter(|c| !c.is_control()).take(100).collect();
                    Error::invalid(format!("the package holds \"{shown}\", which does not belong there"))
                })?;
                text::check_path(name)?;
                let text = text_of(&mut entry, name, text::MAX_TEXT)?;
                if files.insert(name.to_owned(), text).is_some() {
                    return Err(Error::invalid(format!("the package holds \"{name}\" twice")));
                }
                // Looked at while reading, so that no more is kept than a version may have.
                text::check_files(&files)?;
            }
        }
    }
    let manifest = manifest.ok_or_else(no_package)?;
    let manifest: Manifest = serde_json::from_str(&manifest).map_err(|_| no_package())?;
    if manifest.kind != KIND || manifest.format != FORMAT {
        return Err(Error::invalid("the package has a format that this build does not read"));
    }
    Ok((manifest, blueprint.ok_or_else(no_package)?, files))
}

fn text_of(entry: &mut impl Read, name: &str, limit: usize) -> Result<String> {
    let mut bytes = Vec::new();
    entry.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(|_| no_package())?;
    if bytes.len() > limit {
        return Err(Error::new(Code::TooLarge, format!("\"{name}\" in the package exceeds {limit} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| Error::invalid(format!("\"{name}\" in the package is not text")))
}

fn no_package() -> Error {
    Error::invalid("the file is no bot that was exported").hint("`codex32 export` makes one")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(entries: &[(&str, &[u8], tar::EntryType)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        for (path, bytes, kind) in entries {
            let mut header = tar::Header::new_gnu();
            // Written past the library's own checks: an attacker does not use them.
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_entry_type(*kind);
            header.set_cksum();
            tar.append(&header, *bytes).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap()
    }

    const FILE: tar::EntryType = tar::EntryType::Regular;

    fn manifest() -> Vec<u8> {
        br#"{"kind":"codex32 bot","format":1,"name":"a","version":1,"digest":"d"}"#.to_vec()
    }

    #[test]
    fn a_package_is_read_as_it_was_written() {
        let bytes =
            archive(&[(MANIFEST, &manifest(), FILE), (BLUEPRINT, b"text", FILE), ("files/lib/a.py", b"code", FILE)]);
        let (manifest, blueprint, files) = unpack(&bytes).unwrap();
        assert_eq!((manifest.name.as_str(), blueprint.as_str()), ("a", "text"));
        assert_eq!(files, [("lib/a.py".to_owned(), "code".to_owned())].into());
    }

    #[test]
    fn what_leads_elsewhere_or_is_no_file_is_refused() {
        for path in
            ["files/../x", "/etc/passwd", "files//etc/passwd", "../blueprint.yaml", "files/", "other", "files/a\\b"]
        {
            let bytes = archive(&[(MANIFEST, &manifest(), FILE), (path, b"x", FILE)]);
            assert_eq!(unpack(&bytes).unwrap_err().code(), Code::Invalid, "{path}");
        }
        for kind in [tar::EntryType::Symlink, tar::EntryType::Link, tar::EntryType::Directory, tar::EntryType::Fifo] {
            let bytes = archive(&[(MANIFEST, &manifest(), FILE), ("files/a", b"", kind)]);
            assert_eq!(unpack(&bytes).unwrap_err().code(), Code::Invalid);
        }
        let twice = archive(&[(MANIFEST, &manifest(), FILE), ("files/a", b"x", FILE), ("files/a", b"y", FILE)]);
        assert!(unpack(&twice).is_err());
        let two = archive(&[(MANIFEST, &manifest(), FILE), (MANIFEST, &manifest(), FILE)]);
        assert!(unpack(&two).is_err());
    }

    #[test]
    fn a_bomb_is_refused_within_its_limits() {
        let zeros = vec![b'x'; 16 * 1_024 * 1_024];
        let bomb = archive(&[(MANIFEST, &manifest(), FILE), ("files/a", &zeros, FILE)]);
        assert!(bomb.len() < 100_000, "it is small when packed");
        assert_eq!(unpack(&bomb).unwrap_err().code(), Code::TooLarge);
        let many: Vec<_> = (0..text::MAX_FILES + 1).map(|n| format!("files/{n}")).collect();
        let many: Vec<_> = many.iter().map(|path| (path.as_str(), b"x".as_slice(), FILE)).collect();
        assert_eq!(unpack(&archive(&many)).unwrap_err().code(), Code::TooLarge);
    }

    #[test]
    fn what_is_no_package_is_told_so() {
        let good = archive(&[(MANIFEST, &manifest(), FILE), (BLUEPRINT, b"text", FILE)]);
        for cut in [0, 1, 10, good.len() / 2] {
            assert_eq!(unpack(&good[..cut]).unwrap_err().code(), Code::Invalid, "{cut}");
        }
        assert!(unpack(b"hello").is_err());
        assert!(unpack(&archive(&[(BLUEPRINT, b"text", FILE)])).is_err());
        assert!(unpack(&archive(&[(MANIFEST, &manifest(), FILE)])).is_err());
        assert!(unpack(&archive(&[(MANIFEST, &manifest(), FILE), (BLUEPRINT, b"\xff", FILE)])).is_err());
    }
}
