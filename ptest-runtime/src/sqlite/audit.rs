//! The audit of a test that had one connection, in ptest's transaction.
//!
//! SQLite itself reports every commit and every rollback of that connection (hooks), and frees what is registered with
//! it only after its files are closed. So the audit needs no access to the connection, which the test owns. It decides
//! what the test is told; whether the copy is used again is decided by the file (see [`slot`](super::slot)).

use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::error::SqliteError;

/// What is known of the connection that holds ptest's transaction.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    ending: OnceLock<Ending>,
    closed: Mutex<bool>,
    closing: Condvar,
}

/// How ptest's transaction ended before ptest ended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Commit,
    Rollback,
}

/// Registered with the connection, which drops it when it has closed.
#[derive(Debug)]
pub(crate) struct Alive(Arc<Witness>);

impl Witness {
    pub(crate) fn alive(self: &Arc<Self>) -> Alive {
        Alive(Arc::clone(self))
    }

    /// Notes that the connection has ended a transaction. The first is ptest's.
    pub(crate) fn ended(&self, ending: Ending) {
        let _ = self.ending.set(ending);
    }

    pub(crate) fn ending(&self) -> Option<Ending> {
        self.ending.get().copied()
    }

    /// Waits for the connection to close; false if it has not.
    ///
    /// The wait is for the driver's thread, which needs a tenth of a millisecond; a connection that the test has leaked
    /// never closes.
    pub(crate) fn wait_until_closed(&self) -> bool {
        let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        let (closed, _) = self
            .closing
            .wait_timeout_while(closed, Duration::from_millis(100), |closed| !*closed)
            .unwrap_or_else(PoisonError::into_inner);
        *closed
    }

    /// An error if the test has ended ptest's transaction.
    pub(crate) fn verdict(&self) -> Result<(), SqliteError> {
        match self.ending() {
            None => Ok(()),
            Some(Ending::Commit) => Err(SqliteError::Ended { how: "committed" }),
            Some(Ending::Rollback) => Err(SqliteError::Ended { how: "rolled back" }),
        }
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        *self.0.closed.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.closing.notify_all();
    }
}

/// What to tell a test that failed with `message` while it was in ptest's transaction.
pub(crate) fn hint(message: &str) -> Option<&'static str> {
    // SQLite's own words, and sqlx's for `begin_with`: as `Display` and as `Debug`, which `unwrap` prints.
    const REFUSED: [&str; 5] = [
        "within a transaction",
        "within transaction",
        "inside a transaction",
        "begin_with at non-zero transaction depth",
        "InvalidSavePointStatement",
    ];
    if REFUSED.iter().any(|words| message.contains(words)) {
        return Some(
            "a `SqliteConnection` parameter is inside a transaction of ptest's, which cannot hold `BEGIN IMMEDIATE` \
             (`begin_with`), `VACUUM`, `PRAGMA journal_mode` or `PRAGMA synchronous`; write \
             `isolation = \"database\"` or take a `SqlitePool`: both commit for real on the test's own copy of the \
             database, for one file copy per test",
        );
    }
    if message.contains("FOREIGN KEY constraint failed") {
        return Some(
            "`PRAGMA foreign_keys` does nothing inside a transaction, and a `SqliteConnection` parameter is inside one \
             of ptest's; to switch it, write `isolation = \"database\"`, for one file copy per test",
        );
    }
    if message.contains("database is locked") {
        return Some(
            "ptest's transaction on a `SqliteConnection` parameter holds the database's write lock until the test ends; \
             to use several connections, take a `SqlitePool` or write `isolation = \"database\"`, for one file copy per \
             test",
        );
    }
    None
}
