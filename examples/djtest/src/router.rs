//! The site's addresses, and what a visitor sees when the site itself fails.

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};

use crate::admin;
use crate::db::Db;

/// The site, on a database whose schema is up to date.
pub fn app(db: Db) -> Router {
    Router::new()
        .route("/", get(|| async { Redirect::to("/admin/") }))
        .route("/admin/", get(admin::index).post(admin::log_in))
        .route("/admin/logout/", post(admin::log_out))
        .with_state(db)
}

/// A failure of the database: the visitor is told that there was one, the operator which.
pub struct Failure(sqlx::Error);

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Failure {
        Failure(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        eprintln!("djtest: {}", self.0);
        (StatusCode::INTERNAL_SERVER_ERROR, "Server Error (500)").into_response()
    }
}
