//! What `#[sqlx::test]` accepts, with nothing changed but the attribute's name..

use sqlx::migrate::Migrator;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgPool, Postgres, Transaction};

type Db = Postgres;

static MIGRATOR: Migrator = Migrator::DEFAULT;

#[ptest::db_test]
async fn no_database() -> sqlx::Result<()> {
    Ok(())
}

#[ptest::db_test]
#[ignore = "only compiled: needs a database"]
async fn pool(pool: PgPool) -> sqlx::Result<()> {
    let mut conn = pool.acquire().await?;
    conn.ping().await
}

#[ptest::db_test(migrations = false)]
#[ignore = "only compiled: needs a database"]
async fn connection(mut conn: PoolConnection<Db>) -> sqlx::Result<()> {
    conn.ping().await
}

#[ptest::db_test]
#[ignore = "only compiled: needs a database"]
async fn options(pool_opts: PgPoolOptions, connect_opts: PgConnectOptions) -> sqlx::Result<()> {
    pool_opts.connect_with(connect_opts).await?.close().await;
    Ok(())
}

#[ptest::db_test(migrator = "MIGRATOR", fixtures("users", "posts"))]
#[ignore = "only compiled: needs a database"]
async fn migrator_in_a_string(pool: sqlx::Pool<sqlx::Postgres>) {
    pool.close().await;
}

#[ptest::db_test(migrator = "crate::pass::from_sqlx::MIGRATOR", fixtures("users.sql"))]
#[ignore = "only compiled: needs a database"]
async fn fixtures_of_sqlx(_pool: PgPool) {}

// Beyond sqlx: what it has no form for.
#[ptest::db_test(migrator = MIGRATOR)]
#[ignore = "only compiled: needs a database"]
async fn lent(conn: &mut PgConnection, tx: &mut Transaction<'_, Postgres>) -> sqlx::Result<()> {
    conn.ping().await?;
    tx.ping().await
}

#[ptest::db_test]
#[ignore = "only compiled: needs a database"]
async fn owned(mut conn: PgConnection, tx: Transaction<'static, Postgres>) -> sqlx::Result<()> {
    conn.ping().await?;
    tx.rollback().await
}
