//! The socket of a test: where clients that need an address find the sandbox.
//!
//! Each test has a socket of its own, in a folder of the process that only this user can enter and whose name nobody can guess;
//! so a client that one test left behind cannot reach the next, and another user can have made nothing of that name. The process
//! holds a lock on its folder; so what a killed one left is known, and removed by whoever comes later.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tokio::net::UnixListener;

use crate::config;
use crate::error::Failure;
use crate::sys;

/// The longest path of a socket, without its terminating zero.
const LONGEST: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

#[derive(Debug, thiserror::Error)]
#[error("cannot open a socket for the test's connections in {}", folder.display())]
pub(crate) struct SocketError {
    pub(crate) folder: PathBuf,
    pub(crate) source: io::Error,
}

impl Failure for SocketError {
    fn help(&self) -> Option<String> {
        Some("make the folder for temporary files writable (TMPDIR)".to_owned())
    }
}

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
    folder: Option<(PathBuf, File)>,
}

/// What the folder of a process is named, before a number that nobody can guess.
const NAME: &str = "ptest-";

impl Socket {
    /// Binds the next socket of this process.
    pub(crate) fn bind() -> Result<(UnixListener, Socket), SocketError> {
        let parent = parent();
        bind_in(&parent).map_err(|source| SocketError { folder: parent, source })
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

/// The folder for the folders of processes; a socket's path there is not too long.
fn parent() -> PathBuf {
    let parent = config::socket_dir();
    let longest = parent.as_os_str().len() + "/".len() + NAME.len() + 16 + "/.s.PGSQL.65535".len();
    if longest <= LONGEST { parent } else { PathBuf::from("/tmp") }
}

fn bind_in(parent: &Path) -> io::Result<(UnixListener, Socket)> {
    let mut sockets = SOCKETS.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = match &sockets.folder {
        Some((folder, _)) => folder.clone(),
        None => sockets.folder.insert(own_folder(parent)?).0.clone(),
    };
    loop {
        sockets.last += 1;
        // A port is a part of the socket's name, nothing more.
        let port = (sockets.last % 60_000 + 1) as u16;
        match UnixListener::bind(folder.join(format!(".s.PGSQL.{port}"))) {
            Ok(listener) => {
                sockets.bound += 1;
                return Ok((listener, Socket { folder, port, secret: sys::random() as i32 }));
            }
            // One of ours that is still in use.
            Err(e) if e.kind() == io::ErrorKind::AddrInUse && sockets.last < u32::MAX => {}
            Err(e) => return Err(e),
        }
    }
}

/// Makes a folder for this process, and locks it.
fn own_folder(parent: &Path) -> io::Result<(PathBuf, File)> {
    loop {
        let folder = sys::new_folder(parent, NAME)?;
        match lock(&folder) {
            Ok(Some(locked)) => return Ok((folder, locked)),
            // Who swept took it for one that is left.
            Ok(None) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
}

/// The lock of a folder that is there and private.
fn lock(folder: &Path) -> io::Result<Option<File>> {
    let locked = File::open(folder)?;
    // Where no folder can be locked, none is swept either.
    let _ = locked.lock_shared();
    let number = |found: fs::Metadata| (found.dev(), found.ino());
    let is_there = number(fs::symlink_metadata(folder)?) == number(locked.metadata()?) && sys::is_private(folder)?;
    Ok(is_there.then_some(locked))
}

/// Removes the folders of sockets whose processes have gone.
pub(super) fn sweep() {
    sweep_in(&parent());
}

fn sweep_in(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let (name, folder) = (entry.file_name(), entry.path());
        let number = name.to_str().and_then(|name| u64::from_str_radix(name.strip_prefix(NAME)?, 16).ok());
        if number.is_some()
            && sys::is_private(&folder).unwrap_or(false)
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
        if entry.file_name().as_encoded_bytes().starts_with(b".s.PGSQL.") {
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
        let [one, two, three] = [(); 3].map(|()| own_folder(parent.path()).unwrap());
        let at = |folder: &(PathBuf, File), name: &str| folder.0.join(name);
        let files = [at(&one, ".s.PGSQL.7"), at(&two, ".s.PGSQL.8"), at(&three, ".s.PGSQL.9"), at(&three, "mine")];
        for file in &files {
            File::create(file).unwrap();
        }
        let others = ["ptest-x", "ptest-", "other"].map(|name| parent.path().join(name));
        for other in &others {
            fs::create_dir(other).unwrap();
        }
        sweep_in(parent.path());
        assert!(files.iter().all(|file| file.exists()), "all are in use");

        let gone = one.0.clone();
        drop((one, three));
        sweep_in(parent.path());
        assert!(!gone.exists(), "nobody uses it");
        assert!(others.iter().all(|other| other.exists()), "they are not ptest's");
        assert_eq!(files.map(|file| file.exists()), [false, true, false, true]);
        drop(two);
    }

    #[test]
    fn a_folder_that_is_swept_while_it_is_locked_is_made_again() {
        let parent = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            let sweeper = scope.spawn(|| (0..2000).for_each(|_| sweep_in(parent.path())));
            while !sweeper.is_finished() {
                let (folder, locked) = own_folder(parent.path()).unwrap();
                File::create(folder.join(".s.PGSQL.1")).expect("nobody else takes the folder");
                fs::remove_file(folder.join(".s.PGSQL.1")).unwrap();
                fs::remove_dir(folder).unwrap();
                drop(locked);
            }
        });
    }
}
