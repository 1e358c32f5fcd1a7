//! The keeper: the server's parent process, which stops it when it is idle. What it does is in `keeper.sh`.
//!
//! It is alive exactly as long as `keeper.lock` is held: it inherits the lock as its standard output. It hears what is
//! written into the pipe `run/bell`, so that it can be told to stop without a signal to a pid that may be another's.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::account::Account;
use super::binaries::Binaries;
use super::error::io_at;
use super::place::Home;
use super::{OwnOptions, OwnServerError, PATIENCE, Proof, Result, address, data, is_ending};

const SCRIPT: &str = include_str!("keeper.sh");

/// How long a server that has been told to end may wait for those who use it.
const GRACE: Duration = Duration::from_secs(3);

/// How many looks without a use make a server idle.
const TICKS: u32 = 4;

/// Starts a keeper with its server, in a session of its own, and waits until the server answers.
pub(super) fn start(
    home: &Home,
    account: &Account,
    binaries: &Binaries,
    options: &OwnOptions,
) -> Result<(PathBuf, u16)> {
    data::configure(home, &binaries.version)?;
    write_script(home)?;
    let lock = lock(home)?;
    let log = home.folder.join("log");
    let log_file = OpenOptions::new().append(true).open(&log).map_err(io_at("open", &log))?;
    let said_before = log_file.metadata().map_err(io_at("examine", &log))?.len();
    if said_before > 1 << 20 {
        log_file.set_len(0).map_err(io_at("empty", &log))?;
    }
    let said_before = if said_before > 1 << 20 { 0 } else { said_before };

    // pg_ctl is used for its `setsid`, which macOS has no program for: it starts our shell as if that were `postgres`.
    let tick = options.idle_timeout.clamp(Duration::from_millis(400), Duration::from_hours(24 * 4)) / TICKS;
    let mut pg_ctl = account.command(&binaries.program("pg_ctl"));
    pg_ctl.args(["start", "--silent", "--no-wait", "-p", shell(), "-o", "\"$PWD/keeper.sh\""]);
    pg_ctl.env("PGDATA", "data").env("KEEPER_BIN", binaries.folder()).env("KEEPER_MARK", data::MARK);
    pg_ctl.env("KEEPER_TICK", seconds(tick)).env("KEEPER_TICKS", TICKS.to_string());
    account.status(pg_ctl.current_dir(&home.folder).stdout(lock).stderr(log_file))?;
    drop(pg_ctl);

    let begin = Instant::now();
    let version = binaries.version.to_string();
    loop {
        if let Some(address) = address(&home.folder, Proof::Keeper)? {
            return Ok(address);
        }
        if !is_alive(&home.folder)? {
            return Err(OwnServerError::Start { version, log: data::tail(&log, said_before) });
        }
        if begin.elapsed() > PATIENCE {
            stop(&home.folder)?;
            return Err(OwnServerError::Slow { version, after: PATIENCE, log: data::tail(&log, said_before) });
        }
        sleep(Duration::from_millis(3));
    }
}

/// Makes a keeper that still lives stop its server, and waits until both are gone. A server that ends already may wait for tests
/// of other processes, which get a moment.
pub(super) fn stop(home: &Path) -> Result<()> {
    let begin = Instant::now();
    while begin.elapsed() < GRACE && is_ending(home) && is_alive(home)? {
        sleep(Duration::from_millis(10));
    }
    for signal in ["INT", "QUIT", "KILL"] {
        // Again and again: a keeper that has only just started does not listen yet.
        for _ in 0..25 {
            if !is_alive(home)? {
                return Ok(());
            }
            ring(home, signal);
            let rung = Instant::now();
            while is_alive(home)? && rung.elapsed() < Duration::from_millis(200) {
                sleep(Duration::from_millis(3));
            }
        }
    }
    Ok(())
}

/// Has the keeper signal its server.
fn ring(home: &Path, signal: &str) {
    // Opened for reading too, so that it does not wait for a reader. A keeper that is going need not hear it. The folder is the
    // server's user's, who could have put a link there.
    let nofollow = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let open = OpenOptions::new().read(true).write(true).custom_flags(nofollow).open(home.join("run/bell"));
    if let Ok(mut bell) = open {
        let _ = writeln!(bell, "signal {signal}");
    }
}

/// Whether a keeper holds its lock.
pub(super) fn is_alive(home: &Path) -> Result<bool> {
    let path = home.join("keeper.lock");
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(io_at("open", &path)(e)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(e)) => Err(io_at("lock", &path)(e)),
    }
}

/// Takes the lock for the keeper to be. One that hangs, though told to stop, keeps its lock, on a file of no name.
fn lock(home: &Home) -> Result<File> {
    let path = home.folder.join("keeper.lock");
    for _ in 0..2 {
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = open.map_err(io_at("open", &path))?;
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => fs::remove_file(&path).map_err(io_at("remove", &path))?,
            Err(TryLockError::Error(e)) => return Err(io_at("lock", &path)(e)),
        }
    }
    Err(OwnServerError::Locked { path, after: Duration::ZERO })
}

/// Puts the script beside the data, replacing it as a whole.
fn write_script(home: &Home) -> Result<()> {
    let path = home.folder.join("keeper.sh");
    let new = home.folder.join("keeper.sh.new");
    fs::write(&new, SCRIPT).and_then(|()| fs::rename(&new, &path)).map_err(io_at("write", &path))
}

/// The shell for the script: bash where there is one, because dash cannot close a descriptor above 9.
fn shell() -> &'static str {
    ["/bin/bash", "/usr/bin/bash"].into_iter().find(|shell| Path::new(shell).exists()).unwrap_or("/bin/sh")
}

/// For `sleep`: fractions only where they matter, because not every system takes them.
fn seconds(tick: Duration) -> String {
    if tick < Duration::from_secs(5) { format!("{:.2}", tick.as_secs_f64()) } else { tick.as_secs().to_string() }
}
