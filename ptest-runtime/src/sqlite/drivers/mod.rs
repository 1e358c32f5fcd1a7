//! The SQLite types that a test can ask for: the only folder that names them.

mod sqlx;

pub(crate) use self::sqlx::SqliteTest;
