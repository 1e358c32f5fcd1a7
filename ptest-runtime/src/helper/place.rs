//! Where the helper of a workspace and user is found: a socket in a folder that only this user can enter, and a log.
//!
//! The folder's name stands for the workspace, the user and the version of ptest, so that others have helpers of their own.

use std::fs::{self, DirBuilder};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::PATIENCE;
use super::message::PROTOCOL;
use crate::config::{self, Config};
use crate::sys;

#[derive(Debug)]
pub(super) struct Place {
    pub(super) folder: PathBuf,
    /// What the helper says; its lock is the helper's.
    pub(super) log: PathBuf,
}

impl Place {
    pub(super) fn of(config: &Config) -> Place {
        let version = env!("CARGO_PKG_VERSION");
        let mut hash = DefaultHasher::new();
        let user = sys::user();
        (&config.target_dir, user, version, PROTOCOL).hash(&mut hash);
        Place {
            folder: config::socket_dir().join(format!("ptest-helper-{:016x}", hash.finish())),
            log: config.target_dir.join(format!("helper-{version}-{user}.log")),
        }
    }

    pub(super) fn socket(&self) -> PathBuf {
        socket_in(&self.folder)
    }

    /// Connects to the helper of this user, if there is one.
    pub(super) fn connect(&self) -> Option<UnixStream> {
        let helper = UnixStream::connect(self.socket()).ok()?;
        helper.set_read_timeout(Some(PATIENCE)).ok()?;
        helper.set_write_timeout(Some(PATIENCE)).ok()?;
        (is_this_user(&helper) && sys::is_private(&self.folder).unwrap_or(false)).then_some(helper)
    }

    /// Makes the folder.
    pub(super) fn furnish(&self) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(&self.folder) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            other => other?,
        }
        match sys::is_private(&self.folder)? {
            true => Ok(()),
            false => Err(io::Error::new(io::ErrorKind::PermissionDenied, "the helper's folder is not private")),
        }
    }

    /// Takes a helper that does not answer out of the way: it ends when it finds its socket gone.
    pub(super) fn abandon(&self, wedged: &UnixStream) {
        // Another test may have started another helper meanwhile.
        if self.connect().is_some_and(|now| pid(&now) == pid(wedged)) {
            let _ = fs::remove_file(&self.log);
            let _ = fs::remove_file(self.socket());
        }
    }
}

pub(super) fn socket_in(folder: &Path) -> PathBuf {
    folder.join("helper")
}

/// Whether the other end is a process of this user (`SO_PEERCRED`).
#[cfg(target_os = "linux")]
pub(super) fn is_this_user(stream: &UnixStream) -> bool {
    rustix::net::sockopt::socket_peercred(stream).is_ok_and(|peer| peer.uid.as_raw() == sys::user())
}

/// Elsewhere the folder's mode must do.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_this_user(_: &UnixStream) -> bool {
    true
}

/// The process that made the socket of the other end.
#[cfg(target_os = "linux")]
fn pid(stream: &UnixStream) -> Option<rustix::process::Pid> {
    rustix::net::sockopt::socket_peercred(stream).ok().map(|peer| peer.pid)
}

#[cfg(not(target_os = "linux"))]
fn pid(_: &UnixStream) -> Option<rustix::process::Pid> {
    None
}
