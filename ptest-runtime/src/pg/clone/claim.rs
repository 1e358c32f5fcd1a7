//! The claim: a file in the own server's data that stands for one database of tests with a database of their own.
//!
//! Who holds the lock of the file has the database. The lock dies with its holder, as a session advisory lock does, but
//! needs no connection: a test process that leases and gives back pays for none. What the file says is worth as much as the
//! database: both lie in the server's data.
//!
//! | the file | says of the database |
//! |---|---|
//! | `spare` | it is complete and as its template |
//! | `used`, locked | a test has it |
//! | `used`, not locked | its test was killed: garbage |
//! | is not there | garbage |

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// What a claim begins with.
const SPARE: &str = "spare";
const USED: &str = "used";

/// Claims are short.
const LONGEST: usize = 128;

/// A claim whose lock this process holds.
#[derive(Debug)]
pub(crate) struct Claim {
    file: File,
    path: PathBuf,
    says: Says,
}

/// What a claim says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Says {
    is_spare: bool,
    /// The number in the database's name.
    number: u64,
    /// Of a spare: when the database's counters were reset last, as the server says it. Else the number that its name may have
    /// by now.
    note: Option<String>,
}

/// What a claim means to who cleans up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Spare,
    Held,
    /// By a killed test.
    Left,
}

impl Claim {
    /// Takes a spare, if there is one, and tells how many databases killed tests have left.
    pub(super) fn take(folder: &Path, fingerprint: &str) -> io::Result<(Option<Claim>, usize)> {
        let mut left = 0;
        for path in paths(folder, fingerprint)? {
            match Claim::lock(path)? {
                Some(claim) if claim.says.is_spare => {
                    let says = Says { is_spare: false, number: claim.says.number, note: None };
                    claim.file.write_all_at(says.text().as_bytes(), 0)?;
                    return Ok((Some(claim), left));
                }
                Some(_) => left += 1,
                None => {}
            }
        }
        Ok((None, left))
    }

    /// Claims a database that is about to be made.
    pub(super) fn new(folder: &Path, fingerprint: &str, number: u64) -> io::Result<Claim> {
        let path = path(folder, fingerprint, number);
        // Under another name until it is locked.
        let private = path.with_extension("new");
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&private)?;
        file.lock()?;
        let says = Says { is_spare: false, number, note: None };
        file.write_all_at(says.text().as_bytes(), 0)?;
        fs::rename(private, &path)?;
        Ok(Claim { file, path, says })
    }

    /// What the server writes when it has made a spare, and where.
    pub(super) fn of_spare(folder: &Path, fingerprint: &str, number: u64) -> (String, PathBuf) {
        (Says { is_spare: true, number, note: None }.text(), path(folder, fingerprint, number))
    }

    pub(super) fn number(&self) -> u64 {
        self.says.number
    }

    /// When the database's counters were reset last, if it was a spare.
    pub(super) fn counted_since(&self) -> Option<&str> {
        self.says.note.as_deref()
    }

    /// Says that the database is about to have another number.
    pub(super) fn will_be(&self, number: u64) -> io::Result<()> {
        let says = Says { is_spare: false, number: self.says.number, note: Some(format!("{number:016x}")) };
        self.file.write_all_at(says.text().as_bytes(), 0)
    }

    /// Says that the database, which has this number now, is a spare, and gives it up.
    pub(super) fn becomes_spare(self, number: u64, counted_since: String) -> io::Result<()> {
        let says = Says { is_spare: true, number, note: Some(counted_since) };
        self.file.write_all_at(says.text().as_bytes(), 0)
    }

    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    /// Says that the database is garbage.
    pub(super) fn remove(self) {
        let _ = fs::remove_file(&self.path);
    }

    /// `None`: somebody else has it, it is gone, or the server is about to write it.
    fn lock(path: PathBuf) -> io::Result<Option<Claim>> {
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        // One that was removed before it was locked has no name any more.
        if file.try_lock().is_err() || file.metadata()?.nlink() == 0 {
            return Ok(None);
        }
        let mut bytes = [0; LONGEST];
        let length = file.read_at(&mut bytes, 0)?;
        Ok(Says::read(&bytes[..length]).map(|says| Claim { file, path, says }))
    }
}

/// How many spares there are.
pub(super) fn spares(folder: &Path, fingerprint: &str) -> io::Result<usize> {
    Ok(paths(folder, fingerprint)?.iter().filter_map(|path| Says::at(path)).filter(|says| says.is_spare).count())
}

/// The claims on databases of a fingerprint, by the databases' numbers.
pub(crate) fn states(folder: &Path, fingerprint: &str) -> Vec<(u64, State)> {
    let mut states = Vec::new();
    for path in paths(folder, fingerprint).unwrap_or_default() {
        let locked = Claim::lock(path.clone()).unwrap_or_default();
        let state = match &locked {
            None => State::Held,
            Some(claim) if claim.says.is_spare => State::Spare,
            Some(_) => State::Left,
        };
        let says = locked.map(|claim| claim.says).or_else(|| Says::at(&path));
        states.extend(says.iter().flat_map(Says::numbers).map(|number| (number, state)));
    }
    states
}

/// Removes the claims of killed tests, but those on databases that are kept for now.
pub(crate) fn forget_left(folder: &Path, fingerprint: &str, kept: &[u64]) {
    for path in paths(folder, fingerprint).unwrap_or_default() {
        if let Ok(Some(claim)) = Claim::lock(path)
            && !claim.says.is_spare
            && !claim.says.numbers().any(|number| kept.contains(&number))
        {
            claim.remove();
        }
    }
}

/// Has nobody lease a spare any more; `false`: somebody has it.
pub(crate) fn discard(folder: &Path, fingerprint: &str, number: u64) -> bool {
    let is_its = |path: &PathBuf| Says::at(path).is_some_and(|says| says.number == number);
    match paths(folder, fingerprint).unwrap_or_default().into_iter().find(is_its).map(Claim::lock) {
        None => true,
        Some(Ok(Some(claim))) if claim.says.number == number => {
            claim.remove();
            true
        }
        Some(_) => false,
    }
}

impl Says {
    fn at(path: &Path) -> Option<Says> {
        Says::read(&fs::read(path).ok()?)
    }

    fn read(bytes: &[u8]) -> Option<Says> {
        let line = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
        let [word, number, note] = line.split_whitespace().collect::<Vec<_>>().try_into().ok()?;
        let number = u64::from_str_radix(number, 16).ok()?;
        Some(Says { is_spare: word == SPARE, number, note: Some(note.to_owned()).filter(|note| note != "-") })
    }

    /// All of the same length: who reads without the lock finds the old or the new, and nothing between.
    fn text(&self) -> String {
        let word = if self.is_spare { SPARE } else { USED };
        format!("{word:<5} {:016x} {:<40}\n", self.number, self.note.as_deref().unwrap_or("-"))
    }

    /// The numbers that the database may have.
    fn numbers(&self) -> impl Iterator<Item = u64> {
        let next = self.note.as_deref().filter(|_| !self.is_spare);
        std::iter::once(self.number).chain(next.and_then(|next| u64::from_str_radix(next, 16).ok()))
    }
}

fn path(folder: &Path, fingerprint: &str, number: u64) -> PathBuf {
    folder.join(format!("{fingerprint}_{number:016x}"))
}

fn paths(folder: &Path, fingerprint: &str) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let name = name.to_str().unwrap_or_default();
        if name.strip_prefix(fingerprint).is_some_and(|rest| rest.starts_with('_') && !rest.ends_with(".new")) {
            paths.push(folder.join(name));
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests;
