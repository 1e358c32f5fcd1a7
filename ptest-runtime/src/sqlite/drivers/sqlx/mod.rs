//! sqlx with SQLite: what a test is given of its slot.
//!
//! A test whose first parameter is a connection gets it inside a transaction that is never committed. Any other
//! parameter gets the slot's copy itself, where everything commits, and which is then thrown away; so does a connection
//! with `isolation = "database"`.

mod keep;
mod migrate;
mod params;
mod script;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::pool::PoolConnection;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Sqlite};

use keep::Keeping;

use crate::audit::{Finding, Straggler};
use crate::config::Keep;
use crate::schema::Schema;
use crate::spec::{Isolation, TestSpec};
use crate::sqlite::audit::{Ending, Witness};
use crate::sqlite::slot::{Journal, Slot};
use crate::sqlite::{SqliteError, SqliteUrl};
use crate::test::context::DRAFT;

/// The SQLite database of one test.
#[derive(Debug)]
pub(crate) struct SqliteTest {
    test: &'static TestSpec,
    place: Place,
    access: Access,
    keeping: Keeping,
}

/// The file that the test's connections open.
#[derive(Debug)]
enum Place {
    Slot(Slot),
    /// No copy yet: a template under construction.
    Template(PathBuf),
}

/// What the test has been given.
#[derive(Debug)]
enum Access {
    Nothing,
    /// One connection, in ptest's transaction.
    Transaction(Arc<Witness>),
    /// Connections that commit.
    Commits,
}

impl SqliteTest {
    /// Leases a slot of the schema's template, starting at slot `hint`. What the slot's file holds is decided by what the
    /// test asks for first.
    pub(crate) async fn lease(
        test: &'static TestSpec,
        schema: &Schema,
        target_dir: &Path,
        hint: u32,
    ) -> Result<Self, SqliteError> {
        let template = migrate::ensure(&target_dir.join("sqlite"), schema).await?;
        let slot = Slot::lease(&template, hint)?;
        Ok(SqliteTest { test, place: Place::Slot(slot), access: Access::Nothing, keeping: Keeping::default() })
    }

    /// What sets a template up: everything commits.
    pub(crate) fn of_draft(path: PathBuf) -> Self {
        SqliteTest { test: &DRAFT, place: Place::Template(path), access: Access::Commits, keeping: Keeping::default() }
    }

    /// One connection: inside ptest's transaction, unless the test has a pool, a URL or `isolation = "database"`.
    pub(crate) async fn connection(&mut self) -> Result<SqliteConnection, SqliteError> {
        let options = self.options_for_one_connection().await?;
        let mut conn = options.connect().await.map_err(|e| self.cannot_open(e))?;
        self.enter(&mut conn).await?;
        Ok(conn)
    }

