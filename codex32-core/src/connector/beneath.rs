//! Files under guard: every path is resolved beneath a folder that the bot declares.
//!
//! Invariant: the kernel resolves the path below an open handle of the folder
//! (`openat2` with `RESOLVE_BENEATH`), so that neither `..` nor a symlink that is
//! changed between check and use can lead out. Where the kernel has no `openat2`, no
//! symlink is followed at all.

use crate::blueprint::Permissions;
use crate::error::{Code, Error, Result};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Component, Path, PathBuf};

#[cfg(target_os = "linux")]
const HANDLE: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
const HANDLE: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK);

/// A path in a declared folder.
#[derive(Debug)]
pub(crate) struct Place {
    root: OwnedFd,
    /// Below the root; empty for the root itself.
    rel: PathBuf,
    full: PathBuf,
}

impl Place {
    /// Finds the declared folder (or file) that holds `path`.
    ///
    /// # Errors
    /// `invalid` for a path that is not absolute or has `..` in it, `forbidden` where
    /// no declared folder holds it, `not_found` where the folder does not exist.
    pub(crate) fn locate(permissions: &Permissions, path: &str) -> Result<Place> {
        let full = Path::new(path);
        if !full.is_absolute() || path.contains('\0') {
            return Err(
                Error::invalid(format!("\"{path}\" is no absolute path")).hint("write it from /, such as /data/in")
            );
        }
        if full.components().any(|c| c == Component::ParentDir) {
            return Err(Error::invalid(format!("\"{path}\" has .. in it")).hint("write the path that is meant"));
        }
        // Rebuilt, so that . and doubled slashes are gone.
        let full: PathBuf = full.components().collect();
        let declared = permissions.files.iter().map(|f| Path::new(f).components().collect::<PathBuf>());
        let root =
            declared.filter(|root| root.is_absolute() && full.starts_with(root)).max_by_key(|r| r.as_os_str().len());
        let root = root.ok_or_else(|| {
            Error::forbidden(format!("the bot may not touch {}", full.display())).hint(format!(
                "declare its folder in the blueprint: `permissions: {{files: [\"{}\"]}}`",
                full.parent().unwrap_or(&full).display()
            ))
        })?;
        let rel = full.strip_prefix(&root).map(Path::to_path_buf).unwrap_or_default();
        match open_root(&root) {
            Ok(handle) => Ok(Place { root: handle, rel, full }),
            // A declared file: its own folder is the root, and only its name is below.
            Err(Errno::NOTDIR) if rel.as_os_str().is_empty() => {
                let (parent, name) = (root.parent(), root.file_name());
                let (Some(parent), Some(name)) = (parent, name) else { return Err(failure(&full, Errno::NOTDIR)) };
                let handle = open_root(parent).map_err(|e| failure(parent, e))?;
                Ok(Place { root: handle, rel: PathBuf::from(name), full })
            }
            Err(e) => Err(failure(&root, e)),
        }
    }

    /// The path as it was asked for, cleaned.
    pub(crate) fn path(&self) -> &Path {
        &self.full
    }

    /// The same folder with `name` in it.
    pub(crate) fn join(&self, name: &std::ffi::OsStr) -> Result<Place> {
        let root = self.root.try_clone().map_err(|_| Error::unavailable("the machine has no free file handles"))?;
        Ok(Place { root, rel: self.rel.join(name), full: self.full.join(name) })
    }

