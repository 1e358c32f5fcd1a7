//! The search for the server: the one that a URL names, else ptest's own.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::own::{self, OwnOptions, OwnServer, Place, Stopped};
use super::{Address, Endpoint, ServerError};
use crate::config::{Config, ServerChoice};

/// The own server that this process uses; its lock keeps it from being stopped.
static IN_USE: Mutex<Option<OwnServer>> = Mutex::new(None);

/// What ptest may do on a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offers {
    /// Make its own databases.
    Databases,
    /// Use the one database that the address names.
    One,
}

/// The server of this process's tests, and what it offers. Ptest's own can have died since it was last seen: who cannot connect may
/// [`revive`] it.
pub(crate) fn find(config: &Config, choice: &ServerChoice) -> Result<(Address, Offers), ServerError> {
    match choice {
        ServerChoice::Url { url, origin } => {
            let address = Address::from_url(url, &origin.to_string())?;
            Ok(match config.single_database.clone() {
                Some(database) => (Address { database, ..address }, Offers::One),
                None => (address, Offers::Databases),
            })
        }
        ServerChoice::Own if config.single_database.is_some() => Err(ServerError::SingleOfNone),
        ServerChoice::Own => {
            let mut in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
            let server = match &*in_use {
                Some(server) => address(server),
                None => address(in_use.insert(own::ensure(&place(config)?, &options(config))?)),
            };
            Ok((server, Offers::Databases))
        }
    }
}

/// Starts ptest's own server if it does not answer; `None`: the server is not ptest's.
pub(crate) fn revive(config: &Config, choice: &ServerChoice) -> Result<Option<Address>, ServerError> {
    match choice {
        ServerChoice::Url { .. } => Ok(None),
        ServerChoice::Own => {
            let mut in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(Some(address(in_use.insert(own::revive(&place(config)?, &options(config))?))))
        }
    }
}

/// The server of a choice, if it runs: it is not started.
pub(crate) fn find_running(config: &Config, choice: &ServerChoice) -> Result<Option<Address>, ServerError> {
    match choice {
        ServerChoice::Url { .. } => find(config, choice).map(|(address, _)| Some(address)),
        ServerChoice::Own => Ok(own::running(&place(config)?, &options(config))?.as_ref().map(address)),
    }
}

/// Stops ptest's own server, unless a process uses it.
pub(crate) fn stop(config: &Config) -> Result<Stopped, ServerError> {
    Ok(own::stop(&place(config)?, &options(config))?)
}

/// The folder of the claims on databases of ptest's own server; `None`: the server is the user's.
pub(crate) fn claims(server: &Address) -> Option<PathBuf> {
    own::claims(server.home.as_deref()?)
}

/// Whether ptest's own server runs, as far as can be told without asking it.
pub(crate) fn is_kept(server: &Address) -> bool {
    server.home.as_deref().is_some_and(own::is_kept)
}

/// Whether it is ptest's own server, and has been told to end: another must take its place.
pub(crate) fn is_ending(server: &Address) -> bool {
    server.home.as_deref().is_some_and(own::is_ending)
}

fn options(config: &Config) -> OwnOptions {
    OwnOptions {
        pg_bin: config.pg_bin.clone(),
        data_dir: config.data_dir.clone(),
        path: config.path.clone(),
        idle_timeout: config.idle_timeout.unwrap_or(Duration::MAX),
        progress: crate::sys::progress,
    }
}

fn place(config: &Config) -> Result<Place, ServerError> {
    Ok(Place::under(&config.target_dir)?)
}

fn address(server: &OwnServer) -> Address {
    Address {
        endpoint: Endpoint::Unix { folder: server.socket_dir.clone(), port: server.port },
        user: "postgres".to_owned(),
        password: None,
        database: "postgres".to_owned(),
        origin: "ptest's own server".to_owned(),
        home: Some(server.home.clone()),
    }
}
