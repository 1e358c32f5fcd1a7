//! The report: what a test that failed did to its databases, printed after the test's own message. A test that passes prints
//! nothing. No password is part of it.

use std::fmt;

use crate::config::Config;
use crate::engine::{Section, Shown};
use crate::spec::TestSpec;

/// What there is to say of one run of a test.
#[derive(Debug)]
pub(crate) struct Report {
    test: &'static TestSpec,
    pub(crate) sections: Vec<Box<dyn Section>>,
    /// Those of the test's other databases.
    pub(crate) named: Vec<Report>,
}

impl Report {
    pub(crate) fn new(test: &'static TestSpec) -> Report {
        Report { test, sections: Vec::new(), named: Vec::new() }
    }

    /// The report of a test that has failed.
    pub(crate) fn failed(&self) -> impl fmt::Display {
        self.of(true)
    }

    /// The report of a test, empty where there is nothing to say.
    pub(crate) fn of(&self, failed: bool) -> impl fmt::Display {
        fmt::from_fn(move |f| self.write(f, failed))
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, failed: bool) -> fmt::Result {
        // Without a configuration there was no database.
        let Ok(config) = Config::get() else { return Ok(()) };
        let shown = Shown { test: self.test.short_name(), failed, config };
        self.sections.iter().try_for_each(|section| section.write(f, &shown))?;
        self.named.iter().try_for_each(|report| report.write(f, failed))
    }
}
