//! The admin page: the login form for strangers, the site for staff.

use axum::Form;
use axum::extract::State;
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use serde::Deserialize;

use crate::db::Db;
use crate::router::Failure;
use crate::session::{self, Key};
use crate::users::{self, User};
use crate::{auth, page};

#[derive(Deserialize)]
pub(crate) struct Credentials {
    username: String,
    password: String,
}

/// `GET /admin/`
pub(crate) async fn index(State(db): State<Db>, visitor: Option<User>) -> Result<Html<String>, Failure> {
    match visitor {
        Some(user) => Ok(page::index(&user, users::count(&db).await?)),
        None => Ok(page::login("", false)),
    }
}

/// `POST /admin/`
pub(crate) async fn log_in(State(db): State<Db>, Form(form): Form<Credentials>) -> Result<Response, Failure> {
    match auth::authenticate(&db, &form.username, &form.password).await? {
        Some(user) => Ok(to_index(session::open(&db, user.id).await?.cookie())),
        None => Ok(page::login(&form.username, true).into_response()),
    }
}

/// `POST /admin/logout/`
pub(crate) async fn log_out(State(db): State<Db>, headers: HeaderMap) -> Result<Response, Failure> {
    if let Some(key) = Key::of(&headers) {
        session::close(&db, &key).await?;
    }
    Ok(to_index(session::forget()))
}

fn to_index(cookie: String) -> Response {
    (StatusCode::FOUND, [(LOCATION, "/admin/".to_owned()), (SET_COOKIE, cookie)]).into_response()
}
