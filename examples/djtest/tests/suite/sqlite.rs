//! The suite on SQLite: the same four ways.

use ptest::SqliteUrl;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};

use crate::site::{Site, TestApp};

suite! {
    migrations = "migrations/sqlite";
    pool(pool: SqlitePool) => Site::on(pool),
    app(app: TestApp<SqlitePool>) => app.site(),
    options(pool: SqlitePoolOptions, connect: SqliteConnectOptions) => Site::on(pool.connect_with(connect).await?),
    url(url: SqliteUrl) => Site::served_from(url.as_str()).await?,
}
