//! What `cargo ptest` asks of ptest. Follows no semver.

use std::path::{Path, PathBuf};

use crate::config::{Config, ServerChoice};
use crate::engine::kept;
use crate::pg::inventory;
pub use crate::pg::inventory::{DatabaseStatus, ServerStatus};
use crate::pg::server::{self, Address, Stopped};

/// A database that was kept.
#[derive(Debug)]
pub struct KeptDatabase {
    /// The test that had it, where that is known.
    pub test: Option<String>,
    /// The line of a shell that opens it.
    pub open: String,
    /// How many seconds ago it was kept.
    pub age: u64,
}

/// What became of a server that was to be stopped.
#[derive(Debug, PartialEq, Eq)]
pub enum Stop {
    /// It runs no more.
    Stopped,
    /// It did not run.
    NotRunning,
    /// A test uses it.
    InUse,
    /// It is the user's.
    NotOurs,
}

/// Has ptest work for the workspace that has this target folder. Must come first.
pub fn work_in(target: &Path) {
    crate::config::stand_in(target);
}

/// ptest's folder of the workspace.
pub fn folder() -> crate::Result<PathBuf> {
    Ok(Config::get()?.target_dir.clone())
}

/// Starts ptest's own server, if it is used and does not run.
pub fn start() -> crate::Result<()> {
    let config = Config::get()?;
    server::find(config, &config.server)?;
    Ok(())
}

/// The server, if it runs.
pub fn status() -> crate::Result<Option<ServerStatus>> {
    running()?.map(|server| Ok(block_on(inventory::status(&server))??)).transpose()
}

/// Drops all of ptest's databases on the server that are not in use, and names them.
pub fn clean() -> crate::Result<Vec<String>> {
    running()?.map_or(Ok(Vec::new()), |server| Ok(block_on(inventory::clean(&server))??))
}

/// Stops ptest's own server, unless a test uses it.
pub fn stop() -> crate::Result<Stop> {
    let config = Config::get()?;
    if config.server != ServerChoice::Own {
        return Ok(Stop::NotOurs);
    }
    Ok(match server::stop(config)? {
        Stopped::Yes => Stop::Stopped,
        Stopped::NotRunning => Stop::NotRunning,
        Stopped::InUse => Stop::InUse,
    })
}

/// The databases that `PTEST_KEEP` has kept, the newest first.
pub fn kept() -> crate::Result<Vec<KeptDatabase>> {
    let mut all: Vec<KeptDatabase> = kept::all(&Config::get()?.target_dir)
        .into_iter()
        .map(|(age, test, open)| KeptDatabase { test, open, age: age.as_secs() })
        .collect();
    all.sort_by_key(|kept| kept.age);
    Ok(all)
}

fn running() -> crate::Result<Option<Address>> {
    let config = Config::get()?;
    Ok(server::find_running(config, &config.server)?)
}

fn block_on<T>(work: impl Future<Output = T>) -> crate::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(crate::Error::other)?;
    Ok(runtime.block_on(work))
}
