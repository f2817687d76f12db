//! Where scripts run: a private directory for each run, below one directory for each
//! engine process.
//!
//! Invariants: directories are 0700 and gone after the run; what an engine left that was
//! killed is cleared away by the next one, with the processes that still live in it.

use super::tree;
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use tempfile::TempDir;

/// The directory of this engine process, locked as long as it lives.
pub(crate) struct RunDirs {
    dir: TempDir,
    _lock: File,
}

/// The directory of one run.
pub(crate) struct RunDir {
    dir: Option<TempDir>,
    path: PathBuf,
}

fn failed(doing: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::unavailable(format!("{doing} {}: {error}", path.display()))
        .hint("the engine needs a data directory that it may write to, with space left")
}

/// Makes `path` and what is above it, for the owner alone.
pub(crate) fn private_dir(path: &Path) -> Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| failed("make", path, &e))
}

/// Opens a file to lock.
pub(crate) fn lock_file(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600);
    options.open(path).map_err(|e| failed("open", path, &e))
}

impl RunDirs {
    /// Clears away what killed engines left below `base` and makes this engine's directory.
    pub(crate) fn open(base: &Path) -> Result<Self> {
        private_dir(base)?;
        // While this is held, no directory is without its lock.
        let gate = lock_file(&base.join(".lock"))?;
        gate.lock().map_err(|e| failed("lock", base, &e))?;
        sweep(base)?;
        let dir = tempfile::Builder::new()
            .prefix("engine-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(base)
            .map_err(|e| failed("make a directory in", base, &e))?;
        let lock = lock_file(&dir.path().join("lock"))?;
        lock.lock().map_err(|e| failed("lock", dir.path(), &e))?;
        Ok(RunDirs { dir, _lock: lock })
    }

    /// A fresh directory for one run.
    pub(crate) fn create(&self) -> Result<RunDir> {
        let base = self.dir.path();
        let dir = tempfile::Builder::new()
            .prefix("run-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(base)
            .map_err(|e| failed("make a directory in", base, &e))?;
        // Interpreters report the real path, and error messages are cut by it.
        let path = dir.path().canonicalize().map_err(|e| failed("resolve", dir.path(), &e))?;
        let run = RunDir { dir: Some(dir), path };
        for inner in [run.work(), run.temp()] {
            private_dir(&inner)?;
        }
        Ok(run)
    }
}

fn sweep(base: &Path) -> Result<()> {
    for entry in fs::read_dir(base).map_err(|e| failed("list", base, &e))?.flatten() {
        let path = entry.path();
        if !entry.file_name().to_string_lossy().starts_with("engine-") {
            continue;
        }
        if lock_file(&path.join("lock")).is_ok_and(|lock| lock.try_lock().is_ok()) {
            let real = path.canonicalize().unwrap_or_else(|_| path.clone());
            tree::kill_inside(&real);
            remove(&path);
        }
    }
    Ok(())
}

/// Removes a directory, also where a script took away its own permission.
pub(crate) fn remove(path: &Path) {
    if fs::remove_dir_all(path).is_ok() || !path.exists() {
        return;
    }
    let mut open = vec![path.to_owned()];
    while let Some(dir) = open.pop() {
        let _ = fs::set_permissions(&dir, Permissions::from_mode(0o700));
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            // Not through links: what they point to is not ours.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(entry.path());
            }
        }
    }
    if let Err(error) = fs::remove_dir_all(path) {
        tracing::warn!(path = %path.display(), %error, "could not remove a directory of the sandbox");
    }
}

impl RunDir {
    /// The whole directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The script's home and working directory.
    pub(crate) fn work(&self) -> PathBuf {
        self.path.join("work")
    }

