//! The types of PostgreSQL's drivers.

use std::process::Command;

use deadpool_postgres::{Client as DeadpoolClient, Pool as DeadpoolPool};
use postgres::NoTls;
use ptest::PgUrl;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection, PgExecutor, PgPool, Postgres, Transaction};

const INSERT: &str = "insert into account values ('admin')";
const COUNT: &str = "select count(*) from account";

async fn insert_first<'e>(db: impl PgExecutor<'e>) -> sqlx::Result<()> {
    assert_eq!(sqlx::query(INSERT).execute(db).await?.rows_affected(), 1);
    Ok(())
}

async fn count<'e>(db: impl PgExecutor<'e>) -> sqlx::Result<i64> {
    sqlx::query_scalar(COUNT).fetch_one(db).await
}

#[ptest::db_test(migrations = "tests/it/migrations")]
async fn a_pool(pool: PgPool) -> sqlx::Result<()> {
    insert_first(&pool).await?;
    let mut tx = pool.begin().await?;
    sqlx::query("insert into account values ('guest')").execute(&mut *tx).await?;
    assert_eq!(count(&mut *tx).await?, 2);
    tx.rollback().await?;
    assert_eq!(count(&pool).await?, 1);
    let again = sqlx::query(INSERT).execute(&pool).await.unwrap_err();
    assert!(again.as_database_error().unwrap().is_unique_violation());
    assert_eq!(count(&pool).await?, 1);
    Ok(())
}

#[ptest::db_test(migrations = "tests/it/migrations")]
async fn a_lent_pool(pool: &mut PgPool) -> sqlx::Result<()> {
    insert_first(&*pool).await
}

#[ptest::db_test(migrations = "tests/it/migrations")]
async fn many_connections_of_a_pool(pool: PgPoolOptions, connect: PgConnectOptions) -> sqlx::Result<()> {
    let pool = pool.max_connections(10).connect_with(connect).await?;
    let mut connections = Vec::new();
    for _ in 0..10 {
        connections.push(pool.acquire().await?);
    }
    for (n, connection) in connections.iter_mut().enumerate() {
        sqlx::query("insert into account values ($1)").bind(n.to_string()).execute(&mut **connection).await?;
    }
    assert_eq!(count(&mut *connections[0]).await?, 10);
    Ok(())
}

#[ptest::db_test(migrations = "tests/it/migrations")]
async fn a_connection(mut conn: PgConnection) -> sqlx::Result<()> {
    insert_first(&mut conn).await?;
    conn.close().await
}

#[ptest::db_test(migrations = "tests/it/migrations")]
async fn a_lent_connection(conn: &mut PgConnection) -> sqlx::Result<()> {
    insert_first(&mut *conn).await?;
    let mut tx = conn.begin().await?;
    sqlx::query("delete from account").execute(&mut *tx).await?;
    tx.commit().await?;
    assert_eq!(count(conn).await?, 0);
    Ok(())
}

#[ptest::db_test(migrations = "tests/it/migrations")]
async fn a_connection_of_a_pool(mut conn: PoolConnection<Postgres>) -> sqlx::Result<()> {
    insert_first(&mut *conn).await
}

#[ptest::db_test(migrations = "tests/it/migrations")]
async fn a_transaction(mut tx: Transaction<'static, Postgres>) -> sqlx::Result<()> {
    insert_first(&mut *tx).await?;
    tx.commit().await
}

#[ptest::db_test(migrations = "tests/it/migrations")]
async fn a_lent_transaction(tx: &mut Transaction<'static, Postgres>) -> sqlx::Result<()> {
    insert_first(&mut **tx).await?;
    // Left open: the end of the test ends it.
    Ok(())
}

/// A suite written for `#[sqlx::test]` may rely on it: its sixth connection waits for one of the five.
#[ptest::db_test(migrations = "tests/it/migrations")]
async fn a_pool_is_as_large_as_that_of_sqlx_test(pool: PgPool) -> sqlx::Result<()> {
    assert_eq!(pool.options().get_max_connections(), 5);
    let mut lent = Vec::new();
    for _ in 0..5 {
        lent.push(pool.acquire().await?);
    }
    assert!(pool.try_acquire().is_none());
    Ok(())
}

#[ptest::db_test(migrations = "tests/it/migrations")]
async fn the_options_of_a_pool(pool: PgPoolOptions, connect: PgConnectOptions) -> sqlx::Result<()> {
    let pool = pool.max_connections(2).connect_with(connect).await?;
    insert_first(&pool).await
}

#[ptest::db_test(migrations = "tests/it/migrations")]
async fn the_options_of_a_connection(_pool: PgPoolOptions, connect: PgConnectOptions) -> sqlx::Result<()> {
    let mut conn = PgConnection::connect_with(&connect.application_name("mine")).await?;
    let name: String = sqlx::query_scalar("show application_name").fetch_one(&mut conn).await?;
    assert_eq!(name, "mine");
    Ok(())
}

#[ptest::db_test(migrations = "tests/it/migrations")]
async fn a_client_of_tokio_postgres(client: tokio_postgres::Client) -> Result<(), tokio_postgres::Error> {
    assert_eq!(client.execute(INSERT, &[]).await?, 1);
    assert_eq!(client.query_one(COUNT, &[]).await?.get::<_, i64>(0), 1);
    Ok(())
}

#[ptest::db_test(migrations = "tests/it/migrations")]
async fn a_lent_client_of_tokio_postgres(client: &mut tokio_postgres::Client) -> Result<(), tokio_postgres::Error> {
    let tx = client.transaction().await?;
    tx.execute(INSERT, &[]).await?;
    tx.commit().await?;
    let tx = client.transaction().await?;
    tx.execute("delete from account", &[]).await?;
    tx.rollback().await?;
    assert_eq!(client.query_one(COUNT, &[]).await?.get::<_, i64>(0), 1);
    Ok(())
}

