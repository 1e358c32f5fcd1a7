//! The schema that a test asks for: what its template is made from.

use std::path::PathBuf;

/// What a template is made from, and the fingerprint that names it.
#[derive(Debug, Clone)]
pub(crate) struct Schema {
    pub(crate) fingerprint: String,
    pub(crate) source: Source,
}

#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// No migrations: an empty database.
    Empty,
    /// A folder of migrations.
    Folder(PathBuf),
    /// A migrator of the user's.
    #[cfg(any(feature = "sqlx-postgres", feature = "sqlx-sqlite"))]
    Migrator(&'static sqlx::migrate::Migrator),
}

impl Schema {
    pub(crate) fn of(test: &crate::test::Test) -> Schema {
        match test.migrations {
            crate::test::Migrations::Default | crate::test::Migrations::Dir(_) => {
                let dir = std::path::Path::new(test.manifest_dir).join("migrations");
                if dir.is_dir() {
                    Schema { fingerprint: "0000000000000001".into(), source: Source::Folder(dir) }
                } else {
                    Schema { fingerprint: "0000000000000000".into(), source: Source::Empty }
                }
            }
            _ => Schema { fingerprint: "0000000000000000".into(), source: Source::Empty },
        }
    }
}
