//! SQLite: a template file, and slots that are private copies of it.
//!
//! ```text
//! target/ptest/sqlite/build.lock                   who makes a template
//! target/ptest/sqlite/<fingerprint>/template.sqlite
//! target/ptest/sqlite/<fingerprint>/<slot>.lock     who owns the slot
//! target/ptest/sqlite/<fingerprint>/<slot>-<generation>.sqlite
//! ```
//!
//! Nothing here knows a driver: files and locks only. What opens them is in `drivers/`.

pub(crate) mod audit;
#[cfg(test)]
pub(crate) mod child;
pub(crate) mod drivers;
mod engine;
pub(crate) mod error;
pub(crate) mod script;
pub(crate) mod slot;
pub(crate) mod template;
mod url;

pub(crate) use error::SqliteError;
pub use url::SqliteUrl;

use std::path::{Path, PathBuf};

/// Removes a database file and the files that SQLite keeps beside it.
///
/// Best effort: whoever calls this never uses the name again, so a file that cannot be removed costs only its space.
fn remove_database(path: &Path) {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut beside = path.as_os_str().to_owned();
        beside.push(suffix);
        let _ = std::fs::remove_file(PathBuf::from(beside));
    }
}
