//! The context that a test's parameters are made from.

#[cfg(feature = "sqlx-sqlite")]
use crate::drivers::sqlx_sqlite::SqliteTest;
#[cfg(feature = "sqlx-sqlite")]
use crate::sqlite::schema::Schema;
use crate::test::Test;

/// What a parameter of a test is made from: the test's name, and its databases, leased when first asked for.
#[derive(Debug)]
pub struct Context {
    test: &'static Test,
    #[cfg(feature = "sqlx-sqlite")]
    sqlite: Option<SqliteTest>,
}

impl Context {
    pub(crate) fn new(test: &'static Test) -> Self {
        Context {
            test,
            #[cfg(feature = "sqlx-sqlite")]
            sqlite: None,
        }
    }

    /// The test's name as the runner prints it: `module::path::function`.
    pub fn test_name(&self) -> &'static str {
        self.test.name
    }

    /// The test's SQLite database, leased when first asked for.
    #[cfg(feature = "sqlx-sqlite")]
    pub(crate) async fn sqlite(&mut self) -> crate::Result<&mut SqliteTest> {
        if self.sqlite.is_none() {
            let schema = Schema::of(self.test)?;
            self.sqlite = Some(SqliteTest::open(self.test, &schema, crate::config::slot_hint()).await?);
        }
        Ok(self.sqlite.as_mut().expect("opened above"))
    }

    /// Ends the test's use of its databases, after its runtime is gone. `failure` is the message of a body that panicked.
    pub(crate) fn close(self, failure: Option<&str>) -> crate::Result<()> {
        #[cfg(feature = "sqlx-sqlite")]
        if let Some(sqlite) = self.sqlite {
            sqlite.close(failure)?;
        }
        let _ = failure;
        Ok(())
    }
}

/// A type that can be a parameter of a `#[ptest::db_test]` function.
///
/// Implement it for a type of your own, built from the types that ptest knows:
///
/// ```ignore
/// struct TestApp { pool: PgPool }
///
/// impl ptest::FromContext for TestApp {
///     async fn from_context(cx: &mut ptest::Context) -> ptest::Result<Self> {
///         Ok(TestApp { pool: PgPool::from_context(cx).await? })
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a parameter of a `#[ptest::db_test]` function",
    label = "not a database type that ptest knows",
    note = "with the feature `sqlx-postgres`: `PgPool`, `PoolConnection<Postgres>`, `&mut PgConnection`, `Transaction<'static, Postgres>`, or the pair `PgPoolOptions, PgConnectOptions`",
    note = "with the feature `sqlx-sqlite`: `SqlitePool`, `PoolConnection<Sqlite>`, `&mut SqliteConnection`, or the pair `SqlitePoolOptions, SqliteConnectOptions`, `ptest::SqliteUrl`",
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
