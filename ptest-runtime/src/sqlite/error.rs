//! What can go wrong between a test and its SQLite database.

use std::io;
use std::path::PathBuf;

use crate::error::{Cause, Failure};
use crate::schema::StepError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum SqliteError {
    #[error("cannot {action} {}", path.display())]
    File { action: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot open the test's SQLite database {}", path.display())]
    Open { path: PathBuf, source: Cause },
    #[error("cannot build the SQLite template {}", path.display())]
    Build { path: PathBuf, source: Cause },
    #[error("cannot {verb} the SQLite template")]
    Apply { verb: &'static str, source: StepError },
    #[error("cannot run fixture {path}:{line}")]
    Fixture { path: &'static str, line: usize, source: Cause },
    #[error("fixture {path} ended ptest's transaction")]
    FixtureEnded { path: &'static str },
    #[error("the test {how} ptest's transaction")]
    Ended { how: &'static str },
    #[error("cannot give the test {second} after a SQLite connection")]
    AfterConnection { second: &'static str },
}

impl Failure for SqliteError {
    fn help(&self) -> Option<String> {
        let help = match self {
            SqliteError::File { .. } => "ptest keeps its SQLite files under `target/ptest`, which must be writable",
            SqliteError::Open { .. } | SqliteError::Build { .. } => return None,
            SqliteError::Apply { source, .. } => return source.help(),
            SqliteError::Fixture { .. } => "the line is where the failed statement begins",
            SqliteError::FixtureEnded { .. } => {
                "a `SqliteConnection` parameter is inside a transaction that is rolled back when the test ends: remove \
                 `COMMIT` and `ROLLBACK` from the fixture, or take a `SqlitePool` parameter, on which fixtures commit; \
                 it costs one file copy per test"
            }
            SqliteError::Ended { .. } => {
                "a `SqliteConnection` parameter is inside a transaction that is rolled back when the test ends. A \
                 COMMIT, ROLLBACK, INSERT OR ROLLBACK, RAISE(ROLLBACK) or failed `begin_with` in the test ended it, and \
                 what came after ran without it. No other test sees any of it: the database is thrown away.\n\
                 To commit or roll back for real, write `isolation = \"database\"` or take a `SqlitePool` parameter; it \
                 costs one file copy per test. To commit inside the transaction, use `conn.begin()`."
            }
            SqliteError::AfterConnection { .. } => {
                "the connection is inside a transaction that no other connection can see into. Put a `SqlitePool` \
                 parameter before it, or write `isolation = \"database\"`: then all of them share the test's own copy of \
                 the database and commit for real; it costs one file copy per test"
            }
        };
        Some(help.to_owned())
    }
}