    /// The same as [`connection`](Self::connection), in the type of a pool's connections.
    pub(crate) async fn pool_connection(&mut self) -> Result<PoolConnection<Sqlite>, SqliteError> {
        let options = self.options_for_one_connection().await?;
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options);
        let mut conn = async { pool.await?.acquire().await }.await.map_err(|e| self.cannot_open(e))?;
        self.enter(&mut conn).await?;
        Ok(conn)
    }

    /// A pool on the slot's copy.
    pub(crate) async fn pool(&mut self) -> Result<SqlitePool, SqliteError> {
        let options = self.connect_options("a `SqlitePool`").await?;
        SqliteTest::pool_options().connect_with(options).await.map_err(|e| self.cannot_open(e))
    }

    /// Options for any number of connections to the slot's copy.
    pub(crate) async fn connect_options(
        &mut self,
        parameter: &'static str,
    ) -> Result<SqliteConnectOptions, SqliteError> {
        match self.access {
            Access::Commits => {}
            Access::Transaction(_) => return Err(SqliteError::AfterConnection { second: parameter }),
            Access::Nothing => {
                self.prepare(Journal::Wal)?;
                self.run_fixtures_on_copy().await?;
                self.access = Access::Commits;
            }
        }
        Ok(self.copy_options())
    }

    /// As many connections as `#[sqlx::test]` allows: a test never waits for one. None is lost, or grows old.
    pub(crate) fn pool_options() -> SqlitePoolOptions {
        let options = SqlitePoolOptions::new().max_connections(1000).test_before_acquire(false);
        options.idle_timeout(None).max_lifetime(None)
    }

    /// The address of the slot's copy.
    pub(crate) async fn url(&mut self) -> Result<SqliteUrl, SqliteError> {
        let options = self.connect_options("a `SqliteUrl`").await?;
        Ok(SqliteUrl::new(url_of(&options), self.path()))
    }

    /// The file that the test has.
    pub(crate) fn path(&self) -> PathBuf {
        match &self.place {
            Place::Slot(slot) => slot.path(),
            Place::Template(path) => path.clone(),
        }
    }

    pub(crate) fn is_in_transaction(&self) -> bool {
        matches!(self.access, Access::Transaction(_))
    }

    /// Ends the test's use of the slot, after everything that the test made is gone. Gives what the test has left. An
    /// error is for the test: it ended ptest's transaction.
    pub(crate) fn give_back(self) -> Result<Option<Finding>, SqliteError> {
        let Place::Slot(slot) = self.place else { return Ok(None) };
        let Access::Transaction(witness) = &self.access else {
            slot.keep(false);
            return Ok(None);
        };
        let closed = witness.wait_until_closed();
        slot.keep(closed);
        witness.verdict().map(|()| match closed {
            true => None,
            false => Some(Finding::of(Straggler { connected: true, ..Straggler::default() })),
        })
    }

    fn prepare(&mut self, journal: Journal) -> Result<(), SqliteError> {
        match &mut self.place {
            Place::Slot(slot) => slot.prepare(journal),
            Place::Template(_) => Ok(()),
        }
    }

    fn copy_options(&self) -> SqliteConnectOptions {
        connect_options().filename(self.path())
    }

    async fn options_for_one_connection(&mut self) -> Result<SqliteConnectOptions, SqliteError> {
        match self.access {
            Access::Commits => Ok(self.copy_options()),
            Access::Transaction(_) => Err(SqliteError::AfterConnection { second: "a second connection" }),
            Access::Nothing if self.test.isolation == Isolation::Database || self.keeping.whose != Keep::None => {
                self.connect_options("a connection").await
            }
            Access::Nothing => {
                self.prepare(Journal::Rollback)?;
                // A journal in memory: nothing is written, and nothing has to be made again, when no test commits.
                Ok(self.copy_options().journal_mode(SqliteJournalMode::Memory))
            }
        }
    }

    /// Opens ptest's transaction on the test's one connection, and runs the fixtures in it.
    async fn enter(&mut self, conn: &mut SqliteConnection) -> Result<(), SqliteError> {
        if let Access::Commits = self.access {
            return Ok(());
        }
        let witness = Arc::new(Witness::default());
        begin(conn, &witness).await.map_err(|e| self.cannot_open(e))?;
        self.access = Access::Transaction(Arc::clone(&witness));
        for fixture in self.test.fixtures {
            script::run_fixture(conn, fixture).await?;
            if witness.ending().is_some() {
                return Err(SqliteError::FixtureEnded { path: fixture.path });
            }
        }
        Ok(())
    }

    async fn run_fixtures_on_copy(&self) -> Result<(), SqliteError> {
        if self.test.fixtures.is_empty() {
            return Ok(());
        }
        let mut conn = self.copy_options().connect().await.map_err(|e| self.cannot_open(e))?;
        for fixture in self.test.fixtures {
            script::run_fixture(&mut conn, fixture).await?;
        }
        conn.close().await.map_err(|e| self.cannot_open(e))
    }

    fn cannot_open(&self, error: sqlx::Error) -> SqliteError {
        SqliteError::Open { path: self.path(), source: error.into() }
    }
}

/// sqlx's defaults, of which `foreign_keys` and the busy timeout of 5 s matter, for a file that need not survive.
fn connect_options() -> SqliteConnectOptions {
    SqliteConnectOptions::new().synchronous(SqliteSynchronous::Off)
}

fn url_of(options: &SqliteConnectOptions) -> String {
    let mut url = options.to_url_lossy();
    // Other clients would take sqlx's own parameters for a part of the file's name.
    url.set_query(None);
    url.into()
}

/// Begins ptest's transaction, in sqlx's own books, so that the test's transactions become savepoints.
async fn begin(conn: &mut SqliteConnection, witness: &Arc<Witness>) -> sqlx::Result<()> {
    // Immediate, because SQLite reports no commit of a transaction that has not begun to write.
    let transaction = conn.begin_with("BEGIN IMMEDIATE").await?;
    // Its drop would roll back. It owns nothing: it borrows the connection.
    std::mem::forget(transaction);

    let mut handle = conn.lock_handle().await?;
    let on_commit = Arc::clone(witness);
    handle.set_commit_hook(move || {
        on_commit.ended(Ending::Commit);
        true
    });
    let on_rollback = Arc::clone(witness);
    handle.set_rollback_hook(move || on_rollback.ended(Ending::Rollback));
    // A collation is the one thing that SQLite frees after it has closed its files.
    let alive = witness.alive();
    handle.create_collation("ptest", move |a, b| {
        let _ = &alive;
        a.cmp(b)
    })
}
