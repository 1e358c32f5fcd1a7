//! ptest's own PostgreSQL server: one per workspace, started by whoever needs it first, stopped when nobody does.
//!
//! Who may do what to it is decided by locks on three files, which die with their holders:
//!
//! | file | shared by | exclusive to |
//! |---|---|---|
//! | `server.lock` | | the process that looks why there is no server, and starts it |
//! | `use.lock` | every process that uses the server, for its life | the keeper, while it stops the idle server |
//! | `keeper.lock` | | the keeper, the server's parent process, for its life |
//!
//! No process is ever signalled by a pid that was read from a file. A server that did not end cleanly loses its data:
//! they are not worth a recovery, and without `fsync` could not have one.

mod account;
mod binaries;
mod data;
mod error;
mod keeper;
mod lock;
mod place;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::BytesMut;

pub(crate) use error::OwnServerError;
pub(crate) use place::Place;

use account::Account;
use binaries::Binaries;
use error::io_at;
use place::Home;

type Result<T, E = OwnServerError> = std::result::Result<T, E>;

/// A server that runs, and keeps running at least as long as this value lives.
///
/// Its superuser is `postgres`, without a password.
#[derive(Debug)]
pub(crate) struct OwnServer {
    /// Its home, or a link to it.
    pub(crate) home: PathBuf,
    pub(crate) socket_dir: PathBuf,
    /// Names the socket: `.s.PGSQL.<port>`.
    pub(crate) port: u16,
    /// The shared lock on `use.lock`.
    #[expect(dead_code, reason = "held, never read")]
    in_use: File,
}

/// What the user can choose about the server.
#[derive(Debug, Clone)]
pub(crate) struct OwnOptions {
    /// `PTEST_PG_BIN`: the folder of `initdb`, `postgres` and `pg_ctl`.
    pub(crate) pg_bin: Option<PathBuf>,
    /// `PTEST_DATA_DIR`: where its home is made.
    pub(crate) data_dir: Option<PathBuf>,
    /// `PATH`.
    pub(crate) path: Option<OsString>,
    /// `PTEST_IDLE_TIMEOUT`: how long the server runs on when nobody uses it. The process that starts it decides.
    pub(crate) idle_timeout: Duration,
    /// Told what takes long.
    pub(crate) progress: fn(&str),
}

/// The folder of the claims on databases, in the data, with which it goes.
const CLAIMS: &str = "ptest_claims";

/// How long to wait for another process, and for a server to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// Gives the running server, which costs a dozen system calls; or starts it, once however many processes ask.
///
/// For some milliseconds after a crash it can give a server that is gone: who cannot connect asks [`revive`].
pub(crate) fn ensure(place: &Place, options: &OwnOptions) -> Result<OwnServer> {
    match join(&place.home(options), Proof::Keeper)? {
        Some(server) => Ok(server),
        None => revive(place, options),
    }
}

/// What became of a server that was to be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stopped {
    Yes,
    NotRunning,
    /// A process uses it.
    InUse,
}

/// The server, if it answers.
pub(crate) fn running(place: &Place, options: &OwnOptions) -> Result<Option<OwnServer>> {
    join(&place.home(options), Proof::Answer)
}

/// Stops the server, unless a process uses it.
pub(crate) fn stop(place: &Place, options: &OwnOptions) -> Result<Stopped> {
    let link = place.home(options);
    let _starting = lock::exclusive(&place.start_lock(&link), || {})?;
    let Ok(folder) = fs::canonicalize(&link) else { return Ok(Stopped::NotRunning) };
    if !keeper::is_alive(&folder)? {
        return Ok(Stopped::NotRunning);
    }
    // Held until it has stopped: whoever comes meanwhile waits for it.
    let Some(_in_use) = lock::free(&folder.join("use.lock"))? else { return Ok(Stopped::InUse) };
    keeper::stop(&folder)?;
    Ok(Stopped::Yes)
}

/// The folder of the claims on the databases of the server at home there, if it has one.
pub(crate) fn claims(home: &Path) -> Option<PathBuf> {
    Some(home.join("data").join(CLAIMS)).filter(|folder| folder.is_dir())
}

/// Whether the keeper of the server at home there lives. Without one it may still answer.
pub(crate) fn is_kept(home: &Path) -> bool {
    matches!(address(home, Proof::Keeper), Ok(Some(_)))
}

