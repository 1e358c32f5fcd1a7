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

/// What a claim begins with: both words have the same length, so that the one replaces the other.
const SPARE: &str = "spare";
const USED: &str = "used ";

/// Claims are short.
const LONGEST: usize = 128;

/// A claim whose lock this process holds.
#[derive(Debug)]
pub(crate) struct Claim {
    file: File,
    path: PathBuf,
    /// The number in the database's name.
    number: u64,
    /// When the database's counters were reset last, as the server says it.
    counted_since: Option<String>,
}

/// What there is of claims, for who cleans up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Spare,
    Held,
}

impl Claim {
    /// Takes a spare, if there is one, and tells how many databases killed tests have left.
    pub(super) fn take(folder: &Path, fingerprint: &str) -> io::Result<(Option<Claim>, usize)> {
        let mut left = 0;
        for path in paths(folder, fingerprint)? {
            let Some(claim) = Claim::lock(path)? else { continue };
            match claim.says()? {
                Some((true, number, counted_since)) => {
                    claim.file.write_all_at(USED.as_bytes(), 0)?;
                    return Ok((Some(Claim { number, counted_since, ..claim }), left));
                }
                Some((false, ..)) => left += 1,
                // The server is about to write it.
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
        file.write_all_at(text(USED, number, None).as_bytes(), 0)?;
        fs::rename(private, &path)?;
        Ok(Claim { file, path, number, counted_since: None })
    }

    /// What the server writes when it has made a spare, and where.
    pub(super) fn of_spare(folder: &Path, fingerprint: &str, number: u64) -> (String, PathBuf) {
        (text(SPARE, number, None), path(folder, fingerprint, number))
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn counted_since(&self) -> Option<&str> {
        self.counted_since.as_deref()
    }

    /// Says that the database, which has this number now, is a spare, and gives it up.
    pub(super) fn is_spare(self, number: u64, counted_since: &str) -> io::Result<()> {
        self.file.write_all_at(text(SPARE, number, Some(counted_since)).as_bytes(), 0)
    }

    /// Says that the database is garbage. Gives the folder of the claims.
    pub(super) fn remove(self) -> Option<PathBuf> {
        let _ = fs::remove_file(&self.path);
        self.path.parent().map(Path::to_owned)
    }

    /// `None`: somebody else has it, or it is gone.
    fn lock(path: PathBuf) -> io::Result<Option<Claim>> {
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        // One that was removed before it was locked has no name any more.
        let locked = file.try_lock().is_ok() && file.metadata()?.nlink() > 0;
        Ok(locked.then_some(Claim { file, path, number: 0, counted_since: None }))
    }

    /// Whether it is a spare, its number, and since when its counters count.
    fn says(&self) -> io::Result<Option<(bool, u64, Option<String>)>> {
        let mut bytes = [0; LONGEST];
        let length = self.file.read_at(&mut bytes, 0)?;
        Ok(read(&bytes[..length]))
    }
}

/// How many spares there are.
pub(super) fn spares(folder: &Path, fingerprint: &str) -> io::Result<usize> {
    let says = |path| fs::read(path).ok().and_then(|bytes| read(&bytes));
    Ok(paths(folder, fingerprint)?.into_iter().filter_map(says).filter(|(spare, ..)| *spare).count())
}

/// The claims on databases of a fingerprint, by the databases' numbers; those of killed tests are removed.
pub(crate) fn states(folder: &Path, fingerprint: &str) -> Vec<(u64, State)> {
    let mut states = Vec::new();
    for path in paths(folder, fingerprint).unwrap_or_default() {
        match Claim::lock(path.clone()).map(|claim| claim.map(|claim| (claim.says(), claim))) {
            Ok(Some((Ok(Some((true, number, _))), _))) => states.push((number, State::Spare)),
            Ok(Some((Ok(Some((false, ..))), claim))) => drop(claim.remove()),
            Ok(None) => {
                let held = fs::read(path).ok().and_then(|bytes| read(&bytes));
                states.extend(held.map(|(_, number, _)| (number, State::Held)));
            }
            _ => {}
        }
    }
    states
}

/// Has nobody lease a spare any more; `false`: somebody has it.
pub(crate) fn discard(folder: &Path, fingerprint: &str, number: u64) -> bool {
    let says = |claim: &Claim| claim.says().ok().flatten().is_some_and(|(_, its, _)| its == number);
    for path in paths(folder, fingerprint).unwrap_or_default() {
        match Claim::lock(path.clone()) {
            Ok(Some(claim)) if says(&claim) => {
                claim.remove();
                return true;
            }
            Ok(Some(_)) => {}
            Ok(None) if fs::read(path).ok().and_then(|bytes| read(&bytes)).is_some_and(|held| held.1 == number) => {
                return false;
            }
            Ok(None) | Err(_) => {}
        }
    }
    true
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

/// All of the same length: who reads without the lock finds the old or the new, and nothing between.
fn text(word: &str, number: u64, counted_since: Option<&str>) -> String {
    format!("{word} {number:016x} {:<40}\n", counted_since.unwrap_or("-"))
}

fn read(bytes: &[u8]) -> Option<(bool, u64, Option<String>)> {
    let line = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
    let [word, number, since] = line.split_whitespace().collect::<Vec<_>>().try_into().ok()?;
    let number = u64::from_str_radix(number, 16).ok()?;
    Some((word == SPARE, number, Some(since.to_owned()).filter(|since| since != "-")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF: &str = "0123456789abcdef";

    fn taken(folder: &Path) -> (Option<u64>, usize) {
        let (claim, left) = Claim::take(folder, OF).unwrap();
        // What a killed test leaves.
        (claim.map(|claim| claim.number), left)
    }

    #[test]
    fn a_spare_is_taken_once() {
        let folder = tempfile::tempdir().unwrap();
        Claim::new(folder.path(), OF, 7).unwrap().is_spare(8, "123.4").unwrap();
        Claim::new(folder.path(), "other", 9).unwrap().is_spare(9, "1").unwrap();
        assert_eq!(spares(folder.path(), OF).unwrap(), 1);
        let (claim, left) = Claim::take(folder.path(), OF).unwrap();
        let claim = claim.unwrap();
        assert_eq!((claim.number(), claim.counted_since(), left), (8, Some("123.4"), 0));
        assert_eq!(taken(folder.path()), (None, 0));
        assert_eq!(states(folder.path(), OF), [(8, State::Held)]);
        assert!(!discard(folder.path(), OF, 8));

        claim.is_spare(10, "2").unwrap();
        assert_eq!(states(folder.path(), OF), [(10, State::Spare)]);
        assert_eq!(taken(folder.path()), (Some(10), 0));
    }

    #[test]
    fn what_a_killed_test_had_is_nobodys() {
        let folder = tempfile::tempdir().unwrap();
        drop(Claim::new(folder.path(), OF, 1).unwrap());
        Claim::new(folder.path(), OF, 2).unwrap().is_spare(2, "1").unwrap();
        assert_eq!(taken(folder.path()).0, Some(2));
        assert_eq!(taken(folder.path()), (None, 2));
        assert_eq!(states(folder.path(), OF), []);
        assert_eq!(taken(folder.path()), (None, 0), "nobody counts them twice");
    }

    #[test]
    fn a_spare_of_the_servers_counts_when_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let (text, path) = Claim::of_spare(folder.path(), OF, 3);
        fs::write(&path, "").unwrap();
        assert_eq!(taken(folder.path()), (None, 0));
        assert_eq!(states(folder.path(), OF), []);
        fs::write(&path, text).unwrap();
        assert!(discard(folder.path(), OF, 3));
        assert!(!path.exists());
    }

    #[test]
    fn many_take_each_spare_once() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..50 {
            Claim::new(folder.path(), OF, number).unwrap().is_spare(number, "1").unwrap();
        }
        let take = || std::iter::from_fn(|| Claim::take(folder.path(), OF).unwrap().0).collect::<Vec<_>>();
        let mut taken: Vec<u64> = std::thread::scope(|scope| {
            let takers: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            takers.into_iter().flat_map(|taker| taker.join().unwrap()).map(|claim| claim.number()).collect()
        });
        taken.sort();
        // A look of one taker can hide a spare from another, which then clones: no harm, but no spare is had twice.
        let all = taken.len();
        taken.dedup();
        assert_eq!(taken.len(), all);
        assert!(all > 25, "{all}");
    }
}
