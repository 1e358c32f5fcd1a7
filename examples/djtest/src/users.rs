//! The people who may log in: the table `auth_user`.

use chrono::{DateTime, Utc};

use crate::db::{Db, with_pool};
use crate::password;

/// One row of `auth_user`, as far as the site needs it.
#[derive(Clone, sqlx::FromRow)]
pub struct User {
    /// The primary key.
    pub id: i64,
    /// The unique name to log in with.
    pub username: String,
    /// The mail address.
    pub email: String,
    /// The hash of the password, as Django writes it.
    pub password: String,
    /// Whether the user may enter the admin site.
    pub is_staff: bool,
    /// Whether the user may log in at all.
    pub is_active: bool,
    /// When the user logged in last, if ever.
    pub last_login: Option<DateTime<Utc>>,
}

/// What kept a user from being created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The name belongs to somebody else.
    #[error("the username `{0}` is taken")]
    NameTaken(String),
    /// The database failed.
    #[error("cannot save the user")]
    Database(#[from] sqlx::Error),
}

/// Creates a user who may do everything, and returns the new id.
///
/// # Errors
///
/// Where the name is taken, or the database fails.
pub async fn create_superuser(db: &Db, username: &str, email: &str, password: &str) -> Result<i64, CreateError> {
    let hash = password::hash(password.to_owned()).await;
    let insert = "INSERT INTO auth_user (username, email, password, is_superuser, is_staff, is_active, date_joined) \
                  VALUES ($1, $2, $3, true, true, true, $4) RETURNING id";
    let result = with_pool!(db, |pool| {
        let query = sqlx::query_scalar(insert).bind(username).bind(email).bind(hash).bind(Utc::now());
        query.fetch_one(pool).await
    });
    result.map_err(|error| match error.as_database_error() {
        Some(e) if e.is_unique_violation() => CreateError::NameTaken(username.to_owned()),
        _ => CreateError::Database(error),
    })
}

/// How many users there are.
///
/// # Errors
///
/// Where the database fails.
pub async fn count(db: &Db) -> sqlx::Result<i64> {
    let select = "SELECT count(*) FROM auth_user";
    with_pool!(db, |pool| sqlx::query_scalar(select).fetch_one(pool).await)
}

/// The user of that name.
///
/// # Errors
///
/// Where the database fails.
pub async fn by_name(db: &Db, username: &str) -> sqlx::Result<Option<User>> {
    let select = "SELECT id, username, email, password, is_staff, is_active, last_login \
                  FROM auth_user WHERE username = $1";
    with_pool!(db, |pool| sqlx::query_as(select).bind(username).fetch_optional(pool).await)
}

/// The user of that id.
///
/// # Errors
///
/// Where the database fails.
pub async fn by_id(db: &Db, id: i64) -> sqlx::Result<Option<User>> {
    let select = "SELECT id, username, email, password, is_staff, is_active, last_login FROM auth_user WHERE id = $1";
    with_pool!(db, |pool| sqlx::query_as(select).bind(id).fetch_optional(pool).await)
}
