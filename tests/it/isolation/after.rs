//! After every end that a test can have, the next one leases the same slot and finds it clean.

use std::time::Duration;

use ptest::{PgUrl, TestDatabase};
use sqlx::{PgPool, SqlitePool};

use crate::package::Package;
use crate::rerun::{Rerun, server_version};

/// A schema of this test's own: nobody else leases its slots.
fn package(name: &str) -> Package {
    let table = format!("-- for {name}\ncreate table account (name text primary key);");
    Package::new(&[("migrations/1_account.sql", &table)])
}

#[test]
fn every_end_in_one_process() {
    let outcome = Rerun::module("isolation::after::inner::ends::").package(&package("one process")).threads(1).run();
    outcome.failed().says("5 passed; 7 failed").says("no room for `guest`").says(r#"Error: "not today""#);
    assert_eq!(outcome.text.matches("the test did not end within").count(), 3, "{outcome}");
    let slots = outcome.lines("leased ");
    assert!(slots.len() == 12 && slots.iter().all(|slot| *slot == slots[0]), "{outcome}");
}

#[test]
fn every_end_of_a_process() {
    let package = package("processes");
    let mut slots = Vec::new();
    for end in ["a_success", "b_panic", "c_error", "d_timeout", "f_timeout_while_blocked", "h_exit", "i_abort"] {
        let outcome = Rerun::test(&format!("isolation::after::inner::{end}", end = path(end))).package(&package).run();
        outcome.never_says("a dirty start");
        slots.extend(outcome.lines("leased ").into_iter().map(str::to_owned));
    }
    assert!(slots.len() == 7 && slots.iter().all(|slot| *slot == slots[0]), "{slots:?}");
}

fn path(end: &str) -> String {
    let module = if matches!(end, "h_exit" | "i_abort") { "process" } else { "ends" };
    format!("{module}::{end}")
}

#[test]
fn a_kill_in_mid_body() {
    // Before version 14 a server does not look, in mid-statement, whether its client is still there.
    let in_a_statement = (server_version() >= 14).then_some("in_a_statement");
    for name in ["between_statements", "in_a_transaction", "in_a_copy"].into_iter().chain(in_a_statement) {
        let package = package(name);
        let mut running = Rerun::test(&format!("isolation::after::inner::killed::{name}")).package(&package).start();
        let slot = running.wait_for("leased ");
        running.wait_for("under way");
        running.kill();

        // The server notices at once, but not necessarily before the next process asks.
        let again = || {
            let test = Rerun::test("isolation::after::inner::ends::a_success").package(&package);
            // The helper lends what it has, whichever slots are free.
            let outcome = test.env("PTEST_HELPER", "off").run();
            outcome.passed().lines("leased ")[0].to_owned()
        };
        let found = (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            again() == slot
        });
        assert!(found, "{slot} is still held after a kill {name}");
    }
}

#[test]
fn a_kill_in_mid_body_on_sqlite() {
    for name in ["sqlite_pool", "sqlite_connection"] {
        let package = package(name);
        let mut running = Rerun::test(&format!("isolation::after::inner::killed::{name}")).package(&package).start();
        running.wait_for("under way");
        running.kill();
        Rerun::test(&format!("isolation::after::inner::killed::{name}_again")).package(&package).run().passed();
    }
}

mod inner {
    use super::*;

    /// What every test here begins with: a look around, and a mess.
    async fn mess(pool: &PgPool, database: &TestDatabase) -> sqlx::Result<()> {
        println!("leased {}", database.name());
        let found: i64 = sqlx::query_scalar("select count(*) from account").fetch_one(pool).await?;
        let tables: i64 =
            sqlx::query_scalar("select count(*) from pg_class where relname = 'mess'").fetch_one(pool).await?;
        assert_eq!((found, tables), (0, 0), "a dirty start");
        let mut tx = pool.begin().await?;
        sqlx::query("insert into account values ('admin')").execute(&mut *tx).await?;
        sqlx::query("create table mess ()").execute(&mut *tx).await?;
        tx.commit().await?;
        sqlx::query("insert into account values ('guest')").execute(pool).await?;
        Ok(())
    }

    mod ends {
        use super::*;

        #[ptest::db_test]
        #[ignore = "run by another test"]
        async fn a_success(pool: PgPool, database: TestDatabase) -> sqlx::Result<()> {
            mess(&pool, &database).await
        }

        #[ptest::db_test]
        #[ignore = "run by another test: fails"]
        async fn b_panic(pool: PgPool, database: TestDatabase) {
            mess(&pool, &database).await.unwrap();
            panic!("no room for `guest`");
        }

        #[ptest::db_test]
        #[ignore = "run by another test: fails"]
        async fn c_error(pool: PgPool, database: TestDatabase) -> Result<(), Box<dyn std::error::Error>> {
            mess(&pool, &database).await?;
            Err("not today".into())
        }

        #[ptest::db_test(timeout = "1s")]
        #[ignore = "run by another test: fails"]
        async fn d_timeout(pool: PgPool, database: TestDatabase) {
            mess(&pool, &database).await.unwrap();
            let _tx = pool.begin().await.unwrap();
            std::future::pending().await
        }

        #[ptest::db_test(timeout = "1s")]
        #[ignore = "run by another test: fails"]
        async fn e_timeout_in_a_statement(pool: PgPool, database: TestDatabase) {
            mess(&pool, &database).await.unwrap();
            sqlx::query("select pg_sleep(600)").execute(&pool).await.unwrap();
        }

