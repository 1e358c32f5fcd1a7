//! The schema that a test asks for: what its template is made from.

use std::path::Path;

use super::fingerprint::Fingerprint;
use super::migrations::{self, Folder, MigrationSet, MigrationsError};
use crate::test::{Migrations, Test};

/// What a template is made from, and the fingerprint that names it.
#[derive(Debug, Clone)]
pub(crate) struct Schema {
    pub(crate) fingerprint: String,
    pub(crate) source: Source,
    /// The fingerprint of the source alone.
    content: Fingerprint,
}

#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// No migrations: an empty database.
    Empty,
    /// A folder of migrations.
    Folder(Folder),
    /// A migrator of the user's.
    #[cfg(any(feature = "sqlx-postgres", feature = "sqlx-sqlite"))]
    Migrator(&'static sqlx::migrate::Migrator),
}

impl Schema {
    /// The schema of a test. A folder's files are read only if one of them has changed since the last process looked.
    pub(crate) fn of(test: &Test, target_dir: &Path) -> crate::Result<Schema> {
        #[cfg(any(feature = "sqlx-postgres", feature = "sqlx-sqlite"))]
        if let Migrations::Migrator(migrator) = test.migrations {
            return Ok(Schema::new(Fingerprint::of_migrator(migrator), Source::Migrator(migrator)));
        }
        let _: Migrations = test.migrations;
        match migrations::locate(test)? {
            Some(folder) => Ok(Schema::new(Fingerprint::of_folder(&folder, target_dir)?, Source::Folder(folder))),
            None => Ok(Schema::new(Fingerprint::of([]), Source::Empty)),
        }
    }

    fn new(fingerprint: Fingerprint, source: Source) -> Schema {
        Schema { fingerprint: fingerprint.as_str().to_owned(), source, content: fingerprint }
    }

    /// The schema as a user of a server has it. Whoever makes a database owns it, and others may do little there: so each
    /// has databases of its own, but for the superuser of every server.
    pub(crate) fn owned_by(&self, user: &str) -> Schema {
        let owner = (user != "postgres").then_some(user.as_bytes());
        let fingerprint = self.content.clone().with(owner);
        Schema { fingerprint: fingerprint.as_str().to_owned(), ..self.clone() }
    }

    /// Reads the migrations of a folder.
    ///
    /// # Errors
    ///
    /// They cannot be read, or are no longer those that the fingerprint was taken of.
    pub(crate) fn read(&self, folder: &Folder) -> Result<MigrationSet, MigrationsError> {
        let set = migrations::read(&folder.path)?;
        if Fingerprint::of_set(&set, folder) == self.content {
            return Ok(set);
        }
        Err(MigrationsError::Changed { dir: folder.path.clone() })
    }
}
