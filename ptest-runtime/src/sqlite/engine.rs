//! SQLite as a kind of database.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Once};

use tokio::runtime::Runtime;

use super::audit;
use super::drivers::SqliteTest;
use crate::config::Config;
use crate::engine::kept::{self, Kept, shell_word};
use crate::engine::{Closed, Engine, Handle, Section, Shown};
use crate::schema::Schema;
use crate::spec::{Script, TestSpec};

impl Engine for SqliteTest {
    const NAME: &'static str = "SQLite";

    async fn open(test: &'static TestSpec) -> crate::Result<Self> {
        let config = Config::get()?;
        let schema = Schema::known(&test.schema)?;
        let sqlite = SqliteTest::lease(test, &schema, &config.target_dir, config.slot_hint).await?;
        Ok(sqlite.keeping(config.keep, kept::folder(&config.target_dir)))
    }

    /// Where they run is decided by what the test asks for first.
    async fn load(&mut self, _: &'static [Script]) -> crate::Result<()> {
        Ok(())
    }

    fn handle(&self) -> Option<Arc<dyn Handle>> {
        Some(Arc::new(Library))
    }

    /// What was dropped is rolled back where it was dropped.
    fn settle(&mut self, _: Option<&Runtime>) {}

    fn hint(&self, message: &str) -> Option<&'static str> {
        self.is_in_transaction().then(|| audit::hint(message)).flatten()
    }

    fn close(self, failed: bool) -> Closed {
        let section = SqliteSection { path: self.path(), kept: self.keep_if_wanted(failed) };
        let (found, failure) = match self.give_back() {
            Ok(found) => (found, None),
            Err(error) => (None, Some(error.into())),
        };
        Closed {
            findings: found.into_iter().filter(|_| !failed).collect(),
            failure,
            section: Box::new(section),
            housekeeping: Some(Box::new(sweep)),
        }
    }
}

/// A database that is a library in the test's own process: nobody else reaches it, and nobody sees it at work.
#[derive(Debug)]
struct Library;

impl Handle for Library {
    fn look(&self, _: bool) {}

    fn interrupt(&self) {}

    fn works_unseen(&self) -> bool {
        true
    }
}

/// What there is to say of the test's SQLite database.
#[derive(Debug)]
struct SqliteSection {
    path: PathBuf,
    kept: Option<Kept>,
}

impl Section for SqliteSection {
    fn write(&self, f: &mut fmt::Formatter<'_>, shown: &Shown<'_>) -> fmt::Result {
        if !shown.with_sql() && self.kept.is_none() {
            return Ok(());
        }
        writeln!(f, "ptest: `{}` had the SQLite database {}", shown.test, self.path.display())?;
        shown.write_kept(f, self.kept.as_ref(), false, |path| format!("sqlite3 {}", shell_word(path)))
    }
}

/// Removes what was kept for long enough, once per process.
fn sweep() {
    static SWEPT: Once = Once::new();
    SWEPT.call_once(|| {
        if let Ok(config) = Config::get() {
            kept::sweep(&config.target_dir);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Keep;

    fn shown(kept: Option<Kept>, keep: Keep) -> String {
        let section = SqliteSection { path: "/app/target/ptest/sqlite/0123456789abcdef/0-1.sqlite".into(), kept };
        let config = Config::for_test(keep);
        let shown = Shown { test: "users::registers_twice", failed: true, config: &config };
        fmt::from_fn(|f| section.write(f, &shown)).to_string()
    }

    #[test]
    fn the_section_of_a_report() {
        let kept = Kept::As("/app/target/ptest/kept/users.registers_twice_2a.sqlite".to_owned());
        insta::assert_snapshot!(format!("{}\n{}", shown(None, Keep::None), shown(Some(kept), Keep::Failed)));
    }
}