    /// Its `TMPDIR`.
    pub(crate) fn temp(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// Writes a file of the engine beside the script's directory.
    pub(crate) fn put_runner(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        write_new(&path, text)?;
        Ok(path)
    }

    /// Lays `files` and the script itself into the working directory and returns the
    /// script's path: the file whose text it is, or `fallback` where it is none of them.
    pub(crate) fn lay(&self, code: &str, files: &BTreeMap<String, String>, fallback: &str) -> Result<PathBuf> {
        let work = self.work();
        for (name, text) in files {
            let path = work.join(inner_path(name)?);
            if let Some(parent) = path.parent() {
                private_dir(parent)?;
            }
            write_new(&path, text)?;
        }
        let name = entry_name(code, files, fallback);
        let path = work.join(&name);
        if !files.contains_key(&name) {
            write_new(&path, code)?;
        }
        Ok(path)
    }

    /// Removes the directory.
    pub(crate) fn close(mut self) {
        if let Some(dir) = self.dir.take() {
            remove(&dir.keep());
        }
    }
}

impl Drop for RunDir {
    fn drop(&mut self) {
        if let Some(dir) = self.dir.take() {
            remove(&dir.keep());
        }
    }
}

/// Name of the script among `files`: of the file whose text it is, or else one like
/// `fallback` that none of them has.
pub(crate) fn entry_name(code: &str, files: &BTreeMap<String, String>, fallback: &str) -> String {
    let suffix = Path::new(fallback).extension();
    let same_language = |name: &str| {
        let found = Path::new(name).extension();
        found.is_some_and(|e| Some(e) == suffix || e == "mjs" || e == "cjs")
    };
    if let Some((name, _)) = files.iter().find(|(name, text)| *text == code && same_language(name)) {
        return name.clone();
    }
    let (stem, dot) = fallback.split_at(fallback.find('.').unwrap_or(fallback.len()));
    let taken = |path: &str| files.keys().any(|name| Path::new(name).starts_with(path));
    let numbered = (2..).map(|number: u64| format!("{stem}{number}{dot}"));
    let mut names = std::iter::once(fallback.to_owned()).chain(numbered);
    names.find(|name| !taken(name)).unwrap_or_else(|| fallback.to_owned())
}

/// `name` as a path that stays below where it is laid.
pub(crate) fn inner_path(name: &str) -> Result<PathBuf> {
    let path = Path::new(name);
    let inner = path.components().all(|part| matches!(part, Component::Normal(_)));
    if name.is_empty() || !inner || name.contains('\0') {
        return Err(Error::invalid(format!("the file name \"{}\" leaves the bot's directory", name.escape_debug()))
            .hint("use a relative path without `..`, such as `lib/prices.py`"));
    }
    Ok(path.to_owned())
}

fn write_new(path: &Path, text: &str) -> Result<()> {
    let mut options = OpenOptions::new();
    let file = options.create_new(true).write(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|e| failed("write", path, &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    #[test]
    fn lays_the_script_under_its_own_name() {
        let base = tempfile::tempdir().unwrap();
        let dirs = RunDirs::open(base.path()).unwrap();
        let run = dirs.create().unwrap();
        let laid = files(&[("lib/a.py", "A = 1"), ("app.py", "import lib.a"), ("notes.txt", "import lib.a")]);
        let entry = run.lay("import lib.a", &laid, "main.py").unwrap();
        assert_eq!(entry, run.work().join("app.py"));
        assert!(run.work().join("lib/a.py").is_file());
        let mode = fs::metadata(run.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn inline_code_never_replaces_a_file() {
        let base = tempfile::tempdir().unwrap();
        let run = RunDirs::open(base.path()).unwrap().create().unwrap();
        let entry = run.lay("x = 1", &files(&[("main.py", "y = 2")]), "main.py").unwrap();
        assert_eq!(entry, run.work().join("main2.py"));
        assert_eq!(fs::read_to_string(run.work().join("main.py")).unwrap(), "y = 2");
    }

    #[test]
    fn refuses_names_that_leave_the_directory() {
        for name in ["../x", "/etc/passwd", "a/../../b", "", ".", "a\0b"] {
            let error = inner_path(name).unwrap_err();
            assert_eq!(error.code(), crate::Code::Invalid, "{name:?}");
        }
    }

    #[test]
    fn removes_what_a_script_locked() {
        let base = tempfile::tempdir().unwrap();
        let dirs = RunDirs::open(base.path()).unwrap();
        let run = dirs.create().unwrap();
        let (locked, root) = (run.work().join("a/b"), run.path().to_owned());
        fs::create_dir_all(&locked).unwrap();
        fs::set_permissions(run.work().join("a"), Permissions::from_mode(0o000)).unwrap();
        run.close();
        assert!(!root.exists());
    }

    #[test]
    fn the_next_engine_clears_what_a_dead_one_left() {
        let base = tempfile::tempdir().unwrap();
        let dead = base.path().join("engine-dead/run-1");
        fs::create_dir_all(&dead).unwrap();
        let alive = RunDirs::open(base.path()).unwrap();
        let kept = alive.create().unwrap();
        let _next = RunDirs::open(base.path()).unwrap();
        assert!(!dead.exists());
        assert!(kept.path().exists());
    }
}
