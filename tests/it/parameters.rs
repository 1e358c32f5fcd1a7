//! What a test can ask for by the types of its parameters.
//!
//! Every test inserts the same unique name, whatever the driver, and all run at once.

mod postgres;
mod sqlite;

use ptest::{Context, FromContext, PgUrl, TestDatabase};
use sqlx::{Connection, PgConnection, PgPool, SqlitePool};

/// A type of the user's own, built from those that ptest knows.
struct TestApp {
    pool: PgPool,
    /// What the application would connect to by itself.
    url: String,
    test: &'static str,
}

impl FromContext for TestApp {
    async fn from_context(cx: &mut Context) -> ptest::Result<Self> {
        let test = cx.test_name();
        let pool = PgPool::from_context(cx).await?;
        sqlx::query("insert into account values ('admin')").execute(&pool).await.map_err(ptest::Error::other)?;
        Ok(TestApp { pool, url: PgUrl::from_context(cx).await?.to_string(), test })
    }
}

#[ptest::db_test(migrations = "tests/it/migrations")]
async fn a_type_of_ones_own(app: TestApp, conn: &mut PgConnection) -> sqlx::Result<()> {
    assert_eq!(app.test, "parameters::a_type_of_ones_own");
    let mut by_url = PgConnection::connect(&app.url).await?;
    sqlx::query("update account set logins = 1").execute(&mut by_url).await?;
    let logins: i32 = sqlx::query_scalar("select logins from account").fetch_one(&app.pool).await?;
    assert_eq!(logins, 1);
    let names: Vec<String> = sqlx::query_scalar("select name from account").fetch_all(conn).await?;
    assert_eq!(names, ["admin"]);
    Ok(())
}

/// A generic one, by `&mut`.
struct Pair<A, B>(A, B);

impl<A: FromContext, B: FromContext> FromContext for Pair<A, B> {
    async fn from_context(cx: &mut Context) -> ptest::Result<Self> {
        Ok(Pair(A::from_context(cx).await?, B::from_context(cx).await?))
    }
}

#[ptest::db_test(migrations = "tests/it/migrations")]
async fn both_databases_in_one_test(pair: &mut Pair<PgPool, SqlitePool>) -> sqlx::Result<()> {
    let Pair(postgres, sqlite) = pair;
    for _ in 0..2 {
        assert!(sqlx::query("insert into account values ('admin', 0)").execute(&*postgres).await.is_ok());
        assert!(sqlx::query("insert into account values ('admin', 0)").execute(&*sqlite).await.is_ok());
        sqlx::query("delete from account").execute(&*postgres).await?;
        sqlx::query("delete from account").execute(&*sqlite).await?;
    }
    Ok(())
}

#[ptest::db_test]
async fn none() {
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
}

#[ptest::db_test]
fn none_of_a_plain_function() {
    assert!(tokio::runtime::Handle::try_current().is_ok());
}

#[ptest::db_test(migrations = false)]
async fn the_database_by_name(database: TestDatabase, pool: PgPool, again: TestDatabase) -> sqlx::Result<()> {
    let current: String = sqlx::query_scalar("select current_database()").fetch_one(&pool).await?;
    assert_eq!(database.name(), current);
    assert_eq!(database, again);
    let (prefix, slot) = current.rsplit_once('_').unwrap();
    assert_eq!(database.slot().to_string(), slot);
    let fingerprint = prefix.strip_prefix("ptest_").unwrap();
    assert!(fingerprint.len() == 16 && fingerprint.bytes().all(|b| b.is_ascii_hexdigit()), "{current}");
    assert_eq!(database.test_name(), "parameters::the_database_by_name");
    Ok(())
}
