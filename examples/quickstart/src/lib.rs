//! Users with a unique name, in PostgreSQL; [`sqlite`] has the same for SQLite.

pub mod sqlite;

use sqlx::PgExecutor;

/// A registered user.
#[derive(Debug, PartialEq, sqlx::FromRow)]
pub struct User {
    /// The name, which nobody else has.
    pub name: String,
    /// How often the user has logged in.
    pub logins: i32,
}

/// Why a user could not be registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// Somebody else has the name.
    #[error("the name `{0}` is taken")]
    NameTaken(String),
    /// The database failed.
    #[error("cannot save the user")]
    Database(#[source] sqlx::Error),
}

impl RegisterError {
    fn new(name: &str, error: sqlx::Error) -> Self {
        match error.as_database_error() {
            Some(e) if e.is_unique_violation() => RegisterError::NameTaken(name.to_owned()),
            _ => RegisterError::Database(error),
        }
    }
}

/// Registers a user under a name that nobody else has.
///
/// # Errors
///
/// Where the name is taken, or the database fails.
pub async fn register(db: impl PgExecutor<'_>, name: &str) -> Result<User, RegisterError> {
    let insert = sqlx::query_as("INSERT INTO users (name) VALUES ($1) RETURNING name, logins").bind(name);
    insert.fetch_one(db).await.map_err(|error| RegisterError::new(name, error))
}

/// The user of that name.
///
/// # Errors
///
/// Where the database fails.
pub async fn find(db: impl PgExecutor<'_>, name: &str) -> sqlx::Result<Option<User>> {
    sqlx::query_as("SELECT name, logins FROM users WHERE name = $1").bind(name).fetch_optional(db).await
}
