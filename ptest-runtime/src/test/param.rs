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
    note = "with the feature `sqlx-postgres`: `PgPool`, `PoolConnection<Postgres>`, `&mut PgConnection`, `Transaction<'static, Postgres>`, or the pair `PgPoolOptions, PgConnectOptions`",
    note = "with the feature `sqlx-sqlite`: `SqlitePool`, `PoolConnection<Sqlite>`, `&mut SqliteConnection`, or the pair `SqlitePoolOptions, SqliteConnectOptions`, `ptest::SqliteUrl`",
    note = "with the feature `deadpool-postgres`: `deadpool_postgres::Pool`, `deadpool_postgres::Client`",
    note = "with the feature `tokio-postgres`: `tokio_postgres::Client`, `tokio_postgres::Config`",
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
