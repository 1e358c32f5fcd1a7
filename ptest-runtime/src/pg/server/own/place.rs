//! Where the server lives: its home under `target/ptest`, or, where the server's user cannot work there, outside.
//!
//! The home belongs to us and holds what we write (locks, settings, the keeper's script); only in its folders `data`
//! and `run`, mode 0700, does the server's user write. The socket is in `run`, or in a folder of a shorter name.
//!
//! Outside of `target` others may make folders too. There a home is one that this user has made, by a name that is found again
//! when `target` was removed; where somebody else has the name, by one that nobody can guess, to which the link leads.

use std::fs::{self, DirBuilder, File, Metadata, Permissions};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::account::Account;
use super::error::io_at;
use super::{OwnOptions, OwnServerError, Result};
use crate::sys;

/// The longest path of a Unix socket, without its terminating zero.
const LONGEST_SOCKET: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// A port names the socket, and nothing else: the server listens on no network.
pub(super) const LONGEST_PORT: u16 = u16::MAX;

/// The folder that ptest may use: `target/ptest`.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    folder: PathBuf,
}

impl Place {
    pub(crate) fn under(target_ptest_dir: &Path) -> Result<Place> {
        let folder = std::path::absolute(target_ptest_dir).map_err(io_at("find", target_ptest_dir))?;
        fs::create_dir_all(&folder).map_err(io_at("create", &folder))?;
        Ok(Place { folder })
    }

    /// The server's home, or a link to it. Binaries or a place that the user chose get a server of their own.
    pub(super) fn home(&self, options: &OwnOptions) -> PathBuf {
        let mut name = "server".to_owned();
        for chosen in [&options.pg_bin, &options.data_dir].into_iter().flatten() {
            let chosen = std::path::absolute(chosen).unwrap_or_else(|_| chosen.to_owned());
            name = format!("{name}-{}", &hash(&chosen)[..8]);
        }
        self.folder.join(name)
    }

    pub(super) fn start_lock(&self, home: &Path) -> PathBuf {
        home.with_extension("lock")
    }
}

/// A folder that is fit for a server: the server's user can work in it.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) folder: PathBuf,
    /// Where the socket will be.
    pub(super) sockets: PathBuf,
}

impl Home {
    /// Makes the home at `link`; or elsewhere, and links to it. Where the user has chosen a folder for it, only there.
    pub(super) fn settle(link: &Path, account: &Account, chosen: Option<&Path>) -> Result<Home> {
        let name = format!("ptest-{}", hash_of_link(link));
        if let Some(chosen) = chosen {
            let parent = std::path::absolute(chosen).unwrap_or_else(|_| chosen.to_owned());
            return Home::outside(link, &parent, &name, account);
        }
        let mut first_error = None;
        if !link.is_symlink() {
            match Home::furnish(link, account, false) {
                Ok(home) => return Ok(home),
                Err(error) => first_error = Some(abandon(link, error)),
            }
        }
        // Nothing cleans up /var/cache, where root may write; the others may be all that is left.
        for parent in ["/var/cache", "/var/tmp", "/tmp"] {
            match Home::outside(link, Path::new(parent), &name, account) {
                Ok(home) => return Ok(home),
                Err(error) => _ = first_error.get_or_insert(error),
            }
        }
        Err(first_error.expect("there are several folders to try"))
    }

    /// Makes a home in a folder that others may use too, and links to it.
    fn outside(link: &Path, parent: &Path, name: &str, account: &Account) -> Result<Home> {
        let linked = fs::read_link(link).ok().filter(|folder| folder.parent() == Some(parent) && is_ours(folder));
        let named = parent.join(name);
        let folder = match linked {
            Some(folder) => folder,
            None if named.symlink_metadata().is_err() || is_ours(&named) => named,
            // Somebody else has the name.
            None => sys::new_folder(parent, &format!("{name}-")).map_err(io_at("create a folder in", parent))?,
        };
        let home = Home::furnish(&folder, account, true).and_then(|home| point(link, &folder).map(|()| home));
        home.map_err(|error| abandon(&folder, error))
    }

