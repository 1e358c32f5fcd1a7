//! Numbered files, of no tool: `<number>.sql`, `<number>-<name>.sql`, run in their order as psql would run them.

use std::path::Path;

use super::entry::Entry;
use super::error::MigrationsError;
use super::{Claim, Cut, Layout, Name, Order, Up};

pub(super) struct Numbered;

impl Layout for Numbered {
    fn tool(&self) -> &'static str {
        "numbered files"
    }

    fn pattern(&self) -> &'static str {
        "<number>-<name>.sql"
    }

    /// `1.sql`, `01-users.sql`, `2 more_users.sql`; what follows the number begins with something else than a part of it.
    fn claim(&self, entry: &Entry) -> Claim {
        let Some(stem) = entry.sql_file() else { return Claim::NotMine };
        let digits = stem.bytes().take_while(u8::is_ascii_digit).count();
        let (written, rest) = stem.split_at(digits);
        let (Ok(version), true) = (written.parse(), rest.is_empty() || rest.starts_with(['-', ' '])) else {
            return Claim::NotMine;
        };
        if stem.ends_with(".down") {
            return Claim::Ignored;
        }
        let name = rest.get(1..).unwrap_or_default().to_owned();
        Claim::Migration(Name { order: Order::number(version), version: written.to_owned(), name })
    }

    fn up(&self, _: &Path, text: String) -> Result<Up, MigrationsError> {
        Ok(Up { sql: text, in_transaction: false, cut: Cut::Statements })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let claim = |name: &str| Numbered.claim(&Entry::new_file(name, ""));
        let migration = |version, written: &str, name: &str| {
            Claim::Migration(Name { order: Order::number(version), version: written.to_owned(), name: name.to_owned() })
        };
        assert_eq!(claim("1.sql"), migration(1, "1", ""));
        assert_eq!(claim("010-users.sql"), migration(10, "010", "users"));
        assert_eq!(claim("2 more_users.sql"), migration(2, "2", "more_users"));
        assert_eq!(claim("3-user_table.sql"), migration(3, "3", "user_table"));
        assert_eq!(claim("3-users.down.sql"), Claim::Ignored);
        for name in ["1.md", "1.5.sql", "1st.sql", "-1.sql", "9223372036854775808.sql"] {
            assert_eq!(claim(name), Claim::NotMine, "{name}");
        }
    }
}
