//! Fixtures: scripts that run before the body, in the order they are named, and are gone with it.

use ptest::{PgUrl, TestDatabase};
use sqlx::{PgConnection, PgPool, SqliteConnection, SqlitePool};

use crate::rerun::Rerun;

const LIST: &str = "select name, logins from account order by name";

#[ptest::db_test(migrations = "tests/it/migrations", fixtures("admin", "guests.sql"))]
async fn by_name(pool: PgPool) -> sqlx::Result<()> {
    let found: Vec<(String, i32)> = sqlx::query_as(LIST).fetch_all(&pool).await?;
    assert_eq!(found, [("admin".to_owned(), 3), ("guest".to_owned(), 4), ("other".to_owned(), 0)]);
    Ok(())
}

#[ptest::db_test(
    migrations = "tests/it/migrations",
    fixtures("admin"),
    fixtures(path = "fixtures/more", scripts("logins")),
    fixtures("./fixtures/guests.sql")
)]
async fn by_path(conn: &mut PgConnection) -> sqlx::Result<()> {
    let found: Vec<(String, i32)> = sqlx::query_as(LIST).fetch_all(conn).await?;
    assert_eq!(found, [("admin".to_owned(), 30), ("guest".to_owned(), 31), ("other".to_owned(), 0)]);
    Ok(())
}

#[ptest::db_test(migrations = "tests/it/migrations", fixtures("admin", "guests"))]
fn of_a_plain_function(url: PgUrl) -> Result<(), postgres::Error> {
    let mut client = postgres::Client::connect(url.as_str(), postgres::NoTls)?;
    assert_eq!(client.query(LIST, &[])?.len(), 3);
    Ok(())
}

#[ptest::db_test(migrations = "tests/it/migrations", fixtures("admin", "guests"), isolation = "database")]
async fn of_a_database_of_its_own(pool: PgPool) -> sqlx::Result<()> {
    assert_eq!(sqlx::query(LIST).fetch_all(&pool).await?.len(), 3);
    Ok(())
}

#[ptest::db_test(migrations = "tests/it/migrations", fixtures("admin", "guests"))]
async fn of_sqlite(pool: SqlitePool) -> sqlx::Result<()> {
    assert_eq!(sqlx::query(LIST).fetch_all(&pool).await?.len(), 3);
    Ok(())
}

#[ptest::db_test(migrations = "tests/it/migrations", fixtures("admin", "guests"))]
async fn of_a_connection_of_sqlite(conn: &mut SqliteConnection) -> sqlx::Result<()> {
    assert_eq!(sqlx::query(LIST).fetch_all(conn).await?.len(), 3);
    Ok(())
}

/// Each once, however many parameters there are, and in either database.
#[ptest::db_test(migrations = "tests/it/migrations", fixtures("admin"))]
async fn of_several_parameters(
    pool: PgPool,
    conn: &mut PgConnection,
    url: PgUrl,
    sqlite: SqlitePool,
) -> sqlx::Result<()> {
    assert_eq!(sqlx::query(LIST).fetch_all(&pool).await?.len(), 1);
    assert_eq!(sqlx::query(LIST).fetch_all(conn).await?.len(), 1);
    assert_eq!(sqlx::query(LIST).fetch_all(&sqlite).await?.len(), 1);
    assert!(!url.as_str().is_empty());
    Ok(())
}

#[ptest::db_test(migrations = "tests/it/migrations", fixtures("transaction"))]
async fn with_transactions_of_its_own(pool: PgPool) -> sqlx::Result<()> {
    assert_eq!(sqlx::query(LIST).fetch_all(&pool).await?.len(), 1);
    Ok(())
}

#[test]
fn they_are_gone_with_the_test() {
    let outcome = Rerun::module("fixtures::inner::").threads(1).run();
    outcome.failed().says("4 passed; 2 failed");
    let slots = outcome.lines("leased ");
    assert!(slots.len() == 4 && slots.iter().all(|slot| *slot == slots[0]), "{outcome}");
}

#[test]
fn an_error_says_file_and_line() {
    let cases = [
        ("fixtures::inner::b_broken", "fixtures/broken.sql", "line 4", "SQLSTATE 42703"),
        ("fixtures::inner::d_twice", "fixtures/twice.sql", "line 4", "SQLSTATE 23505"),
        ("fixtures::sqlite::broken", "fixtures/broken.sql", ":3", "no column named password"),
        ("fixtures::sqlite::twice", "fixtures/twice.sql", ":4", "UNIQUE constraint failed"),
        ("fixtures::sqlite::twice_in_a_transaction", "fixtures/twice.sql", ":4", "UNIQUE constraint failed"),
    ];
    for (test, file, line, error) in cases {
        let outcome = Rerun::test(test).run();
        outcome.failed().says(file).says(line).says(error).says("tests/it/fixtures.rs:").never_says("the body runs");
    }
}

mod inner {
    use super::*;

    async fn is_empty(pool: &PgPool, database: &TestDatabase) -> sqlx::Result<()> {
        println!("leased {}", database.name());
        assert!(sqlx::query(LIST).fetch_all(pool).await?.is_empty());
        Ok(())
    }

    #[ptest::db_test(migrations = "tests/it/migrations", fixtures("admin", "guests"))]
    #[ignore = "run by another test"]
    async fn a_loads(database: TestDatabase) {
        println!("leased {}", database.name());
    }

    #[ptest::db_test(migrations = "tests/it/migrations", fixtures("broken"))]
    #[ignore = "run by another test: fails"]
    async fn b_broken(_pool: PgPool) {
        println!("the body runs");
    }

    #[ptest::db_test(migrations = "tests/it/migrations")]
    #[ignore = "run by another test"]
    async fn c_finds_nothing(pool: PgPool, database: TestDatabase) -> sqlx::Result<()> {
        is_empty(&pool, &database).await
    }

    #[ptest::db_test(migrations = "tests/it/migrations", fixtures("twice"))]
    #[ignore = "run by another test: fails"]
    fn d_twice(_pool: PgPool) {
        println!("the body runs");
    }

    #[ptest::db_test(migrations = "tests/it/migrations")]
    #[ignore = "run by another test"]
    async fn e_finds_nothing(pool: PgPool, database: TestDatabase) -> sqlx::Result<()> {
        is_empty(&pool, &database).await
    }

    #[ptest::db_test(migrations = "tests/it/migrations", fixtures("transaction"))]
    #[ignore = "run by another test"]
    async fn f_commits(database: TestDatabase) {
        println!("leased {}", database.name());
    }
}

mod sqlite {
    use super::*;

    #[ptest::db_test(migrations = "tests/it/migrations", fixtures("broken"))]
    #[ignore = "run by another test: fails"]
    async fn broken(_pool: SqlitePool) {
        println!("the body runs");
    }

    #[ptest::db_test(migrations = "tests/it/migrations", fixtures("twice"))]
    #[ignore = "run by another test: fails"]
    async fn twice(_pool: SqlitePool) {
        println!("the body runs");
    }

    #[ptest::db_test(migrations = "tests/it/migrations", fixtures("twice"))]
    #[ignore = "run by another test: fails"]
    async fn twice_in_a_transaction(_conn: &mut SqliteConnection) {
        println!("the body runs");
    }
}
