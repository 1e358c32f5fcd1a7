//! `isolation = "database"`: what only real transactions can do, and that nothing of it is left.

use std::time::Duration;

use ptest::{PgUrl, TestDatabase};
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{Connection, Executor, PgConnection, PgPool, query, query_scalar};

use crate::rerun::Rerun;

/// A test that leaves a table in its database; so would fail if another had had it.
macro_rules! starts_clean {
    ($($name:ident)*) => { $(
        #[ptest::db_test(isolation = "database")]
        async fn $name(pool: PgPool) -> sqlx::Result<()> {
            pool.execute("create table t (id int); insert into t values (1)").await?;
            let n: i64 = query_scalar("select count(*) from t").fetch_one(&pool).await?;
            assert_eq!(n, 1);
            Ok(())
        }
    )* };
}
starts_clean!(first_starts_clean second_starts_clean third_starts_clean fourth_starts_clean);

#[ptest::db_test(isolation = "database")]
async fn a_commit_wakes_a_listener(pool: PgPool) -> sqlx::Result<()> {
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.listen("news").await?;
    let mut tx = pool.begin().await?;
    query("select pg_notify('news', 'hello')").execute(&mut *tx).await?;
    assert!(tokio::time::timeout(Duration::from_millis(50), listener.recv()).await.is_err(), "before the commit");
    tx.commit().await?;
    assert_eq!(listener.recv().await?.payload(), "hello");
    Ok(())
}

#[ptest::db_test(isolation = "database")]
async fn what_no_transaction_can_hold(conn: &mut PgConnection) -> sqlx::Result<()> {
    conn.execute("create table t (id int)").await?;
    conn.execute("vacuum full t").await?;
    conn.execute("create index concurrently t_id on t (id)").await?;
    conn.execute("reindex table concurrently t").await?;
    Ok(())
}

#[ptest::db_test(isolation = "database")]
async fn two_serializable_transactions_conflict(pool: PgPool) -> sqlx::Result<()> {
    pool.execute("create table t (n int); insert into t values (1), (2)").await?;
    let (mut a, mut b) = (pool.begin().await?, pool.begin().await?);
    for tx in [&mut a, &mut b] {
        tx.execute("set transaction isolation level serializable").await?;
        let _: i64 = query_scalar("select sum(n) from t").fetch_one(&mut **tx).await?;
        tx.execute("insert into t values (3)").await?;
    }
    a.commit().await?;
    let error = b.commit().await.expect_err("one of them has to fail");
    assert_eq!(error.as_database_error().and_then(|e| e.code()).as_deref(), Some("40001"));
    Ok(())
}

#[ptest::db_test(isolation = "database")]
async fn a_lock_blocks_another_connection(a: &mut PgConnection, b: &mut PgConnection) -> sqlx::Result<()> {
    a.execute("create table t (id int); insert into t values (1)").await?;
    let mut tx = a.begin().await?;
    tx.execute("select * from t for update").await?;
    let error = b.execute("select * from t for update nowait").await.expect_err("the row is locked");
    assert_eq!(error.as_database_error().and_then(|e| e.code()).as_deref(), Some("55P03"));
    Ok(())
}

#[ptest::db_test(isolation = "database")]
async fn another_process_sees_what_is_committed(pool: PgPool, url: PgUrl, database: TestDatabase) -> sqlx::Result<()> {
    pool.execute("create table t (id int); insert into t values (42)").await?;
    let url = url.as_str().to_owned();
    assert!(url.ends_with(database.name()), "{url}");
    let psql = || std::process::Command::new("psql").arg(&url).args(["-Atc", "select id from t"]).output();
    let output = psql().expect("psql runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "42", "{output:?}");
    Ok(())
}

#[ptest::db_test(isolation = "database")]
async fn every_sqlx_parameter_is_the_same_database(
    options: PgPoolOptions,
    connect: PgConnectOptions,
    conn: &mut PgConnection,
    database: TestDatabase,
) -> sqlx::Result<()> {
    conn.execute("create table t (id int)").await?;
    let pool = options.connect_with(connect).await?;
    pool.execute("insert into t values (1)").await?;
    let name: String = query_scalar("select current_database()").fetch_one(&pool).await?;
    assert_eq!(name, database.name());
    Ok(())
}

#[ptest::db_test(isolation = "database")]
async fn every_other_parameter_is_the_same_database(
    client: tokio_postgres::Client,
    pool: deadpool_postgres::Pool,
    database: TestDatabase,
) -> Result<(), tokio_postgres::Error> {
    client.batch_execute("create table t (id int)").await?;
    let other = pool.get().await.expect("a connection");
    other.batch_execute("insert into t values (1)").await?;
    let name: String = other.query_one("select current_database()", &[]).await?.get(0);
    assert_eq!(name, database.name());
    Ok(())
}

#[ptest::db_test(isolation = "database", fixtures("numbers"))]
async fn fixtures_are_committed(a: &mut PgConnection, pool: PgPool) -> sqlx::Result<()> {
    for n in [
        query_scalar::<_, i64>("select count(*) from number").fetch_one(a).await?,
        query_scalar::<_, i64>("select count(*) from number").fetch_one(&pool).await?,
    ] {
        assert_eq!(n, 3);
    }
    Ok(())
}

#[ptest::db_test(isolation = "database")]
fn a_blocking_body(url: PgUrl) {
    let ran = std::process::Command::new("psql").arg(url.as_str()).args(["-qc", "create table t (id int)"]).status();
    assert!(ran.expect("psql runs").success());
}

#[ptest::db_test(isolation = "database")]
#[ignore = "run by another test"]
fn leaves_a_connection(url: PgUrl, database: TestDatabase) {
    println!("database: {}", database.name());
    let (ready, is_ready) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut connection = PgConnection::connect(url.as_str()).await.unwrap();
            connection.execute("select 'these are\nthe last words'").await.unwrap();
            ready.send(()).unwrap();
            std::future::pending::<()>().await;
        });
    });
    is_ready.recv().unwrap();
}

#[test]
fn a_leaked_connection_is_reported_and_ended() {
    let outcome = Rerun::test("database::leaves_a_connection").run();
    outcome
        .passed()
        .says("session 1 was still open when the test ended, and last ran: select 'these are the last words'");
}

#[ptest::db_test(isolation = "database", timeout = "300ms")]
#[ignore = "run by another test"]
fn takes_too_long(url: PgUrl) {
    let _ = std::process::Command::new("psql").arg(url.as_str()).args(["-c", "select pg_sleep(600)"]).status();
}

#[test]
fn a_timeout_ends_the_connections() {
    Rerun::test("database::takes_too_long").run().failed().says("did not end within");
}
