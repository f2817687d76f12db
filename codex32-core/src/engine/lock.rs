//! One process drives a data folder: an advisory lock that the system releases when
//! the process ends, however it ends.

use crate::error::{Code, Error, Result};
use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

/// The lock; held until dropped.
#[derive(Debug)]
pub(super) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Takes the lock of `folder`.
    pub(super) fn take(folder: &Path) -> Result<FolderLock> {
        let path = folder.join("engine.lock");
        let failed = |e: std::io::Error| Error::unavailable(format!("open {}: {e}", path.display()));
        let file = OpenOptions::new().create(true).write(true).truncate(false).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(FolderLock { _file: file }),
            Err(TryLockError::WouldBlock) => {
                Err(Error::new(Code::Busy, format!("another process works on {}", folder.display())).hint(
                    "ask the server there (--url), or wait until it is done; several processes on one \
                         PostgreSQL each need a folder of their own (--data)",
                ))
            }
            Err(TryLockError::Error(e)) => Err(failed(e)),
        }
    }
}
