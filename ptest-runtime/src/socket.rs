//! The socket of a test: where clients that need an address find the sandbox.
//!
//! Each test has a socket of its own, in a folder that only this user can enter; so a client that one test left behind
//! cannot reach the next.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::net::UnixListener;

use crate::lease::LeaseError;

/// A bound socket; its file goes with it.
#[derive(Debug)]
pub(crate) struct Socket {
    folder: PathBuf,
    port: u16,
    secret: i32,
}

/// The ports of this process; a port is a part of the socket's name, nothing more.
static LAST: AtomicU32 = AtomicU32::new(0);

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
        let _ = fs::remove_file(self.path());
        // Succeeds for the last socket of the process.
        let _ = fs::remove_dir(&self.folder);
    }
}

/// A folder of this process. Its path is short: a socket's may have 107 bytes, on macOS 103.
fn folder() -> PathBuf {
    std::env::temp_dir().join(format!("ptest-{}", std::process::id()))
}

fn bind_in(folder: &Path) -> io::Result<(UnixListener, Socket)> {
    let mut tries = 0;
    loop {
        private_folder(folder)?;
        let port = (LAST.fetch_add(1, Ordering::Relaxed) % 60_000 + 1) as u16;
        let secret = random();
        let socket = folder.join(format!(".s.PGSQL.{port}"));
        tries += 1;
        match UnixListener::bind(&socket) {
            Ok(listener) => return Ok((listener, Socket { folder: folder.to_owned(), port, secret })),
            // Left behind by a killed process of the same number: nobody listens there.
            Err(e) if e.kind() == io::ErrorKind::AddrInUse && tries < 100 => {
                if std::os::unix::net::UnixStream::connect(&socket).is_err() {
                    let _ = fs::remove_file(&socket);
                }
            }
            // Another thread's last socket has just taken the folder with it.
            Err(e) if e.kind() == io::ErrorKind::NotFound && tries < 100 => {}
            Err(e) => return Err(e),
        }
    }
}

fn private_folder(folder: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
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
