//! Sessions: the table `django_session`, and the cookie that names a row of it.

use axum::http::HeaderMap;
use axum::http::header::COOKIE;
use chrono::{DateTime, TimeDelta, Utc};
use rand::RngExt;
use rand::distr::Alphanumeric;
use serde::{Deserialize, Serialize};

use crate::db::{Db, with_pool};

const NAME: &str = "sessionid";
const LIFETIME: TimeDelta = TimeDelta::weeks(2);

/// The secret that names a session.
pub struct Key(String);

/// What a session remembers: the column `session_data`, as JSON.
#[derive(Serialize, Deserialize)]
struct Data {
    #[serde(rename = "_auth_user_id")]
    user: i64,
}

impl Key {
    /// The key in the cookie of a request.
    pub fn of(headers: &HeaderMap) -> Option<Key> {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == NAME).map(|(_, value)| Key(value.to_owned()))
    }

    /// The `Set-Cookie` that makes the browser keep the key.
    pub fn cookie(&self) -> String {
        format!("{NAME}={}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax", self.0, LIFETIME.num_seconds())
    }
}

/// The `Set-Cookie` that makes the browser forget its key.
pub fn forget() -> String {
    format!("{NAME}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax")
}

/// Starts a session for a user who has just proven who they are.
///
/// # Errors
///
/// Where the database fails; then neither the session nor the time of the login is kept.
pub async fn open(db: &Db, user: i64) -> sqlx::Result<Key> {
    let key: String = rand::rng().sample_iter(Alphanumeric).take(32).map(char::from).collect();
    let data = serde_json::to_string(&Data { user }).map_err(|e| sqlx::Error::Encode(e.into()))?;
    let now = Utc::now();
    let update = "UPDATE auth_user SET last_login = $1 WHERE id = $2";
    let insert = "INSERT INTO django_session (session_key, session_data, expire_date) VALUES ($1, $2, $3)";
    with_pool!(db, |pool| {
        let mut tx = pool.begin().await?;
        sqlx::query(update).bind(now).bind(user).execute(&mut *tx).await?;
        sqlx::query(insert).bind(&key).bind(data).bind(now + LIFETIME).execute(&mut *tx).await?;
        tx.commit().await?;
    });
    Ok(Key(key))
}

/// The id of the user whose session this is, unless it has ended.
///
/// # Errors
///
/// Where the database fails, or the row does not hold what [`open`] wrote.
pub async fn user(db: &Db, key: &Key) -> sqlx::Result<Option<i64>> {
    let select = "SELECT session_data, expire_date FROM django_session WHERE session_key = $1";
    let row: Option<(String, DateTime<Utc>)> =
        with_pool!(db, |pool| sqlx::query_as(select).bind(&key.0).fetch_optional(pool).await?);
    match row {
        Some((data, expires)) if Utc::now() < expires => {
            let data: Data = serde_json::from_str(&data).map_err(|e| sqlx::Error::Decode(e.into()))?;
            Ok(Some(data.user))
        }
        _ => Ok(None),
    }
}

/// Ends a session.
///
/// # Errors
///
/// Where the database fails.
pub async fn close(db: &Db, key: &Key) -> sqlx::Result<()> {
    let delete = "DELETE FROM django_session WHERE session_key = $1";
    with_pool!(db, |pool| sqlx::query(delete).bind(&key.0).execute(pool).await.map(drop))
}
