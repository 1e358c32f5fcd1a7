//! What a database is made from, as the macro describes it.

use crate::spec::{AnyMigrator, Setup};

/// What the database of a test, or one that is declared by `ptest::database!`, is made from.
#[derive(Debug, Clone, Copy)]
pub struct SchemaSpec {
    /// The folder of the package's `Cargo.toml` when it was compiled; the run-time variable of that name wins.
    pub manifest_dir: &'static str,
    /// Where the schema comes from.
    pub migrations: Migrations,
    /// SQL scripts that are part of the template, in order.
    pub seed: &'static [Script],
    /// The function that completes the template.
    pub setup: Option<&'static Setup>,
}

/// Where a test's schema comes from: the arguments `migrations` and `migrator`.
#[derive(Debug, Clone, Copy)]
pub enum Migrations {
    /// The folder that `sqlx.toml` names, else `migrations/` beside `Cargo.toml` where it exists.
    Default,
    /// `migrations = "dir"`, relative to the folder of `Cargo.toml`.
    Dir(&'static str),
    /// `migrations = false`: an empty database.
    None,
    /// `migrator = path::TO_MIGRATOR`.
    Migrator(&'static dyn AnyMigrator),
}

impl Migrations {
    /// Whether both name the same source.
    pub(crate) fn is_same(&self, other: &Migrations) -> bool {
        match (self, other) {
            (Migrations::Default, Migrations::Default) | (Migrations::None, Migrations::None) => true,
            (Migrations::Dir(a), Migrations::Dir(b)) => a == b,
            (Migrations::Migrator(a), Migrations::Migrator(b)) => a.is_same(*b),
            _ => false,
        }
    }
}

/// A script of the arguments `seed` and `fixtures`, embedded at compile time as sqlx does.
#[derive(Debug, PartialEq, Eq)]
pub struct Script {
    /// The path as the attribute spells it, for error messages.
    pub path: &'static str,
    /// The script.
    pub sql: &'static str,
}

impl SchemaSpec {
    /// Every argument at its default.
    pub const fn new(manifest_dir: &'static str) -> Self {
        SchemaSpec { manifest_dir, migrations: Migrations::Default, seed: &[], setup: None }
    }

    pub(crate) const fn migrations(mut self, migrations: Migrations) -> Self {
        self.migrations = migrations;
        self
    }

    pub(crate) const fn seed(mut self, seed: &'static [Script]) -> Self {
        self.seed = seed;
        self
    }

    pub(crate) const fn setup(mut self, setup: &'static Setup) -> Self {
        self.setup = Some(setup);
        self
    }

    /// Whether both are made from the same.
    pub(crate) fn is_same(&self, other: &SchemaSpec) -> bool {
        let setup = match (self.setup, other.setup) {
            (None, None) => true,
            (Some(a), Some(b)) => a.is_same(b),
            _ => false,
        };
        setup
            && self.manifest_dir == other.manifest_dir
            && self.migrations.is_same(&other.migrations)
            && self.seed == other.seed
    }
}
