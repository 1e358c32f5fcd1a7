//! The lease as a value: what a test has, without the attribute.

use ptest::{Lease, PgUrl, TestDatabase};
use sqlx::{Executor, PgPool, SqlitePool};

use crate::rerun::Rerun;

async fn names(db: impl Executor<'_, Database = sqlx::Postgres>) -> Vec<String> {
    sqlx::query_scalar("SELECT name FROM account ORDER BY name").fetch_all(db).await.unwrap()
}

fn lease() -> Lease {
    ptest::lease!(migrations = "tests/it/migrations", fixtures("admin"))
}

#[tokio::test]
async fn it_has_every_parameter_on_one_database() {
    let mut lease = lease();
    let pool: PgPool = lease.get().await.unwrap();
    let client: tokio_postgres::Client = lease.get().await.unwrap();
    let database: TestDatabase = lease.get().await.unwrap();
    client.batch_execute("INSERT INTO account VALUES ('bob')").await.unwrap();
    assert_eq!(names(&pool).await, ["admin", "bob"]);
    let name: String = sqlx::query_scalar("SELECT current_database()").fetch_one(&pool).await.unwrap();
    assert_eq!((database.name(), database.test_name()), (&*name, "lease::lease"));
    drop((pool, client));
    lease.close().await.unwrap();
}

#[tokio::test]
async fn a_reset_takes_it_back_to_its_start_at_the_same_address() {
    let mut lease = ptest::lease!(migrations = "tests/it/migrations/sequences");
    let url: PgUrl = lease.get().await.unwrap();
    let pool: PgPool = lease.get().await.unwrap();
    for _ in 0..3 {
        let next = "INSERT INTO used DEFAULT VALUES RETURNING id";
        assert_eq!(sqlx::query_scalar::<_, i64>(next).fetch_one(&pool).await.unwrap(), 3, "sequences are set back");
        pool.execute("CREATE TABLE more (); SET search_path = nowhere").await.unwrap();
        lease.reset().await.unwrap();
        assert_eq!(lease.get::<PgUrl>().await.unwrap(), url);
        let path: String = sqlx::query_scalar("SHOW search_path").fetch_one(&pool).await.unwrap();
        assert_eq!(path, "\"$user\", public");
    }
    drop(pool);
    lease.close().await.unwrap();
}

#[tokio::test]
async fn a_reset_loads_the_fixtures_again() {
    let mut lease = lease();
    let pool: PgPool = lease.get().await.unwrap();
    pool.execute("UPDATE account SET name = 'eve'").await.unwrap();
    lease.reset().await.unwrap();
    assert_eq!(names(&pool).await, ["admin"]);
    drop(pool);
    lease.close().await.unwrap();
}

#[tokio::test]
async fn a_reset_makes_another_copy_where_tests_commit() {
    let mut lease = ptest::lease!(migrations = "tests/it/migrations", isolation = "database");
    for _ in 0..2 {
        let pool: PgPool = lease.get().await.unwrap();
        pool.execute("INSERT INTO account VALUES ('ada')").await.unwrap();
        assert_eq!(names(&pool).await, ["ada"]);
        pool.close().await;
        lease.reset().await.unwrap();
    }
    lease.close().await.unwrap();
    let mut lease = ptest::lease!(migrations = "tests/it/migrations");
    for _ in 0..2 {
        let pool: SqlitePool = lease.get().await.unwrap();
        pool.execute("INSERT INTO account VALUES ('ada', 0)").await.unwrap();
        pool.close().await;
        lease.reset().await.unwrap();
    }
    lease.close().await.unwrap();
}

#[tokio::test]
async fn marks_nest() {
    let mut lease = lease();
    let pool: PgPool = lease.get().await.unwrap();
    pool.execute("SET application_name = 'of the first'; CREATE TABLE kept (id serial)").await.unwrap();
    let first = lease.mark().await.unwrap();
    pool.execute("INSERT INTO account VALUES ('bob')").await.unwrap();
    let second = lease.mark().await.unwrap();
    for _ in 0..2 {
        pool.execute("INSERT INTO account VALUES ('eve'); SET application_name = 'changed'").await.unwrap();
        lease.return_to(second).await.unwrap();
        assert_eq!(names(&pool).await, ["admin", "bob"]);
        let shown: String = sqlx::query_scalar("SHOW application_name").fetch_one(&pool).await.unwrap();
        assert_eq!(shown, "", "a session's own setting ends with it");
    }
    lease.return_to(first).await.unwrap();
    assert_eq!(names(&pool).await, ["admin"]);
    pool.execute("INSERT INTO kept DEFAULT VALUES").await.unwrap();
    let error = format!("{:?}", lease.return_to(second).await.unwrap_err());
    assert!(error.contains("`lease::lease` cannot return to that mark"), "{error}");
    lease.reset().await.unwrap();
    lease.return_to(first).await.unwrap_err();
    assert_eq!(names(&pool).await, ["admin"]);
    drop(pool);
    lease.close().await.unwrap();
}

