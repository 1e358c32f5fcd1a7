//! Migrations: the folder of a test, found and read when the test runs.
//!
//! What is read is what the folder's own tool would run, in its order. Where the tool would skip a file that looks like
//! a migration, or fail, this fails.

mod error;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub(crate) use self::error::MigrationsError;
use super::dbmate;
use super::layout::{self, Entry, Layout, Version};
use super::settings::{self, SqlxSettings};
use crate::spec::{Migrations, SchemaSpec};

/// The folder that a test's schema comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    /// What `sqlx.toml` says; of no meaning for other layouts than sqlx's.
    pub(crate) sqlx: SqlxSettings,
}

/// The migrations of a folder, in the order to run them in.
#[derive(Debug)]
pub(crate) struct MigrationSet {
    pub(crate) layout: Layout,
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
}

/// Finds the folder of a schema; `None` where it is empty or comes from a migrator.
pub(crate) fn locate(spec: &SchemaSpec) -> crate::Result<Option<Folder>> {
    Ok(locate_in(&crate::config::manifest_dir(spec.manifest_dir), spec.migrations)?)
}

/// Reads a folder of migrations.
pub(crate) fn read(dir: &Path) -> Result<MigrationSet, MigrationsError> {
    let listing = Listing::of(dir)?;
    let layout = listing.layout(dir)?;
    let mut steps = listing.steps;
    steps.sort_by(|a, b| a.version.cmp(&b.version));
    if let Some([a, b]) = steps.array_windows().find(|[a, b]| a.version == b.version) {
        let (first, second) = (a.entry.clone(), b.entry.clone());
        return Err(MigrationsError::Twice { dir: dir.to_owned(), version: a.written.clone(), first, second });
    }
    let migrations = steps.into_iter().map(|step| step.read(dir)).collect::<Result<_, _>>()?;
    of_dbmate(MigrationSet { layout, migrations })
}

/// Where the files are dbmate's, takes the way up of each, in dbmate's order.
fn of_dbmate(mut set: MigrationSet) -> Result<MigrationSet, MigrationsError> {
    let named_so = matches!(set.layout, Layout::Sqlx | Layout::Numbered);
    if !named_so || !set.migrations.iter().any(|migration| dbmate::up(&migration.sql).is_some()) {
        return Ok(set);
    }
    for migration in &mut set.migrations {
        let path = || migration.path.clone();
        let Some(up) = dbmate::up(&migration.sql) else { return Err(MigrationsError::NoWayUp { path: path() }) };
        if dbmate::begins_late(&migration.sql) {
            return Err(MigrationsError::BeforeWayUp { path: path() });
        }
        migration.in_transaction = up.in_transaction;
        migration.sql = up.sql.to_owned();
    }
    set.migrations.sort_by(|a, b| a.path.file_name().cmp(&b.path.file_name()));
    Ok(MigrationSet { layout: Layout::Dbmate, ..set })
}

fn locate_in(manifest_dir: &Path, migrations: Migrations) -> Result<Option<Folder>, MigrationsError> {
    let argument = match migrations {
        Migrations::Default => None,
        Migrations::Dir(dir) => Some(dir),
        Migrations::None => return Ok(None),
        Migrations::Migrator(_) => return Ok(None),
    };
    let (named, sqlx) = settings::sqlx(manifest_dir)?;
    let path = manifest_dir.join(argument.or(named.as_deref()).unwrap_or("migrations"));
    match (path.is_dir(), argument, named) {
        (true, _, _) => Ok(Some(Folder { path, sqlx })),
        (false, Some(_), _) => Err(MigrationsError::Missing { path, named_by: "the argument `migrations`" }),
        (false, None, Some(_)) => Err(MigrationsError::Missing { path, named_by: "`migrations-dir` in `sqlx.toml`" }),
        (false, None, None) => Ok(None),
    }
}

/// What a folder holds, sorted by name.
#[derive(Default)]
struct Listing {
    steps: Vec<Step>,
    rust: Vec<String>,
    misnamed: Vec<(Layout, String)>,
    /// Folders that are no migration of diesel.
    folders: Vec<String>,
    all: Vec<String>,
}

/// A migration that is not read yet.
struct Step {
    layout: Layout,
    version: Version,
    written: String,
    name: String,
    /// The name of its file or folder.
    entry: String,
    path: PathBuf,
}

impl Listing {
    fn of(dir: &Path) -> Result<Listing, MigrationsError> {
        let unreadable = |source| MigrationsError::Read { path: dir.to_owned(), source };
        let entries = fs::read_dir(dir).map_err(unreadable)?;
        let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>().map_err(unreadable)?;
        paths.sort();
        let mut listing = Listing::default();
        for path in paths {
            listing.add(path)?;
        }
        Ok(listing)
    }

