//! A paused clock: hours pass at once, but not while the database has been asked something.

use std::time::Duration;

use ptest::PgUrl;
use sqlx::{PgConnection, PgPool, SqlitePool};
use tokio::time::{Instant, sleep, timeout};

const HOUR: Duration = Duration::from_secs(3600);
const ROUNDS: u32 = 20;
const SLOW: &str = "select pg_sleep(0.01)";

/// Longer than any answer takes, and no time at all on a clock that runs away.
const PATIENCE: Duration = Duration::from_secs(30);

#[ptest::db_test(start_paused = true)]
async fn an_hour_without_a_database() {
    let begin = Instant::now();
    sleep(HOUR).await;
    assert!(begin.elapsed() >= HOUR);
}

#[ptest::db_test(migrations = "tests/it/migrations", start_paused = true)]
async fn an_hour_beside_requests_of_a_pool(pool: PgPool) {
    let begin = Instant::now();
    for round in 0..ROUNDS {
        let slow = async { timeout(PATIENCE, sqlx::query(SLOW).execute(&pool)).await };
        let insert = async {
            let name = round.to_string();
            let mut tx = pool.begin().await?;
            sqlx::query("insert into account values ($1)").bind(name).execute(&mut *tx).await?;
            tx.commit().await
        };
        let count = async { timeout(PATIENCE, sqlx::query("select from account").fetch_all(&pool)).await };
        let (slow, inserted, counted, ()) = tokio::join!(slow, insert, count, sleep(HOUR));
        slow.expect("in time").unwrap();
        inserted.unwrap();
        counted.expect("in time").unwrap();
    }
    assert!(begin.elapsed() >= HOUR * ROUNDS);
    assert_eq!(sqlx::query("select from account").fetch_all(&pool).await.unwrap().len(), ROUNDS as usize);
}

#[ptest::db_test(migrations = false, start_paused = true)]
async fn an_hour_beside_more_requests_than_connections(pool: PgPool) {
    for _ in 0..ROUNDS {
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                let pool = pool.clone();
                tokio::spawn(async move { sqlx::query("select 1").execute(&pool).await.map(drop) })
            })
            .collect();
        sleep(HOUR).await;
        for task in tasks {
            task.await.unwrap().unwrap();
        }
    }
}

#[ptest::db_test(migrations = false, start_paused = true)]
async fn an_hour_between_transactions_that_wait_for_each_other(pool: PgPool) {
    for _ in 0..ROUNDS {
        let mut first = pool.begin().await.unwrap();
        sqlx::query("select 1").execute(&mut *first).await.unwrap();
        let waits = tokio::spawn({
            let pool = pool.clone();
            async move { sqlx::query("select 2").execute(&pool).await.map(drop) }
        });
        sqlx::query(SLOW).execute(&mut *first).await.unwrap();
        first.commit().await.unwrap();
        waits.await.unwrap().unwrap();
        sleep(HOUR).await;
    }
}

#[ptest::db_test(migrations = false, start_paused = true)]
async fn an_hour_beside_a_client_of_tokio_postgres(client: tokio_postgres::Client) {
    for _ in 0..ROUNDS {
        let (answer, ()) = tokio::join!(timeout(PATIENCE, client.batch_execute(SLOW)), sleep(HOUR));
        answer.expect("in time").unwrap();
    }
}

#[ptest::db_test(migrations = false, start_paused = true)]
async fn an_hour_in_the_middle_of_a_copy(mut conn: PgConnection) {
    sqlx::query("create table t (a int)").execute(&mut conn).await.unwrap();
    for _ in 0..ROUNDS {
        let mut copy = conn.copy_in_raw("copy t from stdin").await.unwrap();
        sleep(HOUR).await;
        copy.send(&b"1\n"[..]).await.unwrap();
        sleep(HOUR).await;
        assert_eq!(timeout(PATIENCE, copy.finish()).await.expect("in time").unwrap(), 1);
    }
}

#[ptest::db_test(migrations = false, start_paused = true)]
async fn an_hour_beside_a_pool_of_deadpool(pool: deadpool_postgres::Pool) {
    for _ in 0..ROUNDS {
        let ask = async { pool.get().await.unwrap().batch_execute(SLOW).await };
        let (answer, ()) = tokio::join!(timeout(PATIENCE, ask), sleep(HOUR));
        answer.expect("in time").unwrap();
    }
}

#[ptest::db_test(migrations = false, start_paused = true)]
async fn an_hour_beside_new_connections(url: PgUrl) {
    for _ in 0..ROUNDS {
        let ask = async {
            let mut conn = <PgConnection as sqlx::Connection>::connect(url.as_str()).await?;
            sqlx::query(SLOW).execute(&mut conn).await
        };
        let (answer, ()) = tokio::join!(timeout(PATIENCE, ask), sleep(HOUR));
        answer.expect("in time").unwrap();
    }
}

#[ptest::db_test(migrations = "tests/it/migrations", start_paused = true)]
async fn an_hour_beside_a_pool_of_sqlite(pool: SqlitePool) {
    for round in 0..ROUNDS {
        let name = round.to_string();
        let insert = sqlx::query("insert into account values (?, 0)").bind(name).execute(&pool);
        let count = sqlx::query("select name from account").fetch_all(&pool);
        let (inserted, counted, ()) = tokio::join!(timeout(PATIENCE, insert), timeout(PATIENCE, count), sleep(HOUR));
        inserted.expect("in time").unwrap();
        counted.expect("in time").unwrap();
    }
}

#[ptest::db_test(migrations = "tests/it/migrations", start_paused = true)]
async fn an_hour_beside_both_databases(postgres: PgPool, sqlite: SqlitePool) {
    // With SQLite every jump has its price.
    for _ in 0..2 {
        let (one, two, ()) = tokio::join!(
            timeout(PATIENCE, sqlx::query("select name from account").fetch_all(&postgres)),
            timeout(PATIENCE, sqlx::query("select name from account").fetch_all(&sqlite)),
            sleep(HOUR)
        );
        one.expect("in time").unwrap();
        two.expect("in time").unwrap();
    }
}

#[ptest::db_test(migrations = false, start_paused = true)]
async fn a_clock_that_is_let_go(pool: PgPool) {
    tokio::time::resume();
    sqlx::query(SLOW).execute(&pool).await.unwrap();
    tokio::time::pause();
    tokio::time::advance(HOUR).await;
    sqlx::query(SLOW).execute(&pool).await.unwrap();
}
