//! The rest of the site's behaviour, one test each.

#[path = "suite/browser.rs"]
mod browser;
#[path = "suite/site.rs"]
mod site;

use axum::http::StatusCode;
use djtest::users::{self, CreateError};
use ptest::PgUrl;
use site::{Site, TestApp};
use sqlx::{PgPool, SqlitePool};

#[ptest::db_test(migrations = "migrations/postgres")]
async fn a_wrong_password_is_refused(app: TestApp<PgPool>) -> anyhow::Result<()> {
    let Site { db, mut browser } = app.site();
    users::create_superuser(&db, "admin", "admin@example.com", "secret").await?;

    for (username, password) in [("admin", "Secret"), ("Admin", "secret"), ("admin", "")] {
        let answer = browser.log_in(username, password).await?;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.html.contains("Please enter the correct username and password"), "{}", answer.html);
        assert!(answer.html.contains(&format!("value=\"{username}\"")), "{}", answer.html);
    }

    assert!(browser.get("/admin/").await?.html.contains("login-form"));
    Ok(())
}

#[ptest::db_test(migrations = "migrations/postgres")]
async fn logging_out_ends_the_session(url: PgUrl) -> anyhow::Result<()> {
    let Site { db, mut browser } = Site::served_from(url.as_str()).await?;
    users::create_superuser(&db, "admin", "admin@example.com", "secret").await?;
    browser.log_in("admin", "secret").await?;
    let mut thief = browser.clone();

    let answer = browser.post("/admin/logout/", &[]).await?;

    assert_eq!((answer.status, answer.location.as_deref()), (StatusCode::FOUND, Some("/admin/")));
    assert!(browser.cookies.is_empty());
    assert!(thief.get("/admin/").await?.html.contains("login-form"), "a copy of the cookie is worth nothing");
    Ok(())
}

#[ptest::db_test(migrations = "migrations/sqlite")]
async fn a_session_expires(pool: SqlitePool) -> anyhow::Result<()> {
    let Site { db, mut browser } = Site::on(pool.clone());
    users::create_superuser(&db, "admin", "admin@example.com", "secret").await?;
    browser.log_in("admin", "secret").await?;
    assert!(browser.get("/admin/").await?.html.contains("Site administration"));

    sqlx::query("UPDATE django_session SET expire_date = '2013-10-30 00:00:00+00:00'").execute(&pool).await?;

    assert!(browser.get("/admin/").await?.html.contains("login-form"));
    Ok(())
}

#[ptest::db_test(migrations = "migrations/postgres")]
async fn who_is_no_longer_staff_is_locked_out(pool: PgPool) -> anyhow::Result<()> {
    let Site { db, mut browser } = Site::on(pool.clone());
    users::create_superuser(&db, "admin", "admin@example.com", "secret").await?;
    browser.log_in("admin", "secret").await?;

    sqlx::query("UPDATE auth_user SET is_staff = false").execute(&pool).await?;

    assert!(browser.get("/admin/").await?.html.contains("login-form"));
    assert_eq!(browser.log_in("admin", "secret").await?.status, StatusCode::OK);
    Ok(())
}

#[ptest::db_test(migrations = "migrations/postgres")]
async fn a_login_is_remembered(pool: PgPool) -> anyhow::Result<()> {
    let Site { db, mut browser } = Site::on(pool);
    users::create_superuser(&db, "admin", "admin@example.com", "secret").await?;
    assert_eq!(users::by_name(&db, "admin").await?.and_then(|user| user.last_login), None);

    browser.log_in("admin", "secret").await?;

    assert!(users::by_name(&db, "admin").await?.and_then(|user| user.last_login).is_some());
    Ok(())
}

#[ptest::db_test(migrations = "migrations/postgres")]
async fn a_name_is_given_once_on_postgresql(pool: PgPool) -> anyhow::Result<()> {
    a_name_is_given_once(Site::on(pool)).await
}

#[ptest::db_test(migrations = "migrations/sqlite")]
async fn a_name_is_given_once_on_sqlite(pool: SqlitePool) -> anyhow::Result<()> {
    a_name_is_given_once(Site::on(pool)).await
}

async fn a_name_is_given_once(site: Site) -> anyhow::Result<()> {
    users::create_superuser(&site.db, "admin", "admin@example.com", "secret").await?;

    let again = users::create_superuser(&site.db, "admin", "other@example.com", "other").await;

    assert!(matches!(again, Err(CreateError::NameTaken(name)) if name == "admin"));
    assert_eq!(users::count(&site.db).await?, 1);
    Ok(())
}
