//! Master keys: what the workspaces' own keys are wrapped with.

use super::seal::{self, KEY_BYTES, Key};
use crate::error::{Error, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use zeroize::{Zeroize as _, Zeroizing};

/// A data key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapped {
    /// Id of the master key that wraps it.
    pub master: String,
    /// The wrapped key.
    pub bytes: Vec<u8>,
}

/// Where master keys live. They need not leave it: it wraps and unwraps.
#[async_trait::async_trait]
pub trait KeyProvider: Send + Sync {
    /// Id of the master key that wraps from now on.
    async fn current(&self) -> Result<String>;

    /// Wraps `key` by the current master key, bound to `bound`.
    ///
    /// # Errors
    /// `unavailable` where the provider does not answer.
    async fn wrap(&self, key: &[u8; 32], bound: &[u8]) -> Result<Wrapped>;

    /// The key that was wrapped.
    ///
    /// # Errors
    /// `precondition` where the provider has not the master key, or something was changed.
    async fn open(&self, wrapped: &Wrapped, bound: &[u8]) -> Result<Zeroizing<[u8; 32]>>;
}

/// Master keys in memory: the first wraps, all open. The provider for an environment
/// variable (`CODEX32_KEY`), whose value is base64 of 32 bytes, or several, newest first.
pub struct KeyRing {
    keys: Vec<(String, Key)>,
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|(id, _)| id)).finish()
    }
}

impl KeyRing {
    /// Reads keys that are separated by commas or white space; lines that start with `#` are comments.
    ///
    /// # Errors
    /// `invalid` where there is none or one is not base64 of 32 bytes. The error does not show it.
    pub fn parse(text: &str) -> Result<KeyRing> {
        let mut keys = Vec::new();
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        for word in lines.flat_map(|line| line.split(|c: char| c == ',' || c.is_whitespace())) {
            if word.is_empty() {
                continue;
            }
            let bytes = Zeroizing::new(STANDARD.decode(word).map_err(|_| malformed())?);
            let key: Key = Zeroizing::new(bytes.as_slice().try_into().map_err(|_| malformed())?);
            keys.push((id_of(&key), key));
        }
        if keys.is_empty() {
            return Err(malformed());
        }
        Ok(KeyRing { keys })
    }

    /// A ring of one fresh key.
    #[must_use]
    pub fn fresh() -> KeyRing {
        let key = seal::fresh_key();
        KeyRing { keys: vec![(id_of(&key), key)] }
    }

    fn to_text(&self) -> Zeroizing<String> {
        let mut text =
            String::from("# Master keys of Codex-32, newest first. Whoever has them can read every secret.\n");
        for (_, key) in &self.keys {
            let mut word = STANDARD.encode(**key);
            text.push_str(&word);
            text.push('\n');
            word.zeroize();
        }
        Zeroizing::new(text)
    }

    fn wrap(&self, key: &[u8; KEY_BYTES], bound: &[u8]) -> Result<Wrapped> {
        let (id, master) = self.keys.first().ok_or_else(malformed)?;
        Ok(Wrapped { master: id.clone(), bytes: seal::seal(master, bound, key)? })
    }

    fn open(&self, wrapped: &Wrapped, bound: &[u8]) -> Result<Key> {
        let (_, master) = self.keys.iter().find(|(id, _)| *id == wrapped.master).ok_or_else(|| {
            Error::precondition(format!("the master key {} of the stored secrets is not at hand", wrapped.master)).hint(
                "all processes on a store need the key that it was first used with: copy the file `key` \
                     from the data folder of the first, or name it by --key-file, or set CODEX32_KEY",
            )
        })?;
        let opened = seal::open(master, bound, &wrapped.bytes);
        let key = opened.and_then(|bytes| bytes.as_slice().try_into().ok());
        key.map(Zeroizing::new).ok_or_else(|| Error::precondition("the stored key of the workspace was tampered with"))
    }
}

#[async_trait::async_trait]
impl KeyProvider for KeyRing {
    async fn current(&self) -> Result<String> {
        self.keys.first().map(|(id, _)| id.clone()).ok_or_else(malformed)
    }
    async fn wrap(&self, key: &[u8; 32], bound: &[u8]) -> Result<Wrapped> {
        KeyRing::wrap(self, key, bound)
    }
    async fn open(&self, wrapped: &Wrapped, bound: &[u8]) -> Result<Key> {
        KeyRing::open(self, wrapped, bound)
    }
}

/// Master keys in a file that only its owner may read.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
    ring: RwLock<KeyRing>,
}

impl KeyFile {
    /// Reads the file, or makes it (mode 0600) with a fresh key where there is none.
    ///
    /// # Errors
    /// `precondition` where others may read it, `invalid` where it holds no keys,
    /// `unavailable` where it cannot be read or made.
    pub fn open(path: impl Into<PathBuf>) -> Result<KeyFile> {
        let path = path.into();
        if !path.exists() {
            // Written whole and then linked: of two that start at once one wins, and both read the winner's.
            let text = KeyRing::fresh().to_text();
            if let Err(e) = write(&path, &text, false)
                && e.kind() != std::io::ErrorKind::AlreadyExists
            {
                return Err(io("make", &path, &e));
            }
        }
        check_mode(&path)?;
        let text = Zeroizing::new(std::fs::read_to_string(&path).map_err(|e| io("read", &path, &e))?);
        let ring = KeyRing::parse(&text).map_err(|e| e.context(format!("read {}", path.display())))?;
        Ok(KeyFile { path, ring: RwLock::new(ring) })
    }

