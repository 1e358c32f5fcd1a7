//! The same in SQLite.

use sqlx::SqliteExecutor;

use crate::{RegisterError, User};

/// Registers a user under a name that nobody else has.
///
/// # Errors
///
/// Where the name is taken, or the database fails.
pub async fn register(db: impl SqliteExecutor<'_>, name: &str) -> Result<User, RegisterError> {
    let insert = sqlx::query_as("INSERT INTO users (name) VALUES ($1) RETURNING name, logins").bind(name);
    insert.fetch_one(db).await.map_err(|error| RegisterError::new(name, error))
}
