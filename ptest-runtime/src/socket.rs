//! The socket of a test: where clients that need an address find the sandbox.
//!
//! Each test has a socket of its own, in a folder that only this user can enter; so a client that one test left behind
//! cannot reach the next.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tokio::net::UnixListener;

use crate::config;
use crate::lease::LeaseError;

/// The longest path of a socket, without its terminating zero.
const LONGEST: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// A bound socket; its file goes with it.
#[derive(Debug)]
pub(crate) struct Socket {
    folder: PathBuf,
    port: u16,
    secret: i32,
}

/// The sockets of this process: how many are bound, and the number of the last one. Folder and sockets come and go under
/// this lock, so that the last socket does not take the folder from under a new one.
static SOCKETS: Mutex<(usize, u32)> = Mutex::new((0, 0));

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
        sockets.0 -= 1;
        if sockets.0 == 0 {
            let _ = fs::remove_dir(&self.folder);
        }
    }
}

/// A folder of this process, whose path leaves room for a socket's.
fn folder() -> PathBuf {
    let name = format!("ptest-{}", std::process::id());
    let folder = config::socket_dir().join(&name);
    let longest = folder.as_os_str().len() + "/.s.PGSQL.65535".len();
    if longest <= LONGEST { folder } else { Path::new("/tmp").join(name) }
}

fn bind_in(folder: &Path) -> io::Result<(UnixListener, Socket)> {
    let mut sockets = SOCKETS.lock().unwrap_or_else(PoisonError::into_inner);
    if sockets.0 == 0 {
        private_folder(folder)?;
    }
    loop {
        sockets.1 += 1;
        // A port is a part of the socket's name, nothing more.
        let port = (sockets.1 % 60_000 + 1) as u16;
        let path = folder.join(format!(".s.PGSQL.{port}"));
        match UnixListener::bind(&path) {
            Ok(listener) => {
                sockets.0 += 1;
                return Ok((listener, Socket { folder: folder.to_owned(), port, secret: random() }));
            }
            // Left behind by a killed process of the same number, or one of ours that is still in use.
            Err(e) if e.kind() == io::ErrorKind::AddrInUse && sockets.1 < u32::MAX => {
                if std::os::unix::net::UnixStream::connect(&path).is_err() {
                    fs::remove_file(&path)?;
                }
            }
            Err(e) => return Err(e),
        }
    }
}

fn private_folder(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        // A killed process of the same number left it, or somebody means ill.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        other => return other,
    }
    let found = fs::symlink_metadata(folder)?;
    let ours = found.is_dir() && found.permissions().mode() & 0o077 == 0 && found.uid() == uid(folder)?;
    if ours {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, "the folder exists, and is not private to this user"))
}

/// This user's number, as the owner of a file just made.
fn uid(folder: &Path) -> io::Result<u32> {
    let probe = folder.join(format!(".probe-{:?}", std::thread::current().id()));
    let file = fs::File::create(&probe)?;
    let uid = file.metadata()?.uid();
    fs::remove_file(probe)?;
    Ok(uid)
}

fn random() -> i32 {
    use std::hash::{BuildHasher, Hasher};
    // The standard library seeds each hasher's keys from the system's randomness.
    std::collections::hash_map::RandomState::new().build_hasher().finish() as i32
}