    /// Puts a fresh key in front. Stored keys still open by the older ones; let
    /// `Secrets::rewrap` follow, then [`KeyFile::forget_older`].
    ///
    /// # Errors
    /// `unavailable` where the file cannot be written; then nothing changed.
    pub fn rotate(&self) -> Result<()> {
        self.change(|ring| {
            let mut keys = KeyRing::fresh().keys;
            keys.extend(ring.keys.iter().cloned());
            KeyRing { keys }
        })
    }

    /// Forgets all keys but the newest. What is still wrapped by them can never be read again.
    ///
    /// # Errors
    /// `unavailable` where the file cannot be written; then nothing changed.
    pub fn forget_older(&self) -> Result<()> {
        self.change(|ring| KeyRing { keys: ring.keys.iter().take(1).cloned().collect() })
    }

    fn change(&self, make: impl FnOnce(&KeyRing) -> KeyRing) -> Result<()> {
        let mut ring = self.ring.write().unwrap_or_else(PoisonError::into_inner);
        let next = make(&ring);
        write(&self.path, &next.to_text(), true).map_err(|e| io("write", &self.path, &e))?;
        *ring = next;
        Ok(())
    }

    fn ring<T>(&self, use_it: impl FnOnce(&KeyRing) -> Result<T>) -> Result<T> {
        use_it(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait::async_trait]
impl KeyProvider for KeyFile {
    async fn current(&self) -> Result<String> {
        self.ring(|ring| ring.keys.first().map(|(id, _)| id.clone()).ok_or_else(malformed))
    }
    async fn wrap(&self, key: &[u8; 32], bound: &[u8]) -> Result<Wrapped> {
        self.ring(|ring| ring.wrap(key, bound))
    }
    async fn open(&self, wrapped: &Wrapped, bound: &[u8]) -> Result<Key> {
        self.ring(|ring| ring.open(wrapped, bound))
    }
}

/// Writes beside and renames; a temporary file is made with mode 0600.
fn write(path: &Path, text: &str, replace: bool) -> std::io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    if replace {
        file.persist(path)?
    } else {
        file.persist_noclobber(path)?
    };
    std::fs::File::open(folder)?.sync_all()
}

#[cfg(unix)]
fn check_mode(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).map_err(|e| io("read", path, &e))?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(Error::precondition(format!("others may read the key file {}", path.display()))
        .hint(format!("chmod 600 {}", path.display())))
}

#[cfg(not(unix))]
fn check_mode(_path: &Path) -> Result<()> {
    Ok(())
}

fn io(doing: &str, path: &Path, e: &std::io::Error) -> Error {
    Error::unavailable(format!("{doing} the key file {}: {e}", path.display()))
}

fn malformed() -> Error {
    Error::invalid("the master key is not base64 of 32 bytes").hint("make one with `openssl rand -base64 32`")
}

/// A name for a key that tells nothing about it.
fn id_of(key: &Key) -> String {
    let digest = Sha256::new().chain_update(b"codex32 master key\0").chain_update(**key).finalize();
    hex::encode(&digest[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_reads_what_it_writes_and_shows_no_key() {
        let ring = KeyRing::fresh();
        let again = KeyRing::parse(&ring.to_text()).unwrap();
        assert_eq!(ring.keys, again.keys);
        assert!(!format!("{ring:?}").contains(&STANDARD.encode(*ring.keys[0].1)));
        for wrong in ["", "# only a comment", "abc", &STANDARD.encode([1; 31])] {
            let error = KeyRing::parse(wrong).unwrap_err();
            assert!(!error.to_string().contains("abc"));
        }
    }

    #[test]
    fn a_ring_opens_by_any_of_its_keys_and_by_no_other() {
        let (old, new) = (KeyRing::fresh(), KeyRing::fresh());
        let wrapped = old.wrap(&[7; 32], b"w1").unwrap();
        let both = KeyRing { keys: new.keys.iter().chain(&old.keys).cloned().collect() };
        assert_eq!(*both.open(&wrapped, b"w1").unwrap(), [7; 32]);
        assert!(both.open(&wrapped, b"w2").is_err(), "bound to its workspace");
        assert!(new.open(&wrapped, b"w1").unwrap_err().message().contains("not at hand"));
    }

    #[test]
    fn a_key_file_is_made_once_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/master.key");
        let first = KeyFile::open(&path).unwrap();
        let wrapped = first.ring(|r| r.wrap(&[1; 32], b"")).unwrap();
        let second = KeyFile::open(&path).unwrap();
        assert_eq!(*second.ring(|r| r.open(&wrapped, b"")).unwrap(), [1; 32]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
            assert!(KeyFile::open(&path).unwrap_err().hint_text().unwrap().starts_with("chmod 600"));
        }
    }

    #[test]
    fn rotation_keeps_the_old_key_until_it_is_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::open(folder.path().join("k")).unwrap();
        let old = file.ring(|r| r.wrap(&[1; 32], b"")).unwrap();
        file.rotate().unwrap();
        let new = file.ring(|r| r.wrap(&[1; 32], b"")).unwrap();
        assert_ne!(old.master, new.master);
        assert!(KeyFile::open(folder.path().join("k")).unwrap().ring(|r| r.open(&old, b"")).is_ok());
        file.forget_older().unwrap();
        let reread = KeyFile::open(folder.path().join("k")).unwrap();
        assert!(reread.ring(|r| r.open(&new, b"")).is_ok());
        assert!(reread.ring(|r| r.open(&old, b"")).is_err());
    }

    #[test]
    fn many_that_start_at_once_share_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k");
        let ids: std::collections::BTreeSet<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| KeyFile::open(&path).unwrap())).collect();
            threads.into_iter().map(|t| t.join().unwrap().ring(|r| Ok(r.keys[0].0.clone())).unwrap()).collect()
        });
        assert_eq!(ids.len(), 1);
    }
}
