//! What a report says of a PostgreSQL database: the statements of a sandbox, and the server's processes.

mod redact;
mod snapshot;
mod statements;
#[cfg(test)]
mod tests;
mod values;

use std::fmt;

pub(crate) use snapshot::Snapshot;

use super::server::{Address, url_of};
use crate::config::Config;
use crate::engine::kept::{self, Kept, shell_word};
use crate::engine::{Section, Shown};
use crate::spec::TestSpec;

/// What there is to say of the test's PostgreSQL database.
#[derive(Debug)]
pub(super) struct PostgresSection {
    server: Address,
    database: String,
    /// `None`: a database of the test's own.
    slot: Option<u32>,
    pub(super) snapshot: Snapshot,
    kept: Option<Kept>,
    keepable: bool,
}

impl PostgresSection {
    pub(super) fn new(server: &Address, database: &str, slot: Option<u32>, keepable: bool) -> Self {
        let (server, database) = (server.clone(), database.to_owned());
        PostgresSection { server, database, slot, snapshot: Snapshot::now(false), kept: None, keepable }
    }

    /// Notes what became of a database that was to be kept.
    pub(super) fn keep(&mut self, test: &TestSpec, kept: Option<Kept>) {
        if let (Some(Kept::As(name)), Ok(config)) = (&kept, Config::get()) {
            kept::note(&config.target_dir, name, test.short_name(), &self.open_line(name));
        }
        self.kept = kept;
    }

    fn open_line(&self, database: &str) -> String {
        format!("psql {}", shell_word(&url_of(&self.server, database)))
    }
}

impl Section for PostgresSection {
    fn write(&self, f: &mut fmt::Formatter<'_>, shown: &Shown<'_>) -> fmt::Result {
        if shown.with_sql() {
            self.snapshot.write(f, shown.test, self.slot.is_some())?;
        }
        if !shown.with_sql() && self.kept.is_none() {
            return Ok(());
        }
        let slot = self.slot.map_or("the test's own".to_owned(), |slot| format!("slot {slot}"));
        writeln!(f, "  database {} ({slot}) of {}", self.database, self.server)?;
        let unkeepable = self.snapshot.is_empty() || !self.keepable;
        shown.write_kept(f, self.kept.as_ref(), unkeepable, |name| self.open_line(name))
    }
}
