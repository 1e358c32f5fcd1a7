//! The layouts of migrations folders: what a name says, as the tool that owns the layout reads it.

/// The tool whose rules a folder follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// `<version>_<name>.sql`, or `.up.sql` with `.down.sql`.
    Sqlx,
    /// Named as sqlx's or numbered, with `-- migrate:up` in each file. Names do not tell it; [`super::dbmate`] does.
    Dbmate,
    /// `<number>.sql`, `<number>-<name>.sql`: run in their order, by whatever tool.
    Numbered,
    /// `<version>_<name>/up.sql`.
    Diesel,
    /// `V<version>__<name>.sql`, or `U…`.
    Refinery,
}

impl Layout {
    pub(crate) fn tool(self) -> &'static str {
        match self {
            Layout::Sqlx => "sqlx",
            Layout::Dbmate => "dbmate",
            Layout::Numbered => "numbered files",
            Layout::Diesel => "diesel",
            Layout::Refinery => "refinery",
        }
    }

    /// How the tool's migrations are named.
    pub(super) fn pattern(self) -> &'static str {
        match self {
            Layout::Sqlx | Layout::Dbmate => "<version>_<name>.sql",
            Layout::Numbered => "<number>-<name>.sql",
            Layout::Diesel => "<version>_<name>/up.sql",
            Layout::Refinery => "V<version>__<name>.sql",
        }
    }
}

/// What the name of an entry says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry<'n> {
    /// A migration. Its version orders it among the others.
    Migration { layout: Layout, version: Version, written: &'n str, name: &'n str },
    /// The way back of a reversible migration of sqlx, which nothing here runs.
    Down,
    /// A migration of refinery that is a Rust module.
    Rust,
    /// What the tool would take for a migration, or refuse, if the folder were its own.
    Misnamed(Layout),
    /// No migration.
    Other,
}

/// The order of migrations: by number, but for diesel.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Version {
    Number(i64),
    Text(String),
}

/// Reads the name of a file.
pub(super) fn file(name: &str) -> Entry<'_> {
    if name.starts_with('.') {
        return Entry::Other;
    }
    match name.strip_prefix(['V', 'U']) {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => refinery(rest),
        _ => sqlx(name),
    }
}

/// Reads the name of a folder that has an `up.sql`.
pub(super) fn folder(name: &str) -> Entry<'_> {
    if name.starts_with('.') {
        return Entry::Other;
    }
    let (written, rest) = name.split_once('_').unwrap_or((name, ""));
    // So that `2024-01-31-120000` is the version 20240131120000.
    let version = Version::Text(written.replace('-', ""));
    Entry::Migration { layout: Layout::Diesel, version, written, name: rest }
}

fn sqlx(name: &str) -> Entry<'_> {
    let Some((written, rest)) = name.split_once('_') else { return numbered(name) };
    let Some(stem) = rest.strip_suffix(".sql") else { return Entry::Other };
    let Ok(version) = written.parse() else {
        let numbered = numbered(name);
        return if numbered == Entry::Other { Entry::Misnamed(Layout::Sqlx) } else { numbered };
    };
    if stem.ends_with(".down") {
        return Entry::Down;
    }
    let name = stem.strip_suffix(".up").unwrap_or(stem);
    Entry::Migration { layout: Layout::Sqlx, version: Version::Number(version), written, name }
}

/// `1.sql`, `01-users.sql`, `2 more_users.sql`; what follows the number begins with something else than a part of it.
fn numbered(name: &str) -> Entry<'_> {
    let Some(stem) = name.strip_suffix(".sql") else { return Entry::Other };
    let digits = stem.bytes().take_while(u8::is_ascii_digit).count();
    let (written, rest) = stem.split_at(digits);
    let (Ok(version), true) = (written.parse(), rest.is_empty() || rest.starts_with(['-', ' '])) else {
        return Entry::Other;
    };
    if stem.ends_with(".down") {
        return Entry::Down;
    }
    let name = rest.get(1..).unwrap_or_default();
    Entry::Migration { layout: Layout::Numbered, version: Version::Number(version), written, name }
}

