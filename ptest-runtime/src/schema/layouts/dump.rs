//! A plain script that is all of the schema: a file of any name, or `schema.sql` or `structure.sql` alone in its folder. It is
//! run as psql would run it.

use std::path::Path;

use super::entry::Entry;
use super::error::MigrationsError;
use super::{Claim, Cut, KnownBy, Layout, Name, Order, Up};

pub(super) struct Dump;

impl Layout for Dump {
    fn tool(&self) -> &'static str {
        "one script"
    }

    fn pattern(&self) -> &'static str {
        "schema.sql"
    }

    fn claim(&self, entry: &Entry) -> Claim {
        entry.sql_file().map_or(Claim::NotMine, |name| Claim::Migration(name_of(name)))
    }

    fn known_by(&self) -> KnownBy {
        KnownBy::Whole
    }

    fn owns(&self, entries: &[Entry]) -> bool {
        let scripts: Vec<&str> = entries.iter().filter_map(Entry::sql_file).collect();
        matches!(scripts[..], ["schema"] | ["structure"])
    }

    fn up(&self, _: &Path, text: String) -> Result<Up, MigrationsError> {
        Ok(Up { sql: text, in_transaction: false, cut: Cut::Statements })
    }
}

/// A script has no version.
pub(super) fn name_of(name: &str) -> Name {
    Name { order: Order::default(), version: String::new(), name: name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_one_scripts_if_it_is_alone() {
        let owns = |names: &[&str]| Dump.owns(&names.iter().map(|name| Entry::new_file(name, "")).collect::<Vec<_>>());
        assert!(owns(&["README.md", "schema.sql"]));
        assert!(owns(&["structure.sql"]));
        assert!(!owns(&["schema.sql", "users.sql"]));
        assert!(!owns(&["users.sql"]));
    }
}