    fn add(&mut self, path: PathBuf) -> Result<(), MigrationsError> {
        let entry = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.all.push(entry.clone());
        // Following links, as all the tools do. One that leads nowhere is read as a file, to name it if it matters.
        let is_folder = path.is_dir();
        let (read, path) = match is_folder {
            false => (layout::file(&entry), path),
            true if path.join("up.sql").exists() => (layout::folder(&entry), path.join("up.sql")),
            true => (Entry::Other, path),
        };
        match read {
            Entry::Migration { layout, version, written, name } => {
                let (written, name) = (written.to_owned(), name.to_owned());
                self.steps.push(Step { layout, version, written, name, entry, path });
            }
            Entry::Rust => self.rust.push(entry),
            Entry::Misnamed(layout) => self.misnamed.push((layout, entry)),
            Entry::Other if is_folder && !entry.starts_with('.') => self.folders.push(entry),
            Entry::Down | Entry::Other => {}
        }
        Ok(())
    }

    /// The one layout of the folder.
    fn layout(&self, dir: &Path) -> Result<Layout, MigrationsError> {
        let path = |entry: &String| dir.join(entry);
        let Some(first) = self.steps.first() else {
            return Err(match (self.misnamed.first(), self.rust.first()) {
                (Some((layout, entry)), _) => MigrationsError::Misnamed { path: path(entry), layout: *layout },
                (None, Some(entry)) => MigrationsError::Rust { path: path(entry) },
                (None, None) => MigrationsError::Empty { dir: dir.to_owned(), found: self.all.clone() },
            });
        };
        if let Some(second) = self.steps.iter().find(|step| step.layout != first.layout) {
            let named = |step: &Step| (step.layout, step.entry.clone());
            return Err(MigrationsError::Mixed { dir: dir.to_owned(), first: named(first), second: named(second) });
        }
        match first.layout {
            Layout::Sqlx => {
                if let Some((_, entry)) = self.misnamed.first() {
                    return Err(MigrationsError::Misnamed { path: path(entry), layout: Layout::Sqlx });
                }
            }
            Layout::Dbmate | Layout::Numbered => {}
            Layout::Diesel => {
                if let Some(entry) = self.folders.first() {
                    return Err(MigrationsError::NoUpSql { path: path(entry) });
                }
            }
            Layout::Refinery => {
                if let Some((_, entry)) = self.misnamed.iter().find(|(layout, _)| *layout == Layout::Refinery) {
                    return Err(MigrationsError::Misnamed { path: path(entry), layout: Layout::Refinery });
                }
                if let Some(entry) = self.rust.first() {
                    return Err(MigrationsError::Rust { path: path(entry) });
                }
                if let Some(path) = self.folders.iter().map(path).find(|path| holds_refinery(path)) {
                    return Err(MigrationsError::Nested { path });
                }
            }
        }
        Ok(first.layout)
    }
}

/// Whether refinery, which looks into folders, would find a migration there.
fn holds_refinery(dir: &Path) -> bool {
    let migration = |entry: fs::DirEntry| {
        let read = entry.file_name();
        let read = layout::file(read.to_str().unwrap_or_default());
        matches!(read, Entry::Migration { layout: Layout::Refinery, .. } | Entry::Rust)
    };
    fs::read_dir(dir).is_ok_and(|entries| entries.flatten().any(migration))
}

impl Step {
    fn read(self, dir: &Path) -> Result<Migration, MigrationsError> {
        let path = self.path;
        let sql = match fs::read(&path).map(String::from_utf8) {
            Ok(Ok(sql)) => sql,
            Ok(Err(error)) => {
                let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
                let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
                return Err(MigrationsError::NotUtf8 { path, line });
            }
            Err(source) => return Err(MigrationsError::Read { path, source }),
        };
        let in_transaction = match self.layout {
            Layout::Sqlx => !sql.starts_with("-- no-transaction"),
            Layout::Dbmate | Layout::Numbered => true,
            Layout::Diesel => settings::diesel_in_transaction(dir.join(&self.entry).join("metadata.toml"))?,
            Layout::Refinery => !sql.lines().any(is_refinery_no_transaction),
        };
        let version = match self.version {
            Version::Number(_) => self.written,
            Version::Text(version) => version,
        };
        Ok(Migration { version, name: self.name, path, sql, in_transaction })
    }
}

/// `--refinery:noTransaction`, with two hyphens or more and at most one space.
fn is_refinery_no_transaction(line: &str) -> bool {
    let Some(rest) = line.strip_prefix("--") else { return false };
    let rest = rest.trim_start_matches('-');
    rest.strip_prefix(char::is_whitespace).unwrap_or(rest) == "refinery:noTransaction"
}

#[cfg(test)]
mod tests;
