//! What a parameter of a test is.

use crate::spec::Database;
use crate::sys::BoxFuture;
use crate::test::context::Context;

/// A type that can be a parameter of a `#[ptest::db_test]` function.
///
/// Implement it for a type of your own, built from the types that ptest knows:
///
/// ```
/// # #[cfg(feature = "sqlx-postgres")] mod app {
/// use ptest_runtime as ptest;
/// use ptest::FromContext;
/// use sqlx::PgPool;
///
/// struct TestApp { pool: PgPool }
///
/// impl FromContext for TestApp {
///     async fn from_context(cx: &mut ptest::Context) -> ptest::Result<Self> {
///         Ok(TestApp { pool: PgPool::from_context(cx).await? })
///     }
/// }
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a parameter of a `#[ptest::db_test]` function",
    label = "not a database type that ptest knows",
    note = "of sqlx, for PostgreSQL: `PgPool`, `PoolConnection<Postgres>`, `&mut PgConnection`, `Transaction<'static, Postgres>`, or the pair `PgPoolOptions, PgConnectOptions`; those of sqlx 0.9 with ptest's feature `sqlx-postgres`, those of sqlx 0.8 with `sqlx-08-postgres`",
    note = "of sqlx, for SQLite: `SqlitePool`, `PoolConnection<Sqlite>`, `&mut SqliteConnection`, or the pair `SqlitePoolOptions, SqliteConnectOptions`; those of sqlx 0.9 with `sqlx-sqlite`",
    note = "of others: `tokio_postgres` 0.7 `Client` and `Config` with the feature `tokio-postgres`; `deadpool_postgres` 0.14 `Pool` and `Client` with `deadpool-postgres`; `bb8::Pool` of bb8-postgres 0.9 with `bb8-postgres`; `postgres` 0.19 `Client` with `postgres`; `diesel` 2 `PgConnection` and `r2d2::Pool` with `diesel`; `diesel_async` 0.9 `AsyncPgConnection` with `diesel-async`; `sea_orm` 2 `DatabaseConnection` with `sea-orm`",
    note = "a type of another version is another type: `cargo tree -i <crate>` lists the versions in this build",
    note = "always: `ptest::PgUrl`, `ptest::TestDatabase`, and your own types that implement `ptest::FromContext`"
)]
pub trait FromContext: Sized {
    /// Makes the value for one run of one test.
    ///
    /// # Errors
    ///
    /// Whatever keeps the test from having it; the test then fails with the error's report and its body does not run.
    fn from_context(cx: &mut Context) -> impl Future<Output = crate::Result<Self>>;
}

/// Makes one parameter, from another database than the test's own.
pub fn param_of<'c, T: FromContext + 'c>(
    cx: &'c mut Context,
    database: &'static Database,
) -> BoxFuture<'c, crate::Result<T>> {
    Box::pin(async move { T::from_context(cx.of(database)).await })
}

/// Makes one parameter. The type of the future does not depend on the trait, so a type that does not implement it is
/// one error, at the type.
pub fn param<'c, T: FromContext + 'c>(cx: &'c mut Context) -> BoxFuture<'c, crate::Result<T>> {
    Box::pin(T::from_context(cx))
}
