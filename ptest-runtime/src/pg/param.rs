//! The parameters that need no driver: the database's name and its address.

use std::fmt;

use crate::config::RedactedUrl;
use crate::pg::postgres::Postgres;
use crate::pg::server::url;
use crate::test::context::Context;
use crate::test::param::FromContext;

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
        Ok(PgUrl(url(&cx.get::<Postgres>().await?.address())))
    }
}

#[diagnostic::do_not_recommend]
impl FromContext for TestDatabase {
    async fn from_context(cx: &mut Context) -> crate::Result<Self> {
        let test = cx.test_name();
        let postgres = cx.get::<Postgres>().await?;
        Ok(TestDatabase { name: postgres.name().to_owned(), slot: postgres.number().await?, test })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pg::server::Address;

    #[test]
    fn only_the_url_itself_shows_the_password() {
        let address = Address::from_url("postgres://bob:hunter2@h/app", "test").unwrap();
        let url = PgUrl(url(&address));
        assert!(url.as_str().contains("hunter2"));
        assert!(!format!("{url:?}").contains("hunter2"));
    }
}
