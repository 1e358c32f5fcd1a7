//! Databases beside the test's own: declared once per crate, named by their statics.

use crate::spec::{Migrations, SchemaSpec, Script, Setup};

/// A database that tests can have beside their own, with a schema and a server of its own.
///
/// It is declared once, in a `static`, by `ptest::database!`, and named by a parameter:
/// `#[db(AUDIT)] audit: PgPool`. See `database!` for an example.
#[derive(Debug)]
pub struct Database {
    pub(crate) schema: SchemaSpec,
    /// The variable that names its server, before `DATABASE_URL` does.
    pub(crate) url: Option<&'static str>,
}

/// What `database!` calls; follows no semver.
#[doc(hidden)]
impl Database {
    pub const fn new(manifest_dir: &'static str) -> Self {
        Database { schema: SchemaSpec::new(manifest_dir), url: None }
    }

    pub const fn migrations(mut self, migrations: Migrations) -> Self {
        self.schema = self.schema.migrations(migrations);
        self
    }

    pub const fn seed(mut self, seed: &'static [Script]) -> Self {
        self.schema = self.schema.seed(seed);
        self
    }

    pub const fn setup(mut self, setup: &'static Setup) -> Self {
        self.schema = self.schema.setup(setup);
        self
    }

    pub const fn url(mut self, variable: &'static str) -> Self {
        self.url = Some(variable);
        self
    }
}
