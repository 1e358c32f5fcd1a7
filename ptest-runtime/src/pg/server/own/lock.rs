//! File locks, which die with their holder.
//!
//! A lock counts only while its file is still the one at its path: the folder may be removed under a running process.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::ErrorKind::NotFound;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::error::io_at;
use super::{OwnServerError, PATIENCE, Result};

/// Waits for a shared lock; `None` where there is no file.
pub(super) fn shared(path: &Path) -> Result<Option<File>> {
    acquire(path, OpenOptions::new().read(true).write(true), File::try_lock_shared, || {})
}

/// Waits for an exclusive lock on a file that it makes if need be, and says so when it takes long.
pub(super) fn exclusive(path: &Path, waiting: impl FnOnce()) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    acquire(path, &options, File::try_lock, waiting)?.ok_or_else(|| io_at("create", path)(NotFound.into()))
}

/// The exclusive lock on a file that is there, if nobody has it or shares it.
pub(super) fn free(path: &Path) -> Result<Option<File>> {
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == NotFound => return Ok(None),
        Err(e) => return Err(io_at("open", path)(e)),
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(e)) => Err(io_at("lock", path)(e)),
    }
}

fn acquire(
    path: &Path,
    options: &OpenOptions,
    try_lock: impl Fn(&File) -> Result<(), TryLockError>,
    waiting: impl FnOnce(),
) -> Result<Option<File>> {
    let begin = Instant::now();
    let mut waiting = Some(waiting);
    let mut pause = Duration::from_millis(1);
    loop {
        let file = match options.open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == NotFound => return Ok(None),
            Err(e) => return Err(io_at("open", path)(e)),
        };
        match try_lock(&file) {
            Ok(()) if is_at(&file, path)? => return Ok(Some(file)),
            Ok(()) | Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(e)) => return Err(io_at("lock", path)(e)),
        }
        if begin.elapsed() > PATIENCE {
            return Err(OwnServerError::Locked { path: path.to_owned(), after: begin.elapsed() });
        }
        if begin.elapsed() > Duration::from_secs(2)
            && let Some(waiting) = waiting.take()
        {
            waiting();
        }
        sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(16));
    }
}

/// Whether the open file is still the one at `path`.
fn is_at(file: &File, path: &Path) -> Result<bool> {
    let id = |m: fs::Metadata| (m.dev(), m.ino());
    let open = file.metadata().map_err(io_at("examine", path))?;
    match fs::metadata(path) {
        Ok(found) => Ok(id(found) == id(open)),
        Err(e) if e.kind() == NotFound => Ok(false),
        Err(e) => Err(io_at("examine", path)(e)),
    }
}
