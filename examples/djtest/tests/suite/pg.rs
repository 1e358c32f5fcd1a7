//! The suite on PostgreSQL: four ways in which a test can ask for its database.

use ptest::PgUrl;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::site::{Site, TestApp};

suite! {
    migrations = "migrations/postgres";
    pool(pool: PgPool) => Site::on(pool),
    app(app: TestApp<PgPool>) => app.site(),
    options(pool: PgPoolOptions, connect: PgConnectOptions) => Site::on(pool.connect_with(connect).await?),
    url(url: PgUrl) => Site::served_from(url.as_str()).await?,
}
