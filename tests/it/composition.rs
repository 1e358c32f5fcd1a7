//! Other attributes and libraries on the same function, each in the order that the reference names.

use proptest::prelude::{ProptestConfig, Strategy};
use proptest::strategy::ValueTree;
use proptest::test_runner::{TestCaseError, TestRunner};
use ptest::PgUrl;
use rstest::{fixture, rstest};
use sqlx::{Executor, PgPool, query, query_scalar};
use test_case::test_case;

use crate::rerun::Rerun;

const LOGINS: &str = "select logins from account where name = 'admin'";

async fn insert(pool: &PgPool, name: &str, logins: i32) -> sqlx::Result<()> {
    let insert = query("insert into account (name, logins) values ($1, $2)").bind(name).bind(logins);
    insert.execute(pool).await.map(drop)
}

/// A fixture of rstest.
#[fixture]
fn name() -> String {
    "admin".to_owned()
}

/// Each case inserts the same name, in a database of its own.
#[rstest]
#[case::none(0)]
#[case::some(7)]
#[test_attr(ptest::db_test(migrations = "tests/it/migrations"))]
async fn cases_of_rstest(#[ignore] pool: PgPool, name: String, #[case] logins: i32, #[values(1, 2)] more: i32) {
    insert(&pool, &name, logins).await.unwrap();
    let sql = "update account set logins = logins + $1 returning logins";
    let found: i32 = query_scalar(sql).bind(more).fetch_one(&pool).await.unwrap();
    assert_eq!(found, logins + more);
}

#[rstest]
#[case("admin")]
#[case("guest")]
#[test_attr(ptest::db_test(migrations = "tests/it/migrations", isolation = "database"))]
fn cases_of_rstest_that_block(#[ignore] url: PgUrl, #[case] name: &str) {
    let mut client = postgres::Client::connect(url.as_str(), postgres::NoTls).unwrap();
    client.execute("insert into account (name) values ($1)", &[&name]).unwrap();
    assert_eq!(client.query("select from account", &[]).unwrap().len(), 1);
}

#[ptest::db_test(migrations = "tests/it/migrations")]
#[test_case(0, "admin")]
#[test_case(7, "admin"; "with logins")]
async fn cases_of_test_case(pool: PgPool, #[case] logins: i32, #[case] name: &str) -> sqlx::Result<()> {
    insert(&pool, name, logins).await?;
    assert_eq!(query_scalar::<_, i32>(LOGINS).fetch_one(&pool).await?, logins);
    Ok(())
}

/// Every round of proptest begins with the same rows: it rolls back what it did.
#[ptest::db_test(migrations = "tests/it/migrations", fixtures("admin"))]
async fn rounds_of_proptest(pool: PgPool) -> sqlx::Result<()> {
    let mut runner = TestRunner::new(ProptestConfig::default());
    for _ in 0..20 {
        let logins: i32 = (0..1000_i32).new_tree(&mut runner).unwrap().current();
        let mut tx = pool.begin().await?;
        query("update account set logins = $1").bind(logins).execute(&mut *tx).await?;
        assert_eq!(query_scalar::<_, i32>(LOGINS).fetch_one(&mut *tx).await?, logins);
        tx.rollback().await?;
        assert_eq!(query_scalar::<_, i32>(LOGINS).fetch_one(&pool).await?, 3);
    }
    Ok(())
}

/// The macro runs its rounds in a plain function, and shrinks what fails.
#[ptest::db_test(migrations = "tests/it/migrations", fixtures("admin"))]
fn rounds_of_proptest_that_block(url: PgUrl) {
    let mut client = postgres::Client::connect(url.as_str(), postgres::NoTls).unwrap();
    rounds(&mut client, |_| true).unwrap();
    let error = rounds(&mut client, |logins| logins < 500).unwrap_err();
    assert!(error.to_string().contains("minimal failing input: 500"), "{error}");
}

fn rounds(
    client: &mut postgres::Client,
    holds: impl Fn(i32) -> bool,
) -> Result<(), proptest::test_runner::TestError<i32>> {
    let config = ProptestConfig { cases: 50, failure_persistence: None, ..ProptestConfig::default() };
    let client = std::cell::RefCell::new(client);
    TestRunner::new(config).run(&(0..1000), |logins| {
        let mut client = client.borrow_mut();
        let failed = |error: postgres::Error| TestCaseError::fail(error.to_string());
        let mut tx = client.transaction().map_err(failed)?;
        tx.execute("update account set logins = $1", &[&logins]).map_err(failed)?;
        let found: i32 = tx.query_one(LOGINS, &[]).map_err(failed)?.get(0);
        if found == logins && holds(found) { Ok(()) } else { Err(TestCaseError::fail("it does not hold")) }
    })
}

#[ptest::db_test(migrations = "tests/it/migrations", fixtures("admin", "guests"))]
async fn snapshots_of_insta(pool: PgPool) -> sqlx::Result<()> {
    let rows: Vec<(String, i32)> =
        sqlx::query_as("select name, logins from account order by 1").fetch_all(&pool).await?;
    insta::assert_debug_snapshot!(rows, @r#"
    [
        (
            "admin",
            3,
        ),
        (
            "guest",
            4,
        ),
        (
            "other",
            0,
        ),
    ]
    "#);
    Ok(())
}

#[tracing_test::traced_test]
#[ptest::db_test(migrations = "tests/it/migrations")]
async fn logs_before_the_attribute(pool: PgPool) {
    insert(&pool, "admin", 1).await.unwrap();
    tracing::info!("inserted {}", "admin");
    assert!(logs_contain("inserted admin") && !logs_contain("deleted"));
}

#[ptest::db_test(migrations = "tests/it/migrations")]
#[tracing_test::traced_test]
async fn logs_behind_the_attribute(pool: PgPool) {
    pool.execute("delete from account").await.unwrap();
    tracing::info!("deleted {}", "admin");
    assert!(logs_contain("deleted admin") && !logs_contain("inserted"));
}

#[test]
fn a_failing_case_fails_alone() {
    let outcome = Rerun::module("composition::failing::").run();
    outcome.failed().says("2 passed; 2 failed").says("the body of 2").says("composition.rs:");
}

mod failing {
    use super::{PgPool, rstest};
    use test_case::test_case;

    #[rstest]
    #[case(1)]
    #[case(2)]
    #[test_attr(ptest::db_test(migrations = false))]
    #[ignore = "run by another test: one fails"]
    async fn rstest_fails(#[ignore] _pool: PgPool, #[case] n: i32) {
        assert_eq!(n, 1, "the body of {n}");
    }

    #[ptest::db_test(migrations = false)]
    #[test_case(1)]
    #[test_case(2)]
    #[ignore = "run by another test: one fails"]
    async fn test_case_fails(_pool: PgPool, #[case] n: i32) {
        assert_eq!(n, 1, "the body of {n}");
    }
}
