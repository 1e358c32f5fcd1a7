//! What a parameter is, and those that need no driver: the database's name and its address.

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::config::RedactedUrl;
use crate::pg::server::{Address, Endpoint};
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

/// A URL of the test's PostgreSQL database that any client can connect to: of any language, in this process or another.
///
/// Every connection made with it is a session of the test's sandbox: it sees what the test sees, and is rolled back with
/// it. The URL names a Unix socket and stops working when the test ends. With `isolation = "database"` it names the server
/// and the test's own database there, and holds the password if the server wants one.
///
/// ```rust,test_harness,no_run
/// # use ptest_runtime as ptest;
/// # async fn psql(url: ptest::PgUrl) -> std::io::Result<()> {
/// let status = std::process::Command::new("psql").arg(url.as_str()).args(["-c", "select 1"]).status()?;
/// assert!(status.success());
/// # Ok(()) }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct PgUrl(String);

/// The test's PostgreSQL database by name, for whatever else must follow the lease: a Redis index, a queue's prefix, a
/// port.
///
/// No other running test, of any process, has the same name at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestDatabase {
    name: String,
    slot: u32,
    test: &'static str,
}

impl PgUrl {
    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for PgUrl {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PgUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Without the password.
impl fmt::Debug for PgUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PgUrl(\"{}\")", RedactedUrl(&self.0))
    }
}

impl TestDatabase {
    /// The database's name on the server: `ptest_<fingerprint>_<slot>`, or another with `isolation = "database"`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of the slot, from 0; as small as the number of tests that run at once allows. Tests with
    /// `isolation = "database"` are counted apart from the others.
    pub fn slot(&self) -> u32 {
        self.slot
    }

    /// The test's name as the runner prints it.
    pub fn test_name(&self) -> &'static str {
        self.test
    }
}

#[diagnostic::do_not_recommend]
impl FromContext for PgUrl {
    async fn from_context(cx: &mut Context) -> crate::Result<Self> {
        Ok(PgUrl(url(&cx.postgres().await?.address())))
    }
}

#[diagnostic::do_not_recommend]
impl FromContext for TestDatabase {
    async fn from_context(cx: &mut Context) -> crate::Result<Self> {
        let test = cx.test_name();
        let postgres = cx.postgres().await?;
        Ok(TestDatabase { name: postgres.name().to_owned(), slot: postgres.number().await?, test })
    }
}

/// What may stand unescaped in a URL's host.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_');

/// The URL of a database of this server, without the password.
pub(crate) fn url_of(server: &Address, database: &str) -> String {
    url(&Address { database: database.to_owned(), password: None, ..server.clone() })
}

/// The URL of a socket: its folder as the escaped host, which libpq, sqlx and tokio-postgres all read.
pub(crate) fn url(address: &Address) -> String {
    let escape = |text: &str| utf8_percent_encode(text, ESCAPED).to_string();
    let (host, port) = match &address.endpoint {
        Endpoint::Unix { folder, port } => (escape(&folder.to_string_lossy()), port),
        Endpoint::Tcp { host, port } if host.contains(':') => (format!("[{host}]"), port),
        Endpoint::Tcp { host, port } => (host.clone(), port),
    };
    let password = address.password.as_ref().map_or(String::new(), |password| format!(":{}", escape(password)));
    format!("postgresql://{}{password}@{host}:{port}/{}", escape(&address.user), escape(&address.database))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_same(text: &str, expected: &str) {
        let address = Address::from_url(text, "test").unwrap();
        let made = url(&address);
        assert_eq!(made, expected);
        assert!(Address::from_url(&made, "test").unwrap() == address, "{text} is read back");
    }

    #[test]
    fn a_url_names_the_server_as_it_was_named() {
        assert_same(
            "postgres://bob:p%40ss%2F%3Aw%23rd@db.example:5433/app",
            "postgresql://bob:p%40ss%2F%3Aw%23rd@db.example:5433/app",
        );
        assert_same("postgres://bob@[::1]/app", "postgresql://bob@[::1]:5432/app");
        assert_same("postgres://eve:x@%2Fvar%2Frun/a%20b", "postgresql://eve:x@%2Fvar%2Frun:5432/a%20b");
    }

    #[test]
    fn only_the_url_itself_shows_the_password() {
        let address = Address::from_url("postgres://bob:hunter2@h/app", "test").unwrap();
        let url = PgUrl(url(&address));
        assert!(url.as_str().contains("hunter2"));
        assert!(!format!("{url:?}").contains("hunter2"));
    }
}
