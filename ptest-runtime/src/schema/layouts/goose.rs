//! goose: one file for both ways, divided by annotations, and the table `goose_db_version`.
//!
//! `-- +goose Up`, the statements, `-- +goose Down`. `-- +goose StatementBegin` and `StatementEnd` stand around a statement
//! with semicolons in it, which needs no mark here. `-- +goose NO TRANSACTION` may stand anywhere in the file. Migrations in
//! Go are compiled into an application, and so out of reach.

use std::path::Path;

use super::entry::Entry;
use super::error::MigrationsError;
use super::sections::{directive, is_blank, only};
use super::{Claim, Cut, History, KnownBy, Layout, Name, Order, Up, Wrong};
use crate::schema::migrations::{Folder, MigrationSet};
use crate::schema::step::Dialect;

pub(super) struct Goose;

const UP: &str = "-- +goose Up";

impl Layout for Goose {
    fn tool(&self) -> &'static str {
        "goose"
    }

    fn pattern(&self) -> &'static str {
        "<version>_<name>.sql"
    }

    fn known_by(&self) -> KnownBy {
        KnownBy::Text
    }

    fn claim(&self, entry: &Entry) -> Claim {
        let number = |stem: &str| stem.split_once('_').and_then(|(number, _)| number.parse::<i64>().ok());
        let Some(stem) = entry.sql_file() else {
            let go = entry.file().and_then(|name| name.strip_suffix(".go"));
            let is_migration = go.is_some_and(|stem| !stem.ends_with("_test") && number(stem).is_some());
            return if is_migration { Claim::Wrong(Wrong::Code("Go")) } else { Claim::NotMine };
        };
        if !entry.text().lines().any(|line| is(line, &["up"])) {
            return Claim::Wrong(Wrong::Unmarked(UP));
        }
        match number(stem) {
            Some(version) if version > 0 => Claim::Migration(Name {
                order: Order::number(version),
                version: version.to_string(),
                name: stem.split_once('_').map_or("", |(_, name)| name).to_owned(),
            }),
            _ => Claim::Wrong(Wrong::Misnamed),
        }
    }

    fn up(&self, path: &Path, text: String) -> Result<Up, MigrationsError> {
        if text.lines().take_while(|line| !is(line, &["up"])).any(|line| !is_blank(line)) {
            return Err(MigrationsError::BeforeWayUp { path: path.to_owned(), mark: UP, tool: self.tool() });
        }
        if let Some(index) = text.lines().position(|line| is(line, &["envsub", "on"])) {
            let (what, line) = ("-- +goose ENVSUB ON", index + 1);
            return Err(MigrationsError::Unsupported { path: path.to_owned(), line, what, tool: self.tool() });
        }
        let in_transaction = !text.lines().any(|line| is(line, &["no", "transaction"]));
        let mut is_up = false;
        let sql = only(&text, |line| {
            is_up = (is_up || is(line, &["up"])) && !is(line, &["down"]);
            is_up
        });
        Ok(Up { sql, in_transaction, cut: if in_transaction { Cut::Whole } else { Cut::Statements } })
    }

    /// As goose's dialects of PostgreSQL and SQLite make it; its first row stands for the empty database.
    fn history(&self, set: &MigrationSet, _: &Folder, dialect: &Dialect) -> History {
        let note =
            |version: &str| format!("INSERT INTO goose_db_version (version_id, is_applied) VALUES ({version}, TRUE)");
        let before = format!(
            "CREATE TABLE goose_db_version (id {}, version_id BIGINT NOT NULL, is_applied BOOLEAN NOT NULL, \
             tstamp TIMESTAMP DEFAULT CURRENT_TIMESTAMP); {}",
            dialect.counter,
            note("0")
        );
        History { before, notes: set.migrations.iter().map(|migration| note(&migration.version)).collect() }
    }
}

fn is(line: &str, words: &[&str]) -> bool {
    directive(line, "+goose").is_some_and(|found| found == words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up(text: &str) -> Result<Up, MigrationsError> {
        Goose.up(Path::new("1_a.sql"), text.to_owned())
    }

    #[test]
    fn only_the_way_up_is_run() {
        let text = "-- users\n\n-- +goose Up\ncreate table a ();\n-- +goose Down\ndrop table a;\n";
        let sql = "\n\n-- +goose Up\ncreate table a ();\n\n\n".to_owned();
        assert_eq!(up(text).unwrap(), Up { sql, in_transaction: true, cut: Cut::Whole });
        let text = "-- +goose NO TRANSACTION\n-- +goose up\nvacuum;";
        let sql = "\n-- +goose up\nvacuum;".to_owned();
        assert_eq!(up(text).unwrap(), Up { sql, in_transaction: false, cut: Cut::Statements });
    }

    #[test]
    fn what_goose_refuses_is_refused() {
        assert!(matches!(up("select 1;\n-- +goose Up\n"), Err(MigrationsError::BeforeWayUp { .. })));
        let environment = up("-- +goose Up\n-- +goose ENVSUB ON\nselect '${HOME}';");
        assert!(matches!(environment, Err(MigrationsError::Unsupported { line: 2, .. })));
    }

    #[test]
    fn names() {
        let claim = |name: &str, text: &str| Goose.claim(&Entry::new_file(name, text));
        let name = Name { order: Order::number(1), version: "1".to_owned(), name: "add_users".to_owned() };
        assert_eq!(claim("00001_add_users.sql", "-- +goose Up"), Claim::Migration(name));
        assert_eq!(claim("users.sql", "-- +goose Up"), Claim::Wrong(Wrong::Misnamed));
        assert_eq!(claim("0_users.sql", "-- +goose Up"), Claim::Wrong(Wrong::Misnamed));
        assert_eq!(claim("00002_more.sql", "-- +goose Down"), Claim::Wrong(Wrong::Unmarked(UP)));
        assert_eq!(claim("00003_code.go", ""), Claim::Wrong(Wrong::Code("Go")));
        assert_eq!(claim("00003_code_test.go", ""), Claim::NotMine);
        assert_eq!(claim("embed.go", ""), Claim::NotMine);
    }
}