    /// Opens the file for reading; never waits for a pipe.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, `invalid` where it is no regular file.
    pub(crate) fn open(&self) -> Result<File> {
        let file = self.open_with(OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?;
        let facts = file.metadata().map_err(|e| failed(&self.full, &e))?;
        if !facts.is_file() {
            return Err(Error::invalid(format!("{} is no regular file", self.full.display())));
        }
        Ok(file)
    }

    /// Opens the folder for listing.
    pub(crate) fn open_dir(&self) -> Result<File> {
        self.open_with(OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
    }

    /// Opens with `flags`; a file that is made gets `mode`.
    pub(crate) fn open_with(&self, flags: OFlags, mode: Mode) -> Result<File> {
        let opened = beneath(self.root.as_fd(), &self.rel, flags | OFlags::CLOEXEC, mode);
        opened.map(File::from).map_err(|e| failure(&self.full, e))
    }

    /// Whether it is a folder.
    pub(crate) fn is_dir(&self) -> bool {
        self.open_with(HANDLE | OFlags::DIRECTORY, Mode::empty()).is_ok()
    }

    /// Its folder's handle and its name there, for calls that change the folder.
    pub(crate) fn parent(&self) -> Result<(OwnedFd, OsString)> {
        let name = self
            .rel
            .file_name()
            .ok_or_else(|| Error::invalid(format!("{} is the declared folder itself", self.full.display())))?;
        let folder = self.rel.parent().unwrap_or(Path::new(""));
        let flags = HANDLE | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = beneath(self.root.as_fd(), folder, flags, Mode::empty()).map_err(|e| failure(&self.full, e))?;
        Ok((handle, name.to_owned()))
    }

    /// Makes the folders above it that are missing.
    pub(crate) fn make_parents(&self) -> Result<()> {
        let Some(folder) = self.rel.parent() else { return Ok(()) };
        let mut done = PathBuf::new();
        for part in folder.components() {
            let flags = HANDLE | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let above = beneath(self.root.as_fd(), &done, flags, Mode::empty()).map_err(|e| failure(&self.full, e))?;
            match rustix::fs::mkdirat(&above, part.as_os_str(), Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => done.push(part),
                Err(e) => return Err(failure(&self.full, e)),
            }
        }
        Ok(())
    }
}

/// The declared folder itself may be reached by symlinks: its owner named it.
fn open_root(path: &Path) -> rustix::io::Result<OwnedFd> {
    rustix::fs::open(path, HANDLE | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// Opens `rel` below `root` and nowhere else.
fn beneath(root: rustix::fd::BorrowedFd<'_>, rel: &Path, flags: OFlags, mode: Mode) -> rustix::io::Result<OwnedFd> {
    let rel = if rel.as_os_str().is_empty() { Path::new(".") } else { rel };
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::ResolveFlags;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        // The kernel asks for another try where a rename races with the walk.
        for _ in 0..64 {
            match rustix::fs::openat2(root, rel, flags, mode, resolve) {
                Err(Errno::AGAIN) => {}
                Err(Errno::NOSYS | Errno::PERM) => return walk(root, rel, flags, mode),
                done => return done,
            }
        }
    }
    walk(root, rel, flags, mode)
}

/// The same without `openat2`: folder by folder, following no symlink.
fn walk(root: rustix::fd::BorrowedFd<'_>, rel: &Path, flags: OFlags, mode: Mode) -> rustix::io::Result<OwnedFd> {
    let parts: Vec<_> = rel.components().collect();
    if parts.iter().any(|c| !matches!(c, Component::Normal(_) | Component::CurDir)) {
        return Err(Errno::XDEV);
    }
    let Some((last, folders)) = parts.split_last() else { return Err(Errno::INVAL) };
    let mut at = rustix::fs::openat(root, ".", HANDLE | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    for folder in folders {
        let flags = HANDLE | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        at = rustix::fs::openat(&at, folder.as_os_str(), flags, Mode::empty())?;
    }
    rustix::fs::openat(&at, last.as_os_str(), flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, mode)
}

/// What the operating system said, as an error.
pub(crate) fn failure(path: &Path, e: Errno) -> Error {
    let path = path.display();
    match e {
        Errno::NOENT => Error::not_found("file", path),
        Errno::XDEV | Errno::LOOP => Error::forbidden(format!("{path} leads out of the folder that the bot declares")),
        Errno::ACCESS | Errno::PERM | Errno::ROFS => {
            Error::forbidden(format!("the operating system does not let the engine touch {path}"))
        }
        Errno::EXIST => Error::conflict(format!("{path} exists already")).hint("set `overwrite: true` to replace it"),
        Errno::ISDIR => Error::invalid(format!("{path} is a folder")),
        Errno::NOTDIR => Error::invalid(format!("{path} is not in a folder, or is none")),
        Errno::NAMETOOLONG => Error::invalid("the path is too long"),
        Errno::NOSPC | Errno::DQUOT => Error::unavailable(format!("there is no space left for {path}")),
        e => Error::new(Code::Failed, format!("{path}: {e}")),
    }
}

/// The same for errors of the standard library.
pub(crate) fn failed(path: &Path, e: &std::io::Error) -> Error {
    match Errno::from_io_error(e) {
        Some(errno) => failure(path, errno),
        None => Error::new(Code::Failed, format!("{}: {e}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn permissions(folder: &Path) -> Permissions {
        Permissions { files: vec![folder.to_str().unwrap().to_owned()], ..Permissions::default() }
    }

    /// A folder `in` with a file and links, beside a secret.
    fn house() -> tempfile::TempDir {
        let house = tempfile::tempdir().unwrap();
        let inside = house.path().join("in");
        fs::create_dir_all(inside.join("sub")).unwrap();
        fs::write(house.path().join("secret"), "s3cret").unwrap();
        fs::write(inside.join("file"), "fine").unwrap();
        symlink("../secret", inside.join("out")).unwrap();
        symlink(house.path().join("secret"), inside.join("absolute")).unwrap();
        symlink("..", inside.join("up")).unwrap();
        symlink("file", inside.join("alias")).unwrap();
        house
    }

    #[test]
    fn what_lies_outside_is_out_of_reach() {
        let house = house();
        let inside = house.path().join("in");
        let may = permissions(&inside);
        let at = |rel: &str| Place::locate(&may, inside.join(rel).to_str().unwrap());
        assert!(at("file").unwrap().open().is_ok());
        assert!(at("./sub//../file").is_err());
        for escape in ["out", "absolute", "up/secret", "up/in/../secret"] {
            let opened = at(escape).and_then(|place| place.open());
            assert!(
                matches!(opened.as_ref().map_err(Error::code), Err(Code::Forbidden | Code::Invalid)),
                "{escape}: {opened:?}"
            );
        }
        for (path, code) in [
            (house.path().join("secret"), Code::Forbidden),
            (house.path().join("inside"), Code::Forbidden),
            (PathBuf::from("/etc/passwd"), Code::Forbidden),
            (PathBuf::from("relative"), Code::Invalid),
            (inside.join("../secret"), Code::Invalid),
        ] {
            let error = Place::locate(&may, path.to_str().unwrap()).unwrap_err();
            assert_eq!(error.code(), code, "{}", path.display());
        }
        assert_eq!(at("no\0").unwrap_err().code(), Code::Invalid);
        assert_eq!(at("missing").unwrap().open().unwrap_err().code(), Code::NotFound);
        assert_eq!(at("sub").unwrap().open().unwrap_err().code(), Code::Invalid);
    }

    #[test]
    fn the_way_without_openat2_follows_no_link() {
        let house = house();
        let root = open_root(&house.path().join("in")).unwrap();
        let open = |rel: &str| walk(root.as_fd(), Path::new(rel), OFlags::RDONLY, Mode::empty());
        assert!(open("file").is_ok());
        assert!(open("sub").is_ok());
        for escape in ["out", "absolute", "up/secret", "alias", "../secret", "/etc/passwd"] {
            assert!(open(escape).is_err(), "{escape}");
        }
    }

    #[test]
    fn a_declared_file_is_the_only_one_in_reach() {
        let house = house();
        let file = house.path().join("in/file");
        let may = permissions(&file);
        assert!(Place::locate(&may, file.to_str().unwrap()).unwrap().open().is_ok());
        let beside = house.path().join("in/alias");
        assert_eq!(Place::locate(&may, beside.to_str().unwrap()).unwrap_err().code(), Code::Forbidden);
    }

    #[test]
    fn folders_are_made_inside_only() {
        let house = house();
        let inside = house.path().join("in");
        let may = permissions(&inside);
        let at = |rel: &str| Place::locate(&may, inside.join(rel).to_str().unwrap()).unwrap();
        at("a/b/c/file").make_parents().unwrap();
        assert!(inside.join("a/b/c").is_dir());
        assert!(at("up/made/file").make_parents().is_err());
        assert!(!house.path().join("made").exists());
    }
}
