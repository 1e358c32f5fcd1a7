//! Flyway: `V<version>__<name>.sql` in the order of their versions, then `R__<name>.sql` in that of their names.
//!
//! A version has parts, with dots or underscores between. `U<version>__<name>.sql` is a way back. `B<version>__<name>.sql`
//! is a baseline, which stands for all versions up to its own in an empty database. A file beside a migration, named as it is
//! with `.conf` behind, may say `executeInTransaction=false`. A folder whose files refinery would read the same is refinery's.

use std::path::Path;

use super::entry::{self, Entry};
use super::error::MigrationsError;
use super::refinery::Refinery;
use super::{Claim, Cut, Found, KnownBy, Layout, Name, Order, Up, Wrong};

pub(super) struct Flyway;

impl Layout for Flyway {
    fn tool(&self) -> &'static str {
        "Flyway"
    }

    fn pattern(&self) -> &'static str {
        "V<version>__<name>.sql"
    }

    fn claim(&self, entry: &Entry) -> Claim {
        let Some(stem) = entry.sql_file() else {
            let is_conf = entry.file().is_some_and(|name| name.ends_with(".sql.conf"));
            return if is_conf { Claim::Ignored } else { Claim::NotMine };
        };
        if ["before", "after"]
            .iter()
            .any(|when| stem.strip_prefix(when).is_some_and(|rest| rest.starts_with(char::is_uppercase)))
        {
            return Claim::Wrong(Wrong::Special("a callback"));
        }
        let Some((head, name)) = stem.split_once("__") else { return Claim::NotMine };
        let (kind, written) = head.split_at_checked(1).unwrap_or_default();
        let name = name.to_owned();
        match (kind, version(written)) {
            ("R", _) if written.is_empty() => Claim::Migration(Name {
                order: Order { last: true, ..Order::text(&name) },
                version: String::new(),
                name,
            }),
            ("V" | "B", Some(numbers)) => {
                let order = Order { numbers, text: kind.to_owned(), last: false };
                Claim::Migration(Name { order, version: written.replace('_', "."), name })
            }
            ("U", Some(_)) => Claim::Ignored,
            _ => Claim::NotMine,
        }
    }

    fn known_by(&self) -> KnownBy {
        KnownBy::Whole
    }

    /// If there is something that refinery would not run, or a way back of a version that is there.
    fn owns(&self, entries: &[Entry]) -> bool {
        let is_migration = |claim: Claim| matches!(claim, Claim::Migration(_));
        let versions = |kind: char| {
            let written = move |entry: &'_ Entry| {
                let (head, _) = entry.sql_file()?.strip_prefix(kind)?.split_once("__")?;
                version(head)
            };
            entries.iter().filter_map(written).collect::<Vec<_>>()
        };
        let forward = versions('V');
        entries.iter().any(|entry| is_migration(self.claim(entry)) && !is_migration(Refinery.claim(entry)))
            || versions('U').iter().any(|back| forward.contains(back))
    }

    /// The newest baseline, and the versions after it.
    fn choose(&self, found: &mut Vec<Found>) {
        let baselines = found.iter().filter(|found| found.name.order.text == "B" && !found.name.order.last);
        let Some(newest) = baselines.map(|found| found.name.order.numbers.clone()).max() else { return };
        found.retain(|Found { name: Name { order, .. }, .. }| {
            order.last || order.numbers > newest || (order.numbers == newest && order.text == "B")
        });
    }

    /// Flyway leaves the transaction out where a statement must not be in one.
    fn up(&self, path: &Path, text: String) -> Result<Up, MigrationsError> {
        let mut conf = path.as_os_str().to_owned();
        conf.push(".conf");
        let conf = Path::new(&conf);
        let asks = |text: &str| {
            let setting = |line: &str| line.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            text.lines().any(|line| setting(line) == "executeInTransaction=false")
        };
        let asked = conf.exists() && asks(&entry::read_text(conf)?);
        let in_transaction = !asked && !text.lines().any(refuses_transaction);
        Ok(Up { sql: text, in_transaction, cut: Cut::Statements })
    }
}

/// The parts of a version; zeros at the end mean nothing.
fn version(written: &str) -> Option<Vec<i64>> {
    let mut numbers = written.split(['.', '_']).map(|part| part.parse().ok()).collect::<Option<Vec<i64>>>()?;
    while numbers.len() > 1 && numbers.last() == Some(&0) {
        numbers.pop();
    }
    numbers.iter().all(|number| *number >= 0).then_some(numbers)
}

/// Whether a line begins a statement that must not be in a transaction.
fn refuses_transaction(line: &str) -> bool {
    let line = line.trim_start().to_ascii_uppercase();
    ["VACUUM", "REINDEX", "ALTER SYSTEM"].iter().any(|words| line.starts_with(words))
        || (["CREATE ", "DROP "].iter().any(|word| line.starts_with(word)) && line.contains("INDEX CONCURRENTLY"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(name: &str) -> Claim {
        Flyway.claim(&Entry::new_file(name, ""))
    }

    fn numbers(name: &str) -> Vec<i64> {
        match claim(name) {
            Claim::Migration(name) => name.order.numbers,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn names() {
        assert_eq!(numbers("V1__a.sql"), [1]);
        assert_eq!(numbers("V1.2__add users.sql"), [1, 2]);
        assert_eq!(numbers("V1_10__a-b.sql"), [1, 10]);
        assert_eq!(numbers("V2.0__a.sql"), [2]);
        assert_eq!(numbers("B5__a.sql"), [5]);
        assert_eq!(claim("U1__a.sql"), Claim::Ignored);
        assert_eq!(claim("V1__a.sql.conf"), Claim::Ignored);
        assert_eq!(claim("afterMigrate.sql"), Claim::Wrong(Wrong::Special("a callback")));
        for name in ["V1_a.sql", "V__a.sql", "R1__a.sql", "Vx__a.sql", "aftermath.sql", "__a.sql"] {
            assert_eq!(claim(name), Claim::NotMine, "{name}");
        }
    }

    #[test]
    fn a_folder_is_flyways_by_what_refinery_would_not_run() {
        let owns =
            |names: &[&str]| Flyway.owns(&names.iter().map(|name| Entry::new_file(name, "")).collect::<Vec<_>>());
        assert!(owns(&["V1__a.sql", "R__views.sql"]));
        assert!(owns(&["V1.5__a.sql"]));
        assert!(owns(&["V1__a.sql", "U1__a.sql"]));
        assert!(!owns(&["V1__a.sql", "V2__b.sql"]));
        assert!(!owns(&["V1__a.sql", "U2__b.sql"]));
    }

    #[test]
    fn a_transaction_is_left_out_where_a_statement_wants_none() {
        let in_transaction = |text: &str| Flyway.up(Path::new("V1__a.sql"), text.to_owned()).unwrap().in_transaction;
        assert!(in_transaction("create table a (vacuum int);"));
        assert!(!in_transaction("create unique index concurrently i on a (b);"));
        assert!(!in_transaction("  VACUUM a;"));
    }
}
