//! Who is asking: a name and a password, or the cookie of a session, turned into a user.

use axum::extract::OptionalFromRequestParts;
use axum::http::request::Parts;

use crate::db::Db;
use crate::router::Failure;
use crate::session::Key;
use crate::users::User;
use crate::{password, session, users};

/// The user of that name, if the password is right and the admin site is open to them.
///
/// # Errors
///
/// Where the database fails.
pub async fn authenticate(db: &Db, username: &str, password: &str) -> sqlx::Result<Option<User>> {
    let Some(user) = users::by_name(db, username).await? else {
        // As slow as a wrong password, so that the time does not tell which names exist.
        password::hash(password.to_owned()).await;
        return Ok(None);
    };
    let right = password::verify(password.to_owned(), user.password.clone()).await;
    Ok(Some(user).filter(|user| right && may_enter(user)))
}

/// The user whose session the request's cookie names.
impl OptionalFromRequestParts<Db> for User {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, db: &Db) -> Result<Option<User>, Failure> {
        let Some(key) = Key::of(&parts.headers) else { return Ok(None) };
        let Some(id) = session::user(db, &key).await? else { return Ok(None) };
        Ok(users::by_id(db, id).await?.filter(may_enter))
    }
}

fn may_enter(user: &User) -> bool {
    user.is_active && user.is_staff
}
