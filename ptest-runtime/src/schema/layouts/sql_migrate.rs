//! sql-migrate: one file for both ways, divided by commands, and the table `gorp_migrations`.
//!
//! `-- +migrate Up`, with `notransaction` behind it if need be; `-- +migrate Down`. Both may come more than once. A file may
//! have any name: those that begin with a number come first, in its order.

use std::path::Path;

use super::entry::Entry;
use super::error::MigrationsError;
use super::sections::{directive, only};
use super::{Claim, Cut, History, KnownBy, Layout, Name, Order, Up, Wrong};
use crate::schema::migrations::{Folder, MigrationSet};
use crate::schema::step::Dialect;

pub(super) struct SqlMigrate;

const UP: &str = "-- +migrate Up";

impl Layout for SqlMigrate {
    fn tool(&self) -> &'static str {
        "sql-migrate"
    }

    fn pattern(&self) -> &'static str {
        "<version>-<name>.sql"
    }

    fn known_by(&self) -> KnownBy {
        KnownBy::Text
    }

    fn claim(&self, entry: &Entry) -> Claim {
        let Some(stem) = entry.sql_file() else { return Claim::NotMine };
        if !entry.text().lines().any(|line| is(line, "up")) {
            return Claim::Wrong(Wrong::Unmarked(UP));
        }
        let digits = stem.bytes().take_while(u8::is_ascii_digit).count();
        let number: Option<i64> = stem[..digits].parse().ok();
        let order = Order { last: number.is_none(), numbers: number.into_iter().collect(), text: entry.name.clone() };
        // The name is what the tool notes.
        Claim::Migration(Name { order, version: entry.name.clone(), name: stem[digits..].to_owned() })
    }

    fn up(&self, _: &Path, text: String) -> Result<Up, MigrationsError> {
        let has_option =
            |line: &str| directive(line, "+migrate").is_some_and(|words| words.iter().any(|w| w == "notransaction"));
        let in_transaction = !text.lines().any(|line| is(line, "up") && has_option(line));
        let mut is_up = false;
        let sql = only(&text, |line| {
            is_up = (is_up || is(line, "up")) && !is(line, "down");
            is_up
        });
        Ok(Up { sql, in_transaction, cut: if in_transaction { Cut::Whole } else { Cut::Statements } })
    }

    fn history(&self, set: &MigrationSet, _: &Folder, dialect: &Dialect) -> History {
        let before =
            format!("CREATE TABLE gorp_migrations (id TEXT NOT NULL PRIMARY KEY, applied_at {})", dialect.timestamp);
        let note = |id: &str| {
            let (id, now) = ((dialect.text)(id), dialect.now);
            format!("INSERT INTO gorp_migrations (id, applied_at) VALUES ({id}, {now})")
        };
        History { before, notes: set.migrations.iter().map(|migration| note(&migration.version)).collect() }
    }
}

/// Whether a line is this command.
fn is(line: &str, command: &str) -> bool {
    directive(line, "+migrate").is_some_and(|words| words.first().is_some_and(|word| word == command))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up(text: &str) -> Up {
        SqlMigrate.up(Path::new("1.sql"), text.to_owned()).unwrap()
    }

    #[test]
    fn only_the_ways_up_are_run() {
        let text = "-- +migrate Up\na;\n-- +migrate Down\nb;\n-- +migrate Up\nc;\n";
        let sql = "-- +migrate Up\na;\n\n\n-- +migrate Up\nc;\n".to_owned();
        assert_eq!(up(text), Up { sql, in_transaction: true, cut: Cut::Whole });
    }

    #[test]
    fn the_way_up_can_ask_for_no_transaction() {
        let text = "-- +migrate Up notransaction\nvacuum;\n-- +migrate Down\n";
        assert_eq!((up(text).in_transaction, up(text).cut), (false, Cut::Statements));
        assert!(up("-- +migrate Up\n-- +migrate Down notransaction\n").in_transaction);
    }

    #[test]
    fn numbers_come_first_then_names() {
        let order = |name: &str| match SqlMigrate.claim(&Entry::new_file(name, UP)) {
            Claim::Migration(Name { order, version, .. }) => {
                assert_eq!(version, name);
                order
            }
            other => panic!("{other:?}"),
        };
        let mut names = ["users.sql", "10-b.sql", "9-a.sql", "10_a.sql", "init.sql"];
        names.sort_by_key(|name| order(name));
        assert_eq!(names, ["9-a.sql", "10-b.sql", "10_a.sql", "init.sql", "users.sql"]);
        assert_eq!(SqlMigrate.claim(&Entry::new_file("1.sql", "select 1")), Claim::Wrong(Wrong::Unmarked(UP)));
    }
}
