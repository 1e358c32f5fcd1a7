//! sqlx: `<version>_<name>.sql`, or `.up.sql` with `.down.sql`, and the table `_sqlx_migrations`.

use std::path::Path;

use sha2::{Digest, Sha384};

use super::entry::Entry;
use super::error::MigrationsError;
use super::numbered::Numbered;
use super::{Claim, Cut, History, Layout, Name, Order, Up, Wrong};
use crate::schema::migrations::{Folder, Migration, MigrationSet};
use crate::schema::step::Dialect;

pub(super) struct Sqlx;

impl Layout for Sqlx {
    fn tool(&self) -> &'static str {
        "sqlx"
    }

    fn pattern(&self) -> &'static str {
        "<version>_<name>.sql"
    }

    fn claim(&self, entry: &Entry) -> Claim {
        let Some((written, rest)) = entry.sql_file().and_then(|stem| stem.split_once('_')) else {
            return Claim::NotMine;
        };
        let Ok(version) = written.parse() else {
            let is_numbered = Numbered.claim(entry) != Claim::NotMine;
            return if is_numbered { Claim::NotMine } else { Claim::Wrong(Wrong::Misnamed) };
        };
        if rest.ends_with(".down") {
            return Claim::Ignored;
        }
        let name = rest.strip_suffix(".up").unwrap_or(rest).to_owned();
        Claim::Migration(Name { order: Order::number(version), version: written.to_owned(), name })
    }

    fn up(&self, _: &Path, text: String) -> Result<Up, MigrationsError> {
        let in_transaction = !text.starts_with("-- no-transaction");
        Ok(Up { sql: text, in_transaction, cut: Cut::Whole })
    }

    /// As sqlx does it: `ensure_migrations_table` and `execute_migration` of its `Migrate`. The checksum is that of the text
    /// without the characters that `sqlx.toml` ignores.
    fn history(&self, set: &MigrationSet, folder: &Folder, dialect: &Dialect) -> History {
        let settings = &folder.sqlx;
        let table = settings.table_name.as_deref().unwrap_or("_sqlx_migrations");
        let mut before: String = settings.create_schemas.iter().map(|name| (dialect.create_schema)(name)).collect();
        let Dialect { timestamp, now, bytes, .. } = dialect;
        before += &format!(
            "CREATE TABLE IF NOT EXISTS {table} (version BIGINT PRIMARY KEY, description TEXT NOT NULL, \
             installed_on {timestamp} NOT NULL DEFAULT {now}, success BOOLEAN NOT NULL, checksum {bytes} NOT NULL, \
             execution_time BIGINT NOT NULL)"
        );
        let note = |migration: &Migration| {
            let hashed: String = migration.sql.chars().filter(|c| !settings.ignored_chars.contains(c)).collect();
            let checksum: String = Sha384::digest(hashed).iter().map(|byte| format!("{byte:02x}")).collect();
            format!(
                "INSERT INTO {table} (version, description, success, checksum, execution_time) VALUES ({}, {}, TRUE, {}, 0)",
                migration.version.parse::<i64>().unwrap_or_default(),
                (dialect.text)(&migration.name.replace('_', " ")),
                (dialect.hex)(&checksum)
            )
        };
        History { before, notes: set.migrations.iter().map(note).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(name: &str) -> Claim {
        Sqlx.claim(&Entry::new_file(name, ""))
    }

    fn migration(version: i64, written: &str, name: &str) -> Claim {
        Claim::Migration(Name { order: Order::number(version), version: written.to_owned(), name: name.to_owned() })
    }

    #[test]
    fn names() {
        assert_eq!(claim("1_init.sql"), migration(1, "1", "init"));
        assert_eq!(claim("20240131120000_add_users.up.sql"), migration(20240131120000, "20240131120000", "add_users"));
        assert_eq!(claim("007_a.b.sql"), migration(7, "007", "a.b"));
        assert_eq!(claim("1_init.down.sql"), Claim::Ignored);
        for name in ["init.sql", "1_init.SQL", "1_init.sql.bak", "README.md", ".1_init.sql", "", "3-user_table.sql"] {
            assert_eq!(claim(name), Claim::NotMine, "{name}");
        }
        for name in ["a_b.sql", "_b.sql", "1.5_b.sql", "v1__b.sql", "9223372036854775808_big.sql", "x_b.down.sql"] {
            assert_eq!(claim(name), Claim::Wrong(Wrong::Misnamed), "{name}");
        }
    }

    #[test]
    fn the_first_line_can_ask_for_no_transaction() {
        let in_transaction = |text: &str| Sqlx.up(Path::new(""), text.to_owned()).unwrap().in_transaction;
        assert!(!in_transaction("-- no-transaction\nselect 1"));
        assert!(in_transaction("select 1; -- no-transaction"));
    }
}
