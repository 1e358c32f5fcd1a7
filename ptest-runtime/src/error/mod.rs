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
pub struct Error(Box<dyn Failure>);

/// What went wrong in one room of ptest. Every room has an error type of its own, which turns into an [`Error`] by `?`.
pub(crate) trait Failure: StdError + Send + Sync + 'static {
    /// What the user can do, where the error's own text does not say it.
    fn help(&self) -> Option<String> {
        None
    }

    /// What a caller may do about it.
    fn class(&self) -> Class {
        Class::Other
    }
}

/// What a caller may do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    /// No server listens where one was expected: it may be started.
    NoServer,
    /// A connection that served tests before has ended: another may take its place.
    Gone,
    /// The server takes no more clients: others may be asked to leave.
    Crowded,
    /// Nothing but report it.
    Other,
}

/// Whatever made the user's code fail.
pub(crate) type Cause = Box<dyn StdError + Send + Sync>;

#[derive(Debug, thiserror::Error)]
#[error("cannot build a parameter of the test")]
struct Other(#[source] Cause);

impl Failure for Other {}

impl Error {
    /// Wraps an error of your own, for an implementation of [`FromContext`](crate::FromContext).
    ///
    /// ```
    /// let error = ptest_runtime::Error::other("the mail server of the test did not start");
    /// assert!(format!("{error:?}").contains("did not start"));
    /// ```
    pub fn other(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Other(error.into()).into()
    }

    pub(crate) fn class(&self) -> Class {
        self.0.class()
    }
}

impl<F: Failure> From<F> for Error {
    fn from(failure: F) -> Self {
        Error(Box::new(failure))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
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
        if let Some(help) = self.0.help() {
            write!(f, "\n  help: {}", help.replace('\n', "\n        "))?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

#[cfg(all(test, feature = "sqlx-sqlite"))]
mod tests;
