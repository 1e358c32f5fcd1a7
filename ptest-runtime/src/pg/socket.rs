//! The socket of a test: where clients that need an address find the sandbox.
//!
//! Each test has a socket of its own, in a folder that only this user can enter; so a client that one test left behind
//! cannot reach the next. The process holds a lock on its folder; so what a killed one left is known, and removed by whoever
//! comes later.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use tokio::net::UnixListener;

use crate::config;
use crate::pg::slot::LeaseError;
use crate::sys;

/// The longest path of a socket, without its terminating zero.
const LONGEST: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// A bound socket; its file goes with it.
#[derive(Debug)]
pub(crate) struct Socket {
    folder: PathBuf,
    port: u16,
    secret: i32,
}

/// The sockets of this process. Folder and sockets come and go under this lock, so that the last socket does not take the
/// folder from under a new one.
static SOCKETS: Mutex<Sockets> = Mutex::new(Sockets { bound: 0, last: 0, folder: None });

#[derive(Debug)]
struct Sockets {
    bound: usize,
    /// The number of the last one.
    last: u32,
    /// The folder, with the lock that says that it is in use.
    folder: Option<File>,
}

/// What the folder of a process is named, before its number.
const NAME: &str = "ptest-";

impl Socket {
    /// Binds the next socket of this process.
    pub(crate) fn bind() -> Result<(UnixListener, Socket), LeaseError> {
        let folder = folder();
        bind_in(&folder).map_err(|source| LeaseError::Socket { folder, source })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// A number that other users cannot guess, for cancel requests.
    pub(crate) fn secret(&self) -> i32 {
        self.secret
    }

    fn path(&self) -> PathBuf {
        self.folder.join(format!(".s.PGSQL.{}", self.port))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let mut sockets = SOCKETS.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = fs::remove_file(self.path());
        sockets.bound -= 1;
        if sockets.bound == 0 {
            let _ = fs::remove_dir(&self.folder);
            sockets.folder = None;
        }
    }
}

/// A folder of this process, whose path leaves room for a socket's.
fn folder() -> PathBuf {
    let name = format!("{NAME}{}", std::process::id());
    let folder = config::socket_dir().join(&name);
    let longest = folder.as_os_str().len() + "/.s.PGSQL.65535".len();
    if longest <= LONGEST { folder } else { Path::new("/tmp").join(name) }
}

fn bind_in(folder: &Path) -> io::Result<(UnixListener, Socket)> {
    let mut sockets = SOCKETS.lock().unwrap_or_else(PoisonError::into_inner);
    if sockets.bound == 0 {
        sockets.folder = Some(private_folder(folder)?);
    }
    loop {
        sockets.last += 1;
        // A port is a part of the socket's name, nothing more.
        let port = (sockets.last % 60_000 + 1) as u16;
        let path = folder.join(format!(".s.PGSQL.{port}"));
        match UnixListener::bind(&path) {
            Ok(listener) => {
                sockets.bound += 1;
                return Ok((listener, Socket { folder: folder.to_owned(), port, secret: sys::random() as i32 }));
            }
            // Left behind by a killed process of the same number, or one of ours that is still in use.
            Err(e) if e.kind() == io::ErrorKind::AddrInUse && sockets.last < u32::MAX => {
                if std::os::unix::net::UnixStream::connect(&path).is_err() {
                    fs::remove_file(&path)?;
                }
            }
            Err(e) => return Err(e),
        }
    }
}

/// Makes the folder, and locks it.
fn private_folder(folder: &Path) -> io::Result<File> {
    loop {
        match DirBuilder::new().mode(0o700).create(folder) {
            // A killed process of the same number left it, or somebody means ill.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            other => other?,
        }
        match lock(folder) {
            Ok(Some(locked)) => return Ok(locked),
            // Who swept took it for one that is left.
            Ok(None) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
}

/// The lock of a folder that is there and private, which a process of the same number elsewhere may share.
fn lock(folder: &Path) -> io::Result<Option<File>> {
    if !is_private(folder)? {
        let what = "the folder exists, and is not private to this user";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, what));
    }
    let locked = File::open(folder)?;
    // Where no folder can be locked, none is swept either.
    let _ = locked.lock_shared();
    let number = |found: fs::Metadata| (found.dev(), found.ino());
    Ok((number(fs::metadata(folder)?) == number(locked.metadata()?)).then_some(locked))
}

fn is_private(folder: &Path) -> io::Result<bool> {
    let found = fs::symlink_metadata(folder)?;
    Ok(found.is_dir() && found.permissions().mode() & 0o077 == 0 && found.uid() == uid(folder)?)
}

/// This user's number, as the owner of a file just made.
fn uid(folder: &Path) -> io::Result<u32> {
    static UID: OnceLock<u32> = OnceLock::new();
    if let Some(uid) = UID.get() {
        return Ok(*uid);
    }
    let probe = folder.join(format!(".probe-{:?}", std::thread::current().id()));
    let file = File::create(&probe)?;
    let uid = file.metadata()?.uid();
    fs::remove_file(probe)?;
    Ok(*UID.get_or_init(|| uid))
}

/// Removes the folders of sockets whose processes have gone.
pub(super) fn sweep() {
    folder().parent().into_iter().for_each(sweep_in);
}

fn sweep_in(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let (name, folder) = (entry.file_name(), entry.path());
        let number = name.to_str().and_then(|name| name.strip_prefix(NAME)?.parse::<u32>().ok());
        let ours = number.is_some() && is_private(&folder).unwrap_or(false);
        if ours
            && let Ok(left) = File::open(&folder)
            && left.try_lock().is_ok()
        {
            remove(&folder);
        }
    }
}

/// Removes a folder of sockets, with nothing else in it.
fn remove(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b".s.PGSQL.") || name.as_encoded_bytes().starts_with(b".probe-") {
            let _ = fs::remove_file(entry.path());
        }
    }
    let _ = fs::remove_dir(folder);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_killed_processes_left_is_swept() {
        let parent = tempfile::tempdir().unwrap();
        let at = |name: &str| parent.path().join(name);
        let held: Vec<_> = ["ptest-1", "ptest-2", "ptest-3"].map(|name| private_folder(&at(name)).unwrap()).into();
        let mut files = Vec::new();
        for name in ["ptest-1/.s.PGSQL.7", "ptest-2/.s.PGSQL.8", "ptest-3/.s.PGSQL.9", "ptest-3/mine"] {
            files.push(at(name));
            File::create(at(name)).unwrap();
        }
        for other in ["ptest-x", "ptest-", "other"] {
            fs::create_dir(at(other)).unwrap();
        }
        sweep_in(parent.path());
        assert!(files.iter().all(|file| file.exists()), "all are in use");

        let [one, two, three] = held.try_into().unwrap();
        drop((one, three));
        sweep_in(parent.path());
        let mut left: Vec<_> = fs::read_dir(parent.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["other", "ptest-", "ptest-2", "ptest-3", "ptest-x"]);
        assert_eq!(files.iter().map(|file| file.exists()).collect::<Vec<_>>(), [false, true, false, true]);
        drop(two);
    }

    #[test]
    fn a_folder_that_is_swept_while_it_is_locked_is_made_again() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("ptest-1");
        std::thread::scope(|scope| {
            let sweeper = scope.spawn(|| (0..2000).for_each(|_| sweep_in(parent.path())));
            while !sweeper.is_finished() {
                let locked = private_folder(&folder).unwrap();
                File::create(folder.join(".s.PGSQL.1")).expect("nobody else takes the folder");
                fs::remove_file(folder.join(".s.PGSQL.1")).unwrap();
                drop(locked);
            }
        });
    }
}
