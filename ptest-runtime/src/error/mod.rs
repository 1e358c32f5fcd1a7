//! The one error type: opaque, with a report for `Debug`.
//!
//! `Display` is a lower-case fragment that fits behind "failed to"; the cause is only in `source()`; `Debug` is what a
//! failing test prints: the fragment, every cause, and what to do about it. No password is ever part of either.

use std::error::Error as StdError;
use std::fmt;

/// A result of the harness.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kept the harness from giving a test its database.
///
/// Its `Debug` form is the report that a failing test prints: what happened, the chain of causes, and what to do.
///
/// A type of your own that implements [`FromContext`](crate::FromContext) turns its errors into this with
/// [`Error::other`].
pub struct Error {
    kind: Box<ErrorKind>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ErrorKind {
    #[error(transparent)]
    Audit(#[from] crate::audit::AuditError),
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    #[error(transparent)]
    Server(#[from] crate::pg::server::ServerError),
    #[error(transparent)]
    Template(#[from] crate::pg::template::TemplateError),
    #[error(transparent)]
    Lease(#[from] crate::pg::slot::LeaseError),
    #[error(transparent)]
    Single(#[from] crate::pg::single::SingleError),
    #[error(transparent)]
    Fixture(#[from] crate::pg::drivers::fixture::FixtureError),
    #[error(transparent)]
    Run(#[from] crate::test::run::RunError),
    #[cfg(feature = "sqlx-sqlite")]
    #[error(transparent)]
    Sqlite(#[from] crate::sqlite::SqliteError),
    #[error(transparent)]
    Migrations(#[from] crate::schema::migrations::MigrationsError),
    #[error("cannot build a parameter of the test")]
    Other(#[source] Box<dyn StdError + Send + Sync>),
}

impl ErrorKind {
    /// What the user can do, where the error's own text does not say it.
    fn help(&self) -> Option<String> {
        match self {
            ErrorKind::Audit(e) => e.help(),
            ErrorKind::Config(e) => e.help(),
            ErrorKind::Server(e) => e.help(),
            ErrorKind::Template(e) => e.help(),
            ErrorKind::Lease(e) => e.help(),
            ErrorKind::Single(e) => e.help(),
            ErrorKind::Fixture(e) => e.help(),
            ErrorKind::Run(e) => e.help(),
            #[cfg(feature = "sqlx-sqlite")]
            ErrorKind::Sqlite(e) => e.help(),
            ErrorKind::Migrations(e) => e.help(),
            ErrorKind::Other(_) => None,
        }
    }
}

impl Error {
    /// Wraps an error of your own, for an implementation of [`FromContext`](crate::FromContext).
    ///
    /// ```
    /// let error = ptest_runtime::Error::other("the mail server of the test did not start");
    /// assert!(format!("{error:?}").contains("did not start"));
    /// ```
    pub fn other(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        ErrorKind::Other(error.into()).into()
    }
}

impl Error {
    /// Whether no server listens where one was expected.
    pub(crate) fn is_no_server(&self) -> bool {
        matches!(&*self.kind, ErrorKind::Server(crate::pg::server::ServerError::Connect { .. }))
    }

    /// Whether a connection that served tests before has ended.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(&*self.kind, ErrorKind::Lease(crate::pg::slot::LeaseError::Gone))
    }
}

impl<K: Into<ErrorKind>> From<K> for Error {
    fn from(kind: K) -> Self {
        Error { kind: Box::new(kind.into()) }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut said = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            // Libraries repeat their cause in their own text; say each thing once.
            let text = error.to_string();
            if !said.contains(&text) {
                write!(f, "\n  caused by: {}", text.replace('\n', "\n             "))?;
                said = text;
            }
            cause = error.source();
        }
        if let Some(help) = self.kind.help() {
            write!(f, "\n  help: {}", help.replace('\n', "\n        "))?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.kind.source()
    }
}

#[cfg(all(test, feature = "sqlx-sqlite"))]
mod tests;
