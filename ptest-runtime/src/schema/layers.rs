//! The schema that a test asks for: layers, each of which makes a template out of the one beneath it.
//!
//! The lowest is what migrates an empty database. A layer's fingerprint covers all beneath it, so that templates of
//! different seeds are clones of one migrated template.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::fingerprint::Fingerprint;
use super::migrations::{self, Folder, MigrationSet, MigrationsError};
use crate::config::Config;
use crate::spec::{Migrations, SchemaSpec, Script};
use crate::test::migrator::AnyMigrator;
use crate::test::setup::Setup;

/// What a template is made from, and the fingerprint that names it.
#[derive(Debug, Clone)]
pub(crate) struct Schema {
    pub(crate) fingerprint: String,
    pub(crate) source: Source,
    /// The fingerprint of the sources alone.
    content: Fingerprint,
    /// What the template is cloned from; `None`: an empty database.
    base: Option<Arc<Schema>>,
}

#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// No migrations: an empty database.
    Empty,
    /// A folder of migrations.
    Folder(Folder),
    /// A migrator of the user's.
    Migrator(&'static dyn AnyMigrator),
    /// Scripts, on a schema that is there.
    Seed(&'static [Script]),
    /// A function of the user's, on a schema that is there.
    Setup(&'static Setup),
}

impl Source {
    /// What is done to make it, as error messages say it.
    pub(crate) fn verb(&self) -> &'static str {
        match self {
            Source::Seed(_) => "seed",
            Source::Setup(_) => "set up",
            _ => "migrate",
        }
    }

    /// For how many tests it is made once, as the user is told.
    pub(crate) fn once(&self) -> &'static str {
        match self {
            Source::Seed(_) => "once per seed",
            Source::Setup(_) => "once per setup",
            _ => "once per set of migrations",
        }
    }
}

impl Schema {
    /// The schema of a database, found out once per process.
    pub(crate) fn known(spec: &'static SchemaSpec) -> crate::Result<Schema> {
        static KNOWN: Mutex<Vec<(&'static SchemaSpec, Schema)>> = Mutex::new(Vec::new());
        let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, schema)) = known().iter().find(|(other, _)| other.is_same(spec)) {
            return Ok(schema.clone());
        }
        let schema = Schema::of(spec, &Config::get()?.target_dir)?;
        known().push((spec, schema.clone()));
        Ok(schema)
    }

    /// The schema of a database. A folder's files are read only if one of them has changed since the last process looked.
    pub(crate) fn of(spec: &SchemaSpec, target_dir: &Path) -> crate::Result<Schema> {
        let mut schema = Schema::migrated(spec, target_dir)?;
        if !spec.seed.is_empty() {
            let scripts = spec.seed.iter().map(|script| script.sql.as_bytes());
            schema = schema.layered(Source::Seed(spec.seed), [b"seed".as_slice()].into_iter().chain(scripts));
        }
        if let Some(setup) = spec.setup {
            schema = schema.layered(Source::Setup(setup), setup.parts().into_iter());
        }
        Ok(schema)
    }

    fn migrated(spec: &SchemaSpec, target_dir: &Path) -> crate::Result<Schema> {
        if let Migrations::Migrator(migrator) = spec.migrations {
            return Ok(Schema::new(Fingerprint::of_migrator(migrator), Source::Migrator(migrator), None));
        }
        Ok(match migrations::locate(spec)? {
            Some(folder) => Schema::new(Fingerprint::of_folder(&folder, target_dir)?, Source::Folder(folder), None),
            None => Schema::new(Fingerprint::of([]), Source::Empty, None),
        })
    }

    /// A schema on top of this one.
    fn layered<'p>(self, source: Source, parts: impl Iterator<Item = &'p [u8]>) -> Schema {
        Schema::new(self.content.clone().with(parts), source, Some(Arc::new(self)))
    }

    fn new(fingerprint: Fingerprint, source: Source, base: Option<Arc<Schema>>) -> Schema {
        Schema { fingerprint: fingerprint.as_str().to_owned(), source, content: fingerprint, base }
    }

    /// The schema as a user of a server has it. Whoever makes a database owns it, and others may do little there: so each
    /// has databases of its own, but for the superuser of every server.
    pub(crate) fn owned_by(&self, user: &str) -> Schema {
        let owner = (user != "postgres").then_some(user.as_bytes());
        let base = self.base.as_ref().map(|base| Arc::new(base.owned_by(user)));
        let fingerprint = self.content.clone().with(owner);
        Schema { fingerprint: fingerprint.as_str().to_owned(), base, ..self.clone() }
    }

    /// The schema that its template is cloned from.
    pub(crate) fn base(&self) -> Option<&Schema> {
        self.base.as_deref()
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
