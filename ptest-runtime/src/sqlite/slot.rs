//! A slot: a numbered private copy of a template, and the lock that makes it private.
//!
//! A slot belongs to whoever holds the exclusive lock on its lock file, which the system takes back when the holder
//! dies. A copy is handed out again only if nobody has written to it since it was made; else the next lease makes
//! another under a new name. The new name matters: sqlx closes a connection on a thread of its own, perhaps after the
//! test has ended, and SQLite then removes journals by name.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::error::SqliteError;
use super::template::Template;

/// A leased slot. Dropping it releases the lease.
#[derive(Debug)]
pub(crate) struct Slot {
    template: Template,
    number: u32,
    /// Holds the lock, and the number of the newest copy, which whoever leases the slot next removes.
    lock: File,
    generation: u64,
    unwritten: Option<Stamp>,
}

/// How SQLite keeps a transaction apart from the file that it changes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Journal {
    /// Several connections: a reader does not block the writer. Costs 0.2 ms more per test, for two more files.
    Wal,
    /// One connection, which writes to the file only when it commits, or when its cache overflows.
    Rollback,
}

/// How a file looks that nobody has written to.
#[derive(Debug, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    len: u64,
}

/// The slots that this process has leased and no test uses. They stay leased: a copy is known to be unwritten only
/// while nobody else can have leased it.
static IDLE: Mutex<Vec<Slot>> = Mutex::new(Vec::new());

impl Slot {
    /// Leases a slot that no test of any process has, trying `hint` first.
    pub(crate) fn lease(template: &Template, hint: u32) -> Result<Slot, SqliteError> {
        let mut idle = idle();
        if let Some(index) = idle.iter().rposition(|slot| slot.template == *template) {
            return Ok(idle.swap_remove(index));
        }
        drop(idle);
        let mut number = hint;
        loop {
            if let Some(slot) = Slot::try_lease(template, number)? {
                return Ok(slot);
            }
            number = number.wrapping_add(1);
        }
    }

    fn try_lease(template: &Template, number: u32) -> Result<Option<Slot>, SqliteError> {
        let path = template.folder().join(format!("{number}.lock"));
        let failed = |source| SqliteError::File { action: "lock", path: path.clone(), source };
        let mut lock =
            File::options().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let generation = read_generation(&mut lock).map_err(failed)?;
        Ok(Some(Slot { template: template.clone(), number, lock, generation, unwritten: None }))
    }

    /// Makes the slot's file an exact copy of the template.
    pub(crate) fn prepare(&mut self, journal: Journal) -> Result<(), SqliteError> {
        if self.unwritten.is_none() || self.unwritten != stamp(&self.path()).ok() {
            self.copy()?;
        }
        let path = self.path();
        let stamp = mark(&path, journal).map_err(|source| SqliteError::File { action: "write", path, source })?;
        self.unwritten = Some(stamp);
        Ok(())
    }

    fn copy(&mut self) -> Result<(), SqliteError> {
        // Removed first: to overwrite the old copy in place would cost ten times as much on ext4, which flushes then.
        super::remove_database(&self.path());
        self.generation += 1;
        write_generation(&mut self.lock, self.generation).map_err(|source| SqliteError::File {
            action: "write",
            path: self.template.folder().join(format!("{}.lock", self.number)),
            source,
        })?;
        self.template.copy_to(&self.path())
    }

    /// The slot's file.
    pub(crate) fn path(&self) -> PathBuf {
        self.template.folder().join(format!("{}-{}.sqlite", self.number, self.generation))
    }

    /// Keeps the slot for the next test of this process. `closed` says that no connection to the file is left that
    /// could write to it.
    pub(crate) fn keep(mut self, closed: bool) {
        if !closed {
            self.unwritten = None;
        }
        idle().push(self);
    }
}

fn idle() -> MutexGuard<'static, Vec<Slot>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A slot that nobody has leased before starts at 0; so does one whose first holder was killed before it wrote.
fn read_generation(lock: &mut File) -> io::Result<u64> {
    let mut text = String::new();
    lock.read_to_string(&mut text)?;
    Ok(text.trim().parse().unwrap_or(0))
}

fn write_generation(lock: &mut File, generation: u64) -> io::Result<()> {
    lock.seek(SeekFrom::Start(0))?;
    lock.write_all(format!("{generation:020}\n").as_bytes())
}

/// Sets the journal mode, and a time of last change that any later write will move.
fn mark(path: &Path, journal: Journal) -> io::Result<Stamp> {
    // The header's file format version: `PRAGMA journal_mode` writes the same two bytes, in 1 ms.
    // https://www.sqlite.org/fileformat2.html#file_format_version_numbers
    const OFFSET: u64 = 18;
    let version = match journal {
        Journal::Rollback => [1, 1],
        Journal::Wal => [2, 2],
    };
    let mut file = File::options().write(true).open(path)?;
    file.seek(SeekFrom::Start(OFFSET))?;
    file.write_all(&version)?;
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000))?;
    drop(file);
    stamp(path)
}

fn stamp(path: &Path) -> io::Result<Stamp> {
    let metadata = path.metadata()?;
    Ok(Stamp { modified: metadata.modified()?, len: metadata.len() })
}