#[ptest::db_test(migrations = "tests/it/migrations")]
async fn the_config_of_tokio_postgres(config: tokio_postgres::Config) -> Result<(), tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    assert_eq!(client.execute(INSERT, &[]).await?, 1);
    Ok(())
}

#[ptest::db_test(migrations = "tests/it/migrations")]
async fn a_pool_of_deadpool(pool: DeadpoolPool) -> Result<(), Box<dyn std::error::Error>> {
    let mut first = pool.get().await?;
    let tx = first.transaction().await?;
    tx.execute(INSERT, &[]).await?;
    tx.commit().await?;
    let second = pool.get().await?;
    assert_eq!(second.query_one(COUNT, &[]).await?.get::<_, i64>(0), 1);
    Ok(())
}

#[ptest::db_test(migrations = "tests/it/migrations")]
async fn a_client_of_deadpool(client: DeadpoolClient) -> Result<(), tokio_postgres::Error> {
    let statement = client.prepare_cached(INSERT).await?;
    assert_eq!(client.execute(&statement, &[]).await?, 1);
    Ok(())
}

#[ptest::db_test(migrations = "tests/it/migrations")]
async fn a_lent_client_of_deadpool(client: &mut DeadpoolClient) -> Result<(), tokio_postgres::Error> {
    let tx = client.transaction().await?;
    tx.execute(INSERT, &[]).await?;
    tx.commit().await
}

#[ptest::db_test(migrations = "tests/it/migrations")]
async fn every_type_shares_the_tests_database(
    pool: PgPool,
    conn: &mut PgConnection,
    mut pooled: PoolConnection<Postgres>,
    client: tokio_postgres::Client,
    deadpool: DeadpoolPool,
    url: PgUrl,
) -> Result<(), Box<dyn std::error::Error>> {
    let insert = |name: &str| format!("insert into account values ('{name}')");
    sqlx::query(INSERT).execute(&pool).await?;
    sqlx::raw_sql(sqlx::AssertSqlSafe(insert("conn"))).execute(&mut *conn).await?;
    sqlx::raw_sql(sqlx::AssertSqlSafe(insert("pooled"))).execute(&mut *pooled).await?;
    client.batch_execute(&insert("client")).await?;
    deadpool.get().await?.batch_execute(&insert("deadpool")).await?;
    let mut by_url = PgConnection::connect(url.as_str()).await?;
    sqlx::raw_sql(sqlx::AssertSqlSafe(insert("by_url"))).execute(&mut by_url).await?;

    for count in [count(&pool).await?, count(conn).await?, count(&mut *pooled).await?, count(&mut by_url).await?] {
        assert_eq!(count, 6);
    }
    assert_eq!(client.query_one(COUNT, &[]).await?.get::<_, i64>(0), 6);
    assert_eq!(deadpool.get().await?.query_one(COUNT, &[]).await?.get::<_, i64>(0), 6);
    Ok(())
}

#[ptest::db_test(migrations = "tests/it/migrations")]
fn a_url_for_a_client_that_blocks(url: PgUrl) -> Result<(), postgres::Error> {
    let mut first = postgres::Client::connect(url.as_str(), NoTls)?;
    let mut second = postgres::Client::connect(url.as_ref(), NoTls)?;
    let mut tx = first.transaction()?;
    tx.execute(INSERT, &[])?;
    tx.commit()?;
    assert_eq!(second.query_one(COUNT, &[])?.get::<_, i64>(0), 1);
    Ok(())
}

#[ptest::db_test(migrations = "tests/it/migrations")]
async fn a_url_for_another_process(url: PgUrl, pool: PgPool) -> Result<(), Box<dyn std::error::Error>> {
    let psql = format!("psql --no-psqlrc --quiet --command \"{INSERT}\" '{url}'");
    let done = tokio::process::Command::new("sh").args(["-c", &psql]).output().await?;
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(count(&pool).await?, 1);
    Ok(())
}

#[ptest::db_test(migrations = "tests/it/migrations")]
fn a_url_for_another_process_of_a_plain_function(url: PgUrl) {
    let psql = |sql: &str| {
        let output = Command::new("psql").args(["-XqAt", url.as_str(), "-c", sql]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(psql(INSERT), "");
    assert_eq!(psql(COUNT), "1\n");
}

/// The body's runtime knows nothing of the one that made the parameters.
mod with_a_runtime_of_its_own {
    use super::*;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    #[ptest::db_test(migrations = "tests/it/migrations")]
    fn a_pool(pool: PgPool) -> sqlx::Result<()> {
        block_on(async { insert_first(&pool).await })?;
        assert_eq!(block_on(count(&pool))?, 1);
        Ok(())
    }

    #[ptest::db_test(migrations = "tests/it/migrations")]
    fn a_connection(conn: &mut PgConnection) -> sqlx::Result<()> {
        block_on(insert_first(conn))
    }

    #[ptest::db_test(migrations = "tests/it/migrations")]
    fn a_client(client: tokio_postgres::Client) -> Result<(), tokio_postgres::Error> {
        assert_eq!(block_on(client.execute(INSERT, &[]))?, 1);
        Ok(())
    }

    #[ptest::db_test(migrations = "tests/it/migrations")]
    fn the_runtime_that_is_there(pool: PgPool) -> sqlx::Result<()> {
        tokio::runtime::Handle::current().block_on(insert_first(&pool))
    }
}
