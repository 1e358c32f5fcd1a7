//! The types of SQLite's driver.

use ptest::SqliteUrl;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{Connection, Sqlite, SqliteConnection, SqliteExecutor, SqlitePool};

async fn insert_first<'e>(db: impl SqliteExecutor<'e>) -> sqlx::Result<()> {
    assert_eq!(sqlx::query("insert into account values ('admin', 0)").execute(db).await?.rows_affected(), 1);
    Ok(())
}

async fn count<'e>(db: impl SqliteExecutor<'e>) -> sqlx::Result<i64> {
    sqlx::query_scalar("select count(*) from account").fetch_one(db).await
}

#[ptest::db_test(migrations = "tests/it/migrations")]
async fn a_pool(pool: SqlitePool) -> sqlx::Result<()> {
    insert_first(&pool).await?;
    let mut tx = pool.begin().await?;
    sqlx::query("delete from account").execute(&mut *tx).await?;
    tx.rollback().await?;
    assert_eq!(count(&pool).await?, 1);
    Ok(())
}

#[ptest::db_test(migrations = "tests/it/migrations")]
async fn a_connection(mut conn: SqliteConnection) -> sqlx::Result<()> {
    insert_first(&mut conn).await
}

#[ptest::db_test(migrations = "tests/it/migrations")]
async fn a_lent_connection(conn: &mut SqliteConnection) -> sqlx::Result<()> {
    insert_first(&mut *conn).await?;
    let mut tx = conn.begin().await?;
    sqlx::query("delete from account").execute(&mut *tx).await?;
    tx.commit().await?;
    assert_eq!(count(conn).await?, 0);
    Ok(())
}

#[ptest::db_test(migrations = "tests/it/migrations")]
async fn a_connection_of_a_pool(mut conn: PoolConnection<Sqlite>) -> sqlx::Result<()> {
    insert_first(&mut *conn).await
}

#[ptest::db_test(migrations = "tests/it/migrations")]
async fn the_options_of_a_pool(pool: SqlitePoolOptions, connect: SqliteConnectOptions) -> sqlx::Result<()> {
    insert_first(&pool.connect_with(connect).await?).await
}

#[ptest::db_test(migrations = "tests/it/migrations")]
async fn several_share_the_tests_database(
    pool: SqlitePool,
    conn: &mut SqliteConnection,
    url: SqliteUrl,
) -> sqlx::Result<()> {
    insert_first(&pool).await?;
    let mut by_url = SqliteConnection::connect(url.as_str()).await?;
    assert_eq!([count(&pool).await?, count(conn).await?, count(&mut by_url).await?], [1, 1, 1]);
    by_url.close().await
}

#[ptest::db_test(migrations = "tests/it/migrations")]
fn a_pool_in_a_plain_function(pool: SqlitePool) -> sqlx::Result<()> {
    tokio::runtime::Handle::current().block_on(insert_first(&pool))
}
