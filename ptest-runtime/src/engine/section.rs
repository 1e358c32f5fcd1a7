//! What a report says of one database, and what is common to all kinds of them.

use std::fmt;

use super::kept::{self, Kept};
use crate::config::{Config, Keep};

/// What there is to say of one database. It is made from what was held while the test ran, and formatted only here.
pub(crate) trait Section: fmt::Debug {
    fn write(&self, f: &mut fmt::Formatter<'_>, shown: &Shown<'_>) -> fmt::Result;
}

/// Of which test a section is shown, and why.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown<'a> {
    /// The test, as the runner prints it.
    pub(crate) test: &'static str,
    pub(crate) failed: bool,
    pub(crate) config: &'a Config,
}

impl Shown<'_> {
    /// Whether to show what the test ran.
    pub(crate) fn with_sql(&self) -> bool {
        self.failed || self.config.log_sql
    }

    /// Says how a database that is kept is opened by the command `open`, or how to keep one that was not; `unkeepable`: there
    /// is nothing to keep.
    pub(crate) fn write_kept(
        &self,
        f: &mut fmt::Formatter<'_>,
        kept: Option<&Kept>,
        unkeepable: bool,
        open: impl Fn(&str) -> String,
    ) -> fmt::Result {
        match kept {
            Some(Kept::As(name)) => writeln!(
                f,
                "  kept for a day, like all in {}, to be opened with\n    {}",
                kept::folder(&self.config.target_dir).display(),
                open(name)
            ),
            Some(Kept::Not(why)) => writeln!(f, "  it could not be kept: {why}"),
            None if self.failed && self.config.keep == Keep::None && !unkeepable => writeln!(
                f,
                "  nothing of it is left; to look at what the test did, keep it:\n    PTEST_KEEP=failed {} {}",
                self.config.runner, self.test
            ),
            None => Ok(()),
        }
    }
}
