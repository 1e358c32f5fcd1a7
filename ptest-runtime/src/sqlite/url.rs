//! The address of a test's SQLite database, for clients that ptest does not know.

use std::fmt;
use std::path::{Path, PathBuf};

/// The address of the test's SQLite database: `sqlite:///…/target/ptest/sqlite/….sqlite`.
///
/// The file is the test's own copy, in WAL mode. Any number of connections, of this process or another, may read, write
/// and commit; the copy is thrown away with the test.
#[derive(Debug, Clone)]
pub struct SqliteUrl {
    url: String,
    path: PathBuf,
}

impl SqliteUrl {
    pub(crate) fn new(url: String, path: PathBuf) -> Self {
        SqliteUrl { url, path }
    }

    /// The address as a URL.
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// The file itself, for clients that take a path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl AsRef<str> for SqliteUrl {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for SqliteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
