//! What a tool notes of the migrations that it has applied: written into the template as the tool itself writes it, so that
//! an application that runs its migrations at start finds nothing to do.
//!
//! sqlx's is not here: its own migrator writes it.

use std::hash::{Hash, Hasher};

use siphasher::sip::SipHasher13;

use super::layout::Layout;
use super::migrations::{Migration, MigrationSet};
use crate::pg::server::quote_literal;

/// The two dialects.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Dialect {
    Postgres,
    #[cfg(feature = "sqlx-sqlite")]
    Sqlite,
}

/// The statement that makes the tool's table; `None`: it has none.
pub(crate) fn table_sql(set: &MigrationSet) -> Option<&'static str> {
    match set.layout {
        Layout::Diesel => Some(
            "CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL, \
             run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP)",
        ),
        Layout::Dbmate => Some("CREATE TABLE schema_migrations (version VARCHAR(128) PRIMARY KEY)"),
        Layout::Refinery => Some(match is_small(set) {
            true => {
                "CREATE TABLE refinery_schema_history (version INT4 PRIMARY KEY, name VARCHAR(255), \
                 applied_on VARCHAR(255), checksum VARCHAR(255))"
            }
            false => {
                "CREATE TABLE refinery_schema_history (version INT8 PRIMARY KEY, name VARCHAR(255), \
                 applied_on VARCHAR(255), checksum VARCHAR(255))"
            }
        }),
        Layout::Sqlx | Layout::Numbered => None,
    }
}

/// The statement that notes one migration as applied; `None`: the tool keeps no note.
pub(crate) fn note_sql(set: &MigrationSet, migration: &Migration, dialect: Dialect) -> Option<String> {
    let version = quote_literal(&migration.version);
    match set.layout {
        Layout::Diesel => Some(format!("INSERT INTO __diesel_schema_migrations (version) VALUES ({version})")),
        Layout::Dbmate => Some(format!("INSERT INTO schema_migrations (version) VALUES ({version})")),
        Layout::Refinery => {
            let number: i64 = migration.version.parse().unwrap_or_default();
            Some(format!(
                "INSERT INTO refinery_schema_history (version, name, applied_on, checksum) \
                 VALUES ({number}, {}, {}, '{}')",
                quote_literal(&migration.name),
                dialect.now(),
                refinery_checksum(&migration.name, number, is_small(set), &migration.sql)
            ))
        }
        Layout::Sqlx | Layout::Numbered => None,
    }
}

impl Dialect {
    /// The time as RFC 3339 has it.
    fn now(self) -> &'static str {
        match self {
            Dialect::Postgres => {
                "pg_catalog.to_char(pg_catalog.now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
            }
            #[cfg(feature = "sqlx-sqlite")]
            Dialect::Sqlite => "strftime('%Y-%m-%dT%H:%M:%SZ', 'now')",
        }
    }
}

/// Whether refinery reads the versions as `i32`; its feature `int8-versions` is for those that are too large.
fn is_small(set: &MigrationSet) -> bool {
    set.migrations.iter().all(|migration| migration.version.parse::<i32>().is_ok())
}

/// As refinery computes it (`refinery_core::Migration::unapplied`).
fn refinery_checksum(name: &str, version: i64, small: bool, sql: &str) -> u64 {
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
    use refinery_core::Migration as Refinery;

    use super::refinery_checksum;

    #[test]
    fn checksums_are_refinerys() {
        for (file, name, version, sql) in [
            ("V1__init.sql", "init", 1, "create table a (id int);\n"),
            ("U20240131__grüße_2.sql", "grüße_2", 20240131, "select 'ä'"),
        ] {
            let theirs = Refinery::unapplied(file, sql).unwrap();
            assert_eq!(refinery_checksum(name, version, true, sql), theirs.checksum(), "{file}");
        }
    }
}