        #[ptest::db_test(timeout = "1s")]
        #[ignore = "run by another test: fails"]
        fn f_timeout_while_blocked(pool: PgPool, database: TestDatabase, url: PgUrl) {
            tokio::runtime::Handle::current().block_on(mess(&pool, &database)).unwrap();
            let mut client = postgres::Client::connect(url.as_str(), postgres::NoTls).unwrap();
            // The time is up, and the client finds itself disconnected.
            client.batch_execute("select pg_sleep(600)").unwrap_err();
        }

        #[ptest::db_test]
        #[ignore = "run by another test: fails"]
        async fn g_panic_of_a_task(pool: PgPool, database: TestDatabase) {
            mess(&pool, &database).await.unwrap();
            let task = tokio::spawn(async move {
                let _tx = pool.begin().await.unwrap();
                panic!("in a task");
            });
            task.await.unwrap();
        }

        #[ptest::db_test]
        #[ignore = "run by another test"]
        async fn h_open_transaction(pool: PgPool, database: TestDatabase) {
            mess(&pool, &database).await.unwrap();
            let mut tx = pool.begin().await.unwrap();
            sqlx::query("delete from account").execute(&mut *tx).await.unwrap();
            std::mem::forget(tx);
        }

        #[ptest::db_test]
        #[ignore = "run by another test"]
        async fn i_failed_transaction(pool: PgPool, database: TestDatabase) {
            mess(&pool, &database).await.unwrap();
            let mut tx = pool.begin().await.unwrap();
            sqlx::query("select 1 / 0").execute(&mut *tx).await.unwrap_err();
            std::mem::forget(tx);
        }

        #[ptest::db_test]
        #[ignore = "run by another test"]
        async fn j_leaked_pool(pool: PgPool, database: TestDatabase) {
            mess(&pool, &database).await.unwrap();
            std::mem::forget(pool);
        }

        #[ptest::db_test]
        #[ignore = "run by another test: fails"]
        async fn k_ended_backend(pool: PgPool, database: TestDatabase) {
            mess(&pool, &database).await.unwrap();
            sqlx::query("select pg_terminate_backend(pg_backend_pid())").execute(&pool).await.unwrap();
        }

        #[ptest::db_test]
        #[ignore = "run by another test"]
        async fn z_success(pool: PgPool, database: TestDatabase) -> sqlx::Result<()> {
            mess(&pool, &database).await
        }
    }

    /// Ends that no other test of the process survives.
    mod process {
        use super::*;

        #[ptest::db_test]
        #[ignore = "run by another test: exits"]
        async fn h_exit(pool: PgPool, database: TestDatabase) {
            mess(&pool, &database).await.unwrap();
            std::process::exit(3);
        }

        #[ptest::db_test]
        #[ignore = "run by another test: aborts"]
        async fn i_abort(pool: PgPool, database: TestDatabase) {
            mess(&pool, &database).await.unwrap();
            std::process::abort();
        }
    }

    mod killed {
        use super::*;

        #[ptest::db_test]
        #[ignore = "run by another test: waits to be killed"]
        async fn between_statements(pool: PgPool, database: TestDatabase) {
            mess(&pool, &database).await.unwrap();
            println!("under way");
            std::future::pending().await
        }

        #[ptest::db_test]
        #[ignore = "run by another test: waits to be killed"]
        async fn in_a_transaction(pool: PgPool, database: TestDatabase) {
            mess(&pool, &database).await.unwrap();
            let mut tx = pool.begin().await.unwrap();
            sqlx::query("lock table account").execute(&mut *tx).await.unwrap();
            println!("under way");
            std::future::pending().await
        }

        #[ptest::db_test]
        #[ignore = "run by another test: waits to be killed"]
        async fn in_a_statement(pool: PgPool, database: TestDatabase) {
            mess(&pool, &database).await.unwrap();
            tokio::spawn(async {
                tokio::time::sleep(Duration::from_millis(300)).await;
                println!("under way");
            });
            sqlx::query("select pg_sleep(600)").execute(&pool).await.unwrap();
        }

        #[ptest::db_test]
        #[ignore = "run by another test: waits to be killed"]
        async fn in_a_copy(pool: PgPool, database: TestDatabase) {
            mess(&pool, &database).await.unwrap();
            let mut conn = pool.acquire().await.unwrap();
            let mut copy = conn.copy_in_raw("copy account from stdin").await.unwrap();
            copy.send(&b"copied\n"[..]).await.unwrap();
            println!("under way");
            std::future::pending().await
        }

        #[ptest::db_test]
        #[ignore = "run by another test: waits to be killed"]
        async fn sqlite_pool(pool: SqlitePool) {
            sqlx::query("insert into account values ('admin')").execute(&pool).await.unwrap();
            println!("under way");
            std::future::pending().await
        }

        #[ptest::db_test]
        #[ignore = "run by another test"]
        async fn sqlite_pool_again(pool: SqlitePool) {
            sqlx::query("insert into account values ('admin')").execute(&pool).await.unwrap();
        }

        #[ptest::db_test]
        #[ignore = "run by another test: waits to be killed"]
        async fn sqlite_connection(conn: &mut sqlx::SqliteConnection) {
            sqlx::query("insert into account values ('admin')").execute(conn).await.unwrap();
            println!("under way");
            std::future::pending().await
        }

        #[ptest::db_test]
        #[ignore = "run by another test"]
        async fn sqlite_connection_again(conn: &mut sqlx::SqliteConnection) {
            sqlx::query("insert into account values ('admin')").execute(conn).await.unwrap();
        }
    }
}
