//! The body's runtime: as `#[tokio::test]` makes it, and ended with everything that runs on it.

mod paused;
mod timeouts;

use std::time::Duration;

use ptest::{PgUrl, TestDatabase};
use sqlx::{PgPool, SqlitePool};
use tokio::runtime::{Handle, RuntimeFlavor};

use crate::rerun::Rerun;

#[ptest::db_test(migrations = false)]
async fn one_thread_is_the_default(_pool: PgPool) {
    assert_eq!(Handle::current().runtime_flavor(), RuntimeFlavor::CurrentThread);
}

#[ptest::db_test(migrations = false, flavor = "multi_thread", worker_threads = 3)]
async fn several_threads(pool: PgPool) {
    assert_eq!(Handle::current().runtime_flavor(), RuntimeFlavor::MultiThread);
    assert_eq!(Handle::current().metrics().num_workers(), 3);
    let answers = (0..20).map(|n| {
        let pool = pool.clone();
        tokio::spawn(async move { sqlx::query_scalar::<_, i32>("select $1").bind(n).fetch_one(&pool).await.unwrap() })
    });
    for (n, answer) in answers.enumerate() {
        assert_eq!(answer.await.unwrap(), n as i32);
    }
}

#[ptest::db_test(migrations = false, flavor = "multi_thread", worker_threads = 1)]
async fn a_thread_that_blocks(pool: PgPool) {
    let one: i32 = tokio::task::block_in_place(|| {
        Handle::current().block_on(async { sqlx::query_scalar("select 1").fetch_one(&pool).await.unwrap() })
    });
    assert_eq!(one, 1);
}

#[test]
fn what_still_runs_when_the_body_returns_ends_with_it() {
    Rerun::module("runtime::inner::").threads(1).run().passed().says("12 passed");
}

/// Leftovers of every kind, each followed by a test that must find nothing of them.
mod inner {
    use super::*;

    const INSERT: &str = "insert into account values ('admin')";

    macro_rules! followed_by_a_look {
        ($($look:ident)*) => {$(
            #[ptest::db_test(migrations = "tests/it/migrations")]
            #[ignore = "run by another test"]
            async fn $look(pool: PgPool, database: TestDatabase) -> sqlx::Result<()> {
                for _ in 0..20 {
                    let found: i64 = sqlx::query_scalar("select count(*) from account").fetch_one(&pool).await?;
                    assert_eq!(found, 0, "{}", database.name());
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Ok(())
            }
        )*};
    }

    followed_by_a_look!(a_look b_look c_look d_look e_look f_look);

    #[ptest::db_test(migrations = "tests/it/migrations")]
    #[ignore = "run by another test"]
    async fn a_busy_tasks(pool: PgPool) {
        for n in 0..8 {
            let pool = pool.clone();
            tokio::spawn(async move {
                loop {
                    let name = n.to_string();
                    let _ = sqlx::query("insert into account values ($1)").bind(name).execute(&pool).await;
                }
            });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    #[ptest::db_test(migrations = "tests/it/migrations", flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "run by another test"]
    async fn b_busy_tasks_on_threads(pool: PgPool) {
        for _ in 0..8 {
            let pool = pool.clone();
            tokio::spawn(async move {
                loop {
                    let mut tx = pool.begin().await.unwrap();
                    let _ = sqlx::query(INSERT).execute(&mut *tx).await;
                    let _ = tx.commit().await;
                }
            });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    #[ptest::db_test(migrations = "tests/it/migrations")]
    #[ignore = "run by another test"]
    async fn c_a_long_statement(pool: PgPool) {
        sqlx::query(INSERT).execute(&pool).await.unwrap();
        tokio::spawn(async move { sqlx::query("select pg_sleep(600)").execute(&pool).await });
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    #[ptest::db_test(migrations = "tests/it/migrations")]
    #[ignore = "run by another test"]
    async fn d_a_thread_of_the_runtime(url: PgUrl, pool: PgPool) {
        sqlx::query(INSERT).execute(&pool).await.unwrap();
        tokio::task::spawn_blocking(move || {
            loop {
                if let Ok(mut client) = postgres::Client::connect(url.as_str(), postgres::NoTls) {
                    let _ = client.batch_execute(INSERT);
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        });
    }

    #[ptest::db_test(migrations = "tests/it/migrations")]
    #[ignore = "run by another test"]
    async fn e_a_listener(pool: PgPool) {
        let mut listener = sqlx::postgres::PgListener::connect_with(&pool).await.unwrap();
        listener.listen("news").await.unwrap();
        tokio::spawn(async move { listener.recv().await });
        sqlx::query(INSERT).execute(&pool).await.unwrap();
    }

    #[ptest::db_test(migrations = "tests/it/migrations")]
    #[ignore = "run by another test"]
    async fn f_a_pool_of_sqlite(pool: SqlitePool, url: PgUrl) {
        tokio::spawn(async move {
            loop {
                let _ = sqlx::query("insert into account (name) values (random())").execute(&pool).await;
            }
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(url);
    }
}
