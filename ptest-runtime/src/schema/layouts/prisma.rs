//! Prisma: `<version>_<name>/migration.sql` beside `migration_lock.toml`, in the order of the folders' names, and the table
//! `_prisma_migrations`.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::entry::Entry;
use super::error::MigrationsError;
use super::{Claim, Cut, History, Layout, Name, Order, Up, Wrong};
use crate::schema::migrations::{Folder, Migration, MigrationSet};
use crate::schema::step::Dialect;

pub(super) struct Prisma;

const FILE: &str = "migration.sql";

impl Layout for Prisma {
    fn tool(&self) -> &'static str {
        "Prisma"
    }

    fn pattern(&self) -> &'static str {
        "<version>_<name>/migration.sql"
    }

    fn claim(&self, entry: &Entry) -> Claim {
        let Some(files) = entry.folder() else {
            return if entry.name == "migration_lock.toml" { Claim::Ignored } else { Claim::NotMine };
        };
        if !files.iter().any(|file| file == FILE) {
            return Claim::Wrong(Wrong::Lacks(FILE));
        }
        let name = entry.name.split_once('_').map_or("", |(_, name)| name).to_owned();
        Claim::Migration(Name { order: Order::text(&entry.name), version: entry.name.clone(), name })
    }

    fn inner_file(&self) -> Option<&'static str> {
        Some(FILE)
    }

    /// Prisma sends a file as one string, in no transaction of its own.
    fn up(&self, _: &Path, text: String) -> Result<Up, MigrationsError> {
        Ok(Up { sql: text, in_transaction: false, cut: Cut::Whole })
    }

    /// As its engine makes it. The number of a row is any UUID; this one is a part of the checksum.
    fn history(&self, set: &MigrationSet, _: &Folder, dialect: &Dialect) -> History {
        let Dialect { timestamp, now, .. } = dialect;
        let before = format!(
            "CREATE TABLE _prisma_migrations (id VARCHAR(36) PRIMARY KEY NOT NULL, checksum VARCHAR(64) NOT NULL, \
             finished_at {timestamp}, migration_name VARCHAR(255) NOT NULL, logs TEXT, rolled_back_at {timestamp}, \
             started_at {timestamp} NOT NULL DEFAULT {now}, applied_steps_count INTEGER NOT NULL DEFAULT 0)"
        );
        let note = |Migration { version, sql, .. }: &Migration| {
            let digest =
                |text: &str| -> String { Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect() };
            let (checksum, id) = (digest(sql), digest(&format!("{version}\n{sql}")));
            let id = [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..32]].join("-");
            format!(
                "INSERT INTO _prisma_migrations (id, checksum, finished_at, migration_name, applied_steps_count) \
                 VALUES ('{id}', '{checksum}', {now}, {}, 1)",
                (dialect.text)(version)
            )
        };
        History { before, notes: set.migrations.iter().map(note).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let claim = |entry: &Entry| Prisma.claim(entry);
        let name = Name {
            order: Order::text("20240131120000_add_users"),
            version: "20240131120000_add_users".to_owned(),
            name: "add_users".to_owned(),
        };
        assert_eq!(claim(&Entry::new_folder("20240131120000_add_users", &[FILE])), Claim::Migration(name));
        assert_eq!(claim(&Entry::new_folder("20240131120000_empty", &[])), Claim::Wrong(Wrong::Lacks(FILE)));
        assert_eq!(claim(&Entry::new_file("migration_lock.toml", "")), Claim::Ignored);
        assert_eq!(claim(&Entry::new_file("1_a.sql", "")), Claim::NotMine);
    }

    #[test]
    fn a_file_is_one_string() {
        let up = Prisma.up(Path::new(FILE), "select 1".to_owned()).unwrap();
        assert_eq!(up, Up { sql: "select 1".to_owned(), in_transaction: false, cut: Cut::Whole });
    }
}
