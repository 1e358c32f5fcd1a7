//! A target folder of its own: there ptest starts a server of its own, which ends with it.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::rerun::Rerun;

pub(crate) struct Target {
    root: TempDir,
}

impl Target {
    /// A folder like Cargo's after a build, with this very binary.
    pub(crate) fn new() -> Target {
        let root = tempfile::tempdir().unwrap();
        // The server's user passes through it.
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let target = Target { root };
        fs::create_dir_all(target.path().join("debug/deps")).unwrap();
        fs::write(target.path().join("CACHEDIR.TAG"), "").unwrap();
        fs::write(target.path().join(".rustc_info.json"), "{}").unwrap();
        target.binary("it");
        target
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.root.path().join("target")
    }

    /// Another copy of the binary, as another one of the workspace would be.
    pub(crate) fn binary(&self, name: &str) -> PathBuf {
        let path = self.path().join("debug/deps").join(name);
        if !path.exists() {
            let this = std::env::current_exe().unwrap();
            fs::hard_link(&this, &path).or_else(|_| fs::copy(&this, &path).map(drop)).unwrap();
        }
        path
    }

    /// A run of one ignored test from this folder, on the server of this folder.
    pub(crate) fn test(&self, name: &str) -> Rerun {
        self.test_of("it", name)
    }

    pub(crate) fn test_of(&self, binary: &str, name: &str) -> Rerun {
        Rerun::of(&self.binary(binary), &["--exact", name]).env("PTEST_DATABASE_URL", "own")
    }

    /// Sends a signal to the server's first process.
    pub(crate) fn signal_server(&self, signal: &str) {
        let text = fs::read_to_string(self.path().join("ptest/server/data/postmaster.pid")).unwrap();
        let status = Command::new("kill").arg(format!("-{signal}")).arg(text.lines().next().unwrap()).status();
        assert!(status.unwrap().success());
    }

    fn server(&self) -> Option<PathBuf> {
        fs::canonicalize(self.path().join("ptest/server")).ok()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let Some(server) = self.server() else { return };
        stop(&server);
        // Where the folder's path is too long for a socket, or the server's user cannot enter it.
        let settings = fs::read_to_string(server.join("postgresql.conf")).unwrap_or_default();
        let sockets = settings.lines().find_map(|line| line.strip_prefix("unix_socket_directories = "));
        for elsewhere in [Some(server.clone()), sockets.map(|path| PathBuf::from(path.trim_matches('\'')))] {
            if let Some(path) = elsewhere.filter(|path| !path.starts_with(self.root.path())) {
                let _ = fs::remove_dir_all(path);
            }
        }
    }
}

/// Asks the server to stop, and waits until its keeper is gone.
fn stop(server: &Path) {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(30) {
        let Ok(keeper) = File::open(server.join("keeper.lock")) else { return };
        if keeper.try_lock().is_ok() {
            return;
        }
        let text = fs::read_to_string(server.join("data/postmaster.pid")).unwrap_or_default();
        if let Some(postmaster) = text.lines().next() {
            let _ = Command::new("kill").args(["-INT", postmaster]).stderr(Stdio::null()).status();
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
