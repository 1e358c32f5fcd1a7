//! The server's data: made once, thrown away when the server did not end cleanly.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;

use super::account::Account;
use super::binaries::{Binaries, Version};
use super::error::io_at;
use super::place::{Home, private_folder};
use super::{CLAIMS, OwnServerError, Result};
use crate::sys::random;

/// What the keeper writes into `data/clean` after a clean stop. Change it with the arguments of initdb.
pub(super) const MARK: &str = "ptest data 2";

/// The character classes that text functions know; collation is by bytes everywhere. macOS of old lacks the first.
const CTYPES: [&str; 3] = ["C.UTF-8", "en_US.UTF-8", "C"];

/// Whether the last server on the data ended cleanly and had these binaries' major version.
pub(super) fn is_reusable(home: &Home, binaries: &Binaries) -> bool {
    let data = home.folder.join("data");
    let says = |file: &str, what: &str| fs::read_to_string(data.join(file)).is_ok_and(|text| text.trim() == what);
    says("clean", MARK)
        && says("PG_VERSION", &binaries.version.major.to_string())
        && !data.join("postmaster.pid").exists()
}

/// Makes new data in the place of what there is.
pub(super) fn create(home: &Home, account: &Account, binaries: &Binaries) -> Result<()> {
    discard(home)?;
    // Under another name until it is complete, and a name of our own: the initdb of a killed process may still write.
    let new = home.folder.join(format!("new-{}", std::process::id()));
    private_folder(&new, account)?;
    let mut said = String::new();
    for ctype in CTYPES {
        let mut initdb = account.command(&binaries.program("initdb"));
        initdb.current_dir(&home.folder).arg("-D").arg(&new);
        initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]);
        initdb.arg(format!("--lc-ctype={ctype}"));
        if binaries.version.major >= 18 {
            initdb.arg("--no-data-checksums");
        }
        // Not a pipe: should we be killed, nothing of the test's own must be left open.
        let log = home.folder.join("initdb.log");
        let file = File::create(&log).map_err(io_at("create", &log))?;
        let copy = file.try_clone().map_err(io_at("open", &log))?;
        let done = account.status(initdb.stdout(file).stderr(copy))?;
        if done.success() {
            private_folder(&new.join(CLAIMS), account)?;
            let data = home.folder.join("data");
            return fs::rename(&new, &data).map_err(io_at("create", &data));
        }
        said = tail(&log, 0);
        if !said.contains("invalid locale") {
            break;
        }
    }
    let _ = fs::remove_dir_all(&new);
    Err(OwnServerError::Initdb { version: binaries.version.to_string(), output: said })
}

/// Removes the data, and what killed processes left of others.
///
/// A server whose keeper was killed ends by itself, within a minute, when its `postmaster.pid` is gone.
fn discard(home: &Home) -> Result<()> {
    let data = home.folder.join("data");
    let _ = fs::remove_file(data.join("postmaster.pid"));
    match fs::rename(&data, home.folder.join(format!("old-{}", std::process::id()))) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(io_at("move away", &data)(e)),
        _ => {}
    }
    for entry in fs::read_dir(&home.folder).map_err(io_at("read", &home.folder))?.flatten() {
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b"new-") || name.as_encoded_bytes().starts_with(b"old-") {
            // What a process still writes to can fail to go; the next time it will.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

/// Writes the settings for throw-away data: they go before initdb's own, and `ALTER SYSTEM` before them.
pub(super) fn configure(home: &Home, version: &Version) -> Result<()> {
    let sockets = home.sockets.display();
    let port = port();
    let mut text = format!(
        "\
include 'data/postgresql.conf'
listen_addresses = ''
port = {port}
unix_socket_directories = '{sockets}'
unix_socket_permissions = 0700
max_connections = 200
max_locks_per_transaction = 1024
shared_buffers = 128MB
# Nothing here is worth surviving a crash.
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off
wal_level = minimal
max_wal_senders = 0
wal_init_zero = off
wal_recycle = off
checkpoint_timeout = 1h
max_logical_replication_workers = 0
jit = off
timezone = UTC
log_timezone = UTC
lc_messages = C
# Tests make errors by the thousand.
log_min_messages = log
log_min_error_statement = panic
log_checkpoints = off
logging_collector = off
"
    );
    // A killed test holds its lease until its backend notices: at once, also in the midst of a long statement.
    if version.major >= if cfg!(target_os = "linux") { 14 } else { 15 } {
        text += "client_connection_check_interval = 500ms\n";
    }
    if version.major >= 18 {
        text += "io_method = sync\n";
    }
    let path = home.folder.join("postgresql.conf");
    fs::write(&path, text).map_err(io_at("write", &path))
}

/// A part of the socket's name, another one at each start: a server whose folder was removed under it lives on for a
/// while, and removes its socket by name when it ends.
fn port() -> u16 {
    10_000 + (random() % 50_000) as u16
}

/// The last lines of a log, of what follows `from`.
pub(super) fn tail(log: &Path, from: u64) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(bytes.get(from as usize..).unwrap_or_default());
    let lines: Vec<&str> = text.trim().lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
