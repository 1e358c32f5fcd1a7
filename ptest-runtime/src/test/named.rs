//! Databases beside the test's own: declared once per crate, named by their statics.

use crate::spec::{Migrations, Script};
use crate::test::setup::Setup;

/// A database that tests can have beside their own, with a schema and a server of its own.
///
/// It is declared once, in a `static`, by `ptest::database!`, and named by a parameter:
/// `#[db(AUDIT)] audit: PgPool`. See `database!` for an example.
#[derive(Debug)]
pub struct Database {
    pub(crate) manifest_dir: &'static str,
    pub(crate) migrations: Migrations,
    pub(crate) seed: &'static [Script],
    pub(crate) setup: Option<&'static Setup>,
    pub(crate) url: Option<&'static str>,
}

/// What `database!` calls; follows no semver.
#[doc(hidden)]
impl Database {
    pub const fn new(manifest_dir: &'static str) -> Self {
        Database { manifest_dir, migrations: Migrations::Default, seed: &[], setup: None, url: None }
    }

    pub const fn migrations(mut self, migrations: Migrations) -> Self {
        self.migrations = migrations;
        self
    }

    pub const fn seed(mut self, seed: &'static [Script]) -> Self {
        self.seed = seed;
        self
    }

    pub const fn setup(mut self, setup: &'static Setup) -> Self {
        self.setup = Some(setup);
        self
    }

    pub const fn url(mut self, variable: &'static str) -> Self {
        self.url = Some(variable);
        self
    }
}
