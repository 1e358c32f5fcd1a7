//! refinery: `V<version>__<name>.sql`, or `U…`, and the table `refinery_schema_history`.

use std::hash::{Hash, Hasher};
use std::path::Path;

use siphasher::sip::SipHasher13;

use super::entry::Entry;
use super::error::MigrationsError;
use super::{Claim, Cut, History, Layout, Name, Order, Up, Wrong};
use crate::schema::migrations::{Folder, Migration, MigrationSet};
use crate::schema::step::Dialect;

pub(super) struct Refinery;

impl Layout for Refinery {
    fn tool(&self) -> &'static str {
        "refinery"
    }

    fn pattern(&self) -> &'static str {
        "V<version>__<name>.sql"
    }

    fn claim(&self, entry: &Entry) -> Claim {
        if let Some(files) = entry.folder() {
            let is_migration = |name: &String| matches!(file(name), Claim::Migration(_) | Claim::Wrong(Wrong::Code(_)));
            return if files.iter().any(is_migration) { Claim::Wrong(Wrong::Nested) } else { Claim::NotMine };
        }
        entry.file().map_or(Claim::NotMine, file)
    }

    fn up(&self, _: &Path, text: String) -> Result<Up, MigrationsError> {
        let in_transaction = !text.lines().any(is_no_transaction);
        Ok(Up { sql: text, in_transaction, cut: Cut::Whole })
    }

    fn history(&self, set: &MigrationSet, _: &Folder, dialect: &Dialect) -> History {
        // Its feature `int8-versions` is for those that are too large for `i32`.
        let small = set.migrations.iter().all(|migration| migration.version.parse::<i32>().is_ok());
        let before = format!(
            "CREATE TABLE refinery_schema_history (version {} PRIMARY KEY, name VARCHAR(255), applied_on VARCHAR(255), \
             checksum VARCHAR(255))",
            if small { "INT4" } else { "INT8" }
        );
        let note = |Migration { version, name, sql, .. }: &Migration| {
            let number: i64 = version.parse().unwrap_or_default();
            format!(
                "INSERT INTO refinery_schema_history (version, name, applied_on, checksum) VALUES ({number}, {}, {}, '{}')",
                (dialect.text)(name),
                dialect.now_text,
                checksum(name, number, small, sql)
            )
        };
        History { before, notes: set.migrations.iter().map(note).collect() }
    }
}

fn file(name: &str) -> Claim {
    let Some(rest) = name.strip_prefix(['V', 'U']).filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) else {
        return Claim::NotMine;
    };
    let (stem, misnamed) = match (rest.strip_suffix(".sql"), rest.strip_suffix(".rs")) {
        (Some(stem), _) => (stem, Claim::Wrong(Wrong::Misnamed)),
        (_, Some(stem)) => (stem, Claim::NotMine),
        _ => return Claim::NotMine,
    };
    let Some((written, title)) = stem.split_once("__") else { return misnamed };
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let (Ok(version), true) = (written.parse(), !title.is_empty() && title.chars().all(word)) else { return misnamed };
    if misnamed == Claim::NotMine {
        return Claim::Wrong(Wrong::Code("Rust"));
    }
    Claim::Migration(Name { order: Order::number(version), version: written.to_owned(), name: title.to_owned() })
}

/// `--refinery:noTransaction`, with two hyphens or more and at most one space.
fn is_no_transaction(line: &str) -> bool {
    let Some(rest) = line.strip_prefix("--") else { return false };
    let rest = rest.trim_start_matches('-');
    rest.strip_prefix(char::is_whitespace).unwrap_or(rest) == "refinery:noTransaction"
}

/// As refinery computes it (`refinery_core::Migration::unapplied`).
fn checksum(name: &str, version: i64, small: bool, sql: &str) -> u64 {
    let mut hasher = SipHasher13::new();
    name.hash(&mut hasher);
    match i32::try_from(version) {
        Ok(version) if small => version.hash(&mut hasher),
        _ => version.hash(&mut hasher),
    }
    sql.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use refinery_core::Migration as Theirs;

    use super::*;

    #[test]
    fn names() {
        let claim = |name: &str| Refinery.claim(&Entry::new_file(name, ""));
        let migration = |version, written: &str, name: &str| {
            Claim::Migration(Name { order: Order::number(version), version: written.to_owned(), name: name.to_owned() })
        };
        assert_eq!(claim("V1__init.sql"), migration(1, "1", "init"));
        assert_eq!(claim("U20240131__grüße_2.sql"), migration(20240131, "20240131", "grüße_2"));
        assert_eq!(claim("V1__init.rs"), Claim::Wrong(Wrong::Code("Rust")));
        for name in ["V1_init.sql", "V1__.sql", "V1__a-b.sql", "V1.5__a.sql", "V1.sql", "V9223372036854775808__a.sql"] {
            assert_eq!(claim(name), Claim::Wrong(Wrong::Misnamed), "{name}");
        }
        for name in ["V1_init.rs", "V1__init.txt", "V2.md", "V.sql"] {
            assert_eq!(claim(name), Claim::NotMine, "{name}");
        }
        assert_eq!(Refinery.claim(&Entry::new_folder("later", &["V2__b.sql"])), Claim::Wrong(Wrong::Nested));
        assert_eq!(Refinery.claim(&Entry::new_folder("old", &["readme"])), Claim::NotMine);
    }

    #[test]
    fn checksums_are_refinerys() {
        for (file, name, version, sql) in [
            ("V1__init.sql", "init", 1, "create table a (id int);\n"),
            ("U20240131__grüße_2.sql", "grüße_2", 20240131, "select 'ä'"),
        ] {
            let theirs = Theirs::unapplied(file, sql).unwrap();
            assert_eq!(checksum(name, version, true, sql), theirs.checksum(), "{file}");
        }
    }
}
