//! diesel: `<version>_<name>/up.sql`, in the order of the versions' texts, and the table `__diesel_schema_migrations`.

use std::path::Path;

use super::entry::Entry;
use super::error::MigrationsError;
use super::{Claim, Cut, History, Layout, Name, Order, Up, Wrong};
use crate::schema::migrations::{Folder, MigrationSet};
use crate::schema::settings;
use crate::schema::step::Dialect;

pub(super) struct Diesel;

const UP: &str = "up.sql";

impl Layout for Diesel {
    fn tool(&self) -> &'static str {
        "diesel"
    }

    fn pattern(&self) -> &'static str {
        "<version>_<name>/up.sql"
    }

    fn claim(&self, entry: &Entry) -> Claim {
        let Some(files) = entry.folder() else { return Claim::NotMine };
        if !files.iter().any(|file| file == UP) {
            return Claim::Wrong(Wrong::Lacks(UP));
        }
        let (written, name) = entry.name.split_once('_').unwrap_or((&entry.name, ""));
        // So that `2024-01-31-120000` is the version 20240131120000.
        let version = written.replace('-', "");
        Claim::Migration(Name { order: Order::text(&version), version, name: name.to_owned() })
    }

    fn inner_file(&self) -> Option<&'static str> {
        Some(UP)
    }

    fn up(&self, path: &Path, text: String) -> Result<Up, MigrationsError> {
        let in_transaction = settings::diesel_in_transaction(path.with_file_name("metadata.toml"))?;
        Ok(Up { sql: text, in_transaction, cut: Cut::Whole })
    }

    fn history(&self, set: &MigrationSet, _: &Folder, dialect: &Dialect) -> History {
        let before = "CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL, \
                      run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)";
        let note = |version: &str| {
            format!("INSERT INTO __diesel_schema_migrations (version) VALUES ({})", (dialect.text)(version))
        };
        let notes = set.migrations.iter().map(|migration| note(&migration.version)).collect();
        History { before: before.to_owned(), notes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let claim = |name: &str| Diesel.claim(&Entry::new_folder(name, &["down.sql", "up.sql"]));
        let migration = |version: &str, name: &str| {
            Claim::Migration(Name { order: Order::text(version), version: version.to_owned(), name: name.to_owned() })
        };
        assert_eq!(claim("2024-01-31-120000_add_users"), migration("20240131120000", "add_users"));
        assert_eq!(claim("00000000000000_diesel_initial_setup"), migration("00000000000000", "diesel_initial_setup"));
        assert_eq!(claim("first"), migration("first", ""));
        assert_eq!(claim(".git"), Claim::NotMine);
        assert_eq!(Diesel.claim(&Entry::new_folder("2_b", &["down.sql"])), Claim::Wrong(Wrong::Lacks("up.sql")));
    }
}