/// Whether the server at home there has been told to end. It lets nobody in any more; told kindly (SIGTERM, as by a machine that
/// goes down), it waits until all who are connected have gone (PostgreSQL manual, section 19.5).
pub(crate) fn is_ending(home: &Path) -> bool {
    let text = fs::read_to_string(home.join("data/postmaster.pid")).unwrap_or_default();
    text.lines().nth(7).is_some_and(|status| status.trim() == "stopping")
}

/// Gives a server that has just answered, if need be after starting it.
pub(crate) fn revive(place: &Place, options: &OwnOptions) -> Result<OwnServer> {
    let link = place.home(options);
    let _starting = lock::exclusive(&place.start_lock(&link), || {
        (options.progress)("waiting for another process to start the PostgreSQL server");
    })?;
    if let Some(server) = join(&link, Proof::Answer)? {
        return Ok(server);
    }

    let binaries = Binaries::find(options)?;
    let account = Account::for_server(&link, options.path.as_deref())?;
    let home = Home::settle(&link, &account, options.data_dir.as_deref())?;
    let in_use = enter(&home.folder)?;
    // A home outside of `target/` outlives the link to it, and so may its server.
    let address = match address(&home.folder, Proof::Answer)? {
        Some(address) => address,
        None => start(&home, &account, &binaries, options)?,
    };
    let (socket_dir, port) = address;
    Ok(OwnServer { home: link, socket_dir, port, in_use: in_use.expect("use.lock was made with its home") })
}

/// Starts the server on the data that a clean stop left, else on new ones.
fn start(home: &Home, account: &Account, binaries: &Binaries, options: &OwnOptions) -> Result<(PathBuf, u16)> {
    keeper::stop(&home.folder)?;
    if data::is_reusable(home, binaries) {
        match keeper::start(home, account, binaries, options) {
            Err(OwnServerError::Start { .. }) => {}
            done => return done,
        }
    }

    let version = &binaries.version;
    let place = home.folder.display();
    (options.progress)(&format!("creating a PostgreSQL {version} server in {place} (once, about a second)"));
    data::create(home, account, binaries)?;
    keeper::start(home, account, binaries, options)
}

/// What tells that the server runs.
#[derive(Clone, Copy)]
enum Proof {
    /// Its keeper lives, which is cheap to see, and ends with it.
    Keeper,
    /// It answers, for which it forks a process. Holds also for a server whose keeper was killed.
    Answer,
}

/// The server, if it runs: from now on it is in use by this process, and so not stopped when found.
fn join(home: &Path, proof: Proof) -> Result<Option<OwnServer>> {
    let Some(in_use) = enter(home)? else { return Ok(None) };
    Ok(address(home, proof)?.map(|(socket_dir, port)| OwnServer { home: home.to_owned(), socket_dir, port, in_use }))
}

/// Takes the shared lock and notes the time; `None` where there is no home yet.
fn enter(home: &Path) -> Result<Option<File>> {
    let path = home.join("use.lock");
    let Some(file) = lock::shared(&path)? else { return Ok(None) };
    file.set_modified(SystemTime::now()).map_err(io_at("touch", &path))?;
    Ok(Some(file))
}

/// Where the server listens, if it does: the folder of its socket, and the port that names it.
fn address(home: &Path, proof: Proof) -> Result<Option<(PathBuf, u16)>> {
    let path = home.join("data/postmaster.pid");
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(io_at("read", &path)(e)),
    };
    let Some((socket_dir, port)) = address_in(&text) else { return Ok(None) };

    let socket = socket_dir.join(format!(".s.PGSQL.{port}"));
    let runs = match proof {
        Proof::Keeper => socket.exists() && keeper::is_alive(home)?,
        Proof::Answer => answers(&socket).is_ok(),
    };
    Ok(runs.then_some((socket_dir, port)))
}

/// Asks the server whether it speaks TLS: any answer will do. A connect alone would succeed with one that is dying.
fn answers(socket: &Path) -> io::Result<()> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut message = BytesMut::new();
    crate::pg::wire::frontend::ssl_request(&mut message);
    stream.write_all(&message)?;
    stream.read_exact(&mut [0])
}

/// Reads `postmaster.pid`: pid, data folder, start time, port, socket folder, address, memory key, status.
fn address_in(text: &[u8]) -> Option<(PathBuf, u16)> {
    // ptest chose the socket folder, so that it is plain ASCII.
    let lines: Vec<&str> = std::str::from_utf8(text).ok()?.lines().map(str::trim).collect();
    match lines[..] {
        [_, _, _, port, socket_dir, _, _, "ready", ..] => Some((socket_dir.into(), port.parse().ok()?)),
        _ => None,
    }
}
