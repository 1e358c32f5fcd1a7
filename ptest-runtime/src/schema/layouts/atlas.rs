//! Atlas: `<version>_<name>.sql` beside `atlas.sum`, in the order of the names.
//!
//! What stands before the first statement can say `-- atlas:txmode none`. A file with `-- atlas:checkpoint` stands for all
//! before it in an empty database. Its own table, in a schema of its own, is not written.

use std::path::Path;

use super::entry::Entry;
use super::error::MigrationsError;
use super::sections::{directive, is_blank};
use super::{Claim, Cut, Found, KnownBy, Layout, Name, Order, Up};

pub(super) struct Atlas;

const SUM: &str = "atlas.sum";

impl Layout for Atlas {
    fn tool(&self) -> &'static str {
        "Atlas"
    }

    fn pattern(&self) -> &'static str {
        "<version>_<name>.sql"
    }

    fn claim(&self, entry: &Entry) -> Claim {
        let Some(stem) = entry.sql_file() else {
            return if entry.name == SUM { Claim::Ignored } else { Claim::NotMine };
        };
        let (version, name) = stem.split_once('_').unwrap_or((stem, ""));
        Claim::Migration(Name { order: Order::text(&entry.name), version: version.to_owned(), name: name.to_owned() })
    }

    fn known_by(&self) -> KnownBy {
        KnownBy::Whole
    }

    fn owns(&self, entries: &[Entry]) -> bool {
        entries.iter().any(|entry| entry.name == SUM) && entries.iter().any(|entry| entry.sql_file().is_some())
    }

    fn choose(&self, found: &mut Vec<Found>) {
        let is_checkpoint =
            |found: &Found| found.text.as_deref().is_some_and(|text| header(text, "atlas:checkpoint").is_some());
        let Some(newest) =
            found.iter().filter(|found| is_checkpoint(found)).map(|found| found.name.order.clone()).max()
        else {
            return;
        };
        found.retain(|found| found.name.order >= newest);
    }

    fn up(&self, path: &Path, text: String) -> Result<Up, MigrationsError> {
        if let Some(index) = text.lines().position(|line| directive(line, "atlas:delimiter").is_some()) {
            let (what, line) = ("-- atlas:delimiter", index + 1);
            return Err(MigrationsError::Unsupported { path: path.to_owned(), line, what, tool: self.tool() });
        }
        let in_transaction = header(&text, "atlas:txmode").is_none_or(|words| words != ["none"]);
        Ok(Up { sql: text, in_transaction, cut: if in_transaction { Cut::Whole } else { Cut::Statements } })
    }
}

/// What a directive says that stands before the first statement.
fn header(text: &str, name: &str) -> Option<Vec<String>> {
    text.lines().take_while(|line| is_blank(line)).find_map(|line| directive(line, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let claim = |name: &str| Atlas.claim(&Entry::new_file(name, ""));
        let migration = |file: &str, version: &str, name: &str| {
            Claim::Migration(Name { order: Order::text(file), version: version.to_owned(), name: name.to_owned() })
        };
        assert_eq!(claim("20240131_users.sql"), migration("20240131_users.sql", "20240131", "users"));
        assert_eq!(claim("20240131.sql"), migration("20240131.sql", "20240131", ""));
        assert_eq!(claim(SUM), Claim::Ignored);
        assert_eq!(claim("atlas.hcl"), Claim::NotMine);
    }

    #[test]
    fn a_folder_is_atlass_by_its_sums() {
        let owns = |names: &[&str]| Atlas.owns(&names.iter().map(|name| Entry::new_file(name, "")).collect::<Vec<_>>());
        assert!(owns(&["1_a.sql", SUM]));
        assert!(!owns(&["1_a.sql"]));
        assert!(!owns(&[SUM]));
    }

    #[test]
    fn the_head_can_ask_for_no_transaction() {
        let up = |text: &str| Atlas.up(Path::new("1.sql"), text.to_owned()).unwrap();
        assert_eq!(up("-- atlas:txmode none\n\nvacuum;").cut, Cut::Statements);
        assert!(!up("-- about\n-- atlas:txmode none\nvacuum;").in_transaction);
        assert!(up("select 1;\n-- atlas:txmode none\n").in_transaction);
        assert!(up("-- atlas:txmode file\nselect 1;").in_transaction);
        assert!(Atlas.up(Path::new("1.sql"), "-- atlas:delimiter \\n\\n".to_owned()).is_err());
    }
}
