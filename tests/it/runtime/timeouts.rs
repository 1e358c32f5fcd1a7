//! The time limit of a test: wall time, for bodies that wait and for bodies that block.

use std::time::Duration;

use ptest::PgUrl;
use sqlx::{PgPool, SqlitePool};

use crate::package::Package;
use crate::rerun::Rerun;
use crate::target::Target;

#[test]
fn every_kind_of_body() {
    let tests = [
        "waits",
        "waits_on_threads",
        "waits_while_the_clock_is_paused",
        "waits_in_a_statement",
        "waits_on_sqlite",
        "blocks_and_passes",
        "blocks_in_a_plain_function",
        "blocks_in_a_client",
        "returns_an_error_then",
    ];
    for test in tests {
        let outcome = Rerun::test(&format!("runtime::timeouts::inner::{test}")).run();
        outcome.failed().says("the test did not end within 200ms").says("help: raise `timeout` in the attribute");
    }
}

#[test]
fn a_panic_comes_with_the_reason() {
    let outcome = Rerun::test("runtime::timeouts::inner::panics_then").run();
    outcome.failed().says("the test did not end within 200ms").says("panicked at tests/it/runtime/timeouts.rs");
}

#[test]
fn no_panic_that_should_be() {
    let outcome = Rerun::test("runtime::timeouts::inner::should_panic").run();
    outcome.failed().says("test did not panic as expected").says("ptest: the test did not end within 200ms");
}

#[ptest::db_test(migrations = false, timeout = "60s")]
async fn in_time(pool: PgPool) -> sqlx::Result<()> {
    sqlx::query("select 1").execute(&pool).await.map(drop)
}

#[ptest::db_test(migrations = false, timeout = "60s")]
fn in_time_without_async(_pool: PgPool) {}

#[ptest::db_test(migrations = false, timeout = "60s", start_paused = true)]
async fn in_time_for_all_its_hours(pool: PgPool) -> sqlx::Result<()> {
    tokio::time::sleep(Duration::from_secs(3600)).await;
    sqlx::query("select 1").execute(&pool).await.map(drop)
}

/// The first start of a server takes longer than any test.
#[test]
fn the_server_and_the_template_do_not_count() {
    let target = Target::new();
    let package = Package::new(&[("migrations/1_slow.sql", "select pg_sleep(0.3);")]);
    target.test("runtime::timeouts::inner::is_quick").package(&package).run().passed().says("built the template");
}

mod inner {
    use super::*;

    #[ptest::db_test(timeout = "200ms")]
    #[ignore = "run by another test"]
    async fn is_quick(_pool: PgPool) {}

    #[ptest::db_test(migrations = false, timeout = "200ms")]
    #[ignore = "run by another test: fails"]
    async fn waits(_pool: PgPool) {
        std::future::pending().await
    }

    #[ptest::db_test(migrations = false, timeout = "200ms", flavor = "multi_thread")]
    #[ignore = "run by another test: fails"]
    async fn waits_on_threads(_pool: PgPool) {
        std::future::pending().await
    }

    #[ptest::db_test(migrations = false, timeout = "200ms", start_paused = true)]
    #[ignore = "run by another test: fails"]
    async fn waits_while_the_clock_is_paused(pool: PgPool) {
        loop {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            sqlx::query("select 1").execute(&pool).await.unwrap();
        }
    }

    #[ptest::db_test(migrations = false, timeout = "200ms")]
    #[ignore = "run by another test: fails"]
    async fn waits_in_a_statement(pool: PgPool) {
        let _ = sqlx::query("select pg_sleep(600)").execute(&pool).await;
        std::future::pending().await
    }

    #[ptest::db_test(migrations = false, timeout = "200ms")]
    #[ignore = "run by another test: fails"]
    async fn waits_on_sqlite(pool: SqlitePool) {
        let _tx = pool.begin().await.unwrap();
        std::future::pending().await
    }

    #[ptest::db_test(migrations = false, timeout = "200ms")]
    #[ignore = "run by another test: fails"]
    async fn blocks_and_passes(_pool: PgPool) {
        std::thread::sleep(Duration::from_millis(400));
    }

    #[ptest::db_test(migrations = false, timeout = "200ms")]
    #[ignore = "run by another test: fails"]
    fn blocks_in_a_plain_function(_pool: PgPool) {
        std::thread::sleep(Duration::from_millis(400));
    }

    #[ptest::db_test(migrations = false, timeout = "200ms")]
    #[ignore = "run by another test: fails"]
    fn blocks_in_a_client(url: PgUrl) {
        let mut client = postgres::Client::connect(url.as_str(), postgres::NoTls).unwrap();
        client.batch_execute("select pg_sleep(600)").unwrap_err();
    }

    #[ptest::db_test(migrations = false, timeout = "200ms")]
    #[ignore = "run by another test: fails"]
    fn returns_an_error_then(url: PgUrl) -> Result<(), postgres::Error> {
        let mut client = postgres::Client::connect(url.as_str(), postgres::NoTls)?;
        client.batch_execute("select pg_sleep(600)")
    }

    #[ptest::db_test(migrations = false, timeout = "200ms")]
    #[ignore = "run by another test: fails"]
    fn panics_then(url: PgUrl) {
        let mut client = postgres::Client::connect(url.as_str(), postgres::NoTls).unwrap();
        client.batch_execute("select pg_sleep(600)").unwrap();
    }

    #[ptest::db_test(migrations = false, timeout = "200ms")]
    #[ignore = "run by another test: fails"]
    #[should_panic]
    async fn should_panic(_pool: PgPool) {
        std::future::pending().await
    }
}