    /// Makes `folder` a home, unless it is not ours or the server's user cannot work in it. Below `target`, root takes that of the
    /// server's user for ours; where others make folders too, it could be anybody's.
    fn furnish(folder: &Path, account: &Account, is_shared: bool) -> Result<Home> {
        make_folder(folder)?;
        let found = fs::symlink_metadata(folder).map_err(io_at("examine", folder))?;
        let owned = found.uid() == account.me || !is_shared && account.me == 0 && found.uid() == account.uid();
        if !found.is_dir() || !owned || found.mode() & 0o022 != 0 {
            return Err(unfit(folder, "it belongs to another user, or others can write to it"));
        }
        if found.mode() & 0o777 == 0o700 {
            // The server's user passes through it.
            fs::set_permissions(folder, Permissions::from_mode(0o755)).map_err(io_at("set the mode of", folder))?;
        }

        let run = folder.join("run");
        private_folder(&run, account)?;
        // To open a pipe that a killed process left would wait for ever.
        let script = "rm -f probe && : > probe && rm probe && mkfifo probe && rm probe";
        let probe = account.output(account.command(Path::new("sh")).args(["-c", script]).current_dir(&run));
        match probe {
            Ok(probe) if probe.status.success() => {}
            Ok(probe) => return Err(unfit(folder, String::from_utf8_lossy(&probe.stderr).trim())),
            Err(error) => return Err(error),
        }

        for name in ["use.lock", "keeper.lock", "log"] {
            let path = folder.join(name);
            if !path.exists() {
                let make = || File::create_new(&path)?.set_permissions(Permissions::from_mode(0o600));
                make().map_err(io_at("create", &path))?;
                account.give(&path)?;
            }
        }
        let sockets = if can_hold_socket(&run) { run } else { short_folder(folder, account)? };
        Ok(Home { folder: folder.to_owned(), sockets })
    }
}

/// Whether a folder is one that this user has made, and no other can write to.
fn is_ours(folder: &Path) -> bool {
    fs::symlink_metadata(folder)
        .is_ok_and(|found| found.is_dir() && found.uid() == sys::user() && found.mode() & 0o022 == 0)
}

/// Removes a folder that cannot be a home, if it is empty.
fn abandon(folder: &Path, error: OwnServerError) -> OwnServerError {
    let _ = fs::remove_dir(folder.join("run"));
    let _ = fs::remove_dir(folder);
    error
}

/// Makes `link` a link to `folder`.
fn point(link: &Path, folder: &Path) -> Result<()> {
    if link.is_symlink() {
        fs::remove_file(link).map_err(io_at("replace", link))?;
    }
    symlink(folder, link).map_err(io_at("create", link))
}

/// A folder of mode 0700 that belongs to the server's user.
pub(super) fn private_folder(path: &Path, account: &Account) -> Result<()> {
    make_folder(path)?;
    let examine = || -> Result<Metadata> { fs::symlink_metadata(path).map_err(io_at("examine", path)) };
    if examine()?.is_dir() && examine()?.uid() == account.me {
        account.give(path)?;
    }
    let found = examine()?;
    if !found.is_dir() || found.uid() != account.uid() || found.mode() & 0o777 != 0o700 {
        return Err(unfit(path, format!("it is not a folder of mode 0700 that belongs to {account}")));
    }
    Ok(())
}

/// Makes a folder of mode 0700; false where something was there already.
fn make_folder(path: &Path) -> Result<bool> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(e) => Err(io_at("create", path)(e)),
    }
}

/// Whether the socket's path is short enough, plain enough for every client's syntax, and on a file system with sockets.
fn can_hold_socket(folder: &Path) -> bool {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"/._-+@".contains(b);
    let socket = folder.join(format!(".s.PGSQL.{LONGEST_PORT}"));
    let bytes = socket.as_os_str().as_bytes();
    let probe = folder.join("probe");
    let _ = fs::remove_file(&probe);
    let fits = bytes.len() <= LONGEST_SOCKET && bytes.iter().all(plain) && UnixListener::bind(&probe).is_ok();
    let _ = fs::remove_file(probe);
    fits
}

/// A folder for the socket whose path is short whatever the home's is.
fn short_folder(home: &Path, account: &Account) -> Result<PathBuf> {
    let name = format!("ptest-{}-run", hash(home));
    let [first, second] = ["/tmp", "/var/tmp"].map(|parent| Path::new(parent).join(&name));
    if let Some(folder) = [first, second].into_iter().find(|folder| private_folder(folder, account).is_ok()) {
        return Ok(folder);
    }
    // Others have both names.
    let folder = sys::new_folder(Path::new("/tmp"), &format!("{name}-"))
        .map_err(io_at("create a folder in", Path::new("/tmp")))?;
    private_folder(&folder, account).map(|()| folder)
}

fn unfit(path: &Path, reason: impl Into<String>) -> OwnServerError {
    OwnServerError::Unfit { path: path.to_owned(), reason: reason.into() }
}

/// Sixteen digits that stand for the link itself, wherever it leads.
pub(super) fn hash_of_link(link: &Path) -> String {
    let folder = link.parent().map(|folder| fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned()));
    hash(&folder.unwrap_or_default().join(link.file_name().unwrap_or_default()))
}

/// Sixteen digits that stand for a path.
fn hash(path: &Path) -> String {
    Sha256::digest(path.as_os_str().as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
