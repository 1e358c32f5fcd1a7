//! Keeping: a copy, for the user, of what a test has committed.
//!
//! What is in ptest's transaction goes with the connection, which the test owns; so a run that keeps databases gives no
//! test such a transaction.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};

use super::{Access, SqliteTest};
use crate::config::Keep;
use crate::engine::kept::Kept;

/// As much of a test's name as the name of a file can hold.
const NAME: usize = 150;

/// Whose databases are kept, and in which folder.
#[derive(Debug, Default)]
pub(crate) struct Keeping {
    pub(crate) whose: Keep,
    pub(crate) folder: PathBuf,
}

impl SqliteTest {
    pub(crate) fn keeping(self, whose: Keep, folder: PathBuf) -> Self {
        SqliteTest { keeping: Keeping { whose, folder }, ..self }
    }

    /// Keeps the test's database, if this run keeps it. Blocks the thread of the test, whose runtime is gone.
    pub(crate) fn keep_if_wanted(&self, failed: bool) -> Option<Kept> {
        if !self.keeping.whose.wants(failed) || !matches!(self.access, Access::Commits) {
            return None;
        }
        let path = self.kept_path();
        Some(match copy(self.copy_options(), &path) {
            Ok(()) => Kept::As(path.display().to_string()),
            Err(error) => Kept::Not(error.to_string()),
        })
    }

    fn kept_path(&self) -> PathBuf {
        let micros = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let name: String = self.test.short_name().replace("::", ".").chars().take(NAME).collect();
        self.keeping.folder.join(format!("{name}_{micros:x}.sqlite"))
    }
}

/// SQLite makes the copy, so that it is whole whatever is still open.
fn copy(options: SqliteConnectOptions, path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    std::fs::create_dir_all(path.parent().unwrap_or(path))?;
    let quoted = path.display().to_string().replace('\'', "''");
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut conn = options.connect().await?;
        conn.execute(AssertSqlSafe(format!("VACUUM INTO '{quoted}'"))).await?;
        conn.close().await?;
        Ok(())
    })
}
