//! The report: what a test that failed did to its database, printed after the test's own message.
//!
//! It is made from what was held while the test ran, and formatted only here: a test that passes prints nothing. No
//! password is part of it.

mod redact;
mod scene;
mod statements;
#[cfg(test)]
mod tests;
mod values;

use std::fmt;

pub(crate) use scene::Scene;

use crate::config::{Config, Keep};
use crate::pg::server::Address;
use crate::spec::TestSpec;
use crate::test::kept::{self, shell_word};

/// What there is to say of one run of a test.
#[derive(Debug)]
pub(crate) struct Report {
    test: &'static TestSpec,
    pub(crate) postgres: Option<Postgres>,
    #[cfg(feature = "sqlx-sqlite")]
    pub(crate) sqlite: Option<Sqlite>,
    /// Those of the test's other databases.
    pub(crate) named: Vec<Report>,
}

/// The test's PostgreSQL database.
#[derive(Debug)]
pub(crate) struct Postgres {
    server: Address,
    pub(crate) database: String,
    /// `None`: a database of the test's own.
    slot: Option<u32>,
    pub(crate) scene: Scene,
    pub(crate) kept: Option<Kept>,
}

/// The test's SQLite database.
#[cfg(feature = "sqlx-sqlite")]
#[derive(Debug)]
pub(crate) struct Sqlite {
    pub(crate) path: std::path::PathBuf,
    pub(crate) kept: Option<Kept>,
}

/// What became of a database that was to be kept.
#[derive(Debug)]
pub(crate) enum Kept {
    /// Under this name, or in this file.
    As(String),
    /// It could not be kept.
    Not(String),
}

impl Report {
    pub(crate) fn new(test: &'static TestSpec) -> Report {
        Report {
            test,
            postgres: None,
            #[cfg(feature = "sqlx-sqlite")]
            sqlite: None,
            named: Vec::new(),
        }
    }

    /// The report of a test that has failed.
    pub(crate) fn failed(&self) -> impl fmt::Display {
        self.of(true)
    }

    /// The report of a test, empty where there is nothing to say.
    pub(crate) fn of(&self, failed: bool) -> impl fmt::Display {
        Shown { report: self, failed, config: Config::get().ok() }
    }
}

impl Postgres {
    pub(crate) fn new(server: &Address, database: &str, slot: Option<u32>) -> Postgres {
        Postgres { server: server.clone(), database: database.to_owned(), slot, scene: Scene::now(false), kept: None }
    }

    /// Notes what became of a database that was to be kept.
    pub(crate) fn keep(&mut self, test: &TestSpec, kept: Option<Kept>) {
        if let (Some(Kept::As(name)), Ok(config)) = (&kept, Config::get()) {
            kept::note(&config.target_dir, name, test.short_name(), &self.open_line(name));
        }
        self.kept = kept;
    }

    fn open_line(&self, database: &str) -> String {
        format!("psql {}", shell_word(&crate::test::param::url_of(&self.server, database)))
    }
}

struct Shown<'a> {
    report: &'a Report,
    failed: bool,
    config: Option<&'static Config>,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without a configuration there was no database.
        let Some(config) = self.config else { return Ok(()) };
        let name = self.report.test.short_name();
        let with_sql = self.failed || config.log_sql;
        if let Some(postgres) = &self.report.postgres {
            if with_sql {
                postgres.scene.write(f, name, postgres.slot.is_some())?;
            }
            if with_sql || postgres.kept.is_some() {
                let slot = postgres.slot.map_or("the test's own".to_owned(), |slot| format!("slot {slot}"));
                writeln!(f, "  database {} ({slot}) of {}", postgres.database, postgres.server)?;
                let unkeepable = postgres.scene.is_empty() || postgres.server.single.is_some();
                let open = |name: &str| postgres.open_line(name);
                self.write_kept(f, config, postgres.kept.as_ref(), unkeepable, open)?;
            }
        }
        #[cfg(feature = "sqlx-sqlite")]
        if let Some(sqlite) = self.report.sqlite.as_ref().filter(|sqlite| with_sql || sqlite.kept.is_some()) {
            writeln!(f, "ptest: `{name}` had the SQLite database {}", sqlite.path.display())?;
            self.write_kept(f, config, sqlite.kept.as_ref(), false, |path| format!("sqlite3 {}", shell_word(path)))?;
        }
        self.report.named.iter().try_for_each(|report| write!(f, "{}", report.of(self.failed)))
    }
}

impl Shown<'_> {
    fn write_kept(
        &self,
        f: &mut fmt::Formatter<'_>,
        config: &Config,
        kept: Option<&Kept>,
        unkeepable: bool,
        open: impl Fn(&str) -> String,
    ) -> fmt::Result {
        match kept {
            Some(Kept::As(name)) => writeln!(
                f,
                "  kept for a day, like all in {}, to be opened with\n    {}",
                kept::folder(&config.target_dir).display(),
                open(name)
            ),
            Some(Kept::Not(why)) => writeln!(f, "  it could not be kept: {why}"),
            None if self.failed && config.keep == Keep::None && !unkeepable => writeln!(
                f,
                "  nothing of it is left; to look at what the test did, keep it:\n    PTEST_KEEP=failed {} {}",
                config.runner,
                self.report.test.short_name()
            ),
            None => Ok(()),
        }
    }
}
