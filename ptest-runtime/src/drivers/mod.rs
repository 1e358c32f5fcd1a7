//! The driver types that a test can ask for: the only folder that names them.

#[cfg(feature = "sqlx-sqlite")]
pub(crate) mod sqlx_sqlite;
