//! dbmate: one file for both ways, divided by comments, and the table `schema_migrations`.
//!
//! `-- migrate:up`, with `transaction:false` behind it if need be, then the statements; `-- migrate:down`, and their way
//! back, which nothing here runs (dbmate's README, "Writing migrations"). Files run in the order of their names.

use std::path::Path;

use super::entry::Entry;
use super::error::MigrationsError;
use super::sections::{directive, is_blank, only};
use super::{Claim, Cut, History, KnownBy, Layout, Name, Order, Up, Wrong};
use crate::schema::migrations::{Folder, MigrationSet};
use crate::schema::step::Dialect;

pub(super) struct Dbmate;

const UP: &str = "-- migrate:up";

impl Layout for Dbmate {
    fn tool(&self) -> &'static str {
        "dbmate"
    }

    fn pattern(&self) -> &'static str {
        "<version>_<name>.sql"
    }

    fn known_by(&self) -> KnownBy {
        KnownBy::Text
    }

    fn claim(&self, entry: &Entry) -> Claim {
        let Some(stem) = entry.sql_file() else { return Claim::NotMine };
        let digits = stem.bytes().take_while(u8::is_ascii_digit).count();
        let (version, rest) = stem.split_at(digits);
        match (digits, entry.text().lines().any(is_up)) {
            (0, _) => Claim::NotMine,
            (_, false) => Claim::Wrong(Wrong::Unmarked(UP)),
            (_, true) => Claim::Migration(Name {
                order: Order::text(stem),
                version: version.to_owned(),
                name: rest.trim_start_matches('_').to_owned(),
            }),
        }
    }

    fn up(&self, path: &Path, text: String) -> Result<Up, MigrationsError> {
        let before = text.lines().take_while(|line| !is_up(line));
        if before.into_iter().any(|line| !is_blank(line)) {
            return Err(MigrationsError::BeforeWayUp { path: path.to_owned(), mark: UP, tool: self.tool() });
        }
        let options = text.lines().find(|line| is_up(line)).and_then(|line| directive(line, "migrate:up"));
        let in_transaction = !options.unwrap_or_default().iter().any(|option| option == "transaction:false");
        let mut is_down = false;
        let sql = only(&text, |line| {
            is_down |= directive(line, "migrate:down").is_some();
            !is_down
        });
        Ok(Up { sql, in_transaction, cut: Cut::Whole })
    }

    fn history(&self, set: &MigrationSet, _: &Folder, dialect: &Dialect) -> History {
        let before = "CREATE TABLE schema_migrations (version VARCHAR(128) PRIMARY KEY)".to_owned();
        let note =
            |version: &str| format!("INSERT INTO schema_migrations (version) VALUES ({})", (dialect.text)(version));
        History { before, notes: set.migrations.iter().map(|migration| note(&migration.version)).collect() }
    }
}

fn is_up(line: &str) -> bool {
    directive(line, "migrate:up").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up(text: &str) -> Up {
        Dbmate.up(Path::new("1_a.sql"), text.to_owned()).unwrap()
    }

    #[test]
    fn the_way_up_ends_where_the_way_down_begins() {
        let text = "-- about users\n\n-- migrate:up\ncreate table a ();\n--migrate:down\ndrop table a;\n";
        let sql = "-- about users\n\n-- migrate:up\ncreate table a ();\n".to_owned();
        assert_eq!(up(text), Up { sql: sql + "\n\n", in_transaction: true, cut: Cut::Whole });
        let text = "--  migrate:up transaction:false\r\nvacuum;";
        assert_eq!(up(text), Up { sql: text.to_owned(), in_transaction: false, cut: Cut::Whole });
    }

    #[test]
    fn a_migration_is_a_numbered_file_with_a_way_up() {
        let claim = |name: &str, text: &str| Dbmate.claim(&Entry::new_file(name, text));
        let named = |version: &str, name: &str, order: &str| {
            Claim::Migration(Name { order: Order::text(order), version: version.to_owned(), name: name.to_owned() })
        };
        assert_eq!(claim("2024_a.sql", "-- migrate:up"), named("2024", "a", "2024_a"));
        for text in ["", "create table a ();", "-- migrate:upwards", "select 1; -- migrate:up", "-- migrate:down"] {
            assert_eq!(claim("1_a.sql", text), Claim::Wrong(Wrong::Unmarked(UP)), "{text}");
        }
        assert_eq!(claim("schema.sql", "-- migrate:up"), Claim::NotMine);
    }

    #[test]
    fn only_comments_stand_before_it() {
        assert!(up("-- about\n\n  -- users\n-- migrate:up\nselect 1").in_transaction);
        assert!(Dbmate.up(Path::new("1_a.sql"), "select 1;\n-- migrate:up\nselect 2".to_owned()).is_err());
    }
}
