//! golang-migrate: `<version>_<name>.up.sql` with `.down.sql`, and the table `schema_migrations`.
//!
//! sqlx reads the same names, and a folder does not say whose it is: without the tool's name it is sqlx's.

use std::path::Path;

use super::entry::Entry;
use super::error::MigrationsError;
use super::{Claim, Cut, History, KnownBy, Layout, Name, Order, Up, Wrong};
use crate::schema::migrations::{Folder, MigrationSet};
use crate::schema::step::Dialect;

pub(super) struct GolangMigrate;

impl Layout for GolangMigrate {
    fn tool(&self) -> &'static str {
        "golang-migrate"
    }

    fn pattern(&self) -> &'static str {
        "<version>_<name>.up.sql"
    }

    fn claim(&self, entry: &Entry) -> Claim {
        let Some(stem) = entry.sql_file() else { return Claim::NotMine };
        if stem.ends_with(".down") {
            return Claim::Ignored;
        }
        let Some((written, name)) = stem.strip_suffix(".up").and_then(|stem| stem.split_once('_')) else {
            return Claim::NotMine;
        };
        match written.parse::<i64>() {
            Ok(version) if version >= 0 => {
                let (version, order) = (version.to_string(), Order::number(version));
                Claim::Migration(Name { order, version, name: name.to_owned() })
            }
            _ => Claim::Wrong(Wrong::Misnamed),
        }
    }

    fn known_by(&self) -> KnownBy {
        KnownBy::Whole
    }

    fn owns(&self, _: &[Entry]) -> bool {
        false
    }

    /// It sends a file as one string, in no transaction of its own.
    fn up(&self, _: &Path, text: String) -> Result<Up, MigrationsError> {
        Ok(Up { sql: text, in_transaction: false, cut: Cut::Whole })
    }

    /// One row: the newest version.
    fn history(&self, set: &MigrationSet, _: &Folder, _: &Dialect) -> History {
        let before =
            "CREATE TABLE schema_migrations (version BIGINT NOT NULL PRIMARY KEY, dirty BOOLEAN NOT NULL)".to_owned();
        let note = |version: &str| {
            format!(
                "DELETE FROM schema_migrations; INSERT INTO schema_migrations (version, dirty) VALUES ({version}, FALSE)"
            )
        };
        History { before, notes: set.migrations.iter().map(|migration| note(&migration.version)).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let claim = |name: &str| GolangMigrate.claim(&Entry::new_file(name, ""));
        let name = Name { order: Order::number(1), version: "1".to_owned(), name: "add_users".to_owned() };
        assert_eq!(claim("000001_add_users.up.sql"), Claim::Migration(name));
        assert_eq!(claim("000001_add_users.down.sql"), Claim::Ignored);
        assert_eq!(claim("x_add_users.up.sql"), Claim::Wrong(Wrong::Misnamed));
        assert_eq!(claim("000001_add_users.sql"), Claim::NotMine);
    }
}