fn refinery(rest: &str) -> Entry<'_> {
    let (stem, rust) = match (rest.strip_suffix(".sql"), rest.strip_suffix(".rs")) {
        (Some(stem), _) => (stem, false),
        (_, Some(stem)) => (stem, true),
        _ => return Entry::Other,
    };
    let misnamed = if rust { Entry::Other } else { Entry::Misnamed(Layout::Refinery) };
    let Some((written, name)) = stem.split_once("__") else { return misnamed };
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let (Ok(version), true) = (written.parse(), !name.is_empty() && name.chars().all(word)) else { return misnamed };
    if rust {
        return Entry::Rust;
    }
    Entry::Migration { layout: Layout::Refinery, version: Version::Number(version), written, name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn migration<'n>(layout: Layout, version: i64, written: &'n str, name: &'n str) -> Entry<'n> {
        Entry::Migration { layout, version: Version::Number(version), written, name }
    }

    #[test]
    fn names_of_sqlx() {
        use Layout::Sqlx;
        assert_eq!(file("1_init.sql"), migration(Sqlx, 1, "1", "init"));
        assert_eq!(
            file("20240131120000_add_users.up.sql"),
            migration(Sqlx, 20240131120000, "20240131120000", "add_users")
        );
        assert_eq!(file("007_a.b.sql"), migration(Sqlx, 7, "007", "a.b"));
        assert_eq!(file("1_init.down.sql"), Entry::Down);
        for name in ["init.sql", "1_init.SQL", "1_init.sql.bak", "README.md", ".1_init.sql", ""] {
            assert_eq!(file(name), Entry::Other, "{name}");
        }
        for name in ["a_b.sql", "_b.sql", "1.5_b.sql", "v1__b.sql", "9223372036854775808_big.sql", "x_b.down.sql"] {
            assert_eq!(file(name), Entry::Misnamed(Sqlx), "{name}");
        }
    }

    #[test]
    fn names_with_a_number_alone() {
        use Layout::Numbered;
        assert_eq!(file("1.sql"), migration(Numbered, 1, "1", ""));
        assert_eq!(file("010-users.sql"), migration(Numbered, 10, "010", "users"));
        assert_eq!(file("2 more_users.sql"), migration(Numbered, 2, "2", "more_users"));
        assert_eq!(file("3-user_table.sql"), migration(Numbered, 3, "3", "user_table"));
        assert_eq!(file("3-users.down.sql"), Entry::Down);
        for name in ["1.md", "1.5.sql", "1st.sql", "-1.sql", "9223372036854775808.sql"] {
            assert_eq!(file(name), Entry::Other, "{name}");
        }
    }

    #[test]
    fn names_of_refinery() {
        use Layout::Refinery;
        assert_eq!(file("V1__init.sql"), migration(Refinery, 1, "1", "init"));
        assert_eq!(file("U20240131__grüße_2.sql"), migration(Refinery, 20240131, "20240131", "grüße_2"));
        assert_eq!(file("V1__init.rs"), Entry::Rust);
        for name in ["V1_init.sql", "V1__.sql", "V1__a-b.sql", "V1.5__a.sql", "V1.sql", "V9223372036854775808__a.sql"] {
            assert_eq!(file(name), Entry::Misnamed(Refinery), "{name}");
        }
        for name in ["V1_init.rs", "V1__init.txt", "V2.md", "V.sql"] {
            assert_eq!(file(name), Entry::Other, "{name}");
        }
    }

    #[test]
    fn names_of_diesel() {
        let diesel = |version: &str, written, name| Entry::Migration {
            layout: Layout::Diesel,
            version: Version::Text(version.to_owned()),
            written,
            name,
        };
        assert_eq!(folder("2024-01-31-120000_add_users"), diesel("20240131120000", "2024-01-31-120000", "add_users"));
        assert_eq!(
            folder("00000000000000_diesel_initial_setup"),
            diesel("00000000000000", "00000000000000", "diesel_initial_setup")
        );
        assert_eq!(folder("first"), diesel("first", "first", ""));
        assert_eq!(folder(".git"), Entry::Other);
    }
}