#[tokio::test]
async fn no_mark_is_made_inside_a_transaction() {
    let mut lease = ptest::lease!(migrations = "tests/it/migrations", turn_timeout = "50ms");
    let error = format!("{:?}", lease.mark().await.unwrap_err());
    assert!(error.contains("cannot mark a point of its transaction") && error.contains("help:"), "{error}");
    let pool: PgPool = lease.get().await.unwrap();
    let transaction = pool.begin().await.unwrap();
    lease.mark().await.unwrap_err();
    transaction.commit().await.unwrap();
    lease.mark().await.unwrap();
    drop(pool);
    lease.close().await.unwrap();
}

#[tokio::test]
async fn a_constraint_that_was_deferred_before_the_mark_is_checked_after_the_return() {
    let mut lease = lease();
    let pool: PgPool = lease.get().await.unwrap();
    let sql = "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (a int REFERENCES a DEFERRABLE INITIALLY DEFERRED)";
    pool.execute(sql).await.unwrap();
    let mark = lease.mark().await.unwrap();
    lease.return_to(mark).await.unwrap();
    let error = pool.execute("INSERT INTO b VALUES (1)").await.unwrap_err();
    assert!(error.as_database_error().unwrap().is_foreign_key_violation());
    drop(pool);
    lease.close().await.unwrap();
}

#[tokio::test]
async fn the_audit_speaks_at_the_close_and_at_a_reset() {
    let mut lease = ptest::lease!(migrations = "tests/it/migrations", audit(open_transaction = "error"));
    let pool: PgPool = lease.get().await.unwrap();
    let left_open = "BEGIN; INSERT INTO account VALUES ('ada')";
    let mut connection = pool.acquire().await.unwrap();
    connection.execute(left_open).await.unwrap();
    let error = format!("{:?}", lease.reset().await.unwrap_err());
    assert!(error.contains("INSERT INTO account"), "{error}");
    assert!(names(&pool).await.is_empty(), "the lease goes on");
    connection = pool.acquire().await.unwrap();
    connection.execute(left_open).await.unwrap();
    let error = format!("{:?}", lease.close().await.unwrap_err());
    assert!(error.contains("INSERT INTO account"), "{error}");
}

#[test]
fn code_that_blocks_has_one_too() {
    let mut lease = ptest::lease!(migrations = "tests/it/migrations").blocking().unwrap();
    let pool: PgPool = lease.get().unwrap();
    lease.block_on(pool.execute("INSERT INTO account VALUES ('ada')")).unwrap();
    let url: PgUrl = lease.get().unwrap();
    let mut client = postgres::Client::connect(url.as_str(), postgres::NoTls).unwrap();
    assert_eq!(client.query("SELECT FROM account", &[]).unwrap().len(), 1);
    let mark = lease.mark().unwrap();
    client.batch_execute("DELETE FROM account").unwrap();
    lease.return_to(mark).unwrap();
    assert_eq!(lease.block_on(names(&pool)), ["ada"]);
    lease.reset().unwrap();
    assert!(lease.block_on(names(&pool)).is_empty());
    drop((client, pool));
    lease.close().unwrap();
}

#[test]
fn a_lease_can_be_held_by_any_thread() {
    fn assert_send<T: Send>() {}
    assert_send::<Lease>();
    assert_send::<ptest::BlockingLease>();
}

#[test]
fn one_that_is_dropped_is_rolled_back_and_says_so() {
    let outcome = Rerun::test("lease::inner::is_dropped").run();
    outcome
        .passed()
        .says("ptest: warning: the lease of `lease::lease` was dropped, not closed: it is rolled back unseen");
}

#[test]
fn one_that_a_panic_drops_says_what_was_run() {
    let outcome = Rerun::test("lease::inner::panics").run();
    outcome.failed().says("INSERT INTO account VALUES ('ada')").never_says("was dropped");
}

mod inner {
    use super::*;

    #[tokio::test]
    #[ignore = "run by another test"]
    async fn is_dropped() {
        for _ in 0..2 {
            let mut lease = lease();
            let pool: PgPool = lease.get().await.unwrap();
            pool.execute("INSERT INTO account VALUES ('ada')").await.unwrap();
            drop(lease);
        }
        drop(lease());
    }

    #[tokio::test]
    #[ignore = "run by another test"]
    async fn panics() {
        let mut lease = lease();
        let pool: PgPool = lease.get().await.unwrap();
        pool.execute("INSERT INTO account VALUES ('ada')").await.unwrap();
        panic!("the harness says so");
    }
}
