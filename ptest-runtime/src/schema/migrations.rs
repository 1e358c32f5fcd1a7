//! Migrations: the folder of a test, found and read when the test runs, and the step that applies it.
//!
//! What is read is what the folder's own tool would run, in its order. Where the tool would skip a file that looks like
//! a migration, or fail, this fails.

use std::path::{Path, PathBuf};

use super::fingerprint::{Fingerprint, Parts};
use super::layouts::Layout;
pub(super) use super::layouts::{MigrationsError, read};
use super::settings::{self, SqlxSettings};
use super::step::{Cut, Draft, Script, Step, StepError};
use crate::spec::{Migrations, SchemaSpec};
use crate::sys::BoxFuture;

/// The folder that a test's schema comes from, or the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    /// Whose it is, where the argument says so.
    pub(crate) tool: Option<String>,
    /// What `sqlx.toml` says; of no meaning for other layouts than sqlx's.
    pub(crate) sqlx: SqlxSettings,
}

/// The migrations of a folder, in the order to run them in.
#[derive(Debug)]
pub(crate) struct MigrationSet {
    pub(crate) layout: &'static dyn Layout,
    pub(crate) migrations: Vec<Migration>,
}

/// One migration.
#[derive(Debug)]
pub(crate) struct Migration {
    /// The version as the tool records it.
    pub(crate) version: String,
    /// What follows the version.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) sql: String,
    /// Whether the tool runs it in a transaction: unless the file asks not to.
    pub(crate) in_transaction: bool,
    pub(crate) cut: Cut,
}

/// The step of a folder.
#[derive(Debug)]
pub(super) struct ByFolder {
    folder: Folder,
    fingerprint: Fingerprint,
}

impl ByFolder {
    /// The files are read only if one of them has changed since the last process looked.
    pub(super) fn new(folder: Folder, target_dir: &Path) -> Result<ByFolder, MigrationsError> {
        let fingerprint = Fingerprint::of_folder(&folder, target_dir)?;
        Ok(ByFolder { folder, fingerprint })
    }

    /// Reads the migrations.
    ///
    /// # Errors
    ///
    /// They cannot be read, or are no longer those that the fingerprint was taken of.
    fn read(&self) -> Result<MigrationSet, MigrationsError> {
        let set = read(&self.folder)?;
        if Fingerprint::of_set(&set, &self.folder) == self.fingerprint {
            return Ok(set);
        }
        Err(MigrationsError::Changed { dir: self.folder.path.clone() })
    }

    async fn run(&self, draft: &mut Draft<'_>) -> Result<(), StepError> {
        let set = self.read()?;
        let history = set.layout.history(&set, &self.folder, draft.scripts.dialect());
        let before = Script {
            path: &self.folder.path,
            sql: &history.before,
            in_transaction: false,
            cut: Cut::Whole,
            note: None,
        };
        if !history.before.is_empty() {
            draft.scripts.run(before).await.map_err(|error| error.at(before.path, before.sql))?;
        }
        for (index, Migration { path, sql, in_transaction, cut, .. }) in set.migrations.iter().enumerate() {
            let note = history.notes.get(index).map(String::as_str);
            let script = Script { path, sql, in_transaction: *in_transaction, cut: *cut, note };
            draft.scripts.run(script).await.map_err(|error| error.at(path, sql))?;
        }
        Ok(())
    }
}

impl Step for ByFolder {
    fn identity(&self, parts: &mut Parts) {
        parts.add(b"migrations");
        parts.add(self.fingerprint.as_str().as_bytes());
    }

    fn apply<'a>(&'a self, draft: &'a mut Draft<'_>) -> BoxFuture<'a, Result<(), StepError>> {
        Box::pin(self.run(draft))
    }
}

/// Finds the folder of a test; `None` where its schema is empty or comes from a migrator.
pub(super) fn locate(spec: &SchemaSpec) -> Result<Option<Folder>, MigrationsError> {
    locate_in(&crate::config::manifest_dir(spec.manifest_dir), spec.migrations)
}

fn locate_in(manifest_dir: &Path, migrations: Migrations) -> Result<Option<Folder>, MigrationsError> {
    let argument = match migrations {
        Migrations::Default => None,
        Migrations::Dir(dir) => Some(dir),
        Migrations::None => return Ok(None),
        Migrations::Migrator(_) => return Ok(None),
    };
    let (tool, argument) = match argument.and_then(|argument| argument.split_once(':')) {
        Some((tool, dir)) => (Some(tool.to_owned()), Some(dir)),
        None => (None, argument),
    };
    let (named, sqlx) = settings::sqlx(manifest_dir)?;
    let path = manifest_dir.join(argument.or(named.as_deref()).unwrap_or("migrations"));
    match (path.is_dir() || (argument.is_some() && path.is_file()), argument, named) {
        (true, _, _) => Ok(Some(Folder { path, tool, sqlx })),
        (false, Some(_), _) => Err(MigrationsError::Missing { path, named_by: "the argument `migrations`" }),
        (false, None, Some(_)) => Err(MigrationsError::Missing { path, named_by: "`migrations-dir` in `sqlx.toml`" }),
        (false, None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests;
