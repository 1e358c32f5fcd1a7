//! The layouts of migrations folders: whose a folder is, and how that tool reads it. One tool is one file.
//!
//! A folder belongs to the first tool of [`LAYOUTS`] that finds something in it which is its own; whoever is known by what
//! stands in the files comes before whoever is known by their names. Then that tool has to make sense of every entry: what
//! another tool would run is an error that names both, and so is a file without the line that divides its way up from its
//! way down. A way down is never run.

mod atlas;
mod dbmate;
mod diesel;
mod dump;
mod entry;
mod error;
mod flyway;
mod golang_migrate;
mod goose;
mod numbered;
mod prisma;
mod read;
mod refinery;
mod sections;
mod sql_migrate;
mod sqlx;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;

use self::entry::Entry;
pub(crate) use self::error::MigrationsError;
use self::read::Found;
pub(super) use self::read::read;
use super::migrations::{Folder, MigrationSet};
use super::step::{Cut, Dialect};

/// A migration tool: whose a folder is, what it runs of it, and what it notes.
pub(crate) trait Layout: Sync {
    /// Its name.
    fn tool(&self) -> &'static str;

    /// How its migrations are named.
    fn pattern(&self) -> &'static str;

    /// What an entry of a folder is to it.
    fn claim(&self, entry: &Entry) -> Claim;

    /// The file that holds the migration, where a migration is a folder.
    fn inner_file(&self) -> Option<&'static str> {
        None
    }

    /// What tells that a folder is its own.
    fn known_by(&self) -> KnownBy {
        KnownBy::Name
    }

    /// Whether a folder is its own.
    fn owns(&self, entries: &[Entry]) -> bool {
        entries.iter().any(|entry| matches!(self.claim(entry), Claim::Migration(_)))
    }

    /// Leaves out migrations that it does not run in an empty database.
    fn choose(&self, _found: &mut Vec<Found>) {}

    /// The way up of a migration's text.
    fn up(&self, _path: &Path, text: String) -> Result<Up, MigrationsError> {
        Ok(Up { sql: text, in_transaction: true, cut: Cut::Whole })
    }

    /// What it notes of the migrations that it has applied.
    fn history(&self, _set: &MigrationSet, _folder: &Folder, _dialect: &Dialect) -> History {
        History::default()
    }
}

/// In the order in which a folder is offered to them.
static LAYOUTS: [&dyn Layout; 12] = [
    &goose::Goose,
    &sql_migrate::SqlMigrate,
    &dbmate::Dbmate,
    &prisma::Prisma,
    &diesel::Diesel,
    &flyway::Flyway,
    &refinery::Refinery,
    &atlas::Atlas,
    &sqlx::Sqlx,
    &golang_migrate::GolangMigrate,
    &numbered::Numbered,
    &dump::Dump,
];

/// What tells whose a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KnownBy {
    /// What stands in a file.
    Text,
    /// The name of an entry.
    Name,
    /// All that is there: another tool might have each entry alone.
    Whole,
}

/// What an entry of a folder is to a tool.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// A migration.
    Migration(Name),
    /// The tool's own, and not run: a way back, a lock file.
    Ignored,
    /// What the tool would refuse, or ptest cannot run.
    Wrong(Wrong),
    /// Nothing of the tool's.
    NotMine,
}

/// What the name of a migration says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) order: Order,
    /// As the tool notes it.
    pub(super) version: String,
    /// What follows the version.
    pub(super) name: String,
}

/// The order of migrations: those with `last` after the others, each by numbers, then by text.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Order {
    pub(super) last: bool,
    pub(super) numbers: Vec<i64>,
    pub(super) text: String,
}

/// What is wrong with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// Its name has no version that the tool reads.
    Misnamed,
    /// It is code, in this language.
    Code(&'static str),
    /// A folder without this file.
    Lacks(&'static str),
    /// A folder with migrations in it, where the tool reads inner folders.
    Nested,
    /// A file without this line.
    Unmarked(&'static str),
    /// Something that only the tool itself can run.
    Special(&'static str),
}

/// The way up of a migration.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Up {
    /// Its lines have the numbers that they have in the file.
    pub(super) sql: String,
    /// Whether the tool runs it in a transaction.
    pub(super) in_transaction: bool,
    pub(super) cut: Cut,
}

/// What a tool notes of its migrations, as the tool itself writes it: an application that runs its migrations at start finds
/// nothing to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct History {
    /// What is there before the first.
    pub(crate) before: String,
    /// What is noted with each.
    pub(crate) notes: Vec<String>,
}

impl Order {
    pub(super) fn number(number: i64) -> Order {
        Order { numbers: vec![number], ..Order::default() }
    }

    pub(super) fn text(text: &str) -> Order {
        Order { text: text.to_owned(), ..Order::default() }
    }
}

impl fmt::Debug for dyn Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tool())
    }
}

/// How migrations are named, and by which tools, for an error.
fn patterns() -> String {
    let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
    for layout in LAYOUTS {
        match found.iter_mut().find(|(pattern, _)| *pattern == layout.pattern()) {
            Some((_, tools)) => tools.push(layout.tool()),
            None => found.push((layout.pattern(), vec![layout.tool()])),
        }
    }
    let shown = found.iter().map(|(pattern, tools)| format!("`{pattern}` ({})", tools.join(", ")));
    shown.collect::<Vec<_>>().join(", ")
}
